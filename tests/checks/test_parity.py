"""Parity: undeclared differences are reported, declared ones are not, and declarations of no difference are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.finding import Finding, Severity
from dormatory.checks.parity import check_parity
from dormatory.checks.parity_comments import ParityComment, parity_comments
from dormatory.errors.location import Location
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.project.revision_files import read_scripts
from dormatory.runtime import scratch
from dormatory.schema.snapshot import Column, Constraint, Enum, Index, Snapshot, Table
from tests.checks.file_examples import revision_script

if TYPE_CHECKING:
    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.postgresql.server.throwaway import Server

PROJECT = Project.read(Path(__file__).resolve().parents[2] / "alembic.ini")
TAGS = Index("ix_tags", "USING gin (tags)", keys=("tags",))


def parity_comment(*names: str, explicit: bool = True) -> ParityComment:
    return ParityComment(names, explicit, "it has its reason", "007", Location("versions/007_x.py", 12))


def snapshots(tags: Column, *indexes: Index, table: str = "docs") -> tuple[Snapshot, Snapshot]:
    """Return two snapshots: a table with a text column on SQLite, and with `tags` and `indexes` on PostgreSQL."""
    sqlite = Table(None, table, columns=(Column("tags", "TEXT"),))
    postgresql = Table("public", table, columns=(tags,), indexes=indexes)
    return Snapshot(tables=(sqlite,)), Snapshot(tables=(postgresql,))


def found_differences(sides: tuple[Snapshot, Snapshot], *comments: ParityComment) -> list[str]:
    return [f"{finding.rule} {finding.object}" for finding in check_parity(*sides, comments)]


def test_a_difference_is_a_warning_that_shows_how_to_declare_it() -> None:
    found = list(check_parity(*snapshots(Column("tags", "text", nullable=False)), ()))

    assert found == [
        Finding(
            rule="parity",
            severity=Severity.WARNING,
            message="column docs.tags: nullability NULL on SQLite, NOT NULL on PostgreSQL",
            hint="make them agree, or give the reason in a revision: # parity: docs.tags: ...",
            object="column docs.tags",
        )
    ]


def test_backends_that_agree_give_nothing() -> None:
    assert list(check_parity(*snapshots(Column("tags", "text")), ())) == []


@pytest.mark.parametrize("name", ["ix_tags", "docs.ix_tags"])
def test_a_declared_difference_is_not_reported_and_hides_no_other(name: str) -> None:
    sides = snapshots(Column("tags", "text[]"), TAGS)

    assert found_differences(sides, parity_comment(name)) == ["parity column docs.tags"]


def test_a_name_alone_covers_no_column_that_differs_in_two_ways() -> None:
    sides = snapshots(Column("tags", "text[]", nullable=False))

    found = list(check_parity(*sides, (parity_comment("docs.tags"),)))

    assert [finding.hint.partition("# ")[2] for finding in found] == [
        "parity: docs.tags type: ...",
        "parity: docs.tags nullability: ...",
    ]
    assert found_differences(sides, parity_comment("docs.tags type", "docs.tags nullability")) == []
    assert found_differences(sides, parity_comment("docs.tags type")) == ["parity column docs.tags"]


def test_a_name_that_two_tables_use_covers_neither() -> None:
    one, other = snapshots(Column("tags", "text"), TAGS), snapshots(Column("tags", "text"), TAGS, table="notes")
    sides = (Snapshot(one[0].tables + other[0].tables), Snapshot(one[1].tables + other[1].tables))

    assert found_differences(sides, parity_comment("ix_tags")) == [
        "parity index ix_tags on docs",
        "parity index ix_tags on notes",
    ]
    assert found_differences(sides, parity_comment("docs.ix_tags")) == ["parity index ix_tags on notes"]


def test_unnamed_constraints_cannot_be_declared() -> None:
    checks = tuple(Constraint("CHECK", None, f"CHECK (tags {sign} '')", expression=f"tags {sign} ''") for sign in "<>")
    table = Table(None, "docs", constraints=checks)
    sides = Snapshot(tables=(table,)), Snapshot(tables=(Table("public", "docs"),))

    found = list(check_parity(*sides, (parity_comment("docs check"),)))

    assert [finding.hint for finding in found] == [
        "make them agree, or name the constraint, so that a revision can give the reason"
    ] * 2


def test_a_declaration_of_no_difference_is_reported_at_its_line() -> None:
    found = list(check_parity(*snapshots(Column("tags", "text")), (parity_comment("ix_tags"),)))

    assert found == [
        Finding(
            rule="parity-declaration",
            severity=Severity.WARNING,
            message="a parity comment names ix_tags, where the backends do not differ: it has its reason",
            hint="remove it, or name what differs: # parity: NAME: reason",
            object="ix_tags",
            revision="007",
            location=Location("versions/007_x.py", 12),
        )
    ]


def test_each_name_that_was_written_must_differ_but_of_a_statement_one_is_enough() -> None:
    sides = snapshots(Column("tags", "text"), TAGS)

    assert found_differences(sides, parity_comment("ix_tags", "ix_gone")) == ["parity-declaration ix_gone"]
    assert found_differences(sides, parity_comment("ix_tags", "ix_gone", explicit=False)) == []


def test_a_comment_that_names_nothing_is_reported() -> None:
    (found,) = check_parity(*snapshots(Column("tags", "text")), (parity_comment(explicit=False),))

    assert found.message.startswith("a parity comment names nothing that has a name, where")


GUARDED = """
if op.get_bind().dialect.name == "postgresql":
    op.create_index("ix_tags", "docs", ["tags"], postgresql_using="gin")
