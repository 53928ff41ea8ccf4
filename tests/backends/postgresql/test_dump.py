"""What does not change the dump of a PostgreSQL database, and how a dump fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from psycopg2 import sql

from dormatory.backends import programs
from dormatory.backends.postgresql.dump import archive_entries, dump_schema, load_schema
from dormatory.backends.registry import backend_for
from dormatory.backends.url import Target
from dormatory.errors import ProgramFailedError, ProgramTooOldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.backends.postgresql.server.throwaway import Server

EVERYTHING = (Path(__file__).parents[1] / "everything_postgresql.sql").read_text()
# What pg_restore writes around the objects; the two \ lines came with the releases of August 2025.
SCRIPT = """\
--
-- PostgreSQL database dump
--
{restrict}
-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 18.6

-- Started on 2026-11-22 19:21:13 UTC

SET statement_timeout = 0;

--
-- TOC entry 6 (class 1259 OID 16690)
-- Dependencies: 3 4
-- Name: object; Type: TABLE; Schema: public; Owner: -
-- Data Pos: 0
--

CREATE TABLE public.object (
    id integer
);


-- Completed on 2026-11-22 19:21:13 UTC

--
-- PostgreSQL database dump complete
--
{unrestrict}
"""


@pytest.fixture
def new_target(postgres_server: Server) -> Callable[[], Target]:
    """Return a function that creates an empty database."""
    return lambda: Target.parse(postgres_server.create_database().url.render(), root=Path("/"))


def execute(target: Target, script: str | sql.Composed) -> Target:
    with backend_for(target).driver_connection(target, writing=True) as driver, driver.cursor() as cursor:
        cursor.execute(script)
        driver.commit()
    return target


def fetch_value(target: Target, query: str) -> object:
    with backend_for(target).driver_connection(target, writing=False) as driver, driver.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def test_bodies_and_literals_that_look_like_a_dump_survive(new_target: Callable[[], Target]) -> None:
    windows = "CREATE FUNCTION crlf() RETURNS integer LANGUAGE sql AS 'SELECT 1\r\n+ 1  \r\n';"
    original, copy = execute(new_target(), EVERYTHING + windows), new_target()
    queries = (
        "SELECT prosrc FROM pg_proc WHERE proname = 'touch'",
        "SELECT prosrc FROM pg_proc WHERE proname = 'crlf'",
        "SELECT obj_description('mood'::regtype)",
        "SELECT col_description('object'::regclass, attnum) FROM pg_attribute WHERE attname = 'body'",
        "SELECT string_agg(pg_get_expr(adbin, adrelid), '|' ORDER BY adnum) FROM pg_attrdef WHERE adnum < 4",
    )

    load_schema(copy, dump_schema(original))

    before = [fetch_value(original, query) for query in queries]
    assert [fetch_value(copy, query) for query in queries] == before
    assert "-- TOC entry 2" in str(before[0])
    assert "\r\n" in str(before[1])


def test_a_dump_loads_with_any_client_encoding(
    new_target: Callable[[], Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    text = dump_schema(
        execute(new_target(), "CREATE TABLE zone (); COMMENT ON TABLE zone IS U&'Gr\\00f6\\00dfe, \\5340';")
    )
    copy = new_target()

    load_schema(copy, text)

    assert "'Größe, 區'" in text
    assert dump_schema(copy) == text


def test_a_view_is_written_once_where_pg_dump_writes_an_empty_one_first(new_target: Callable[[], Target]) -> None:
    text = dump_schema(execute(new_target(), EVERYTHING))

    assert "CREATE VIEW public.grouped AS\n SELECT" in text
    assert "CREATE OR REPLACE" not in text


def test_psql_loads_a_dump_with_any_locale(new_target: Callable[[], Target], tmp_path: Path) -> None:
    text = dump_schema(execute(new_target(), EVERYTHING + "COMMENT ON TABLE zone IS 'Größe, 區';"))
    copy, file = new_target(), tmp_path / "dump.sql"
    file.write_text(text, encoding="utf-8")
    psql = [str(programs.find_client("psql")), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={file}"]

    loaded = subprocess.run(psql, env=copy.environment() | {"LC_ALL": "C"}, capture_output=True, text=True, check=False)

    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "", "")
    assert dump_schema(copy) == text


def test_a_plain_owner_and_a_superuser_get_the_same_bytes(new_target: Callable[[], Target]) -> None:
    superuser = new_target()
    role = f"owner_{superuser.database}"
    name = sql.Identifier(role)
    database = sql.Identifier(superuser.database)
    execute(superuser, sql.SQL("CREATE ROLE {} LOGIN; ALTER DATABASE {} OWNER TO {}").format(name, database, name))
    owner = superuser.with_parts(username=role)
    execute(
        owner,
        EVERYTHING + "GRANT SELECT ON object TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;",
    )

    text = dump_schema(owner)

    assert text == dump_schema(superuser)
    assert role not in text
    assert "GRANT" not in text


def test_the_settings_of_a_session_do_not_change_the_snapshot(
    new_target: Callable[[], Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = execute(new_target(), EVERYTHING)
    before = dump_schema(target)
    name = sql.Identifier(target.database)
    settings = "ALTER DATABASE {0} SET timezone TO 'Asia/Tokyo'; ALTER DATABASE {0} SET datestyle TO 'German, DMY'"
    execute(target, sql.SQL(settings).format(name))
    for variable, setting in {"PGTZ": "America/Lima", "PGCLIENTENCODING": "LATIN1", "LC_ALL": "C"}.items():
        monkeypatch.setenv(variable, setting)

    assert dump_schema(target) == before


def test_a_schema_public_that_was_dropped_and_created_is_no_difference(new_target: Callable[[], Target]) -> None:
    recreated = execute(new_target(), "DROP SCHEMA public CASCADE; CREATE SCHEMA public;")

    assert dump_schema(execute(recreated, "CREATE TABLE a (x integer);")) == dump_schema(
        execute(new_target(), "CREATE TABLE a (x integer);")
    )


def test_a_comment_on_schema_public_is_kept(new_target: Callable[[], Target]) -> None:
    target = execute(new_target(), "COMMENT ON SCHEMA public IS 'ours';")

    assert "COMMENT ON SCHEMA public IS 'ours';" in dump_schema(target)


def test_an_extension_is_dumped_without_the_comment_of_its_package(new_target: Callable[[], Target]) -> None:
    target = new_target()
    query = "SELECT min(name) FROM pg_available_extensions WHERE name IN ('citext', 'vector')"
    extension = fetch_value(target, query)
    execute(target, f"CREATE EXTENSION {extension}; CREATE TABLE a (x {extension});")
    copy = new_target()

    text = dump_schema(target)
    load_schema(copy, text)

    assert f"CREATE EXTENSION IF NOT EXISTS {extension} WITH SCHEMA public;" in text
    assert "COMMENT" not in text
    assert dump_schema(copy) == text


def test_a_generated_not_null_name_is_left_out(new_target: Callable[[], Target]) -> None:
    renamed = (
        "CREATE TABLE before (id int NOT NULL, \"Up\" int NOT NULL, t text DEFAULT ' CONSTRAINT a_not_null NOT NULL');"
    )
    renamed += (
        'ALTER TABLE before RENAME TO b; ALTER TABLE b RENAME COLUMN "Up" TO "Down"; ALTER TABLE b RENAME id TO "Id"'
    )
    created = (
        'CREATE TABLE b ("Id" int NOT NULL, "Down" int NOT NULL, t text DEFAULT \' CONSTRAINT a_not_null NOT NULL\')'
    )

    text = dump_schema(execute(new_target(), renamed))

    assert text == dump_schema(execute(new_target(), created))
    assert "' CONSTRAINT a_not_null NOT NULL'" in text


@pytest.mark.parametrize("line", ["", "\n\\restrict abc123\n"], ids=["before August 2025", "after"])
def test_only_objects_are_read_from_the_output_of_pg_restore(line: str) -> None:
    script = SCRIPT.format(restrict=line, unrestrict=line.replace("restrict", "unrestrict"))

    (entry,) = archive_entries.parse_archive(script)

    assert entry == archive_entries.ArchiveEntry(
        number=6,
        dependencies=frozenset({3, 4}),
        kind="TABLE",
        namespace="public",
        name="object",
        sql="CREATE TABLE public.object (\n    id integer\n);",
    )


def fake_programs(tmp_path: Path, body: str, version: int) -> str:
    for name in ("pg_dump", "pg_restore"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) {version}.1" && exit\n{body}\n'
        )
        program.chmod(0o755)
    return str(tmp_path)


def test_a_pg_dump_that_fails_is_an_error_without_a_secret(
    new_target: Callable[[], Target], postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = new_target()
    target = target.with_parts(password="canary%secret")  # noqa: S106  # made for this test
    body = 'echo "$@" "$PGPASSWORD" >&2; exit 1'
    monkeypatch.setenv(programs.POSTGRES_BIN_VARIABLE, fake_programs(tmp_path, body, postgres_server.major_version))

    with pytest.raises(ProgramFailedError, match=r"pg_dump ended with exit code 1 \(--schema-only") as caught:
        dump_schema(target)

    assert "canary" not in str(caught.value)


def test_a_pg_dump_older_than_the_server_is_an_error_with_both_versions(
    new_target: Callable[[], Target], postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = fake_programs(tmp_path, "exit 0", 9)
    monkeypatch.setattr(programs, "_client_places", lambda: iter([("a test", Path(directory))]))

    with pytest.raises(ProgramTooOldError, match=f"{postgres_server.major_version} server.*version 9 at {directory}"):
        dump_schema(new_target())


def test_the_temporary_archive_is_removed(
    new_target: Callable[[], Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    dump_schema(new_target())

    assert os.listdir(tmp_path) == []  # noqa: PTH208  # names are enough
