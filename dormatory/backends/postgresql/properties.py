"""The properties of a PostgreSQL database itself, not of its contents: owner, encoding, settings, rights, mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from dormatory.backends.postgresql.explanations import INVALID_CONNECTION_LIMIT
from dormatory.backends.postgresql.markers import DEVELOPMENT_SETTING, marked_comment

if TYPE_CHECKING:
    from collections.abc import Iterator

# Their values are lists of quoted names, which a literal would turn into one name.
_LIST_SETTINGS = ("search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries")
_DEFAULT_TABLESPACE = "pg_default"  # template0's

# Which columns describe the locale depends on the server's version, so the whole row is taken.
_PROPERTIES_QUERY = """
SELECT to_jsonb(d), pg_encoding_to_char(d.encoding), t.spcname, pg_get_userbyid(d.datdba),
       shobj_description(d.oid, 'pg_database'), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       EXISTS (SELECT FROM pg_database u WHERE u.datname = 'template1' AND to_jsonb(u) @> jsonb_build_object(
           'encoding', d.encoding, 'datcollate', d.datcollate, 'datctype', d.datctype,
           'datlocprovider', to_jsonb(d) -> 'datlocprovider', 'datlocale', to_jsonb(d) -> 'datlocale'))
  FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
 WHERE d.datname = %s
"""
_SETTINGS_QUERY = """
SELECT r.rolname, c.item
  FROM pg_db_role_setting s
  JOIN pg_database d ON d.oid = s.setdatabase
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 CROSS JOIN unnest(s.setconfig) WITH ORDINALITY AS c (item, place)
 WHERE d.datname = %s
 ORDER BY r.rolname NULLS FIRST, c.place
"""
_PRIVILEGES_QUERY = """
SELECT r.rolname, a.privilege_type, a.is_grantable
  FROM pg_database d
 CROSS JOIN aclexplode(d.datacl) a
  LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE d.datname = %s
"""


@dataclass(frozen=True, slots=True)
class DatabaseProperties:
    """A database as the statements that make another one like it.

    `creation_options` follow CREATE DATABASE, its name and its template. Each setting belongs to a role, or to all for
    None; so does each privilege. `privileges` is None if none was ever granted or revoked. `is_like_template` says
    whether template1, with what an administrator has put there, can be the template; template0 always can.
    `is_half_dropped` is a database that can only be dropped.
    """

    creation_options: sql.Composable
    comment: str | None
    settings: tuple[tuple[str | None, str, str], ...]
    privileges: tuple[tuple[str | None, str, bool], ...] | None
    is_like_template: bool
    is_half_dropped: bool


def read_properties(cursor: Any, name: str) -> DatabaseProperties | None:
    """Return the properties of a database, or None if it does not exist; the cursor may be in any database."""
    cursor.execute(_PROPERTIES_QUERY, (name,))
    if (found := cursor.fetchone()) is None:
        return None
    row, encoding, tablespace, owner, comment, is_superuser, is_like_template = found
    cursor.execute(_SETTINGS_QUERY, (name,))
    settings = tuple((role, *item.split("=", 1)) for role, item in cursor.fetchall())
    if not is_superuser:  # this user cannot store the mark as a setting, but as a comment
        mark, value = DEVELOPMENT_SETTING.split("=")
        comment = marked_comment(comment) if (None, mark, value) in settings else comment
        settings = tuple(setting for setting in settings if setting[1] != mark)
    privileges: tuple[Any, ...] | None = None
    if row["datacl"] is not None:
        cursor.execute(_PRIVILEGES_QUERY, (name,))
        privileges = tuple(cursor.fetchall())
    options = _creation_options(row, encoding, tablespace, owner)
    is_half_dropped = row["datconnlimit"] == INVALID_CONNECTION_LIMIT
    return DatabaseProperties(options, comment, settings, privileges, is_like_template, is_half_dropped)


def property_statements(new_name: str, properties: DatabaseProperties) -> Iterator[sql.Composable]:
    """Yield the statements that give a new database, before it is renamed, the settings and rights of the old one."""
    name = sql.Identifier(new_name)
    for role, key, value in properties.settings:
        scope = sql.SQL("DATABASE {}").format(name)
        if role is not None:
            scope = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), name)
        setting = sql.Identifier(*key.split("."))
        if key in _LIST_SETTINGS:
            yield sql.SQL("SELECT set_config({}, {}, true)").format(sql.Literal(key), sql.Literal(value))
            yield sql.SQL("ALTER {} SET {} FROM CURRENT").format(scope, setting)
        else:
            yield sql.SQL("ALTER {} SET {} TO {}").format(scope, setting, sql.Literal(value))
    if properties.privileges is not None:
        yield sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name)
        for role, privilege, may_grant in properties.privileges:
            to = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
            option = sql.SQL(" WITH GRANT OPTION" if may_grant else "")
            yield sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(sql.SQL(privilege), name, to, option)


def _creation_options(row: dict[str, Any], encoding: str, tablespace: str, owner: str) -> sql.Composable:
    texts = {"ENCODING": encoding, "LC_COLLATE": row["datcollate"], "LC_CTYPE": row["datctype"]}
    locale = row.get("datlocale") or row.get("daticulocale")  # its name until PostgreSQL 16
    provider = row.get("datlocprovider")  # since PostgreSQL 15
    provider_names = {"c": "libc", "i": "icu", "b": "builtin"}
    if provider == "i":
        texts |= {"ICU_LOCALE": locale} | ({"ICU_RULES": row["daticurules"]} if row.get("daticurules") else {})
    elif provider == "b":
        texts["BUILTIN_LOCALE"] = locale
    parts: list[sql.Composable] = []
    parts += [sql.SQL("LOCALE_PROVIDER {}").format(sql.SQL(provider_names[provider]))] if provider else []
    parts += [sql.SQL("{} {}").format(sql.SQL(key), sql.Literal(value)) for key, value in texts.items()]
    if tablespace != _DEFAULT_TABLESPACE:  # naming it needs a right that leaving it out does not
        parts.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(tablespace)))
    parts.append(sql.SQL("OWNER {}").format(sql.Identifier(owner)))
    limit = -1 if row["datconnlimit"] == INVALID_CONNECTION_LIMIT else row["datconnlimit"]
    parts.append(sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(limit)))
    return sql.SQL(" ").join(parts)
