"""System catalogs of PostgreSQL, by what a change in them means for a snapshot."""

from __future__ import annotations

# A snapshot holds nothing from these catalogs.
IGNORED_CATALOGS = frozenset((
    "pg_auth_members", "pg_db_role_setting", "pg_init_privs", "pg_largeobject", "pg_largeobject_metadata",
    "pg_parameter_acl", "pg_publication_namespace", "pg_publication_rel", "pg_replication_origin", "pg_seclabel",
    "pg_shdepend", "pg_shdescription", "pg_shseclabel", "pg_statistic", "pg_statistic_ext_data",
))  # fmt: skip
# Their rows belong to a relation that stays locked, or CacheInvalidator compares them one by one.
TRACKED_CATALOGS = frozenset((
    "pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_depend", "pg_description", "pg_enum",
    "pg_foreign_table", "pg_index", "pg_inherits", "pg_partitioned_table", "pg_policy", "pg_proc", "pg_rewrite",
    "pg_sequence", "pg_trigger", "pg_type",
))  # fmt: skip
# No text of another object names the objects of these.
INDEPENDENT_CATALOGS = frozenset({"pg_default_acl", "pg_event_trigger", "pg_publication", "pg_statistic_ext"})
# Their rows hold queries, whose text may change with the tables they read.
QUERY_CATALOGS = frozenset({"pg_policy", "pg_proc", "pg_rewrite"})
# Their rows hold texts that may name a relation.
DEPENDENT_CATALOGS = frozenset({"pg_class", "pg_constraint", "pg_rewrite", "pg_attrdef", "pg_policy", "pg_trigger"})
# Their rows are parts of a relation, with comments of their own.
PART_CATALOGS = frozenset({"pg_constraint", "pg_trigger", "pg_rewrite", "pg_policy"})