"""


def test_what_a_revision_makes_for_one_backend_is_a_note_at_its_line() -> None:
    script = revision_script("a1", upgrade=GUARDED)

    (found,) = check_parity(*snapshots(Column("tags", "text"), TAGS), (), [script])

    assert (found.severity, found.revision, found.location) == (Severity.NOTE, "a1", Location("versions/a1_step.py", 8))
    assert (
        found.message
        == "index ix_tags on docs: only on PostgreSQL (USING gin (tags)); the revision asks for the dialect"
    )


def test_a_difference_that_no_revision_asked_for_stays_a_warning() -> None:
    script = revision_script("a1", upgrade=GUARDED.replace("ix_tags", "ix_other"))

    (found,) = check_parity(*snapshots(Column("tags", "text"), TAGS), (), [script])

    assert found.severity is Severity.WARNING


def enumerations(*columns: str) -> tuple[Snapshot, Snapshot]:
    """Return two snapshots of a table with columns of an enumeration that SQLite does not check."""
    sqlite = Table(None, "docs", columns=tuple(Column(name, "VARCHAR(5)") for name in columns))
    postgresql = Table("public", "docs", columns=tuple(Column(name, "mood") for name in columns))
    return Snapshot(tables=(sqlite,)), Snapshot(tables=(postgresql,), enums=(Enum("public", "mood", ("ok", "sad")),))


def test_enumerations_without_a_check_are_one_finding() -> None:
    (found,) = check_parity(*enumerations("a", "b", "c"), ())

    what = "3 columns take only the values of an enumeration on PostgreSQL, and any text on SQLite"
    assert found.message == f"{what}: docs.a, docs.b, docs.c"
    assert found.hint.endswith("# parity: docs.a, docs.b, docs.c: ...")
    assert found_differences(enumerations("a", "b", "c"), parity_comment("docs.a", "docs.b", "docs.c")) == []


def test_one_enumeration_shows_its_values() -> None:
    (found,) = check_parity(*enumerations("a", "b"), (parity_comment("docs.b"),))

    assert found.message == "column docs.a: values any on SQLite, ok, sad on PostgreSQL"


def snapshot_at_head(maker: ScratchMaker) -> Snapshot:
    with (
        scratch.at_revision(PROJECT, maker) as target,
        backend_for(target).engine(target, writing=False).connect() as connection,
    ):
        return read_snapshot(connection, ignore=("alembic_version",))


def test_our_own_history_has_only_declared_differences(postgres_server: Server) -> None:
    sides = snapshot_at_head(scratch_sqlite), snapshot_at_head(lambda: throwaway.scratch_postgresql(postgres_server))

    assert found_differences(sides) == [
        "parity check ck_attributes_created_on_range on attributes",
        "parity check ck_attributes_updated_on_range on attributes",
        "parity index ix_attributes_value on attributes",
        "parity check ck_object_created_on_range on object",
        "parity check ck_versioning_created_at_range on versioning",
    ]
    assert found_differences(sides, *parity_comments(read_scripts(PROJECT), History.read(PROJECT))) == []
