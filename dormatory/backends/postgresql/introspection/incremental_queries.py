"""Queries that read again what one transaction changed in the catalogs, and what depends on that."""
# ruff: noqa: S608  # only constants are put into the statements

from __future__ import annotations

from dormatory.backends.postgresql.introspection import queries

# The queries for everything, limited to the relations of a table `wide`; each answer is one value of type json.
_IN_WIDE = "ANY (ARRAY(SELECT oid FROM wide))"
_WIDE_QUERIES = {
    "relations": f"{queries.RELATIONS} AND c.oid = {_IN_WIDE}",
    "columns": f"{queries.COLUMNS} AND a.attrelid = {_IN_WIDE}",
    "constraints": f"{queries.CONSTRAINTS} AND k.conrelid = {_IN_WIDE}",
    "indexes": f"{queries.INDEXES} AND i.indrelid = {_IN_WIDE}",
    "attached": " UNION ALL ".join(
        f"{query} AND {key} = {_IN_WIDE}" for key, query in queries.ATTACHED_BY_RELATION_COLUMN.items()
    ),
    "sequences": f"{queries.SEQUENCES} AND c.oid = {_IN_WIDE}",
    "grants": queries.combined_grants_query(
        (
            f"{queries.PRIVILEGES_BY_CATALOG['pg_class']} AND c.oid = {_IN_WIDE}",
            queries.PRIVILEGES_BY_CATALOG["pg_attribute"].replace(
                "attacl IS NOT NULL", f"attacl IS NOT NULL AND attrelid = {_IN_WIDE}"
            ),
        )
    ),
}
_FIELD_COUNTS = {
    "relations": 19, "columns": 15, "constraints": 19, "indexes": 9, "attached": 10, "sequences": 14, "grants": 8,
}  # fmt: skip
RELATION_QUERIES_AS_JSON = {
    name: f"(SELECT json_agg(q) FROM ({query}) AS q ({', '.join(f'f{place}' for place in range(_FIELD_COUNTS[name]))}))"
    for name, query in _WIDE_QUERIES.items()
}
DOMAIN_CONSTRAINTS = f"{queries.CONSTRAINTS} AND k.contypid <> 0"
FUNCTIONS_BY_OID = f"{queries.FUNCTIONS} AND p.oid = ANY ($1)"

# Rows that the transaction $1 wrote, or a later one: those of its subtransactions have higher numbers.
_IS_NEW = "age({}.xmin) <= age($1)"
_COUNTED_TYPES = (
    "pg_type AS t WHERE t.oid >= 16384 AND (t.typtype NOT IN ('b', 'c') OR t.typtype = 'b' AND t.typcategory <> 'A')"
)
_COUNTED_DOMAIN_CONSTRAINTS = "pg_constraint AS k WHERE k.contypid > 0"
_COUNTED_EXTENSION_MEMBERS = "pg_depend AS d WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'"
_COUNTED = {"t": _COUNTED_TYPES, "k": _COUNTED_DOMAIN_CONSTRAINTS, "d": _COUNTED_EXTENSION_MEMBERS}
COUNTS = f"SELECT {', '.join(f'(SELECT count(*) FROM {kind})' for kind in _COUNTED.values())}"

# The relations $2, those whose own rows are new ($3: in pg_class, $4: in pg_attribute), and what is read together with
# them: tables of indexes, owners of sequences, sequences of tables. $5 to $7 say which kinds are counted.
_IN_SEEDS = "ANY (ARRAY(SELECT oid FROM seeds))"
CHANGED_RELATIONS = f"""
WITH of_class AS MATERIALIZED (SELECT c.oid FROM pg_class AS c WHERE $3 AND {_IS_NEW.format("c")}),
of_attribute AS MATERIALIZED (SELECT a.attrelid FROM pg_attribute AS a WHERE $4 AND {_IS_NEW.format("a")}),
seeds AS MATERIALIZED (
    SELECT unnest($2) AS oid UNION SELECT oid FROM of_class UNION SELECT attrelid FROM of_attribute),
owners AS MATERIALIZED (
    SELECT oid FROM seeds
    UNION SELECT indrelid FROM pg_index WHERE indexrelid = {_IN_SEEDS}
    UNION SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = {_IN_SEEDS} AND objsubid = 0
        AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')),
wide AS MATERIALIZED (
    SELECT oid FROM owners
    UNION SELECT d.objid FROM pg_depend AS d JOIN pg_sequence AS s ON s.seqrelid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (ARRAY(SELECT oid FROM owners))
        AND d.classid = 'pg_class'::regclass)
SELECT current_setting('search_path'), ARRAY(SELECT oid::bigint FROM wide),
    ARRAY[{
    ", ".join(
        f"CASE WHEN ${place} THEN (SELECT count(*) FROM {kind}) END, "
        f"CASE WHEN ${place} THEN (SELECT count(*) FROM {kind} AND {_IS_NEW.format(alias)}) END"
        for place, (alias, kind) in enumerate(_COUNTED.items(), 5)
    )
}],
    {", ".join(f"{query}::text" for query in RELATION_QUERIES_AS_JSON.values())}"""
CHANGED_RELATIONS_PARAMETERS = "xid, oid[], boolean, boolean, boolean, boolean, boolean"
NEW_ATTRIBUTES = f"""
SELECT a.attrelid::bigint, a.attnum, a.atthasdef, a.atthasmissing FROM pg_attribute AS a
WHERE a.attrelid = ANY ($2) AND {_IS_NEW.format("a")}"""
PROCEDURES = f"SELECT p.oid::bigint, {_IS_NEW.format('p')}, p.proname::text FROM pg_proc AS p WHERE p.oid >= 16384"
SAME_NAME_COUNT = "SELECT count(*) FROM pg_proc WHERE proname IN ({}) AND oid <> ALL ({})"

DEPENDENTS = """
SELECT DISTINCT d.classid::regclass::text,
    coalesce(nullif(k.conrelid, 0), r.ev_class, b.adrelid, p.polrelid, t.tgrelid, d.objid)::bigint
FROM pg_depend AS d
    LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_attrdef AS b ON d.classid = 'pg_attrdef'::regclass AND b.oid = d.objid
    LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
    LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
WHERE d.refclassid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_type'::regclass)
    AND d.refobjid = ANY ($1
        || ARRAY(SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1))
        || ARRAY(SELECT oid FROM pg_constraint WHERE conrelid = ANY ($1))
        || ARRAY(SELECT reltype FROM pg_class WHERE oid = ANY ($1))
        || ARRAY(SELECT y.typarray FROM pg_class AS c JOIN pg_type AS y ON y.oid = c.reltype WHERE c.oid = ANY ($1)))"""
