"""Queries that read PostgreSQL's catalogs completely: their number does not depend on the number of tables.

Rows arrive unordered and with OIDs; the reader sorts by name and drops the OIDs.  No statement contains a percent
sign: some drivers take it for a parameter.
"""
# ruff: noqa: S608  # only constants of this module are put into the statements

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOT_FROM_EXTENSION = (
    "NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = '{}'::regclass AND e.objid = {}.oid AND e.deptype = 'e')"
)
_USER_NAMESPACE = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

# PostgreSQL's deparsed texts qualify every name outside of this path; temporary tables must not come first.
SEARCH_PATH = "public, pg_temp"

RELATIONS = f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
    c.reloptions, t.reloptions, m.amname::text,
    c.relrowsecurity, c.relforcerowsecurity, c.relreplident::text, c.relispopulated,
    CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
    ARRAY(SELECT h.inhparent::regclass::text FROM pg_inherits AS h WHERE h.inhrelid = c.oid ORDER BY h.inhseqno),
    CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
    (SELECT concat_ws(' ', quote_ident(s.srvname), f.ftoptions::text)
     FROM pg_foreign_table AS f JOIN pg_foreign_server AS s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, c.relfilenode::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_am AS m ON m.oid = c.relam
    LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {_USER_NAMESPACE} AND {_NOT_FROM_EXTENSION.format("pg_class", "c")}"""

COLUMNS = f"""
SELECT a.attrelid::bigint, a.attnum, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text,
    CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
    CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END,
    a.attcompression::text, a.attstattarget::int, array_to_string(a.attoptions, ', '),
    array_to_string(a.attfdwoptions, ', '),
    a.attislocal
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND {_USER_NAMESPACE}"""

# Inherited constraints of a partition or child are left out (conparentid, conislocal): the parent shows them.
CONSTRAINTS = f"""
SELECT k.oid::bigint, k.conrelid::bigint, k.contypid::bigint, k.conname::text, k.contype::text,
    CASE WHEN k.contype <> 'n' THEN pg_get_constraintdef(k.oid) ELSE '' END,
    k.conkey::int[], k.confrelid::bigint, f.nspname::text, r.relname::text, k.confkey::int[], k.confupdtype::text,
    k.confdeltype::text, k.confmatchtype::text,
    k.convalidated, k.connoinherit, array_to_string(i.reloptions, ', '), x.indisclustered, x.indisreplident
FROM pg_constraint AS k JOIN pg_namespace AS n ON n.oid = k.connamespace
    LEFT JOIN pg_class AS r ON r.oid = k.confrelid LEFT JOIN pg_namespace AS f ON f.oid = r.relnamespace
    LEFT JOIN pg_class AS i ON i.oid = k.conindid AND k.contype IN ('p', 'u', 'x')
    LEFT JOIN pg_index AS x ON x.indexrelid = i.oid
WHERE (k.contype IN ('c', 'f', 'p', 'u', 'x') OR k.contype = 'n' AND (k.connoinherit OR NOT k.convalidated))
    AND k.conparentid = 0 AND (k.conislocal OR k.contypid <> 0)
    AND {_USER_NAMESPACE}"""

INDEXES = f"""
SELECT i.indexrelid::bigint, i.indrelid::bigint, c.relname::text, pg_get_indexdef(i.indexrelid), i.indisunique,
    i.indisvalid, i.indisclustered, i.indisreplident, i.indpred IS NOT NULL
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE {_USER_NAMESPACE} AND NOT c.relispartition AND NOT EXISTS (
    SELECT FROM pg_constraint AS k
    WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))"""

TYPES = f"""
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typrelid,
    ARRAY(SELECT v.enumlabel::text FROM pg_enum AS v WHERE v.enumtypid = t.oid ORDER BY v.enumsortorder),
    format_type(t.typbasetype, t.typtypmod), t.typnotnull, pg_get_expr(t.typdefaultbin, 0),
    CASE WHEN t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END,
    (SELECT concat_ws(', ', 'subtype = ' || format_type(r.rngsubtype, NULL),
        'opclass = ' || (SELECT q.opcname FROM pg_opclass AS q WHERE q.oid = r.rngsubopc),
        'collation = ' || nullif(r.rngcollation::regcollation::text, '-'),
        'canonical = ' || nullif(r.rngcanonical::text, '-'), 'subtype_diff = ' || nullif(r.rngsubdiff::text, '-'),
        'multirange_type_name = ' || format_type(r.rngmultitypid, NULL))
     FROM pg_range AS r WHERE r.rngtypid = t.oid)
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
WHERE {_USER_NAMESPACE} AND (t.typtype IN ('e', 'd', 'r')
        OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
    AND {_NOT_FROM_EXTENSION.format("pg_type", "t")}"""

# deptype a: owned by a column (OWNED BY, serial); i: behind an identity column.
SEQUENCES = f"""
SELECT c.oid::bigint, n.nspname::text, c.relname::text, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
    s.seqmin, s.seqmax, s.seqcache, s.seqcycle, c.relpersistence::text, d.deptype::text, d.refobjid::bigint,
    d.refobjsubid
FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid <> 0 AND d.deptype IN ('a', 'i')
WHERE {_USER_NAMESPACE} AND {_NOT_FROM_EXTENSION.format("pg_class", "c")}"""

FUNCTIONS = f"""
SELECT p.oid, n.nspname::text, p.proname::text, p.prokind::text,
    pg_get_function_identity_arguments(p.oid), l.lanname::text,
    p.prosrc, CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE
        concat_ws(', ', 'sfunc = ' || a.aggtransfn::text, 'stype = ' || format_type(a.aggtranstype, NULL),
            'sspace = ' || nullif(a.aggtransspace, 0), 'finalfunc = ' || nullif(a.aggfinalfn::text, '-'),
            'finalfunc_extra = ' || a.aggfinalextra::text, 'finalfunc_modify = ' || a.aggfinalmodify::text,
            'combinefunc = ' || nullif(a.aggcombinefn::text, '-'), 'serialfunc = ' || nullif(a.aggserialfn::text, '-'),
            'deserialfunc = ' || nullif(a.aggdeserialfn::text, '-'), 'initcond = ' || quote_literal(a.agginitval),
            'msfunc = ' || nullif(a.aggmtransfn::text, '-'), 'minvfunc = ' || nullif(a.aggminvtransfn::text, '-'),
            'mstype = ' || nullif(format_type(a.aggmtranstype, NULL), '-'),
            'msspace = ' || nullif(a.aggmtransspace, 0), 'mfinalfunc = ' || nullif(a.aggmfinalfn::text, '-'),
            'mfinalfunc_extra = ' || a.aggmfinalextra::text, 'mfinalfunc_modify = ' || a.aggmfinalmodify::text,
            'minitcond = ' || quote_literal(a.aggminitval), 'sortop = ' || nullif(a.aggsortop::regoperator::text, '0'),
            'kind = ' || a.aggkind::text, 'parallel = ' || p.proparallel::text,
            'returns = ' || pg_get_function_result(p.oid)) END
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_language AS l ON l.oid = p.prolang
    LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
WHERE {_USER_NAMESPACE} AND {_NOT_FROM_EXTENSION.format("pg_proc", "p")}
    AND NOT EXISTS (
        SELECT FROM pg_depend AS i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')"""

_TRIGGERS = """
SELECT 'trigger', t.oid::bigint, t.tgrelid::bigint, t.tgname::text, t.tgenabled::text, pg_get_triggerdef(t.oid),
    NULL::boolean, NULL::text[], NULL::text, NULL::text
FROM pg_trigger AS t WHERE NOT t.tgisinternal AND t.tgparentid = 0"""
_RULES = f"""
SELECT 'rule', r.oid::bigint, r.ev_class::bigint, r.rulename::text, r.ev_enabled::text, pg_get_ruledef(r.oid),
    NULL::boolean, NULL::text[], NULL::text, NULL::text
FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN' AND {_USER_NAMESPACE}"""
_POLICIES = """
SELECT 'policy', p.oid::bigint, p.polrelid::bigint, p.polname::text, p.polcmd::text, NULL::text, p.polpermissive,
    ARRAY(SELECT o.rolname::text FROM pg_roles AS o WHERE o.oid = ANY (p.polroles) ORDER BY 1),
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
FROM pg_policy AS p WHERE true"""
ATTACHED_BY_RELATION_COLUMN = {"t.tgrelid": _TRIGGERS, "r.ev_class": _RULES, "p.polrelid": _POLICIES}
ATTACHED = " UNION ALL ".join(ATTACHED_BY_RELATION_COLUMN.values())

COMMENTS = """
SELECT classoid::regclass::text, objoid, objsubid, description FROM pg_description
WHERE objoid >= 16384 OR classoid = 'pg_namespace'::regclass AND objoid = 2200"""

# Where privileges are stored: the granted ones, next to the defaults of the kind of object.
PRIVILEGES_BY_CATALOG = {
    "pg_class": """
    SELECT 'pg_class' AS class, c.oid, 0 AS part, c.relowner AS owner, c.relacl AS acl,
        (CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char" AS kind
    FROM pg_class AS c WHERE c.relacl IS NOT NULL AND c.oid >= 16384""",
    "pg_attribute": """
    SELECT 'pg_class' AS class, c.oid, a.attnum AS part, c.relowner AS owner, a.attacl AS acl, 'c'::"char" AS kind
    FROM (SELECT attrelid, attnum, attacl FROM pg_attribute WHERE attacl IS NOT NULL OFFSET 0) AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE c.oid >= 16384""",
    "pg_proc": """
    SELECT 'pg_proc' AS class, p.oid, 0 AS part, p.proowner AS owner, p.proacl AS acl, 'f'::"char" AS kind
    FROM pg_proc AS p WHERE p.proacl IS NOT NULL AND p.oid >= 16384""",
    "pg_type": """
    SELECT 'pg_type' AS class, t.oid, 0 AS part, t.typowner AS owner, t.typacl AS acl, 'T'::"char" AS kind
    FROM pg_type AS t WHERE t.typacl IS NOT NULL AND t.oid >= 16384""",
    "pg_namespace": """
    SELECT 'pg_namespace' AS class, n.oid, 0 AS part, n.nspowner AS owner, n.nspacl AS acl, 'n'::"char" AS kind
    FROM pg_namespace AS n WHERE n.nspacl IS NOT NULL AND (n.oid >= 16384 OR n.oid = 2200)""",
}


def grants_query(catalogs: Iterable[str]) -> str:
    """Return the query for the grants in some catalogs."""
    return combined_grants_query(PRIVILEGES_BY_CATALOG[catalog] for catalog in catalogs)


def combined_grants_query(queries: Iterable[str]) -> str:
    """Return the query for the grants in the rows of these queries, which are like PRIVILEGES_BY_CATALOG."""
    # Default privileges of the kind of object are left out: so MAINTAIN, new in 17, makes no difference.
    return f"""
WITH held AS ({" UNION ALL ".join(queries)})
SELECT h.class, h.oid::bigint, h.part,
    CASE WHEN g.grantee = 0 THEN 'public' WHEN g.grantee = h.owner THEN 'its owner'
        ELSE pg_get_userbyid(g.grantee)::text END,
    g.is_grantable, g.granted, array_agg(g.privilege_type::text ORDER BY g.privilege_type),
    (SELECT count(*) FROM aclexplode(acldefault(h.kind, h.owner)) AS b WHERE b.grantee = h.owner)
FROM held AS h, LATERAL (
    (SELECT grantee, privilege_type, is_grantable, true AS granted FROM aclexplode(h.acl)
     EXCEPT SELECT grantee, privilege_type, is_grantable, true FROM aclexplode(acldefault(h.kind, h.owner)))
    UNION ALL
    (SELECT grantee, privilege_type, is_grantable, false FROM aclexplode(acldefault(h.kind, h.owner))
     EXCEPT SELECT grantee, privilege_type, is_grantable, false FROM aclexplode(h.acl))) AS g
GROUP BY h.class, h.oid, h.part, h.kind, h.owner, g.grantee, g.is_grantable, g.granted"""


NAMESPACES_AND_EXTENSIONS = f"""
SELECT 'namespace', n.oid, n.nspname::text, NULL, NULL FROM pg_namespace AS n
WHERE {_USER_NAMESPACE} AND {_NOT_FROM_EXTENSION.format("pg_namespace", "n")}
UNION ALL
SELECT 'extension', e.oid, e.extname::text, n.nspname::text, e.extversion
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace"""
EXTENSION_DEFAULTS = "SELECT name::text, default_version FROM pg_available_extensions()"

_OTHER_CATALOGS = [
    "pg_am",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_default_acl",
    "pg_event_trigger",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_language",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_publication",
    "pg_statistic_ext",
    "pg_transform",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
]
_OTHER_OBJECTS = " UNION ALL ".join(
    f"SELECT '{catalog}'::regclass AS class, oid FROM {catalog} WHERE oid >= 16384" for catalog in _OTHER_CATALOGS
)
OTHERS = f"""
SELECT i.type, i.identity, o.class::text, o.oid,
    CASE WHEN o.class = 'pg_statistic_ext'::regclass THEN pg_get_statisticsobjdef(o.oid) END
FROM ({_OTHER_OBJECTS}
    UNION ALL SELECT 'pg_subscription'::regclass, s.oid
    FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid
    WHERE d.datname = current_database()
    UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type AS t
    WHERE t.typtype = 'b' AND t.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_type AS b WHERE b.typarray = t.oid)) AS o,
    LATERAL pg_identify_object(o.class, o.oid, 0) AS i
WHERE NOT EXISTS (
    SELECT FROM pg_depend AS e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype IN ('e', 'i'))"""

# Kinds that most databases have no objects of: to plan their queries costs more than to check for existence.
_OPTIONAL_KINDS = {
    "types": "SELECT FROM pg_type WHERE oid >= 16384 AND typtype NOT IN ('b', 'c')"
    " UNION ALL SELECT FROM pg_class WHERE relkind = 'c' AND oid >= 16384",
    "sequences": "SELECT FROM pg_sequence",
    "functions": "SELECT FROM pg_proc WHERE oid >= 16384",
    "attached": "SELECT FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT FROM pg_policy"
    " UNION ALL SELECT FROM pg_rewrite WHERE rulename <> '_RETURN' AND oid >= 16384",
    "others": f"{_OTHER_OBJECTS} UNION ALL SELECT 'pg_subscription'::regclass, oid FROM pg_subscription"
    " UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type"
    " WHERE typtype = 'b' AND typcategory <> 'A' AND oid >= 16384",
}
OPTIONAL_KINDS = (*_OPTIONAL_KINDS, *PRIVILEGES_BY_CATALOG)
_EXISTENCE_CHECKS = ", ".join(
    f"EXISTS ({query})" for query in (*_OPTIONAL_KINDS.values(), *PRIVILEGES_BY_CATALOG.values())
)
EXISTING_KINDS = f"SELECT current_setting('search_path'), {_EXISTENCE_CHECKS}"
