"""The order of a dump serves reviewers and can be loaded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dormatory.backends.postgresql.dump.archive_entries import ArchiveEntry
from dormatory.backends.postgresql.dump.order import arrange
from dormatory.backends.sqlite.dump import with_sorted_constraints

KINDS = ["TABLE", "TABLE", "VIEW", "TYPE", "FUNCTION", "SEQUENCE", "PUBLICATION", "OPERATOR"]
PARTS = ["FK CONSTRAINT", "CONSTRAINT", "INDEX", "TRIGGER", "POLICY", "COMMENT", "DEFAULT", "RULE"]


def make_entry(number: int, kind: str, name: str, *needs: int, namespace: str = "public") -> ArchiveEntry:
    return ArchiveEntry(number, frozenset(needs), kind, namespace, name, f"{number};")


@st.composite
def archives(draw: st.DrawFn) -> list[ArchiveEntry]:
    """Draw what pg_dump could write: each entry needs only entries before it."""
    found: list[ArchiveEntry] = []
    for number in range(draw(st.integers(1, 25))):
        earlier = st.sampled_from(found) if found else st.nothing()
        needs = draw(st.lists(earlier, max_size=3)) if found else []
        part = draw(st.booleans()) and bool(needs)
        kind = draw(st.sampled_from(PARTS if part else KINDS))
        name = f"{needs[0].name.split()[0]} p{number}" if part else draw(st.sampled_from("abc")) + str(number)
        found.append(make_entry(number, kind, name, *(other.number for other in needs)))
    return found


@given(archives())
def test_every_statement_is_written_once_and_after_its_dependencies(entries: list[ArchiveEntry]) -> None:
    blocks = arrange(entries)

    written = [int(statement.rstrip(";")) for block in blocks for statement in block.statements]
    assert sorted(written) == [entry.number for entry in entries]
    places = {number: place for place, number in enumerate(written)}
    assert all(places[need] < places[entry.number] for entry in entries for need in entry.dependencies)


@given(archives(), st.randoms(use_true_random=False))
def test_the_numbers_of_an_archive_do_not_matter(entries: list[ArchiveEntry], random: object) -> None:
    numbers = [entry.number for entry in entries]
    shuffled = sorted(numbers, key=lambda _: random.random())  # type: ignore[attr-defined]
    other = [
        ArchiveEntry(
            shuffled[entry.number], frozenset(shuffled[need] for need in entry.dependencies), entry.kind,
            entry.namespace,
            entry.name, entry.sql,
        )
        for entry in entries
    ]  # fmt: skip

    assert arrange(other) == arrange(entries)


def titles(*entries: ArchiveEntry) -> list[str]:
    return [block.title for block in arrange(entries)]


def test_tables_are_sorted_by_name_and_a_dependency_comes_right_before_its_first_user() -> None:
    zone = make_entry(1, "TABLE", "zone")
    link, attributes, page = (
        make_entry(2, "TABLE", "link"),
        make_entry(3, "TABLE", "attributes"),
        make_entry(4, "TABLE", "page"),
    )
    key = make_entry(5, "FK CONSTRAINT", "link fk_link_zone", 1, 2)

    assert titles(zone, link, attributes, page, key) == ["table attributes", "table zone", "table link", "table page"]


def test_a_chain_of_references_longer_than_the_stack_is_put_in_order() -> None:
    names = [f"t{number:04}" for number in range(1500)]
    tables = [make_entry(number, "TABLE", name) for number, name in enumerate(names)]
    keys = [make_entry(2000 + n, "FK CONSTRAINT", f"{name} fk", n, n + 1) for n, name in enumerate(names[:-1])]

    assert titles(*tables, *keys) == [f"table {name}" for name in reversed(names)]


def test_a_dependency_cycle_is_closed_in_a_block_marked_continued() -> None:
    keys = make_entry(3, "FK CONSTRAINT", "a fk_a_b", 1, 2), make_entry(4, "FK CONSTRAINT", "b fk_b_a", 1, 2)

    blocks = arrange([make_entry(1, "TABLE", "a"), make_entry(2, "TABLE", "b"), *keys])

    assert [(block.title, block.statements) for block in blocks] == [
        ("table b", ("2;",)),
        ("table a", ("1;", "3;")),
        ("table b, continued", ("4;",)),
    ]


def test_tables_of_the_same_name_in_two_schemas_keep_their_own_keys() -> None:
    ours, theirs = make_entry(1, "TABLE", "object"), make_entry(2, "TABLE", "object", namespace="a")
    keys = (
        make_entry(3, "CONSTRAINT", "object pk", 1),
        make_entry(4, "FK CONSTRAINT", "object fk", 1, 2, 3, namespace="a"),
    )

    blocks = arrange([ours, theirs, *keys])

    assert [(block.title, block.statements) for block in blocks] == [
        ("table object", ("1;", "3;")),
        ("table a.object", ("2;", "4;")),
    ]


def test_comments_are_in_column_order_and_everything_else_is_sorted_by_kind_and_name() -> None:
    comments = [make_entry(number, "COMMENT", f"COLUMN a.{name}", 1) for number, name in ((2, "z"), (3, "b"))]
    indexes = [make_entry(number, "INDEX", name, 1) for number, name in ((4, "iz"), (5, "ib"))]

    (block,) = arrange([make_entry(1, "TABLE", "a"), *comments, *indexes, make_entry(6, "CONSTRAINT", "a pk", 1)])

    assert block.statements == ("1;", "6;", "5;", "4;", "2;", "3;")


def test_a_function_that_needs_a_table_does_not_move_it_forward() -> None:
    table, function, plain = (
        make_entry(1, "TABLE", "b"),
        make_entry(2, "FUNCTION", "f()", 1),
        make_entry(3, "FUNCTION", "g()"),
    )

    assert titles(make_entry(4, "TABLE", "a"), table, function, plain) == [
        "function g()",
        "table a",
        "table b",
        "function f()",
    ]


def test_a_policy_does_not_move_the_table_it_reads_forward() -> None:
    tables = make_entry(1, "TABLE", "a"), make_entry(2, "TABLE", "b")

    assert titles(*tables, make_entry(3, "POLICY", "a p", 1, 2)) == ["table a", "table b", "table a, continued"]


@pytest.mark.parametrize(
    ("before", "after"),
    {
        "by kind, then by name": (
            "CREATE TABLE t (b, CHECK (a > 0), CONSTRAINT z UNIQUE (a),\n\tCONSTRAINT y UNIQUE (b), PRIMARY KEY (a))",
            "CREATE TABLE t (b, PRIMARY KEY (a), CONSTRAINT y UNIQUE (b),\n\tCONSTRAINT z UNIQUE (a), CHECK (a > 0))",
        ),
        "quoted commas and parentheses": (
            """CREATE TABLE "(," ([a,)] INT, CONSTRAINT "b)" CHECK (x IN (',', ')')), UNIQUE ([a,)])) STRICT""",
            """CREATE TABLE "(," ([a,)] INT, UNIQUE ([a,)]), CONSTRAINT "b)" CHECK (x IN (',', ')'))) STRICT""",
        ),
        "columns named like constraints": (
            'CREATE TABLE t ("unique" INT, checked INT, uniques INT)',
            'CREATE TABLE t ("unique" INT, checked INT, uniques INT)',
        ),
        "a text with comments stays": (
            "CREATE TABLE t (a INT, CHECK (a > 0), -- positive\n UNIQUE (a))",
            "CREATE TABLE t (a INT, CHECK (a > 0), -- positive\n UNIQUE (a))",
        ),
    }.values(),
)
def test_the_constraints_of_an_sqlite_table_are_sorted(before: str, after: str) -> None:
    assert with_sorted_constraints(before) == after
    assert with_sorted_constraints(after) == after
