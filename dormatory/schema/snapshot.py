"""The structure of a database as plain values, which are equal exactly when the structures are.

Every field takes part in equality. Text from a database is in its canonical form (see `sql.lexer`), collections are
tuples in a fixed order, and columns are in physical order. `name` is bare; `namespace` is what PostgreSQL calls a
schema, and None on SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

TableId: TypeAlias = tuple[str | None, str]  # of a table: its namespace and name


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, a view or a composite type."""

    name: str
    type: str  # with modifiers
    nullable: bool = True
    not_null_note: str | None = None  # NOT VALID, NO INHERIT, ON CONFLICT ... of a NOT NULL
    default: str | None = None
    identity: str | None = None
    generated: str | None = None  # the expression
    storage: str | None = None  # of a generated value: STORED, VIRTUAL
    collation: str | None = None  # None: that of the type
    options: tuple[str, ...] = ()  # storage, compression, statistics target, ... where not the default
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """What a foreign key points to, and its actions."""

    namespace: str | None
    table: str
    columns: tuple[str, ...]
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    match: str = "SIMPLE"

    @property
    def table_id(self) -> TableId:
        """The namespace and the name of the table."""
        return self.namespace, self.table


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table or a domain; `definition` is all of it but the name; the other fields follow from it."""

    kind: str  # PRIMARY KEY, UNIQUE, FOREIGN KEY, CHECK, EXCLUDE
    name: str | None  # None: a constraint may be nameless on SQLite
    definition: str
    columns: tuple[str, ...] = ()
    expression: str | None = None  # of a CHECK
    references: Reference | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index that belongs to no constraint; `definition` is all of it but its name and table."""

    name: str
    definition: str
    unique: bool = False
    keys: tuple[str, ...] = ()  # columns or expressions, with their collation, operator class and direction
    predicate: str | None = None
    valid: bool = True
    options: tuple[str, ...] = ()  # CLUSTER, REPLICA IDENTITY
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of a table or a view."""

    name: str
    definition: str
    enabled: str = "yes"  # or no, replica, always
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class RewriteRule:
    """A rule (CREATE RULE) of a table or a view, which rewrites statements on it."""

    name: str
    definition: str
    enabled: str = "yes"
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A row security policy of a table."""

    name: str
    command: str
    permissive: bool = True
    roles: tuple[str, ...] = ("public",)
    using: str | None = None
    check: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its parts, which are dropped with it."""

    namespace: str | None
    name: str
    kind: str = "table"  # or partitioned table, foreign table, virtual table
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[RewriteRule, ...] = ()
    policies: tuple[Policy, ...] = ()
    persistence: str = "permanent"  # or unlogged
    options: tuple[str, ...] = ()  # storage parameters, STRICT, WITHOUT ROWID, access method, replica identity
    row_security: str | None = None  # enabled, forced
    partition_key: str | None = None
    partition_bound: str | None = None
    inherits: tuple[str, ...] = ()
    definition: str | None = None  # what the other fields do not hold, e.g. all of a virtual table
    comment: str | None = None
    grants: tuple[str, ...] = ()

    @property
    def id(self) -> TableId:
        """The table's namespace and name."""
        return self.namespace, self.name

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key, empty without one."""
        return next((it.columns for it in self.constraints if it.kind == "PRIMARY KEY"), ())


@dataclass(frozen=True, slots=True)
class View:
    """A view or a materialised view."""

    namespace: str | None
    name: str
    definition: str
    kind: str = "view"  # or materialized view
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[RewriteRule, ...] = ()
    options: tuple[str, ...] = ()
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enum:
    """An enumeration; its values are in their sort order."""

    namespace: str | None
    name: str
    values: tuple[str, ...]
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain."""

    namespace: str | None
    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    collation: str | None = None
    constraints: tuple[Constraint, ...] = ()
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Composite:
    """A composite type, other than the row type of a table."""

    namespace: str | None
    name: str
    columns: tuple[Column, ...]
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    """A range type with its multirange."""

    namespace: str | None
    name: str
    definition: str
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence; `owner` is the column it belongs to, as namespace.table.column."""

    namespace: str | None
    name: str
    type: str = "bigint"
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 2**63 - 1
    cache: int = 1
    cycle: bool = False
    owner: str | None = None
    persistence: str = "permanent"
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function, procedure, window function or aggregate; `arguments` distinguishes overloads."""

    namespace: str | None
    name: str
    arguments: str
    definition: str
    kind: str = "function"
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """What PostgreSQL calls a schema."""

    name: str
    comment: str | None = None
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extension:
    """An installed extension; its members are not listed. `version` None: the server's default."""

    name: str
    namespace: str
    version: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """An object of a rarer kind; without a definition only its existence is compared, and `not_compared` lists it."""

    kind: str
    name: str
    definition: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The structure of a whole database."""

    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    functions: tuple[Function, ...] = ()
    enums: tuple[Enum, ...] = ()
    domains: tuple[Domain, ...] = ()
    composites: tuple[Composite, ...] = ()
    ranges: tuple[Range, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    extensions: tuple[Extension, ...] = ()
    others: tuple[Other, ...] = ()
    not_compared: tuple[str, ...] = ()

    def table(self, name: str, namespace: str | None = None) -> Table:
        """Return a table by its name, in any namespace unless one is given; KeyError when there is none."""
        for table in self.tables:
            if table.name == name and namespace in {None, table.namespace}:
                return table
        raise KeyError(name)


# For each field of a snapshot, the type of its objects and the fields that identify one: an object in which one of
# these differs is another object.
IDENTITY_FIELDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "tables": (Table, ("namespace", "name", "kind")),
    "views": (View, ("namespace", "name", "kind")),
    "sequences": (Sequence, ("namespace", "name")),
    "functions": (Function, ("namespace", "name", "arguments", "kind")),
    "enums": (Enum, ("namespace", "name")),
    "domains": (Domain, ("namespace", "name")),
    "composites": (Composite, ("namespace", "name")),
    "ranges": (Range, ("namespace", "name")),
    "namespaces": (Namespace, ("name",)),
    "extensions": (Extension, ("namespace", "name")),
    "others": (Other, ("name", "kind")),
}
# The fields of an object that hold its parts; most parts have a name.
PART_FIELDS = ("constraints", "indexes", "triggers", "rules", "policies")
