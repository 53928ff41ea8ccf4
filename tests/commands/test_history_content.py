"""DORMATORY's own history: how each revision that changes data converts it, up and down, on both backends."""

from __future__ import annotations

import ast
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic import command, util
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, IntegrityError

from dormatory import models
from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.runtime import autogenerate
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from dormatory.schema.snapshot import Snapshot

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "alembic" / "versions").glob("*.py"))
REVISIONS = [file.name[:3] for file in FILES]

# Texts that look like another type, or are difficult to quote.
TEXTS = ["", "abc", "12", "007", "1.0", "1e5", "null", "true", '{"a": 1}', '"quoted"', "it's", "a\\u0041", "%s :x"]
TEXTS += ["é🐘", "new\nline\t", "\x1e", "\x1ealmost", '\x1e"text"', "9" * 30, "x" * 5000]

TIMESTAMPS = ["2024-02-29T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]
TIMESTAMPS += ["2024-03-31T02:30:00.000001Z", "1582-10-10T12:00:00.500000Z", "1970-01-01T00:00:00.000000Z"]


@dataclass(frozen=True, slots=True)
class Database:
    """A scratch database that the history can be applied to."""

    engine: Engine

    @property
    def is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def upgrade(self, revision: str) -> None:
        self._run_command(command.upgrade, revision)

    def downgrade(self, revision: str) -> None:
        self._run_command(command.downgrade, revision)

    def execute(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def column(self, query: str) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(query)).scalars())

    def schema(self) -> Snapshot:
        with self.engine.connect() as connection:
            return read_snapshot(connection, ignore=("alembic_version",))

    def add_type(self, name: str = "room") -> str:
        key = uuid.uuid4().hex
        self.execute("INSERT INTO type (id, type_name) VALUES (:key, :name)", key=key, name=name)
        return key

    def add_object(self, kind: str, name: str = "Room", **values: Any) -> str:
        key = uuid.uuid4().hex
        self._insert("object", {"id": key, "name": name, "type": kind, **values})
        return key

    def add_link(self, kind: str, parent: str, child: str, role: str = "contains") -> str:
        key = uuid.uuid4().hex
        types = {"parent_type": kind, "child_type": kind}
        self._insert("link", {"id": key, "parent": parent, "child": child, "r_name": role, **types})
        return key

    def add_attributes(self, owner: str, values: Sequence[Any]) -> None:
        for number, value in enumerate(values):
            self._insert("attributes", {"object": owner, "name": f"{number:03}", "value": value})

    def _insert(self, table: str, values: dict[str, Any]) -> None:
        columns = ", ".join(f'"{name}"' for name in values)
        self.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(f':{name}' for name in values)})", **values)

    def _run_command(self, alembic_command: Any, revision: str) -> None:
        config = Config(ROOT / "alembic.ini")
        with self.engine.connect() as connection:
            config.attributes["connection"] = connection
            alembic_command(config, revision)
            connection.commit()


