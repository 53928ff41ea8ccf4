"""The mark of a PostgreSQL development database, and the databases that maintenance connects to."""

from __future__ import annotations

MAINTENANCE_DATABASES = ("postgres", "template1")  # databases that every cluster has
# The mark is a comment, or a line of one, which the owner may write. A superuser may also store it as a setting of the
# database: nobody else may store one that PostgreSQL does not know.
DEVELOPMENT_SETTING = "dormatory.environment=development"
DEVELOPMENT_COMMENT = "dormatory: development"
# Whether the database `d` of a query has the mark.
IS_DEVELOPMENT = f"""(
    '{DEVELOPMENT_COMMENT}' = ANY (string_to_array(shobj_description(d.oid, 'pg_database'), E'\\n'))
    OR EXISTS (SELECT FROM pg_db_role_setting s
                WHERE s.setdatabase = d.oid AND s.setrole = 0 AND '{DEVELOPMENT_SETTING}' = ANY (s.setconfig)))"""


def marked_comment(comment: str | None) -> str:
    """Return a comment with the mark as a line of it."""
    lines = comment.split("\n") if comment else []
    return "\n".join(lines if DEVELOPMENT_COMMENT in lines else [*lines, DEVELOPMENT_COMMENT])
