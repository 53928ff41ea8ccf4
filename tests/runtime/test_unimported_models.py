"""Files with models that nothing imported are named, and only those that would add to the same metadata."""

from __future__ import annotations

import importlib
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from dormatory.recording.model import UnimportedModels
from dormatory.runtime.unimported_models import unimported_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BASE = """
    import sqlalchemy as sa
    from sqlalchemy.orm import DeclarativeBase, declared_attr
    class Base(DeclarativeBase): pass
    class OtherBase(DeclarativeBase): pass
    class Named(Base):
        __abstract__ = True
        @declared_attr.directive
        def __tablename__(cls): return cls.__name__.lower()
"""
MODEL = """
    import sqlalchemy as sa
    from hostel.base import Base
    class {name}(Base):
        __tablename__ = "{table}"
        id = sa.Column(sa.Integer, primary_key=True)
"""
ROOM = MODEL.format(name="Room", table="room")
INVOICE = MODEL.format(name="Invoice", table="invoice")


@pytest.fixture(autouse=True)
def _modules_of_one_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        del sys.modules[name]


def find(root: Path, files: Mapping[str, str], *imported: str, base: str = "hostel.base") -> list[UnimportedModels]:
    """Write files, import some of them, and return what is found that should be imported, too."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    importlib.invalidate_caches()
    for name in (base, *imported):
        importlib.import_module(name)
    loaded: Any = sys.modules[base]
    return list(unimported_models([loaded.Base.metadata], root, (root / "hostel" / "migrations",)))


def found_in(root: Path, name: str, text: str) -> list[UnimportedModels]:
    """Return what is found of one file next to a package whose room is imported."""
    files = {"hostel/__init__.py": "", "hostel/base.py": BASE, "hostel/models/room.py": ROOM, name: text}
    return find(root, files, "hostel.models.room")


def test_a_file_that_is_not_imported_is_named_with_its_tables(tmp_path: Path) -> None:
    assert found_in(tmp_path, "hostel/billing.py", INVOICE) == [
        UnimportedModels("hostel/billing.py", ("table invoice",), "from hostel import billing")
    ]


def test_a_file_that_is_imported_is_not_named(tmp_path: Path) -> None:
    files = {"hostel/__init__.py": "", "hostel/base.py": BASE, "hostel/billing.py": INVOICE}
    assert find(tmp_path, files, "hostel.billing") == []


DESCRIPTIONS = {
    "relative import": (INVOICE.replace("hostel.base", "..base"), "table invoice"),
    "module of the base": (
        INVOICE.replace("from hostel.base import Base", "import hostel.base as b").replace("(Base)", "(b.Base)"),
        "table invoice",
    ),
    "dotted module": (
        INVOICE.replace("from hostel.base import Base", "import hostel.base").replace("(Base)", "(hostel.base.Base)"),
        "table invoice",
    ),
    "abstract class of the file": (
        INVOICE.replace("class Invoice(Base)", "class Kept(Base): __abstract__ = True\n    class Invoice(Kept)"),
        "table invoice",
    ),
    "name given by the base": (
        INVOICE.replace("Base", "Named").replace('__tablename__ = "invoice"', ""),
        "class Invoice",
    ),
    "class with table=True": (
        INVOICE.replace("(Base)", "(Base, table=True)").replace('__tablename__ = "invoice"', ""),
        "table invoice",
    ),
    "table without a class": (
        """
        import sqlalchemy as sa
        from hostel.base import Base
        guests = sa.Table("guest", Base.metadata, sa.Column("id", sa.Integer))
        """,
        "table guest",
    ),
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_models_are_recognised_however_they_are_written(kind: str, tmp_path: Path) -> None:
    text, description = DESCRIPTIONS[kind]
    statement = "from hostel.models import billing"
    expected = UnimportedModels("hostel/models/billing.py", (description,), statement)
    assert found_in(tmp_path, "hostel/models/billing.py", text) == [expected]


HARMLESS = {
    "another base": ("hostel/billing.py", INVOICE.replace("Base", "OtherBase")),
    "other metadata": (
        "hostel/billing.py",
        INVOICE.replace("__tablename__", "metadata = sa.MetaData()\n        __tablename__"),
    ),
    "base of its own": ("hostel/billing.py", BASE + INVOICE.replace("from hostel.base import Base", "")),
    "a table that is known": ("hostel/old_room.py", ROOM),
    "a class without a table": (
        "hostel/billing.py",
        INVOICE.replace('__tablename__ = "invoice"', "__abstract__ = True"),
    ),
    "tests": ("hostel/tests/models.py", INVOICE),
    "a test beside the models": ("hostel/test_billing.py", INVOICE),
    "migrations": ("hostel/migrations/versions/first.py", INVOICE),
    "outside of the package": ("scripts/billing.py", INVOICE),
    "what is no Python": ("hostel/billing.py", INVOICE + "\n    def"),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_adds_nothing_to_the_metadata_is_not_named(kind: str, tmp_path: Path) -> None:
    assert found_in(tmp_path, *HARMLESS[kind]) == []


def test_a_package_beside_that_of_the_imported_models_is_searched(tmp_path: Path) -> None:
    files = {
        "hostel/__init__.py": "",
        "hostel/base.py": BASE,
        "hostel/rooms/models.py": ROOM,
        "hostel/billing/__init__.py": INVOICE,
    }
    assert find(tmp_path, files, "hostel.rooms.models") == [
        UnimportedModels("hostel/billing/__init__.py", ("table invoice",), "import hostel.billing")
    ]


def test_without_a_package_only_the_directory_of_the_models_is_searched(tmp_path: Path) -> None:
    invoice = INVOICE.replace("hostel.base", "models")
    files = {"models.py": BASE, "billing.py": invoice, "tools/late.py": invoice.replace("invoice", "late")}
    assert find(tmp_path, files, base="models") == [
        UnimportedModels("billing.py", ("table invoice",), "import billing")
    ]
