"""Takes out of models what no database can create, so that all the rest can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dormatory.schema.left_out import LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import MetaData, Table


def remove_uncreatable(metadatas: Sequence[MetaData], default_namespace: str | None) -> tuple[LeftOut, ...]:
    """Remove indexes without columns, which are returned, and constraints whose name the table has already.

    These are nobody's mistake: one over a column of a model joins its table by itself, as in a revision that lists
    the constraints of a table for a batch. Alembic, which imports all revisions, has both; the first is the model's.
    """
    tables = [table for metadata in metadatas for table in metadata.tables.values()]
    for table in tables:
        _remove_repeated_constraints(table)
    return tuple(found for table in tables for found in _remove_empty_indexes(table, default_namespace))


def _remove_repeated_constraints(table: Table) -> None:
    seen = set[str]()
    constraints: list[Any] = [*table.constraints]
    for constraint in sorted(constraints, key=lambda it: it._creation_order):  # noqa: SLF001  # a set has no order
        name = "" if constraint._ddl_if else str(constraint.name or "")  # noqa: SLF001  # each dialect has its own
        if name and name in seen:
            table.constraints.discard(constraint)
        seen.add(name)


def _remove_empty_indexes(table: Table, default_namespace: str | None) -> Iterator[LeftOut]:
    for index in [it for it in table.indexes if not it.expressions]:
        table.indexes.discard(index)
        yield LeftOut("index", (table.schema or default_namespace, table.name), index.name or "")
