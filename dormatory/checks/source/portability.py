"""Rules about statements that only one backend understands, and about branches that no backend has executed."""

from __future__ import annotations

import ast
import difflib
import re
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source.resolver import argument, is_true, keyword_argument
from dormatory.checks.source.revision import CallKind, call_kind, executed_sql
from dormatory.checks.source.sql_text import sql_without_literals
from dormatory.system.text import name_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.played_legs import PlayedLegs
    from dormatory.checks.source.revision import RevisionSource

_MODIFIERS = r"(?:OR\s+REPLACE\s+)?(?:TEMP(?:ORARY)?\s+|UNLOGGED\s+|MATERIALIZED\s+)?"
_UNSUPPORTED_SQL = {
    "sqlite": re.compile(
        rf"""\b(?:CREATE|ALTER|DROP)\s+{_MODIFIERS}(?P<kind>EXTENSION|TYPE|DOMAIN|SCHEMA|SEQUENCE|FUNCTION|PROCEDURE|POLICY|ROLE|
        AGGREGATE|OPERATOR|PUBLICATION)\b
        | \bMATERIALIZED\s+VIEW\b | \bCREATE\s+OR\s+REPLACE\b | ^\s*(?:COMMENT\s+ON|GRANT|REVOKE|TRUNCATE|LOCK|DO)\b
        | ^\s*SET\s+(?:LOCAL\s+|SESSION\s+)?\w+ | \bALTER\s+COLUMN\b
        | \bALTER\s+TABLE\b[^;]*\b(?:ADD|DROP|VALIDATE|RENAME)\s+CONSTRAINT\b
        | \bCONCURRENTLY\b | \bILIKE\b | \bDELETE\s+FROM\s+[\w."]+\s+USING\b
        | \bUSING\s+(?:gin|gist|brin|hash|spgist)\b | (?<!:)::\s*\w+
        | \b(?:gen_random_uuid|nextval|to_char|to_timestamp|to_tsvector|split_part|regexp_replace|jsonb_\w+)\s*\(
        """,
        re.IGNORECASE | re.VERBOSE,
    ),
    "postgresql": re.compile(
        r"""^\s*(?:PRAGMA|REPLACE\s+INTO)\b | \bINSERT\s+OR\s+(?:REPLACE|IGNORE|ABORT|FAIL)\b | \bAUTOINCREMENT\b
        | \bsqlite_(?:master|schema|sequence)\b | \bWITHOUT\s+ROWID\b | \bGLOB\b | `
        | \b(?:randomblob|strftime|julianday|ifnull|json_extract|json_valid|group_concat|typeof|hex|instr)\s*\(
        | \bdatetime\s*\( | \bRAISE\s*\(
        """,
        re.IGNORECASE | re.VERBOSE,
    ),
}
_BACKEND_TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_CONSTRAINT_OPERATIONS = frozenset(
    {
        "create_foreign_key",
        "create_unique_constraint",
        "create_check_constraint",
        "create_primary_key",
        "drop_constraint",
    }
)
_COMMENT_OPERATIONS = frozenset({"create_table_comment", "drop_table_comment"})
_ALTER_COLUMN_KEYWORDS = frozenset({"type_", "nullable", "server_default", "comment", "autoincrement"})
_POSTGRESQL_TYPES = frozenset(
    {
        *("ARRAY", "BIT", "BYTEA", "CIDR", "CITEXT", "DATEMULTIRANGE", "DATERANGE", "DOMAIN", "HSTORE", "INET"),
        *("INT4MULTIRANGE", "INT4RANGE", "INT8MULTIRANGE", "INT8RANGE", "INTERVAL", "JSONPATH", "MACADDR", "MACADDR8"),
        *("MONEY", "NUMMULTIRANGE", "NUMRANGE", "OID", "REGCLASS", "REGCONFIG", "TSMULTIRANGE", "TSQUERY", "TSRANGE"),
        *("TSTZMULTIRANGE", "TSTZRANGE", "TSVECTOR"),
    }
)
_KNOWN_DIALECTS = frozenset(
    {
        *("sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql", "cockroachdb", "redshift", "snowflake"),
        *("bigquery", "duckdb", "clickhouse", "clickhousedb", "db2", "ibm_db_sa", "databricks", "awsathena", "trino"),
        *("presto", "hive", "impala", "firebird", "sybase", "access", "hana", "teradatasql", "vertica", "crate"),
        *("spanner", "spanner+spanner", "exasol", "monetdb", "openGauss", "opengauss", "dm", "yugabytedb", "starrocks"),
        *(
            "tidb",
            "singlestoredb",
            "risingwave",
            "risingwavedb",
            "greenplum",
            "informix",
            "drill",
            "denodo",
            "sqlalchemy",
        ),
    }
)


