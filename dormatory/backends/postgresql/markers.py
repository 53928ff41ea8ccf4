"""How a PostgreSQL database says that it is a development database, and where maintenance connects."""

from __future__ import annotations

MAINTENANCE_DATABASES = ("postgres", "template1")  # databases that stand in every cluster
# How a database says what it is for: a setting of its own, where a superuser creates it, for PostgreSQL lets nobody
# else store a setting that it does not know; otherwise a comment, which its owner may write.
DEVELOPMENT_SETTING = "dormatory.environment=development"
DEVELOPMENT_COMMENT = "dormatory: development"
