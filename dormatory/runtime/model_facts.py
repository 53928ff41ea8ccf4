"""What the metadata of a project says, and a database created from it does not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Enum
from sqlalchemy.sql.base import _NONE_NAME  # a CHECK of an enumeration has it, which only a convention can name
from sqlalchemy.sql.elements import conv

from dormatory.runtime.env_filters import has_filters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Dialect, MetaData, Table

    from dormatory.recording.model import UnimportedModels
    from dormatory.schema.alignment import PartName
    from dormatory.schema.left_out import LeftOut


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about the models of a project.

    `is_known` is false if env.py passes no metadata. `names` and `derived_lengths` are those of Equivalence.
    `namespaces` are those that Alembic compares, None for all; `has_filters` tells whether env.py has functions that
    may leave out more. `unimported` are files with models that the metadata does not know, `uncreatable` are indexes
    without columns.
    """

    is_known: bool
    names: frozenset[PartName]
    derived_lengths: frozenset[PartName]
    namespaces: frozenset[str | None] | None
    has_filters: bool
    unimported: tuple[UnimportedModels, ...] = ()
    uncreatable: tuple[LeftOut, ...] = ()


def model_facts(
    metadatas: Sequence[MetaData], options: dict[str, Any], dialect: Dialect, default_namespace: str | None
) -> ModelFacts:
    """Return the facts of the metadata and the options that env.py passes to Alembic."""
    tables = {
        (table.schema or default_namespace, table.name): table
        for metadata in metadatas
        for table in metadata.tables.values()
    }
    return ModelFacts(
        is_known=bool(metadatas),
        names=frozenset((key, name) for key, table in tables.items() for name in _chosen_names(table, dialect)),
        derived_lengths=frozenset(
            (key, column.name)
            for key, table in tables.items()
            for column in table.columns
            if isinstance(column.type, Enum) or isinstance(getattr(column.type, "impl", None), Enum)
        ),
        namespaces=None
        if options.get("include_schemas")
        else frozenset({default_namespace, *(key[0] for key in tables)}),
        has_filters=has_filters(options),
    )


def join_facts(facts: Sequence[ModelFacts]) -> ModelFacts:
    """Return the facts of the models of all passes of env.py."""
    namespaces = [one.namespaces for one in facts]
    return ModelFacts(
        is_known=any(one.is_known for one in facts),
        names=frozenset(name for one in facts for name in one.names),
        derived_lengths=frozenset(name for one in facts for name in one.derived_lengths),
        namespaces=None if None in namespaces else frozenset(name for names in namespaces for name in names or ()),
        has_filters=any(one.has_filters for one in facts),
        uncreatable=tuple(found for one in facts for found in one.uncreatable),
    )


def _chosen_names(table: Table, dialect: Dialect) -> Iterator[str]:
    """Yield the names of constraints and indexes that the models give, other than by a naming convention."""
    preparer: Any = dialect.identifier_preparer
    parts: list[Any] = [*table.constraints, *table.indexes]
    for part in parts:
        if part.name is not None and part.name is not _NONE_NAME and not isinstance(part.name, conv):
            yield preparer.format_constraint(part, _alembic_quote=False)


def described_types(metadatas: Sequence[MetaData], dialect: Dialect) -> tuple[str, ...]:
    """Return the enumerations and domains that the models create, as SQL names them."""
    found: dict[str, None] = {}
    preparer: Any = dialect.identifier_preparer
    for column in (column for metadata in metadatas for table in metadata.tables.values() for column in table.columns):
        stored: Any = column.type.dialect_impl(dialect)
        if getattr(stored, "create_type", False) and getattr(stored, "name", None):
            found[preparer.format_type(stored)] = None
    return tuple(found)