DIALECT_ONLY = Rule(
    "dialect-only",
    "source",
    Severity.WARNING,
    meaning="a statement that only one backend understands stands without a guard",
    why="""The project runs on both. It is a warning because it is read from the text; playing it on both backends
    decides whether it fails: where it passed, nothing is said.""",
    recipe="""
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION pg_trgm")

    with op.batch_alter_table("recipe") as batch:  # SQLite has no ALTER COLUMN
        batch.alter_column("name", type_=sa.String(120))
    """,
)


def dialect_only_calls(source: RevisionSource, played: PlayedLegs) -> Iterator[Finding]:
    """Report calls that fail on a backend that executes them, unless it has executed the revision without a failure."""
    for site in source.call_sites:
        if site.is_uncertain:
            continue
        sql = executed_sql(site, source.resolver)
        for backend, pattern in _UNSUPPORTED_SQL.items():
            if (
                sql is not None
                and source.is_reached(site, backend)
                and not played.has_passed(site, backend)
                and (found := pattern.search(sql_without_literals(sql)))
            ):
                what = " ".join(found[0].removesuffix("(").split())
                yield _dialect_only_finding(source, site.call, backend, what, sql=sql)
                break
        if source.is_reached(site, "sqlite") and not played.has_passed(site, "sqlite"):
            yield from _operation_without_batch(source, site)
            yield from _postgresql_types(source, site)


def _dialect_only_finding(source: RevisionSource, node: ast.AST, backend: str, what: str, *, sql: str = "") -> Finding:
    other = next(name for name in BACKEND_NAMES if name != backend)
    hint = f'guard it: if op.get_context().dialect.name == "{other}":'
    return source.finding(
        DIALECT_ONLY, node, f"{_BACKEND_TITLES[backend]} does not know {what}", hint, sql=sql, backend=backend
    )


def _operation_without_batch(source: RevisionSource, site: CallSite) -> Iterator[Finding]:
    """Report an operation that SQLite can only do by rebuilding the table."""
    if not site.name.startswith("alembic.op."):
        return
    what = ""
    if site.short_name in _CONSTRAINT_OPERATIONS:
        what = "ALTER TABLE with constraints"
    elif site.short_name in _COMMENT_OPERATIONS:
        what = "comments"
    elif site.short_name == "alter_column" and any(word.arg in _ALTER_COLUMN_KEYWORDS for word in site.call.keywords):
        what = "ALTER COLUMN"
    elif site.short_name == "add_column" and _has_constraint(source, argument(site.call, 1, "column")):
        what = "ALTER TABLE with constraints"
    if what:
        message, hint = f"SQLite has no {what}", "do it in: with op.batch_alter_table(...) as batch:"
        yield source.finding(DIALECT_ONLY, site.call, message, hint, backend="sqlite")


def _has_constraint(source: RevisionSource, column: ast.expr | None) -> bool:
    value = source.resolver.value(column)
    if not isinstance(value, ast.Call):
        return False
    parts = (source.resolver.called_name(item.func) for item in value.args if isinstance(item, ast.Call))
    return is_true(keyword_argument(value, "unique")) or "ForeignKey" in parts


