"""The models: found without a list, import cycles named, relationships both ways, types that keep their values."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session, configure_mappers, object_session

from dormatory import models
from dormatory.errors import CircularModelsError, ModelImportError
from dormatory.models.column_types import PermissionLevel
from dormatory.models.dormatory_model import Attribute, Link, Object, Permission, Type, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server

    Package = Callable[[dict[str, str]], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Write modules, path by path, and return the name of the package they form."""
    known = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def write(files: dict[str, str]) -> str:
        for path, text in {"house/__init__.py": "", **files}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return "house"

    yield write
    for name in sys.modules.keys() - known:
        if name.split(".")[0] == "house":
            del sys.modules[name]


@pytest.fixture(params=["sqlite", "postgresql"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """A session on a database that create_all made, once per backend."""
    if request.param == "sqlite":
        url = sa.make_url(f"sqlite:///{tmp_path / 'models.db'}")
    else:
        server: Server = request.getfixturevalue("postgres_server")
        url = server.create_database().sqlalchemy_url()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    models.load().create_all(engine)
    with Session(engine) as opened:
        yield opened


@pytest.fixture
def room(session: Session) -> Object:
    """An object that is stored."""
    found = Object(name="Room 7", type=Type(type_name="room"))
    session.add(found)
    session.commit()
    return found


class TestDiscovery:
    def test_every_module_below_the_package_is_imported_however_deep(self, package: Package) -> None:
        name = package({"house/attic.py": "", "house/cellar/__init__.py": "", "house/cellar/wine/rack.py": ""})
        package({"house/cellar/wine/__init__.py": ""})

        models.load(name)

        assert {"house.attic", "house.cellar.wine.rack"} <= sys.modules.keys()

    def test_the_six_tables_are_found_without_a_list(self) -> None:
        tables = models.load().tables

        assert set(tables) == {"type", "object", "link", "permissions", "versioning", "attributes"}

    def test_an_import_cycle_is_named_from_its_first_module_back_to_it(self, package: Package) -> None:
        name = package(
            {
                "house/door.py": "from house.key import Key\nclass Door: ...",
                "house/key.py": "from house.lock import Lock\nclass Key: ...",
                "house/lock.py": "from house.key import Key\nclass Lock: ...",
            }
        )

        with pytest.raises(CircularModelsError) as caught:
            models.load(name)

        assert str(caught.value) == (
            "the models in house.key do not import: house.key → house.lock → house.key"
            " (these modules import one another in a circle);"
            ' import under TYPE_CHECKING in one of them, or name the class in a string: relationship("…")'
        )
        assert isinstance(caught.value.__cause__, ImportError)

    @pytest.mark.parametrize(
        "key",
        [
            pytest.param("import house.door as door\nclass Key(door.Door): ...", id="of the module"),
            pytest.param("import house.door\nclass Key(house.door.Door): ...", id="of the package"),
        ],
    )
    def test_an_import_cycle_through_an_attribute_is_named_as_well(self, package: Package, key: str) -> None:
        name = package({"house/door.py": "import house.key\nclass Door: ...", "house/key.py": key})

        with pytest.raises(CircularModelsError) as caught:
            models.load(name)

        assert caught.value.cycle == ("house.door", "house.key", "house.door")
        assert isinstance(caught.value.__cause__, AttributeError)

    def test_a_module_that_does_not_import_is_named_with_its_importers(self, package: Package) -> None:
        name = package({"house/attic.py": "import house.stairs", "house/stairs.py": "import nowhere_at_all"})

        with pytest.raises(ModelImportError) as caught:
            models.load(name)

        assert caught.value.chain == ("house.attic", "house.stairs")
        assert str(caught.value) == (
            "the models in house.stairs do not import, imported by house.attic"
            " (ModuleNotFoundError: No module named 'nowhere_at_all');"
            " install what has the module nowhere_at_all, or name its directory in prepend_sys_path"
        )
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)

    def test_a_module_that_is_no_python_is_named(self, package: Package) -> None:
        name = package({"house/attic.py": "def ("})

        with pytest.raises(ModelImportError) as caught:
            models.load(name)

        assert caught.value.chain == ("house.attic",)
        assert isinstance(caught.value.__cause__, SyntaxError)


class TestNames:
    def test_every_constraint_and_index_has_a_name(self) -> None:
        tables = models.load().tables.values()
        constraints = [constraint for table in tables for constraint in table.constraints]
        indexes = [index for table in tables for index in table.indexes]

        assert [item for item in constraints if not item.name] == []
        assert [item for item in indexes if not item.name] == []


class TestRelationships:
    def test_each_one_can_be_read_from_both_ends(self) -> None:
        models.load()
        configure_mappers()
        relationships = [item for mapper in models.Base.registry.mappers for item in mapper.relationships]

        assert [str(item) for item in relationships if not item.back_populates] == []
        assert len(relationships) == 2 * 8

    def test_a_hierarchy_is_walked_down_and_up(self, session: Session) -> None:
        kind = Type(type_name="place")
        house, room = Object(name="House", type=kind), Object(name="Room", type=kind)
        session.add(Link(parent=house, child=room, parent_type=kind, child_type=kind, r_name="contains"))
        session.commit()

        assert [link.child.name for link in house.links_to_children] == ["Room"]
        assert [link.parent.name for link in room.links_to_parents] == ["House"]
        assert kind.links_as_parent == kind.links_as_child == house.links_to_children
        assert {thing.name for thing in kind.objects} == {"House", "Room"}

    def test_what_belongs_to_an_object_is_deleted_with_it(self, session: Session, room: Object) -> None:
        room.permissions.append(Permission(user="ann"))
        room.versions.append(Version(version=1))
        room.attributes.append(Attribute(name="size", value=12))
        session.commit()
        assert {part.object for part in room.permissions} == {part.object for part in room.versions} == {room}
        assert {part.object for part in room.attributes} == {room}

        session.delete(room)
        session.commit()

        assert [session.scalars(sa.select(owned)).all() for owned in (Permission, Version, Attribute)] == [[], [], []]
        assert object_session(room) is None


class TestTypes:
    def test_the_database_fills_in_what_is_left_out(self, session: Session) -> None:
        session.execute(sa.text("INSERT INTO type (type_name) VALUES ('room')"))
        before = datetime.now(UTC) - timedelta(minutes=1)

        room = Object(name="Room", type=session.scalars(sa.select(Type)).one(), permissions=[Permission(user="ann")])
        session.add(room)
        session.commit()

        assert before < room.created_on < before + timedelta(minutes=2)
        assert (room.version, room.permissions[0].permission_level) == (1, PermissionLevel.READ)

    @pytest.mark.parametrize(
        "moment",
        [
            pytest.param(datetime(2024, 10, 27, 2, 30, tzinfo=timezone(timedelta(hours=2))), id="an offset"),
            pytest.param(datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), id="microseconds"),
            pytest.param(datetime.min.replace(tzinfo=UTC), id="the first"),
            pytest.param(datetime.max.replace(tzinfo=UTC), id="the last"),
        ],
    )
    def test_a_moment_comes_back_as_the_same_moment(self, session: Session, room: Object, moment: datetime) -> None:
        room.created_on = moment
        session.commit()

        assert room.created_on == moment
        assert room.created_on.tzinfo is UTC

    def test_a_moment_without_an_offset_is_refused(self, session: Session, room: Object) -> None:
        room.created_on = datetime(2024, 1, 1)  # noqa: DTZ001 - the point of the test

        with pytest.raises(StatementError, match="has no offset: use an aware datetime"):
            session.commit()

    @pytest.mark.parametrize("value", ["", "12", "é🐘", 12, 1.5, True, None, [1, None], {"a": {"b": []}}], ids=repr)
    def test_a_value_comes_back_as_it_was(self, session: Session, room: Object, value: Any) -> None:
        room.attributes.append(Attribute(name="any", value=value))
        session.commit()

        assert session.scalars(sa.select(Attribute.value)).one() == value

    def test_a_missing_value_is_null_and_not_json(self, session: Session, room: Object) -> None:
        room.attributes.append(Attribute(name="any", value=None))
        session.commit()

        assert session.scalar(sa.text("SELECT count(*) FROM attributes WHERE value IS NULL")) == 1


