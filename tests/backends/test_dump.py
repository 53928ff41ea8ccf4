"""What a dump guarantees on every backend."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_for
from dormatory.backends.url import Target
from dormatory.errors import DatabaseFailedError, DatabaseNotEmptyError, MissingDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.schema.snapshot import Snapshot

HERE = Path(__file__).parent
COMMITTED_DUMPS = HERE.parents[1] / "alembic" / "schema"
VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
)


def dump_schema(target: Target) -> str:
    return backend_for(target).dump.dump_schema(target)


def load_schema(target: Target, text: str) -> None:
    backend_for(target).dump.load_schema(target, text)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_target(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Target]:
    """Return a function that creates an empty database, once per backend."""
    if request.param == "sqlite":
        numbers = iter(range(9))
        return lambda: Target.parse(f"sqlite:///{next(numbers)}.db", root=tmp_path)
    server: Server = request.getfixturevalue("postgres_server")
    return lambda: Target.parse(server.create_database().url.render(), root=tmp_path)


def execute(target: Target, script: str) -> Target:
    with backend_for(target).driver_connection(target, writing=True) as driver:
        if target.backend_name == "sqlite":
            driver.executescript(script)
        else:
            driver.cursor().execute(script)
            driver.commit()
    return target


def build_everything(target: Target) -> Target:
    return execute(target, (HERE / f"everything_{target.backend_name}.sql").read_text())


def snapshot_of(target: Target) -> Snapshot:
    with backend_for(target).engine(target, writing=False).connect() as connection:
        return read_snapshot(connection)


def test_a_loaded_dump_gives_the_same_bytes_again(new_target: Callable[[], Target]) -> None:
    text = dump_schema(build_everything(new_target()))
    copy = new_target()

    load_schema(copy, text)

    assert dump_schema(copy) == text
    assert text.endswith(";\n")
    assert not text.endswith("\n\n")


def test_a_loaded_dump_has_the_same_structure(new_target: Callable[[], Target]) -> None:
    original, copy = build_everything(new_target()), new_target()

    load_schema(copy, dump_schema(original))

    assert snapshot_of(copy) == snapshot_of(original)


def test_the_committed_file_loads_and_gives_the_same_bytes_again(new_target: Callable[[], Target]) -> None:
    copy = new_target()
    text = (COMMITTED_DUMPS / f"{copy.backend_name}.sql").read_text()

    load_schema(copy, text)

    assert dump_schema(copy) == text


def test_the_revisions_are_at_the_end_one_per_line(new_target: Callable[[], Target]) -> None:
    text = dump_schema(build_everything(new_target()))

    assert re.search(r"(INSERT INTO (public\.)?alembic_version \(version_num\) VALUES \('00(2b|3)'\);\n){2}\Z", text)
    assert text.index("'002b'") < text.index("'003'")


def test_a_dump_has_no_trace_of_the_machine_that_wrote_it(new_target: Callable[[], Target]) -> None:
    text = dump_schema(build_everything(new_target()))

    assert not re.search(
        r"dumped (from|by)|toc entry 9|^\\|\d\.db|owner to|^SELECT", text, re.IGNORECASE | re.MULTILINE
    )
    assert "sqlite_" not in text


def test_a_block_holds_a_table_with_all_its_parts(new_target: Callable[[], Target]) -> None:
    text = dump_schema(build_everything(new_target()))

    block = re.split(r"\n\n-- (?:table|view) ", text.partition("-- table object\n")[2])[0]
    own = ["uq_object_name", "pk_object", "FOREIGN KEY", "ix_low|ix_object_low", "TRIGGER touch"]
    assert [name for name in own if re.search(name, block)] == own
    assert "CREATE VIEW" not in block


def test_blank_lines_separate_blocks_and_no_line_ends_with_a_blank(new_target: Callable[[], Target]) -> None:
    target = execute(new_target(), "CREATE TABLE b (x integer,   \n y integer DEFAULT 1);  CREATE INDEX i ON b (x);")
    if target.backend_name == "postgresql":
        execute(target, "ALTER TABLE b CLUSTER ON i;")  # pg_dump writes this below the index, after a blank line

    lines = dump_schema(target).splitlines()

    assert all(following.startswith("--") for line, following in pairwise(lines) if not line)
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_dump_does_not_depend_on_the_order_of_constraints_in_a_rebuild(new_target: Callable[[], Target]) -> None:
    one = execute(new_target(), "CREATE TABLE a (x integer, CONSTRAINT c CHECK (x > 0), CONSTRAINT u UNIQUE (x));")
    other = execute(new_target(), "CREATE TABLE a (x integer, CONSTRAINT u UNIQUE (x), CONSTRAINT c CHECK (x > 0));")

    assert dump_schema(one) == dump_schema(other)


def test_an_empty_database_gives_a_text_that_loads(new_target: Callable[[], Target]) -> None:
    copy = new_target()

    load_schema(copy, dump_schema(execute(new_target(), "SELECT 1;")))

    assert snapshot_of(copy) == snapshot_of(execute(new_target(), "SELECT 1;"))


def test_a_database_that_is_not_empty_is_left_alone(new_target: Callable[[], Target]) -> None:
    target = execute(new_target(), "CREATE TABLE a (x integer);")

    with pytest.raises(DatabaseNotEmptyError, match="is not empty"):
        load_schema(target, "CREATE TABLE b (x integer);")

    assert [table.name for table in snapshot_of(target).tables] == ["a"]


def test_a_dump_that_fails_half_way_leaves_nothing(new_target: Callable[[], Target]) -> None:
    target = execute(new_target(), "SELECT 1;")

    with pytest.raises(DatabaseFailedError):
        load_schema(target, "CREATE TABLE b (x integer);\nCREATE TABLE c (y nonsense nonsense nonsense(;\n")

    assert not snapshot_of(target).tables


def test_a_backslash_command_in_a_dump_is_not_executed(new_target: Callable[[], Target], tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    with pytest.raises(DatabaseFailedError):
        load_schema(new_target(), f"CREATE TABLE b (x integer);\n\\! touch {trace}\n")

    assert not trace.exists()


def test_a_missing_database_is_an_error_and_is_not_created(new_target: Callable[[], Target]) -> None:
    target = new_target()
    target = target.with_database(f"{target.database}_missing")

    with pytest.raises(MissingDatabaseError):
        dump_schema(target)

    assert not backend_for(target).exists(target)


BASE = """
CREATE TABLE object (id integer PRIMARY KEY, name text);
CREATE TABLE attributes (id integer PRIMARY KEY, object integer REFERENCES object (id));
CREATE TABLE link (id integer PRIMARY KEY);
"""
NEW_TABLE = "CREATE TABLE {} (id integer PRIMARY KEY, object integer REFERENCES object (id));"
NEW_COLUMN = "ALTER TABLE {0} ADD COLUMN a integer; CREATE INDEX ix_{0}_a ON {0} (a);"
BRANCHES = {  # what each of two branches does; the last statements of a block are next to the new table
    "a column and a new table right below": (NEW_COLUMN.format("attributes"), NEW_TABLE.format("book")),
    "a column and a new table right above": (NEW_COLUMN.format("attributes"), NEW_TABLE.format("aaa")),
    "a column of the last table and a new one": (NEW_COLUMN.format("link"), NEW_TABLE.format("page")),
    "an index of a table others need and a new table": (NEW_COLUMN.format("object"), NEW_TABLE.format("aaa")),
    "columns of neighbours": (NEW_COLUMN.format("attributes"), NEW_COLUMN.format("link")),
    "tables in different places": (NEW_TABLE.format("book"), NEW_TABLE.format("page")),
    "a reference to a new table": (
        "CREATE TABLE zone (id integer PRIMARY KEY); ALTER TABLE link ADD COLUMN zone integer REFERENCES zone (id);",
        NEW_COLUMN.format("attributes"),
    ),
}


@pytest.mark.parametrize("branches", BRANCHES.values(), ids=BRANCHES)
def test_two_branches_conflict_in_the_line_of_the_revision_only(
    new_target: Callable[[], Target], tmp_path: Path, branches: tuple[str, str]
) -> None:
    scripts = {
        "ours": branches[0] + "INSERT INTO alembic_version VALUES ('004');",
        "base": "INSERT INTO alembic_version VALUES ('003');",
        "theirs": branches[1] + "INSERT INTO alembic_version VALUES ('005');",
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(dump_schema(execute(new_target(), BASE + VERSION_TABLE + script)))

    merge = ["git", "merge-file", "-p", *(str(tmp_path / name) for name in scripts)]
    merged = subprocess.run(merge, capture_output=True, text=True, check=False).stdout

    (conflict,) = re.findall(r"^<{7}.*?\n(.*?)^={7}\n(.*?)^>{7}", merged, re.MULTILINE | re.DOTALL)
    assert [side.count("\n") for side in conflict] == [1, 1]
    assert all("INSERT INTO" in side for side in conflict)


@pytest.mark.once
def test_the_linter_accepts_a_dump_and_still_finds_what_is_wrong_with_one(tmp_path: Path) -> None:
    good = (COMMITTED_DUMPS / "postgresql.sql").read_text()
    (tmp_path / "good.sql").write_text(good)
    (tmp_path / "cut.sql").write_text(good.removesuffix(";\n"))
    (tmp_path / "broken.sql").write_text(good.replace("NOT NULL,", "NOT NUL,", 1))
    (tmp_path / "conflict.sql").write_text("<<<<<<< ours\n" + good)
    (tmp_path / "names.sql").write_text(good + 'CREATE TABLE public."an odd name" (\n    id integer\n);\n')
    command = [sys.executable, "-m", "sqlfluff", "lint", "--dialect=postgres", "--format=json", str(tmp_path)]
    command.insert(4, f"--config={HERE.parents[1] / 'pyproject.toml'}")

    answer = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False).stdout

    codes = {
        Path(file["filepath"]).name: {found["code"] for found in file["violations"]} for file in json.loads(answer)
    }
    assert codes.pop("good.sql") == set()
    assert codes.pop("cut.sql") >= {"CV06"}
    assert codes.pop("names.sql") == {"RF05"}
    assert codes == {"broken.sql": {"PRS"}, "conflict.sql": {"PRS"}}
