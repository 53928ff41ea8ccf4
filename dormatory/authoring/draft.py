"""What autogenerate finds, in pieces small enough to be right or wrong each by itself."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _render_cmd_body
from alembic.operations.ops import (
    AddColumnOp,
    CreateIndexOp,
    DropColumnOp,
    DropIndexOp,
    ModifyTableOps,
    OpContainer,
    UpgradeOps,
)

from dormatory.authoring.check_constraints import add_column_checks, check_constraint_operations
from dormatory.runtime.env_filters import quiet_migrations
from dormatory.runtime.numbering import correct_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alembic.operations import MigrateOperation, MigrationScript
    from alembic.runtime.migration import MigrationContext

    from dormatory.authoring.divergence import Divergence
    from dormatory.schema.alteration import Conversions

# What SQLite, too, can often do to a table that stays as it is.
_OFTEN_WITHOUT_REBUILD = (AddColumnOp, DropColumnOp, CreateIndexOp, DropIndexOp)


@dataclass(frozen=True, slots=True)
class Piece:
    """One operation and the code that is written for it; `table` is the one that it makes, changes or drops.

    `without_batch` is the same for backends that do not have to rebuild the table for it.
    """

    operation: MigrateOperation
    code: str
    table: str | None
    namespace: str | None
    is_required: bool = False  # rows need it: no statement of a backend takes its place
    without_batch: Piece | None = None

    def is_about(self, table: tuple[str | None, str]) -> bool:
        """Return whether the operation is about a table, given as its namespace and name."""
        return self.table == table[1] and self.namespace in {None, table[0]}


@dataclass(frozen=True, slots=True)
class Draft:
    """What autogenerate finds; `imports` are the lines that the code needs, those of the project's template among them.

    `conversions` are those of a direction on a backend, for what is left to be written.
    """

    upgrade: tuple[Piece, ...]
    downgrade: tuple[Piece, ...]
    imports: tuple[str, ...]
    rendering: AutogenContext  # how code is written
    conversions: Mapping[tuple[str, str], Conversions] = field(default_factory=dict)

    @property
    def prefixes(self) -> tuple[str, str]:
        """The names of Alembic's operations and of SQLAlchemy in the code, such as `op.` and `sa.`."""
        return self.rendering.opts["alembic_module_prefix"], self.rendering.opts["sqlalchemy_module_prefix"]


def produce_draft(context: MigrationContext, divergences: Sequence[Divergence]) -> Draft:
    """Compare the models with the connected database, as `alembic revision --autogenerate` does."""
    return read_draft(context, quiet_migrations(context), divergences)


def read_draft(context: MigrationContext, script: MigrationScript, divergences: Sequence[Divergence]) -> Draft:
    """Return what autogenerate has found, and what it does not see although Alembic has an operation for it."""
    correct_script(context, script)
    for container in (*script.upgrade_ops_list, *script.downgrade_ops_list):
        add_column_checks(container)
    rendering = AutogenContext(context, autogenerate=False)
    checks = check_constraint_operations(context, divergences)
    upgrade, downgrade = (
        tuple(_pieces([*(_small(found) if found else ()), *unseen], rendering))
        for found, unseen in zip((script.upgrade_ops, script.downgrade_ops), checks, strict=True)
    )
    imports = (*_template_imports(context), *sorted(rendering.imports))
    return Draft(upgrade, downgrade, imports, rendering)


def _template_imports(context: MigrationContext) -> Iterator[str]:
    """Yield what the template of the project imports into every revision, such as `import sqlmodel`."""
    environment = context.environment_context
    template = Path(environment.script.dir, "script.py.mako") if environment else None
    if template and template.is_file():
        for line in template.read_text(encoding="utf-8").splitlines():
            if re.match(r"(import|from) [^$(]+$", line) and not line.startswith("from __future__"):
                yield line


def _small(container: OpContainer) -> Iterator[MigrateOperation]:
    """Yield the operations of a container, those on a table one by one, but still in its batch."""
    for operation in container.ops:
        if isinstance(operation, ModifyTableOps):
            for part in operation.ops:
                yield ModifyTableOps(operation.table_name, [part], schema=operation.schema)
        else:
            yield operation


def new_piece(operation: Any, rendering: AutogenContext) -> Piece:
    """Return an operation with its code; what Alembic warns of, the trial shows."""
    with warnings.catch_warnings(action="ignore"):
        code = _render_cmd_body(UpgradeOps([operation]), rendering)
    return Piece(operation, code, getattr(operation, "table_name", None), getattr(operation, "schema", None))


def _pieces(operations: Iterable[MigrateOperation], rendering: AutogenContext) -> Iterator[Piece]:
    """Yield operations with their code; for some, this version of Alembic may write none."""
    for operation in operations:
        with suppress(NotImplementedError, ValueError, AttributeError):
            piece = new_piece(operation, rendering)
            match operation:
                case ModifyTableOps(ops=[part]) if isinstance(part, _OFTEN_WITHOUT_REBUILD):
                    piece = replace(piece, without_batch=new_piece(part, rendering))
            yield piece