def _postgresql_types(source: RevisionSource, site: CallSite) -> Iterator[Finding]:
    """Report types of columns that SQLAlchemy cannot write for SQLite, unless they are one variant of several."""
    if site.short_name not in {"create_table", "add_column", "alter_column"}:
        return
    for node in ast.walk(site.call):
        name = source.resolver.dotted_name(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""
        module, _, last = name.rpartition(".")
        if last not in _POSTGRESQL_TYPES or not module.startswith("sqlalchemy.dialects.postgresql"):
            continue
        between = [outer for outer in source.resolver.enclosing_nodes(node) if outer is not site.call]
        inner = between[: between.index(site.call)] if site.call in between else between
        if not any(isinstance(outer, ast.IfExp) or _is_variant(outer) for outer in inner):
            yield _dialect_only_finding(source, node, "sqlite", f"the type {last}")


def _is_variant(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "with_variant"


DEAD_BRANCH = Rule(
    "dead-branch",
    "source",
    Severity.WARNING,
    meaning="a branch for one dialect that no backend has executed",
    why="""Nobody has seen it work. For a dialect that this workflow does not play, such as mysql, it is a note; a name
    that no dialect has, such as postgres, is never true.""",
    recipe='if op.get_context().dialect.name == "postgresql": ...',
)


def dead_branches(source: RevisionSource, played: PlayedLegs) -> Iterator[Finding]:
    """Report branches for unknown dialects, for dialects that are not played, and branches that no replay took."""
    for name, node in source.call_site_finder.guards.named_dialects.items():
        if name not in _KNOWN_DIALECTS:
            near = difflib.get_close_matches(name, BACKEND_NAMES, 1, 0.5)
            hint = f'compare it with "{near[0]}"' if near else f"the names of dialects are {', '.join(BACKEND_NAMES)} …"
            yield source.finding(DEAD_BRANCH, node, f'no dialect has the name "{name}", so it is never true', hint)
    named, seen = source.call_site_finder.guards.named_dialects.keys() - set(BACKEND_NAMES), set[ast.AST]()
    for site in source.call_sites:
        if (
            not site.dialects & set(BACKEND_NAMES)
            and named & _KNOWN_DIALECTS
            and call_kind(site, source.resolver) is not CallKind.OTHER
        ):
            branch = _enclosing_branch(source, site)
            if branch not in seen:
                seen.add(branch)
                dialect = name_list(sorted(site.dialects & named)) or "another dialect"
                message = f"this branch is for {dialect}, which is not played here"
                hint = "make sure that it works there, or remove it"
                yield source.finding(
                    DEAD_BRANCH, branch, message, hint, severity=Severity.NOTE, object_name=dialect, end_line=0
                )
    yield from _untaken_branches(source, played)


def _untaken_branches(source: RevisionSource, played: PlayedLegs) -> Iterator[Finding]:
    """Report branches for one backend of which no line was executed in a successful replay on that backend."""
    taken: dict[tuple[ast.AST, frozenset[str]], bool] = {}  # an if has an arm for each backend
    for site in source.call_sites:
        backends = site.dialects & source.backends
        if (
            call_kind(site, source.resolver) is CallKind.OTHER
            or not backends
            or backends == source.backends
            or site.is_uncertain
        ):
            continue
        legs = [leg for name, leg in played.legs if name in backends and site.direction in leg.direction.value]
        if legs and all(leg.failure is None for leg in legs):
            first, last = _statement_lines(source, site)
            path = str(source.revision.path)  # a statement has it relative to the project
            lines = {item.line for leg in legs for item in leg.statements if item.file and path.endswith(item.file)}
            arm = _enclosing_branch(source, site), backends
            taken[arm] = taken.get(arm, False) or any(first <= line <= last for line in lines)
    for (branch, _), was_taken in taken.items():
        if not was_taken:
            message, hint = "no backend has executed this branch", "see what else its condition requires, or remove it"
            yield source.finding(DEAD_BRANCH, branch, message, hint, end_line=0)


def _enclosing_branch(source: RevisionSource, site: CallSite) -> ast.AST:
    """Return the condition on the dialect around a call, or the function that the call stands in."""
    for node in source.resolver.enclosing_nodes(site.call):
        if isinstance(node, (ast.If, ast.IfExp)):
            condition = source.call_site_finder.guards.condition(node.test)
            if condition.when_true != condition.when_false:
                return node
        if isinstance(node, (ast.match_case, ast.FunctionDef, ast.AsyncFunctionDef)):
            return node.body[0] if isinstance(node, ast.match_case) else node
    return site.call


def _statement_lines(source: RevisionSource, site: CallSite) -> tuple[int, int]:
    """Return the first and last line that a statement of a call may come from: a batch is executed by its block."""
    if site.name.startswith("batch."):
        for node in source.resolver.enclosing_nodes(site.call):
            if isinstance(node, ast.With):
                return node.lineno, node.end_lineno or node.lineno
    return site.call.lineno, site.call.end_lineno or site.call.lineno