def _scratch_database(kind: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    if kind == "sqlite":
        maker = scratch_sqlite()
    else:
        maker = throwaway.scratch_postgresql(request.getfixturevalue("postgres_server"))
    with maker as target:
        yield Database(backend_for(target).engine(target, writing=True))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database, once per backend."""
    yield from _scratch_database(request.param, request)


@pytest.fixture
def second_database(database: Database, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Another empty database of the same kind."""
    yield from _scratch_database(database.engine.dialect.name, request)


@pytest.fixture
def postgresql_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty PostgreSQL database."""
    yield from _scratch_database("postgresql", request)


class TestStructure:
    def test_the_head_of_the_history_equals_the_models(self, database: Database, second_database: Database) -> None:
        database.upgrade("head")
        models.load().create_all(second_database.engine)

        assert diff(second_database.schema(), database.schema()) == ()

    @pytest.mark.once
    def test_every_downgrade_restores_the_schema_before(self, database: Database) -> None:
        before = database.schema()
        for revision in REVISIONS:
            database.upgrade(revision)
            after = database.schema()
            database.downgrade("-1")
            assert diff(before, database.schema()) == (), f"{revision} leaves a trace"
            database.upgrade(revision)
            assert diff(after, database.schema()) == (), f"{revision} does something else the second time"
            before = after

    @pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
    @pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
    def test_autogenerate_finds_nothing_to_do(self, database: Database) -> None:
        database.upgrade("head")
        backend = database.engine.dialect.name
        options = {
            "compare_server_default": True,
            "include_object": lambda item, *_: item.info.get("only_on") in (None, backend),
            "render_item": autogenerate.render_item,
        }

        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, models.load()) == []


class TestKeys:
    def test_postgresql_converts_keys_to_uuid_and_back_to_the_same_text(self, postgresql_database: Database) -> None:
        postgresql_database.upgrade("001")
        kind = postgresql_database.add_type()
        room = postgresql_database.add_object(kind)

        postgresql_database.upgrade("002")
        assert postgresql_database.column("SELECT id FROM object WHERE type = (SELECT id FROM type)") == [
            uuid.UUID(room)
        ]

        postgresql_database.downgrade("001")
        assert postgresql_database.column("SELECT type FROM object") == [kind]


class TestTimestamps:
    def test_each_timestamp_survives_to_the_microsecond(self, database: Database) -> None:
        database.upgrade("002")
        kind = database.add_type()
        for moment in TIMESTAMPS:
            database.add_object(kind, moment, created_on=moment)

        database.upgrade("003")
        stored = database.column("SELECT created_on FROM object ORDER BY name")
        database.downgrade("002")

        forms = [str(moment).replace("+00:00", "") for moment in stored]
        assert [form.ljust(20, ".").ljust(26, "0") for form in forms] == [
            moment.replace("T", " ").replace("Z", "") for moment in sorted(TIMESTAMPS)
        ]
        assert database.column("SELECT created_on FROM object ORDER BY name") == sorted(TIMESTAMPS)

    def test_the_default_of_each_form_passes_the_check_constraint(self, database: Database) -> None:
        database.upgrade("002")
        kind = database.add_type()
        database.add_object(kind)
        database.upgrade("003")
        database.add_object(kind)
        before = database.column("SELECT created_on FROM object ORDER BY id")

        database.downgrade("002")
        database.upgrade("003")

        assert database.column("SELECT created_on FROM object ORDER BY id") == before

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("", id="empty"),
            pytest.param("now", id="a word for one"),
            pytest.param("infinity", id="no moment"),
            pytest.param("2024-02-30T00:00:00.000000Z", id="a day that is not"),
            pytest.param("2024-01-01T24:00:00.000000Z", id="an hour too many"),
            pytest.param("0000-01-01T00:00:00.000000Z", id="no such year"),
            pytest.param("2024-01-01T00:00:00Z", id="another width"),
            pytest.param("2024-01-01 00:00:00.000000Z", id="another form"),
            pytest.param("2024-01-01T00:00:00.000+00", id="another zone"),
        ],
    )
    def test_text_that_is_no_timestamp_is_refused_from_the_first_revision(self, database: Database, text: str) -> None:
        database.upgrade("001")
        kind = database.add_type()

        with pytest.raises(DBAPIError):
            database.add_object(kind, created_on=text)

    @pytest.mark.parametrize("moment", ["infinity", "-infinity", "0001-01-01 BC", "10000-01-01"])
    def test_postgresql_refuses_timestamps_that_the_text_form_cannot_hold(
        self, postgresql_database: Database, moment: str
    ) -> None:
        postgresql_database.upgrade("003")
        kind = postgresql_database.add_type()

        with pytest.raises(IntegrityError, match="ck_object_created_on_range"):
            postgresql_database.add_object(kind, created_on=moment)


class TestPermissionLevels:
    def test_numbers_become_names_and_numbers_again(self, database: Database) -> None:
        database.upgrade("003")
        room = database.add_object(database.add_type())
        statement = 'INSERT INTO permissions (object, "user", permission_level) VALUES (:room, :user, :level)'
        for level in (1, 2, 3):
            database.execute(statement, room=room, user=f"user {level}", level=level)
        levels = 'SELECT permission_level FROM permissions ORDER BY "user"'

        database.upgrade("004")
        database.execute('INSERT INTO permissions (object, "user") VALUES (:room, :user)', room=room, user="user 4")
        assert database.column(levels) == ["read", "write", "admin", "read"]

        database.downgrade("003")
        assert database.column(levels) == [1, 2, 3, 1]

    def test_the_downgrade_removes_the_type(self, postgresql_database: Database) -> None:
        types = "SELECT typname FROM pg_type WHERE typtype = 'e'"
        postgresql_database.upgrade("004")
        assert postgresql_database.column(types) == ["permission_level"]

        postgresql_database.downgrade("003")

        assert postgresql_database.column(types) == []


class TestAttributeValues:
    def test_every_text_comes_back_as_it_was(self, database: Database) -> None:
        database.upgrade("004")
        database.add_attributes(database.add_object(database.add_type()), [*TEXTS, None])
        values = "SELECT value FROM attributes ORDER BY name"

        database.upgrade("005")
        of_type = "jsonb_typeof(value)" if database.is_postgresql else "replace(json_type(value), 'text', 'string')"
        assert database.column(f"SELECT {of_type} FROM attributes ORDER BY name") == ["string"] * len(TEXTS) + [None]
        database.downgrade("004")

        assert database.column(values) == [*TEXTS, None]

    def test_every_json_comes_back_as_it_was(self, database: Database) -> None:
        database.upgrade("005")
        documents = ["null", "true", "12", "1.5", "0.30000000000000004", "1.7976931348623157e+308", "[]", '{"a": [1]}']
        database.add_attributes(database.add_object(database.add_type()), [*documents, '"text"', None])
        values = "SELECT value FROM attributes ORDER BY name"
        before = database.column(values)

        database.downgrade("004")
        assert database.column(values)[-4:] == ["\x1e[]", '\x1e{"a": [1]}', "text", None]
        database.upgrade("005")

        assert database.column(values) == before

    def test_sqlite_refuses_values_that_are_no_json(self) -> None:
        with scratch_sqlite() as target:
            database = Database(backend_for(target).engine(target, writing=True))
            database.upgrade("005")
            room = database.add_object(database.add_type())

            with pytest.raises(IntegrityError, match="ck_attributes_value_json"):
                database.add_attributes(room, ["{no json"])


class TestDependentRows:
    def test_rebuilding_tables_below_cascading_keys_keeps_every_row(self, database: Database) -> None:
        database.upgrade("005")
        kind = database.add_type()
        rooms = [database.add_object(kind, f"Room {number}") for number in range(3)]
        database.add_link(kind, rooms[0], rooms[1])
        for room in rooms:
            database.add_attributes(room, ['"big"'])
            database.execute("INSERT INTO versioning (object, version) VALUES (:room, 1)", room=room)
            database.execute('INSERT INTO permissions (object, "user") VALUES (:room, :user)', room=room, user="ann")
        counts = "SELECT (SELECT count(*) FROM {}) FROM (SELECT 1) AS one"
        tables = ("type", "object", "link", "attributes", "versioning", "permissions")

        for revision in ("006", "head", "005"):
            (database.downgrade if revision == "005" else database.upgrade)(revision)
            counted = [database.column(counts.format(table))[0] for table in tables]
            assert counted == [1, 3, 1, 3, 3, 3], revision

    def test_deleting_an_object_deletes_its_dependent_rows(self, database: Database) -> None:
        database.upgrade("006")
        kind = database.add_type()
        house, room = database.add_object(kind), database.add_object(kind)
        database.add_link(kind, house, room)
        database.add_attributes(room, ["12", "13"])
        database.add_attributes(house, ["14"])

        with database.engine.connect() as connection:
            if not database.is_postgresql:
                connection.connection.cursor().execute("PRAGMA foreign_keys = ON")
            connection.execute(sa.text("DELETE FROM object WHERE id = :room"), {"room": room})
            connection.commit()

        assert database.column("SELECT count(*) FROM attributes") == [1]
        assert database.column("SELECT count(*) FROM link") == [0]


class TestLinks:
    def test_only_links_to_itself_are_deleted(self, database: Database) -> None:
        database.upgrade("006")
        kind = database.add_type()
        house, room = database.add_object(kind), database.add_object(kind)
        kept = [database.add_link(kind, house, room), database.add_link(kind, room, house)]
        database.add_link(kind, room, room)

        database.upgrade("007")

        found = [uuid.UUID(str(key)).hex for key in database.column("SELECT id FROM link")]
        assert sorted(found) == sorted(kept)

    def test_one_of_equal_links_is_kept(self, database: Database) -> None:
        database.upgrade("007")
        kind = database.add_type()
        house, room = database.add_object(kind), database.add_object(kind)
        equal = [database.add_link(kind, house, room) for _ in range(3)]
        others = [database.add_link(kind, house, room, "Contains"), database.add_link(kind, room, house)]

        database.upgrade("008")

        found = [uuid.UUID(str(key)).hex for key in database.column("SELECT id FROM link")]
        assert sorted(found) == sorted([min(equal), *others])


class TestNames:
    def test_an_empty_name_becomes_the_key_and_empty_again(self, database: Database) -> None:
        database.upgrade("008")
        kind = database.add_type("")
        rooms = [database.add_object(kind, name) for name in ("", "", "Room")]
        database.add_link(kind, rooms[0], rooms[1], "")
        names = "SELECT name FROM object ORDER BY name"

        database.upgrade("009")
        keys = database.column("SELECT CAST(id AS text) FROM object WHERE name <> 'Room'")
        assert database.column(names) == ["Room", *sorted(f"unnamed {key}" for key in keys)]

        database.downgrade("008")
        assert database.column(names) == ["", "", "Room"]
        assert database.column("SELECT type_name FROM type") == database.column("SELECT r_name FROM link") == [""]


class TestConcurrentIndex:
    def test_an_index_that_a_failed_build_left_invalid_is_built_again(self, postgresql_database: Database) -> None:
        postgresql_database.upgrade("011")
        postgresql_database.execute("CREATE INDEX ix_link_child ON link (child)")
        postgresql_database.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_link_child'::regclass"
        )

        postgresql_database.upgrade("012")

        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_link_child'::regclass"
        assert postgresql_database.column(valid) == [True]


class TestFiles:
    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
    def test_each_file_has_the_number_after_its_parent(self, file: Path) -> None:
        script = ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_revision(file.name[:3])
        number = REVISIONS.index(file.name[:3])

        assert script is not None
        assert script.revision == f"{number + 1:03}"
        assert script.down_revision == (REVISIONS[number - 1] if number else None)

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
    def test_no_file_imports_the_application(self, file: Path) -> None:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]

        assert {name.split(".")[0] for name in imported} <= {"__future__", "alembic", "sqlalchemy"}

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
    def test_each_downgrade_says_what_is_lost(self, file: Path) -> None:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

        assert "lost" in (ast.get_docstring(functions["downgrade"]) or "")

    def test_a_new_file_is_valid_python_for_any_title(self, tmp_path: Path) -> None:
        new = tmp_path / "014_new.py"
        title = 'Quote "this", \\that and """those"""'

        util.template_to_file(
            str(ROOT / "alembic" / "script.py.mako"),
            str(new),
            "utf-8",
            message=title,
            comma=util.format_as_comma,
            up_revision="014",
            down_revision="013",
            branch_labels=None,
            depends_on=None,
            imports="",
            upgrades="",
            downgrades="",
        )

        tree = ast.parse(new.read_text(encoding="utf-8"))
        first, *_ = (ast.get_docstring(tree) or "").splitlines()
        assert first == "Quote \"this\", \\that and '''those'''."
