"""SQL and messages lose the values of rows and secrets, and keep structure and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.sql.masking import without_row_values, without_sql_secrets, without_values

if TYPE_CHECKING:
    from dormatory.sql.dialect import Dialect

BOTH = (SQLITE, POSTGRESQL)
ON_SQLITE, ON_POSTGRESQL = ((dialect,) for dialect in BOTH)

STATEMENTS_WITH_VALUES = {
    "insert": (BOTH, "INSERT INTO room VALUES (7, 'Anna')", "INSERT INTO room VALUES ('…', '…')"),
    "many rows": (
        BOTH,
        "insert into r values (1,'a'),\n (-2.5e3,'b')",
        "insert into r values ('…','…'),\n (-'…','…')",
    ),
    "null and true": (BOTH, "INSERT INTO r VALUES (NULL, TRUE, x)", "INSERT INTO r VALUES (NULL, TRUE, x)"),
    "parameters": (BOTH, "UPDATE r SET a=? WHERE b=:b_1", "UPDATE r SET a=? WHERE b=:b_1"),
    "parameters of psycopg": (
        ON_POSTGRESQL,
        "UPDATE r SET a=%(a_1)s::VARCHAR(9) WHERE b=$1 AND c LIKE 'A%%'",
        "UPDATE r SET a=%(a_1)s::VARCHAR(9) WHERE b=$1 AND c LIKE '…'",
    ),
    "case": (
        BOTH,
        "UPDATE r SET k = CASE n WHEN 'Anna' THEN 1 ELSE 0 END WHERE id IN (3, 4)",
        "UPDATE r SET k = CASE n WHEN '…' THEN '…' ELSE '…' END WHERE id IN ('…', '…')",
    ),
    "delete": (BOTH, "DELETE FROM r WHERE n = 'it''s'", "DELETE FROM r WHERE n = '…'"),
    "select": (BOTH, "SELECT 'Anna' AS n", "SELECT '…' AS n"),
    "in brackets": (BOTH, "(SELECT 5)", "(SELECT '…')"),
    "with": (
        BOTH,
        "WITH q AS (SELECT 5 AS x) INSERT INTO r SELECT x FROM q AS t WHERE x IN (5)",
        "WITH q AS (SELECT '…' AS x) INSERT INTO r SELECT x FROM q AS t WHERE x IN ('…')",
    ),
    "on conflict": (
        BOTH,
        "INSERT INTO r (a) VALUES ('x') ON CONFLICT (a) DO UPDATE SET a = 'y', b = 2",
        "INSERT INTO r (a) VALUES ('…') ON CONFLICT (a) DO UPDATE SET a = '…', b = '…'",
    ),
    "length of a type": (
        BOTH,
        "SELECT CAST(a AS DECIMAL(10, 2)), CAST('b' AS character varying(5)), char(65)",
        "SELECT CAST(a AS DECIMAL(10, 2)), CAST('…' AS character varying(5)), char('…')",
    ),
    "alias before values": (ON_POSTGRESQL, "INSERT INTO r AS x VALUES (5)", "INSERT INTO r AS x VALUES ('…')"),
    "several": (
        BOTH,
        "INSERT INTO r VALUES (1); UPDATE r SET a = 2;",
        "INSERT INTO r VALUES ('…'); UPDATE r SET a = '…';",
    ),
    "after structure": (
        BOTH,
        "CREATE TABLE r (k text DEFAULT 'x'); INSERT INTO r VALUES ('Anna')",
        "CREATE TABLE r (k text DEFAULT 'x'); INSERT INTO r VALUES ('…')",
    ),
    "comments": (
        BOTH,
        "-- Anna's\nUPDATE r /* was 'Bert' */ SET a = b -- 5",
        "-- …\nUPDATE r /* … */ SET a = b -- …",
    ),
    "comment in a comment": (ON_POSTGRESQL, "UPDATE r /* a /* b */ Anna */ SET a = b", "UPDATE r /* … */ SET a = b"),
    "dates": (
        ON_POSTGRESQL,
        "SELECT DATE '2024-02-29', now() - interval '1 day'",
        "SELECT DATE '…', now() - interval '…'",
    ),
    "json": (ON_POSTGRESQL, """UPDATE r SET j = '{"n": "Anna"}'::jsonb""", "UPDATE r SET j = '…'::jsonb"),
    "escapes": (ON_POSTGRESQL, r"UPDATE r SET a = E'it\'s Anna', b = U&'\0041'", "UPDATE r SET a = '…', b = '…'"),
    "bits": (BOTH, "UPDATE r SET a = X'416e6e61', b = 0x41", "UPDATE r SET a = '…', b = '…'"),
    "dollars": (ON_POSTGRESQL, "UPDATE r SET a = $$Anna$$, b = $x$O'Neil $$ $x$", "UPDATE r SET a = '…', b = '…'"),
    "array": (
        ON_POSTGRESQL,
        "UPDATE r SET a = ARRAY['x', 'y'], b = c[1]",
        "UPDATE r SET a = ARRAY['…', '…'], b = c['…']",
    ),
    "name in quotes": (ON_POSTGRESQL, """UPDATE "r" SET "order" = 'Anna'""", """UPDATE "r" SET "order" = '…'"""),
    "continued": (ON_POSTGRESQL, "SELECT 'An'\n  'na'", "SELECT '…'\n  '…'"),
    "copy": (ON_POSTGRESQL, "COPY r FROM STDIN;\nAnna\t5\n\\.", "COPY r FROM STDIN"),
    "copy to a program": (ON_POSTGRESQL, "COPY r TO PROGRAM 'curl x'", "COPY r TO PROGRAM '…'"),
    "do": (
        ON_POSTGRESQL,
        "DO $do$ BEGIN -- Anna\n UPDATE r SET a = 'x' || $q$y$q$; END $do$ LANGUAGE plpgsql",
        "DO $do$ BEGIN -- …\n UPDATE r SET a = '…' || '…'; END $do$ LANGUAGE plpgsql",
    ),
    "do in another language": (
        ON_POSTGRESQL,
        "DO LANGUAGE plpython3u $$ x = Anna # it's $$; DO $$ # Bert $$ LANGUAGE 'plperl'",
        "DO LANGUAGE plpython3u $$…$$; DO $$…$$ LANGUAGE '…'",
    ),
    "do with a text": (ON_POSTGRESQL, "DO 'BEGIN DELETE FROM r WHERE n = ''Anna''; END'", "DO '…'"),
    "explain": (BOTH, "EXPLAIN DELETE FROM r WHERE a = 5", "EXPLAIN DELETE FROM r WHERE a = '…'"),
    "table of a query": (
        BOTH,
        "CREATE TEMP TABLE t AS SELECT a, 'Anna' AS n FROM r WHERE b = 5",
        "CREATE TEMP TABLE t AS SELECT a, '…' AS n FROM r WHERE b = '…'",
    ),
    "using": (
        ON_POSTGRESQL,
        "ALTER TABLE r ALTER a TYPE int USING (CASE a WHEN 'Anna' THEN 1 END), ALTER b SET DEFAULT 'x'",
        "ALTER TABLE r ALTER a TYPE int USING (CASE a WHEN '…' THEN '…' END), ALTER b SET DEFAULT 'x'",
    ),
    "not closed": (BOTH, "INSERT INTO r VALUES ('Anna, 5", "INSERT INTO r VALUES ('…'"),
    "dollars not closed": (ON_POSTGRESQL, "SELECT $$ Anna", "SELECT '…'"),
    "a text in double quotes": (
        ON_SQLITE,
        'INSERT INTO "r" (`b c`, [d]) SELECT "r"."order", "Anna" AS "n" FROM "r"',
        'INSERT INTO "r" (`b c`, [d]) SELECT "r"."order", \'…\' AS "n" FROM "r"',
    ),
    "merge": (
        ON_POSTGRESQL,
        "MERGE INTO r USING s ON r.id = s.id WHEN MATCHED THEN UPDATE SET a = 'Anna'",
        "MERGE INTO r USING s ON r.id = s.id WHEN MATCHED THEN UPDATE SET a = '…'",
    ),
}

STRUCTURE_STATEMENTS = {
    "defaults": (BOTH, "CREATE TABLE r (k varchar(9) DEFAULT 'x', n int DEFAULT 7 CHECK (n IN (7, 8)))"),
    "generated": (
        BOTH,
        "CREATE TABLE r (a int, b text GENERATED ALWAYS AS (a || 'x') STORED, c text DEFAULT 'y')",
    ),
    "index": (BOTH, "CREATE INDEX i ON r (a) WHERE k = 'x'"),
    "view": (BOTH, "CREATE VIEW v AS SELECT 'x' AS k FROM r WHERE n = 5"),
    "trigger": (
        ON_SQLITE,
        "CREATE TRIGGER t AFTER INSERT ON r BEGIN UPDATE r SET k = CASE n WHEN 1 THEN 'x' END; DELETE FROM s; END",
    ),
    "function": (
        ON_POSTGRESQL,
        "CREATE FUNCTION \"f\"() RETURNS TABLE (a int) AS $$ -- why\n SELECT 5 WHERE 'x' = $q$y$q$ $$ LANGUAGE sql",
    ),
    "function of statements": (
        ON_POSTGRESQL,
        "CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT CASE WHEN 1 = 1 THEN 'x' END; SELECT 'y'; END",
    ),
    "function in another language": (
        ON_POSTGRESQL,
        "CREATE FUNCTION f() AS $$ # it's\nreturn 'x' $$ LANGUAGE plpython3u",
    ),
    "labels": (ON_POSTGRESQL, "CREATE TYPE k AS ENUM ('a', 'b')"),
    "another label": (ON_POSTGRESQL, "ALTER TYPE k ADD VALUE IF NOT EXISTS 'c'"),
    "partition": (ON_POSTGRESQL, "CREATE TABLE p PARTITION OF r FOR VALUES FROM ('2024-01-01') TO (MAXVALUE)"),
    "exclusion": (ON_POSTGRESQL, "ALTER TABLE r ADD CONSTRAINT x EXCLUDE USING gist (a WITH =) WHERE (k = 'x')"),
    "comment on an object": (ON_POSTGRESQL, "COMMENT ON COLUMN r.password IS 'hashed'"),
    "settings": (ON_POSTGRESQL, "SET lock_timeout = '5s'"),
    "pragma": (ON_SQLITE, "PRAGMA foreign_keys = 1"),
    "columns called so": (
        ON_POSTGRESQL,
        "ALTER TABLE r ADD CHECK (token = 'x' OR key = 'y'), ALTER secret SET DEFAULT 'z'",
    ),
    "a default in double quotes": (ON_SQLITE, 'CREATE TABLE r (k text DEFAULT "x")'),
}

STATEMENTS_WITH_SECRETS = {
    "password": ("ALTER ROLE anna WITH LOGIN PASSWORD 'x1'", "ALTER ROLE anna WITH LOGIN PASSWORD '***'"),
    "password in dollars": ("CREATE USER a ENCRYPTED PASSWORD $$x1$$", "CREATE USER a ENCRYPTED PASSWORD '***'"),
    "no password": ("ALTER ROLE a PASSWORD NULL", "ALTER ROLE a PASSWORD NULL"),
    "mapping": (
        "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', \"password\" 'x1')",
        "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', \"password\" '***')",
    ),
    "subscription": (
        "CREATE SUBSCRIPTION s CONNECTION 'host=h password=x1 user=a' PUBLICATION p",
        "CREATE SUBSCRIPTION s CONNECTION 'host=h password=*** user=a' PUBLICATION p",
    ),
    "setting": ("SET app.jwt_secret TO 'x1'", "SET app.jwt_secret TO '***'"),
    "setting of a role": (
        "ALTER ROLE a IN DATABASE d SET app.api_key = 'x1'",
        "ALTER ROLE a IN DATABASE d SET app.api_key = '***'",
    ),
    "URL": (
        "ALTER TABLE r ALTER u SET DEFAULT 'https://anna:x1/y@h:5/p?q=1'",
        "ALTER TABLE r ALTER u SET DEFAULT 'https://anna:***@h:5/p?q=1'",
    ),
    "json": (
        """ALTER TABLE r ALTER j SET DEFAULT '{"api_token": "x1", "a": 5}'""",
        """ALTER TABLE r ALTER j SET DEFAULT '{"api_token": "***", "a": 5}'""",
    ),
    "in a function": (
        "CREATE FUNCTION f() AS $$ SELECT dblink('host=h password=x1'); -- postgres://a:x1@h\n $$",
        "CREATE FUNCTION f() AS $$ SELECT dblink('host=h password=***'); -- postgres://a:***@h\n $$",
    ),
    "in a DO": ("DO $$ BEGIN ALTER ROLE a PASSWORD 'x1'; END $$", "DO $$ BEGIN ALTER ROLE a PASSWORD '…'; END $$"),
    "in a comment": ("CREATE ROLE a /* x1 */", "CREATE ROLE a /* … */"),
    "pragma": ("PRAGMA key = 'x1'", "PRAGMA key = '***'"),
    "attach": ("ATTACH 'f' AS g KEY 'x1'", "ATTACH 'f' AS g KEY '***'"),
}

ERROR_MESSAGES = {
    "key": (
        'duplicate key value violates unique constraint "uq"\nDETAIL:  Key (a, lower(b))=(5, A (x)\ny) already exists.',
        'duplicate key value violates unique constraint "uq"\nDETAIL:  Key (a, lower(b))=(…) already exists.',
    ),
    "foreign key": (
        'Key (room)=(Anna) is not present in table "room".',
        'Key (room)=(…) is not present in table "room".',
    ),
    "two keys": (
        "Key (a)=([1,5)) conflicts with existing key (a)=([2,3)).",
        "Key (a)=(…).",
    ),
    "partition": (
        "Partition key of the failing row contains (a) = (Anna).",
        "Partition key of the failing row contains (…).",
    ),
    "failing row": (
        'new row for relation "r" violates check constraint "c"\nDETAIL:  Failing row contains (1, Anna, (x)).',
        'new row for relation "r" violates check constraint "c"\nDETAIL:  Failing row contains (…).',
    ),
    "input": (
        'invalid input syntax for type integer: "An"na"\nLINE 1: INSERT INTO r VALUES (Anna)\n     ^',
        'invalid input syntax for type integer: "…"\nLINE 1: …\n     ^',
    ),
    "range": ('value "99999" is out of range for type smallint', 'value "…" is out of range for type smallint'),
    "copied": (
        'invalid input syntax for type integer: "x"\nCONTEXT:  COPY r, line 1, column a: "Anna"',
        'invalid input syntax for type integer: "…"',
    ),
    "names": (
        'null value in column "a" of relation "r" violates not-null constraint',
        'null value in column "a" of relation "r" violates not-null constraint',
    ),
    "missing names": (
        'type "k" does not exist; columns "a", "b" and "c" of table "s"."r"',
        'type "k" does not exist; columns "a", "b" and "c" of table "s"."r"',
    ),
    **{
        text: (text, text)
        for text in (
            'database "shop" does not exist',
            'server "other" does not exist',
            'publication "boxes" already exists',
            'tablespace "fast" is not empty',
            'savepoint "s1" does not exist',
            'operator class "gin_trgm_ops" does not exist for access method "gin"',
            'text search configuration "simple2" does not exist',
            'no partition of relation "log" found for row',
            'statistics object "st" already exists',
            '"lots" is a view',
            '"lots" is not a partitioned table',
            'check constraint "ck" of relation "r" is violated by some row',
        )
    },
    "near a name": ('near "ADD": syntax error', 'near "ADD": syntax error'),
    "near a value": ("syntax error at or near \"'Anna'\"", 'syntax error at or near "…"'),
    "not closed": ("unrecognized token: \"'Anna", 'unrecognized token: "…"'),
    "unique of SQLite": (
        "IntegrityError: UNIQUE constraint failed: r.a, r.b",
        "IntegrityError: UNIQUE constraint failed: r.a, r.b",
    ),
    "check of SQLite": (
        "IntegrityError: CHECK constraint failed: kind IN ('a', 'b')",
        "IntegrityError: CHECK constraint failed: kind IN ('a', 'b')",
    ),
    "SQLAlchemy": (
        "(sqlite3.IntegrityError) x\n[SQL: INSERT INTO r VALUES (?)]\n[parameters: (5,)]\n(Background on this error)",
        "(sqlite3.IntegrityError) x\n[SQL: …]",
    ),
    "Python": (
        'ValueError: invalid literal for int() with base 10: "it\'s Anna"',
        'ValueError: invalid literal for int() with base 10: "…"',
    ),
    "lines in quotes": ("ValueError: 'An\\\nna' is bad", "ValueError: '…' is bad"),
    "Python's quotes": (r"ValueError: bad: 'it\'s Anna'", "ValueError: bad: '…'"),
    "key of Python": ("KeyError: (5, 'Anna')", "KeyError: …"),
    "member": ("ValueError: 5 is not a valid Kind", "ValueError: … is not a valid Kind"),
    "attribute": (
        "AttributeError: 'list' object has no attribute 'x'",
        "AttributeError: 'list' object has no attribute 'x'",
    ),
    "unknown name": ("NameError: name 'opp' is not defined", "NameError: name 'opp' is not defined"),
    "apostrophe": ("it can't, the table's gone", "it can't, the table's gone"),
    "other quotes": ("ungültige Syntax für Typ integer: »Anna«", "ungültige Syntax für Typ integer: »…«"),
    "German key": ("Schlüssel »(a)=(Anna)« existiert bereits.", "Schlüssel »…« existiert bereits."),
    "secret": ("cannot reach postgresql://a:x1@h/d, password=x1", "cannot reach postgresql://a:***@h/d, password=***"),
    "named quotes with a value": ("user 'Anna' and value \"5\"", "user '…' and value \"…\""),
}


@pytest.mark.parametrize("case", STATEMENTS_WITH_VALUES.values(), ids=STATEMENTS_WITH_VALUES.keys())
def test_row_values_are_masked_in_sql(case: tuple[tuple[Dialect, ...], str, str]) -> None:
    syntaxes, sql, shown = case

    assert [without_values(sql, dialect) for dialect in syntaxes] == [shown] * len(syntaxes)


@pytest.mark.parametrize("case", STRUCTURE_STATEMENTS.values(), ids=STRUCTURE_STATEMENTS.keys())
def test_structure_is_not_masked_in_sql(case: tuple[tuple[Dialect, ...], str]) -> None:
    syntaxes, sql = case

    assert [without_values(sql, dialect) for dialect in syntaxes] == [sql] * len(syntaxes)


@pytest.mark.parametrize(("sql", "shown"), STATEMENTS_WITH_SECRETS.values(), ids=STATEMENTS_WITH_SECRETS.keys())
def test_secrets_are_masked_in_sql(sql: str, shown: str) -> None:
    assert without_values(sql, POSTGRESQL) == shown


@pytest.mark.parametrize(("sql", "shown"), STATEMENTS_WITH_SECRETS.values(), ids=STATEMENTS_WITH_SECRETS.keys())
def test_secrets_are_masked_where_values_are_shown(sql: str, shown: str) -> None:
    assert "x1" not in without_sql_secrets(sql.replace("/* x1 */", "/* a */"), POSTGRESQL)
    already_masked = shown.replace("PASSWORD '…'", "PASSWORD '***'")
    assert without_sql_secrets(already_masked, POSTGRESQL) == already_masked


def test_values_and_comments_stay_where_only_secrets_are_masked() -> None:
    for syntaxes, sql, _ in STATEMENTS_WITH_VALUES.values():
        assert [without_sql_secrets(sql, dialect) for dialect in syntaxes] == [sql] * len(syntaxes)


@pytest.mark.parametrize(("text", "shown"), ERROR_MESSAGES.values(), ids=ERROR_MESSAGES.keys())
def test_row_values_are_masked_in_error_messages(text: str, shown: str) -> None:
    assert without_row_values(text) == shown


@pytest.mark.parametrize("text", [*(shown for _, shown in ERROR_MESSAGES.values())])
def test_masking_a_masked_message_changes_nothing(text: str) -> None:
    assert without_row_values(text) == text


LITERAL_FORMS = {
    SQLITE: (lambda value: "'" + value.replace("'", "''") + "'", lambda value: f"X'{value.encode().hex()}'"),
    POSTGRESQL: (
        lambda value: "'" + value.replace("'", "''") + "'",
        lambda value: "E'" + value.replace("\\", r"\\").replace("'", r"\'") + "'",
        lambda value: f"$quoted${value}$quoted$",
    ),
}
STATEMENT_TEMPLATES = (
    "INSERT INTO room (a, b) VALUES ({0}, 1), ({0}, {0})",
    "UPDATE room SET a = CASE b WHEN {0} THEN {0} ELSE b END WHERE c IN ({0})",
    "WITH q AS (SELECT {0} AS x) DELETE FROM room USING q WHERE a={0} /* {1} */",
    "CREATE TABLE copy AS SELECT {0} AS a FROM room; SELECT {0}",
    "-- {1}\nSELECT a FROM room WHERE b LIKE {0}||{0}",
)


@given(
    st.sampled_from(BOTH),
    st.sampled_from(STATEMENT_TEMPLATES),
    st.text(st.sampled_from("a'\"$\\-/*;,()%:=é \t`[]"), max_size=8),
    st.integers(0, 2),
)
def test_a_value_is_masked_in_every_literal_form(dialect: Dialect, template: str, around: str, spelling: int) -> None:
    value = f"{around}Zq7{around}"
    spelled = LITERAL_FORMS[dialect][spelling % len(LITERAL_FORMS[dialect])](value)
    comment = around.replace("*", "").replace("/", "") + "Zq7"

    shown = without_values(template.format(spelled, comment), dialect)

    assert "Zq7" not in shown
    assert value.encode().hex() not in shown
    assert without_values(shown, dialect) == shown


@given(st.sampled_from(BOTH), st.text(st.sampled_from("a'\"$\\-/*;,()%:=é \t\n`[]15eE_bxUuselectdo"), max_size=40))
def test_masking_never_fails(dialect: Dialect, text: str) -> None:
    assert isinstance(without_values(text, dialect), str)
    assert without_row_values(without_row_values(text)) == without_row_values(text)
