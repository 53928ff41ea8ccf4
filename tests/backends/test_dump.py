"""What the text of a database promises, on both backends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.driver import connected
from dormatory.backends.dump import dump, load
from dormatory.backends.introspection import snapshot
from dormatory.backends.registry import backend_for
from dormatory.backends.url import Target
from dormatory.errors import DatabaseFailedError, MissingDatabaseError, NotEmptyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.schema.snapshot import Snapshot

HERE = Path(__file__).parent
COMMITTED = HERE.parents[1] / "alembic" / "schema"
VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Target]:
    """What makes an empty database, once per backend."""
    if request.param == "sqlite":
        numbers = iter(range(9))
        return lambda: Target.parse(f"sqlite:///{next(numbers)}.db", root=tmp_path)
    server: Server = request.getfixturevalue("postgres_server")
    return lambda: Target.parse(server.create_database().render_as_string(hide_password=False), root=tmp_path)


def run(target: Target, script: str) -> Target:
    with connected(target, writing=True) as driver:
        if target.backend_name == "sqlite":
            driver.executescript(script)
        else:
            driver.cursor().execute(script)
            driver.commit()
    return target


def everything(target: Target) -> Target:
    return run(target, (HERE / f"everything_{target.backend_name}.sql").read_text())


def structure(target: Target) -> Snapshot:
    with backend_for(target).engine(target, writing=False).connect() as connection:
        return snapshot(connection)


def test_a_loaded_dump_gives_the_same_bytes_again(new: Callable[[], Target]) -> None:
    text = dump(everything(new()))
    copy = new()

    load(copy, text)

    assert dump(copy) == text
    assert text.endswith(";\n")
    assert not text.endswith("\n\n")


def test_a_loaded_dump_has_the_same_structure(new: Callable[[], Target]) -> None:
    original, copy = everything(new()), new()

    load(copy, dump(original))

    assert structure(copy) == structure(original)


def test_the_committed_file_loads_and_gives_the_same_bytes_again(new: Callable[[], Target]) -> None:
    copy = new()
    text = (COMMITTED / f"{copy.backend_name}.sql").read_text()

    load(copy, text)

    assert dump(copy) == text


def test_the_revisions_stand_at_the_end_one_a_line(new: Callable[[], Target]) -> None:
    text = dump(everything(new()))

    assert re.search(r"(INSERT INTO (public\.)?alembic_version \(version_num\) VALUES \('00(2b|3)'\);\n){2}\Z", text)
    assert text.index("'002b'") < text.index("'003'")


def test_nothing_tells_which_machine_wrote_it(new: Callable[[], Target]) -> None:
    text = dump(everything(new()))

    assert not re.search(
        r"dumped (from|by)|toc entry 9|^\\|\d\.db|owner to|^SELECT", text, re.IGNORECASE | re.MULTILINE
    )
    assert "sqlite_" not in text


def test_a_table_stands_together_with_all_that_is_its_own(new: Callable[[], Target]) -> None:
    text = dump(everything(new()))

    block = re.split(r"\n\n-- (?:table|view) ", text.partition("-- table object\n")[2])[0]
    own = ["uq_object_name", "pk_object", "FOREIGN KEY", "ix_low|ix_object_low", "TRIGGER touch"]
    assert [name for name in own if re.search(name, block)] == own
    assert "CREATE VIEW" not in block


def test_blank_lines_stand_between_blocks_and_no_line_ends_in_a_blank(new: Callable[[], Target]) -> None:
    target = run(new(), "CREATE TABLE b (x integer,   \n y integer DEFAULT 1);  CREATE INDEX i ON b (x);")
    if target.backend_name == "postgresql":
        run(target, "ALTER TABLE b CLUSTER ON i;")  # pg_dump writes this below the index, after a blank line

    lines = dump(target).splitlines()

    assert all(following.startswith("--") for line, following in pairwise(lines) if not line)
    assert [line for line in lines if line != line.rstrip()] == []


def test_the_order_in_which_a_rebuild_writes_constraints_changes_nothing(new: Callable[[], Target]) -> None:
    one = run(new(), "CREATE TABLE a (x integer, CONSTRAINT c CHECK (x > 0), CONSTRAINT u UNIQUE (x));")
    other = run(new(), "CREATE TABLE a (x integer, CONSTRAINT u UNIQUE (x), CONSTRAINT c CHECK (x > 0));")

    assert dump(one) == dump(other)


def test_an_empty_database_gives_a_text_that_loads(new: Callable[[], Target]) -> None:
    copy = new()

    load(copy, dump(run(new(), "SELECT 1;")))

    assert structure(copy) == structure(run(new(), "SELECT 1;"))


def test_a_database_that_is_not_empty_is_left_alone(new: Callable[[], Target]) -> None:
    target = run(new(), "CREATE TABLE a (x integer);")

    with pytest.raises(NotEmptyError, match="is not empty"):
        load(target, "CREATE TABLE b (x integer);")

    assert [table.name for table in structure(target).tables] == ["a"]


def test_a_dump_that_fails_half_way_leaves_nothing(new: Callable[[], Target]) -> None:
    target = run(new(), "SELECT 1;")

    with pytest.raises(DatabaseFailedError):
        load(target, "CREATE TABLE b (x integer);\nCREATE TABLE c (y nonsense nonsense nonsense(;\n")

    assert not structure(target).tables


def test_a_backslash_command_in_a_dump_runs_nothing(new: Callable[[], Target], tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    with pytest.raises(DatabaseFailedError):
        load(new(), f"CREATE TABLE b (x integer);\n\\! touch {trace}\n")

    assert not trace.exists()


def test_a_missing_database_is_an_error_and_is_not_created(new: Callable[[], Target]) -> None:
    target = new()
    target = target.renamed(f"{target.database}_missing")

    with pytest.raises(MissingDatabaseError):
        dump(target)

    assert not backend_for(target).exists(target)


BASE = """
CREATE TABLE object (id integer PRIMARY KEY, name text);
CREATE TABLE attributes (id integer PRIMARY KEY, object integer REFERENCES object (id));
CREATE TABLE link (id integer PRIMARY KEY);
"""
NEW_TABLE = "CREATE TABLE {} (id integer PRIMARY KEY, object integer REFERENCES object (id));"
COLUMN = "ALTER TABLE {0} ADD COLUMN a integer; CREATE INDEX ix_{0}_a ON {0} (a);"
BRANCHES = {  # what each of two branches does; the last statements of a block stand beside the new table
    "a column and a new table right below": (COLUMN.format("attributes"), NEW_TABLE.format("book")),
    "a column and a new table right above": (COLUMN.format("attributes"), NEW_TABLE.format("aaa")),
    "a column of the last table and a new one": (COLUMN.format("link"), NEW_TABLE.format("page")),
    "an index of a table others need and a new table": (COLUMN.format("object"), NEW_TABLE.format("aaa")),
    "columns of neighbours": (COLUMN.format("attributes"), COLUMN.format("link")),
    "tables in different places": (NEW_TABLE.format("book"), NEW_TABLE.format("page")),
    "a reference to a new table": (
        "CREATE TABLE zone (id integer PRIMARY KEY); ALTER TABLE link ADD COLUMN zone integer REFERENCES zone (id);",
        COLUMN.format("attributes"),
    ),
}


@pytest.mark.parametrize("branches", BRANCHES.values(), ids=BRANCHES)
def test_two_branches_conflict_in_the_line_of_the_revision_only(
    new: Callable[[], Target], tmp_path: Path, branches: tuple[str, str]
) -> None:
    scripts = {
        "ours": branches[0] + "INSERT INTO alembic_version VALUES ('004');",
        "base": "INSERT INTO alembic_version VALUES ('003');",
        "theirs": branches[1] + "INSERT INTO alembic_version VALUES ('005');",
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(dump(run(new(), BASE + VERSION_TABLE + script)))

    merge = ["git", "merge-file", "-p", *(str(tmp_path / name) for name in scripts)]
    merged = subprocess.run(merge, capture_output=True, text=True, check=False).stdout

    (conflict,) = re.findall(r"^<{7}.*?\n(.*?)^={7}\n(.*?)^>{7}", merged, re.MULTILINE | re.DOTALL)
    assert [side.count("\n") for side in conflict] == [1, 1]
    assert all("INSERT INTO" in side for side in conflict)


@pytest.mark.once
def test_the_linter_accepts_a_dump_and_still_finds_what_is_wrong_with_one(tmp_path: Path) -> None:
    good = (COMMITTED / "postgresql.sql").read_text()
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
