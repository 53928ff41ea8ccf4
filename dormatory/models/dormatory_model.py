"""The six tables: objects of a type, linked into hierarchies, with permissions, versions and attributes.

The column of a foreign key is named after what it refers to, without `_id` (`object.type`); its value is read as
`type_id`, and the row it refers to as `type`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from dormatory.models.base import Base
from dormatory.models.column_types import (
    ONLY_ON,
    Json,
    Key,
    Level,
    PermissionLevel,
    Timestamp,
    check_on,
    new_key,
    timestamp_checks,
    utc_now,
)

_Id = Annotated[UUID, mapped_column(Key(), primary_key=True, default=uuid4, server_default=new_key())]
_Created = Annotated[datetime, mapped_column(Timestamp(), server_default=utc_now())]
_Name = Annotated[str, mapped_column(sa.String(100))]
# Deleted with the object, even if the foreign keys of SQLite are switched off.
_OWNED = "all, delete-orphan"


class Type(Base):
    """The type of an object."""

    __tablename__ = "type"
    __table_args__ = (
        sa.UniqueConstraint("type_name"),
        sa.CheckConstraint("type_name <> ''", name="type_name_not_empty"),
    )

    id: Mapped[_Id]
    type_name: Mapped[_Name]

    objects: Mapped[list[Object]] = relationship(back_populates="type")
    links_as_parent: Mapped[list[Link]] = relationship(back_populates="parent_type", foreign_keys="Link.parent_type_id")
    links_as_child: Mapped[list[Link]] = relationship(back_populates="child_type", foreign_keys="Link.child_type_id")


class Object(Base):
    """A thing with a name, a type and a current version."""

    __tablename__ = "object"

    id: Mapped[_Id]
    name: Mapped[str] = mapped_column(sa.String(255))
    version: Mapped[int] = mapped_column(server_default=sa.text("1"))
    type_id: Mapped[UUID] = mapped_column("type", sa.ForeignKey("type.id"))
    created_on: Mapped[_Created]
    created_by: Mapped[str | None] = mapped_column(sa.String(100))

    __table_args__ = (
        sa.CheckConstraint("name <> ''", name="name_not_empty"),
        *timestamp_checks("created_on"),
        sa.Index("ix_object_lower_name", sa.func.lower(name)),
    )

    type: Mapped[Type] = relationship(back_populates="objects")
    links_to_children: Mapped[list[Link]] = relationship(
        back_populates="parent", foreign_keys="Link.parent_id", cascade=_OWNED
    )
    links_to_parents: Mapped[list[Link]] = relationship(
        back_populates="child", foreign_keys="Link.child_id", cascade=_OWNED
    )
    permissions: Mapped[list[Permission]] = relationship(back_populates="object", cascade=_OWNED)
    versions: Mapped[list[Version]] = relationship(back_populates="object", cascade=_OWNED)
    attributes: Mapped[list[Attribute]] = relationship(back_populates="object", cascade=_OWNED)


def _object_column() -> Any:
    """Return the foreign key of a row that belongs to one object and is deleted with it."""
    return mapped_column("object", sa.ForeignKey("object.id", ondelete="CASCADE"))


class Link(Base):
    """One object below another, and in which role."""

    __tablename__ = "link"
    __table_args__ = (
        sa.UniqueConstraint("parent", "child", "r_name"),
        sa.CheckConstraint("parent <> child", name="not_to_itself"),
        sa.CheckConstraint("r_name <> ''", name="r_name_not_empty"),
        sa.Index(None, "child"),
    )

    id: Mapped[_Id]
    parent_id: Mapped[UUID] = mapped_column("parent", sa.ForeignKey("object.id", ondelete="CASCADE"))
    child_id: Mapped[UUID] = mapped_column("child", sa.ForeignKey("object.id", ondelete="CASCADE"))
    parent_type_id: Mapped[UUID] = mapped_column("parent_type", sa.ForeignKey("type.id"))
    child_type_id: Mapped[UUID] = mapped_column("child_type", sa.ForeignKey("type.id"))
    r_name: Mapped[_Name]

    parent: Mapped[Object] = relationship(back_populates="links_to_children", foreign_keys=parent_id)
    child: Mapped[Object] = relationship(back_populates="links_to_parents", foreign_keys=child_id)
    parent_type: Mapped[Type] = relationship(back_populates="links_as_parent", foreign_keys=parent_type_id)
    child_type: Mapped[Type] = relationship(back_populates="links_as_child", foreign_keys=child_type_id)


class Permission(Base):
    """What one user may do with one object."""

    __tablename__ = "permissions"

    id: Mapped[_Id]
    object_id: Mapped[UUID] = _object_column()
    user: Mapped[_Name]
    permission_level: Mapped[PermissionLevel] = mapped_column(Level, server_default=PermissionLevel.READ.value)

    __table_args__ = (
        sa.UniqueConstraint("object", "user"),
        sa.CheckConstraint("\"user\" <> ''", name="user_not_empty"),
        # A few rows of many: the administrators of an object.
        sa.Index(
            "ix_permissions_admin",
            "object",
            postgresql_where=permission_level == PermissionLevel.ADMIN,
            sqlite_where=permission_level == PermissionLevel.ADMIN,
        ),
    )

    object: Mapped[Object] = relationship(back_populates="permissions")


class Version(Base):
    """A version that an object had, and since when."""

    __tablename__ = "versioning"
    __table_args__ = (sa.UniqueConstraint("object", "version"), *timestamp_checks("created_at"))

    id: Mapped[_Id]
    object_id: Mapped[UUID] = _object_column()
    version: Mapped[int]
    created_at: Mapped[_Created]

    object: Mapped[Object] = relationship(back_populates="versions")


class Attribute(Base):
    """A named value of an object, any JSON."""

    __tablename__ = "attributes"

    id: Mapped[_Id]
    object_id: Mapped[UUID] = _object_column()
    name: Mapped[_Name]
    value: Mapped[Any | None] = mapped_column(Json)
    created_on: Mapped[_Created]
    updated_on: Mapped[datetime | None] = mapped_column(Timestamp())

    __table_args__ = (
        sa.UniqueConstraint("object", "name"),
        sa.CheckConstraint("name <> ''", name="name_not_empty"),
        *timestamp_checks("created_on"),
        *timestamp_checks("updated_on"),
        # jsonb refuses this without a CHECK.
        check_on("sqlite", "value IS NULL OR json_valid(value)", name="value_json"),
        sa.Index(
            "ix_attributes_value",
            "value",
            postgresql_using="gin",
            postgresql_ops={"value": "jsonb_path_ops"},
            info={ONLY_ON: "postgresql"},
        ).ddl_if(dialect="postgresql"),
    )

    object: Mapped[Object] = relationship(back_populates="attributes")
