"""Try a statement as an owner of the database who is no superuser, and undo it: what managed servers would refuse.

Scratch databases belong to a superuser. A role that is a member of that superuser owns the same objects and has none of
his attributes. The role exists only within a savepoint, so that nothing is left of it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.backends import driver
from dormatory.backends.postgresql.autocommit import LEADING_COMMENTS
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.sql.operations import OperationKind, parse_operations

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SAVEPOINT = "dormatory_owner_trial"
# A managed server's administrator may create roles and databases, and grant the roles that exist.
_BECOME_OWNER = """
DO $$
DECLARE
    trial text := 'dormatory_owner_' || pg_catalog.pg_backend_pid();
    known record;
BEGIN
    EXECUTE pg_catalog.format('CREATE ROLE %I CREATEROLE CREATEDB', trial);
    FOR known IN SELECT rolname FROM pg_catalog.pg_roles
        WHERE rolname !~ '^pg_' AND rolname <> trial AND (NOT rolsuper OR rolname = current_user)
    LOOP
        EXECUTE pg_catalog.format('GRANT %I TO %I WITH ADMIN OPTION', known.rolname, trial);
    END LOOP;
    PERFORM pg_catalog.set_config('role', trial, true);
END $$"""
_IS_SUPERUSER = "SELECT pg_catalog.current_setting('is_superuser') = 'on'"
_HAS_FORCED_ROW_SECURITY = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relrowsecurity AND relforcerowsecurity)"
)
_INSUFFICIENT_PRIVILEGE = "42501"

# What every owner may do, or what would not survive a query before it (SET TRANSACTION).
_ORDINARY = re.compile(
    LEADING_COMMENTS
    + r"""(?:(?:ABORT|ANALYZE|BEGIN|CLUSTER|COMMENT|COMMIT|DECLARE|DELETE|DISCARD|DROP|END|EXPLAIN|FETCH|INSERT|LOCK
        |MERGE|NOTIFY|REFRESH|REINDEX|RELEASE|RESET|ROLLBACK|SAVEPOINT|SHOW|START|TABLE|TRUNCATE|UPDATE|VACUUM|VALUES)\b
    | SET\s+(?:LOCAL\s+|SESSION\s+)?(?:CHARACTERISTICS|CONSTRAINTS|TRANSACTION|TIME|ROLE|\w+_timeout|\w*work_mem
        |search_path|client_\w+|row_security|check_function_bodies|timezone|\w+\.\w+)\b
    | CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP(?:ORARY)?\s+|RECURSIVE\s+|MATERIALIZED\s+|CONSTRAINT\s+)?
        (?:VIEW|SEQUENCE|SCHEMA|DOMAIN|POLICY|RULE|STATISTICS|TRIGGER|TYPE\s+\S+\s+AS)\b
    | ALTER\s+(?:DOMAIN|INDEX|MATERIALIZED|POLICY|SCHEMA|SEQUENCE|STATISTICS|TRIGGER|TYPE|VIEW)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_QUERY = re.compile(LEADING_COMMENTS + r"(?:SELECT|WITH)\b", re.IGNORECASE)
# Not those that only read the catalogs: SQLAlchemy's own queries are full of them.
_SYSTEM_FUNCTION = re.compile(
    r"""\b(?:set_config|dblink\w*|lo_(?:import|export)|pg_(?:cancel|create|drop|logical|ls|promote|read|reload|replication
        |rotate|stat_file|switch|terminate)\w*)\s*\(""",
    re.IGNORECASE | re.VERBOSE,
)
_ROW_SECURITY = re.compile(r"\bROW\s+LEVEL\s+SECURITY\b", re.IGNORECASE)
# These cannot run in a transaction, so they cannot be undone.
_NEVER_IN_TRANSACTION = re.compile(
    LEADING_COMMENTS + r"(?P<verb>ALTER\s+SYSTEM|CREATE\s+(?:TABLESPACE|SUBSCRIPTION))\b",
    re.IGNORECASE,
)
_TRIED_KINDS = frozenset({OperationKind.OTHER, OperationKind.ALTER_TABLE, OperationKind.SET_STORAGE})


@dataclass(frozen=True, slots=True)
class OwnerTrial:
    """What happened when the owner tried a statement: the server's refusal, or the number of rows; -1 is unknown."""

    refusal: str = ""
    rows: int = -1


class OwnerTrials:
    """Tries the statements of one connection that an owner may be refused, or that row security changes for him."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_superuser: bool | None = None
        self._has_forced_row_security: bool | None = None

    def start_leg(self) -> None:
        """Forget what is known of row security."""
        self._has_forced_row_security = None

    def try_statement(self, sql: str, parameters: Any, *, is_open: bool) -> OwnerTrial | None:
        """Try a statement that is about to be executed; return None where no trial is needed or possible.

        `is_open`: the statement is executed in a transaction.
        """
        if _ROW_SECURITY.search(sql):
            self._has_forced_row_security = None
        may_be_refused = is_privileged(sql)
        if not may_be_refused and self._has_forced_row_security is False:
            return None  # most statements; the others are parsed
        kinds = {operation.kind for operation in parse_operations(sql, DIALECT)}
        is_write = OperationKind.WRITE in kinds and self._reads_row_security()
        if not (is_write or (may_be_refused and kinds & _TRIED_KINDS)) or not self._owns_as_superuser():
            return None
        if found := _NEVER_IN_TRANSACTION.match(sql):
            return OwnerTrial(f"permission denied to {' '.join(found['verb'].lower().split())}")
        return self._try(sql, parameters, is_write=is_write, is_open=is_open)

    def _try(self, sql: str, parameters: Any, *, is_write: bool, is_open: bool) -> OwnerTrial | None:
        savepoint = f"SAVEPOINT {_SAVEPOINT}"
        undo = (f"ROLLBACK TO {savepoint}", f"RELEASE {savepoint}") if is_open else ("ROLLBACK",)
        self._execute(savepoint if is_open else "BEGIN")
        try:
            self._execute(_BECOME_OWNER)
            rows = self._execute(sql, parameters)
        except Exception as error:  # noqa: BLE001  # of any driver; the statement itself follows and shows it
            is_refusal = driver.sql_state(error) == _INSUFFICIENT_PRIVILEGE or is_write
            return OwnerTrial(_first_line(error)) if is_refusal else None
        else:
            return OwnerTrial(rows=rows) if is_write else None
        finally:
            with suppress(Exception):  # the connection is lost, as the statement itself will show
                for statement in undo:
                    self._execute(statement)

    def _reads_row_security(self) -> bool:
        """Return whether a table has row security that holds for its owner, too."""
        if self._has_forced_row_security is None:
            self._has_forced_row_security = self._answer(_HAS_FORCED_ROW_SECURITY)
        return self._has_forced_row_security

    def _owns_as_superuser(self) -> bool:
        if self._is_superuser is None:
            self._is_superuser = self._answer(_IS_SUPERUSER)
        return self._is_superuser

    def _answer(self, query: str) -> bool:
        return bool(driver.fetch_rows(self._connection.connection.cursor(), query)[0][0])

    def _execute(self, sql: str, parameters: Any = None) -> int:
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(sql, *([] if parameters is None else [parameters]))
            return int(cursor.rowcount)
        finally:
            cursor.close()


def is_privileged(sql: str) -> bool:
    """Return whether a statement is of a kind that the owner of a database may be refused."""
    if _QUERY.match(sql):
        return bool(_SYSTEM_FUNCTION.search(sql))
    return not _ORDINARY.match(sql)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "").removeprefix("ERROR:").strip()
