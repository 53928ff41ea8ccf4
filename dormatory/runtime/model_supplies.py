"""What models need and only a migration makes: extensions, types and functions, copied from the migrated database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.driver import execute_verbatim
from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_for, dialect_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target
    from dormatory.schema.snapshot import Snapshot, Table, View
    from dormatory.sql.dialect import Dialect

_KINDS = ("foreign table", "view", "materialized view")


def copy_supplies(migrated: Target, target: Target, *version_tables: str) -> Snapshot:
    """Give an empty database all that the migrated one has except tables, views and sequences; return what that is."""
    backend = backend_for(migrated)
    with backend.engine(target, writing=False).connect() as connection:
        empty = read_snapshot(connection)
    backend.dump.load_schema(target, backend.dump.dump_schema(migrated, *version_tables))
    dialect = dialect_by_name(target.backend_name)
    with backend.engine(target, writing=True).begin() as connection:
        for statement in _drop_statements(read_snapshot(connection), dialect):
            execute_verbatim(connection, statement)
        return without_supplies(read_snapshot(connection), empty)


def _drop_statements(schema: Snapshot, dialect: Dialect) -> Iterator[str]:
    relations: list[View | Table] = [*schema.views, *schema.tables]
    for relation in relations:
        kind = relation.kind.upper() if relation.kind in _KINDS else "TABLE"
        yield f"DROP {kind} IF EXISTS {dialect.qualified_name(relation.namespace, relation.name)} CASCADE"
    for sequence in schema.sequences:
        yield f"DROP SEQUENCE IF EXISTS {dialect.qualified_name(sequence.namespace, sequence.name)} CASCADE"


def without_supplies(modelled: Snapshot, supplies: Snapshot) -> Snapshot:
    """Return the schema of the models without what was copied for them: the models do not describe it."""
    return replace(
        modelled,
        functions=tuple(it for it in modelled.functions if it not in supplies.functions),
        domains=tuple(it for it in modelled.domains if it not in supplies.domains),
        composites=tuple(it for it in modelled.composites if it not in supplies.composites),
        ranges=tuple(it for it in modelled.ranges if it not in supplies.ranges),
        extensions=tuple(it for it in modelled.extensions if it not in supplies.extensions),
        others=tuple(it for it in modelled.others if it not in supplies.others),
    )
