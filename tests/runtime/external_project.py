"""A project that uses nothing of this package, for tests of what other people's env.py does."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from dormatory.project.project import Project

if TYPE_CHECKING:
    from pathlib import Path

ENGINE_FROM_INI = 'engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.", poolclass=NullPool)'
GIVEN_CONNECTION = 'context.config.attributes["connection"]'


def engine_code(url: str) -> str:
    """Return the code that connects to the URL of an expression, without a pool, as in Alembic's own template."""
    return f"create_engine({url}, poolclass=NullPool)"


def env_code(
    source: str = ENGINE_FROM_INI,
    *,
    enter: str = "connectable.connect()",
    first: str = "pass",
    configure: str = "target_metadata=None",
    run: str = "context.run_migrations()",
) -> str:
    """Return an env.py as `alembic init` writes it, with another source of the URL or other code."""
    return "\n".join(
        (
            "import os",
            "from contextlib import nullcontext",
            "from alembic import context",
            "from sqlalchemy import NullPool, create_engine, engine_from_config",
            f"connectable = {source}",
            f"with {enter} as connection:",
            f"    {first}",
            f"    context.configure(connection=connection, {configure})",
            "    with context.begin_transaction():",
            f"        {run}",
        )
    )


CREATE_TABLE = 'op.create_table("{0}", sa.Column("id", sa.Integer, primary_key=True))'


class ExternalProject:
    """A project that uses nothing of this package."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scripts = root / "scripts"
        self.ini("script_location = scripts")
        self.env(env_code())

    @property
    def project(self) -> Project:
        """The project as the workflow reads it."""
        return Project.read(self.root / "alembic.ini")

    def ini(self, *lines: str) -> None:
        """Write alembic.ini; a line in brackets begins another section."""
        separator = () if any("path_separator" in line for line in lines) else ("path_separator = os",)
        self.write("alembic.ini", "\n".join(("[alembic]", *separator, *lines)))

    def env(self, text: str) -> None:
        """Write env.py."""
        self.write("scripts/env.py", text)

    def write(self, name: str, text: str) -> None:
        """Write any file of the project."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text) + "\n")

    def revision(
        self, name: str, up: str, down: str | None = "pass", *, after: str | None = None, to: str = "scripts/versions"
    ) -> None:
        """Write a revision, without a downgrade if that is None."""
        lines = [
            "import sqlalchemy as sa",
            "from alembic import op",
            f"revision = {name!r}",
            f"down_revision = {after!r}",
        ]
        for function, body in (("upgrade", up), ("downgrade", down)):
            if body is not None:
                lines += [f"def {function}():", textwrap.indent(textwrap.dedent(body).strip(), "    ")]
        self.write(f"{to}/{name}_x.py", "\n".join(lines))

    def tables(self, *names: str) -> None:
        """Write one revision per table, with the table's name."""
        for before, name in zip((None, *names), names, strict=False):
            self.revision(name, CREATE_TABLE.format(name), f'op.drop_table("{name}")', after=before)