class TestRules:
    @pytest.mark.parametrize(
        ("table", "column"),
        [
            ("type", "type_name"),
            ("object", "name"),
            ("link", "r_name"),
            ("permissions", "user"),
            ("attributes", "name"),
        ],
    )
    def test_an_empty_name_is_refused(self, session: Session, room: Object, table: str, column: str) -> None:
        other = Object(name="Room 8", type=room.type, permissions=[Permission(user="ann")])
        other.attributes.append(Attribute(name="size"))
        session.add(Link(parent=room, child=other, parent_type=room.type, child_type=room.type, r_name="next"))
        session.commit()

        with pytest.raises(IntegrityError, match=f"ck_{table}_{column}_not_empty"):
            session.execute(sa.text(f"UPDATE {table} SET \"{column}\" = ''"))

    def test_a_link_to_itself_is_refused(self, session: Session, room: Object) -> None:
        session.add(Link(parent=room, child=room, parent_type=room.type, child_type=room.type, r_name="next"))

        with pytest.raises(IntegrityError, match="ck_link_not_to_itself"):
            session.commit()

    def test_a_second_equal_link_is_refused(self, session: Session, room: Object) -> None:
        other = Object(name="Room 8", type=room.type)
        for _ in range(2):
            session.add(Link(parent=room, child=other, parent_type=room.type, child_type=room.type, r_name="next"))

        with pytest.raises(
            IntegrityError, match=r"uq_link_parent_child_r_name|link\.parent, link\.child, link\.r_name"
        ):
            session.commit()

    @pytest.mark.parametrize(
        "moment",
        ["2024-02-30 00:00:00.000000", "2024-01-01 00:00:00", "0000-01-01 00:00:00.000000", "now", "2024"],
    )
    def test_sqlite_refuses_a_text_that_is_no_moment(self, tmp_path: Path, moment: str) -> None:
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'moments.db'}", poolclass=sa.NullPool)
        models.load().create_all(engine)
        statement = "INSERT INTO versioning (object, version, created_at) VALUES ('x', 1, :moment)"

        with engine.connect() as connection, pytest.raises(IntegrityError, match="ck_versioning_created_at_range"):
            connection.execute(sa.text(statement), {"moment": moment})
