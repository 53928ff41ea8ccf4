"""Runs the project's own rows for a revision: statements in a SQL file, run before other rows are generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from dormatory.backends.registry import dialect_by_name
from dormatory.backends.row_io import driver_message
from dormatory.errors import FixtureFailedError
from dormatory.errors.location import Location
from dormatory.sql.split import statements_with_lines

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection


class FixtureRows:
    """The project's own rows for its revisions: `rows/REVISION.sql` in the directory of its scripts."""

    def __init__(self, script_location: Path) -> None:
        self._directory = script_location / "rows"

    def has_rows(self, revision: str) -> bool:
        """Return whether there are rows for a revision."""
        return self._file(revision).is_file()

    def add(self, connection: Connection, revision: str) -> None:
        """Add the rows for a revision, in the caller's transaction; raises FixtureFailedError."""
        run_fixtures(connection, self._file(revision))

    def _file(self, revision: str) -> Path:
        return self._directory / f"{revision}.sql"


def run_fixtures(connection: Connection, file: Path) -> None:
    """Execute the statements of a file in the caller's transaction, none if the file does not exist.

    Raises FixtureFailedError with the file, the line and the statement that failed.
    """
    if not file.is_file():
        return
    dialect = dialect_by_name(connection.dialect.name)
    for line, statement in statements_with_lines(file.read_text(encoding="utf-8"), dialect):
        try:
            # A % or : in them is no placeholder.
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        except DBAPIError as error:
            raise FixtureFailedError(Location(str(file), line), statement, driver_message(error.orig)) from error
