"""The mark of a PostgreSQL development database, and the databases that maintenance connects to."""

from __future__ import annotations

MAINTENANCE_DATABASES = ("postgres", "template1")  # databases that every cluster has
# The mark is a setting of the database if a superuser creates it: nobody else may store a setting that PostgreSQL does
# not know. Otherwise it is a comment, which the owner may write.
DEVELOPMENT_SETTING = "dormatory.environment=development"
DEVELOPMENT_COMMENT = "dormatory: development"
