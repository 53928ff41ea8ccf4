"""Rows of PostgreSQL's catalogs, field by field as in the module `queries`."""

from __future__ import annotations

from typing import NamedTuple


class RelationRow(NamedTuple):
    """A table or view of pg_class."""

    oid: int
    namespace: str
    name: str
    kind: str
    persistence: str
    options: list[str] | None
    toast_options: list[str] | None
    access_method: str | None
    row_security: bool
    forced: bool
    replica_identity: str
    populated: bool
    bound: str | None
    partition_key: str | None
    parents: list[str]
    of_type: str | None
    foreign: str
    view: str | None
    filenode: int


class ColumnRow(NamedTuple):
    """A column of pg_attribute."""

    relation: int
    number: int
    name: str
    type: str
    not_null: bool
    default: str | None
    identity: str
    generated: str
    collation: str | None
    storage: str | None
    compression: str
    statistics: int | None
    options: str | None
    foreign_options: str | None
    local: bool


class ConstraintRow(NamedTuple):
    """A constraint of pg_constraint, of a table or a domain."""

    oid: int
    relation: int
    domain: int
    name: str
    kind: str
    definition: str
    columns: list[int] | None
    referred: int
    referred_namespace: str | None
    referred_table: str | None
    referred_columns: list[int] | None
    on_update: str
    on_delete: str
    match: str
    validated: bool
    no_inherit: bool
    options: str | None
    clustered: bool | None
    replica_identity: bool | None


class IndexRow(NamedTuple):
    """An index that no constraint owns."""

    oid: int
    relation: int
    name: str
    definition: str
    unique: bool
    valid: bool
    clustered: bool
    replica_identity: bool
    partial: bool


class TypeRow(NamedTuple):
    """A type that is not the row type of a table."""

    oid: int
    namespace: str
    name: str
    kind: str
    relation: int
    labels: list[str]
    base: str
    not_null: bool
    default: str | None
    collation: str | None
    range: str | None


class SequenceRow(NamedTuple):
    """A sequence, with the column it depends on."""

    oid: int
    namespace: str
    name: str
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool
    persistence: str
    dependency: str | None
    relation: int | None
    column: int | None


class FunctionRow(NamedTuple):
    """A function, procedure or aggregate of pg_proc."""

    oid: int
    namespace: str
    name: str
    kind: str
    arguments: str
    language: str
    source: str | None
    definition: str


class AttachedRow(NamedTuple):
    """A trigger, rule or policy."""

    kind: str
    oid: int
    relation: int
    name: str
    state: str
    definition: str | None
    permissive: bool | None
    roles: list[str] | None
    using: str | None
    check: str | None
