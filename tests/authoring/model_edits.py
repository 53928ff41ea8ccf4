"""Edits of DORMATORY's models, as a developer makes them: a strategy for each kind of change."""

# ruff: noqa: E501  # an edit is one line, as in a diff
from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from dormatory.models import base, column_types, dormatory_model

if TYPE_CHECKING:
    from sqlalchemy import MetaData

_LOCAL_IMPORT = re.compile(r"^from (__future__|dormatory\.models)\S* import (\([^)]*\)|.*)\n", re.MULTILINE)
_MODULES = (base, column_types, dormatory_model)
CLASSES = ("Type", "Object", "Link", "Permission", "Version", "Attribute")
_FIRST_COLUMN = "    id: Mapped[_Id]\n"
_CHECKS = {
    "Type": ("type_name", "type_name_not_empty"),
    "Object": ("name", "name_not_empty"),
    "Link": ("r_name", "r_name_not_empty"),
    "Attribute": ("name", "name_not_empty"),
}


def models_source() -> str:
    """Return the modules of the models as one, with what the edits use besides."""
    texts = [_LOCAL_IMPORT.sub("", Path(str(it.__file__)).read_text()) for it in _MODULES]
    return "\n".join(
        ["from __future__ import annotations", "from sqlalchemy.dialects import postgresql", *texts, "\n\n# end"]
    )


def load_models(file: Path) -> MetaData:
    """Execute a file of models and return their tables; annotations are looked up in a loaded module."""
    module = sys.modules["edited_models"] = ModuleType("edited_models")
    exec(compile(file.read_text(), file.name, "exec"), vars(module))  # noqa: S102
    metadata: MetaData = module.Base.metadata
    return metadata


@dataclass(frozen=True)
class ModelEdit:
    """A text in a class, or in the whole file, and what stands there afterwards; `value` answers what rows get."""

    kind: str
    owner: str
    old: str
    new: str
    value: str = ""

    def apply(self, source: str) -> str:
        """Return the edited source: as it was where another edit has taken the place."""
        start = source.index(f"\nclass {self.owner}(") if self.owner else 0
        end = source.find("\n\n\n", start + 1) if self.owner else len(source)
        return source[:start] + source[start:end].replace(self.old, self.new, 1) + source[end:]


def _column(kind: str, owner: str, annotation: str, arguments: str, name: str, *, value: str = "") -> ModelEdit:
    line = f"    {name}: Mapped[{annotation}] = mapped_column({arguments})\n"
    return ModelEdit(kind, owner, _FIRST_COLUMN, _FIRST_COLUMN + line, value)


def _argument(kind: str, owner: str, text: str) -> ModelEdit:
    return ModelEdit(kind, owner, "__table_args__ = (", f"__table_args__ = ({text}, ")


_TYPES = {
    "sa.Text": "'x'", "sa.String(40)": "'x'", "sa.Integer": "7", "sa.BigInteger": "7", "sa.SmallInteger": "7",
    "sa.Numeric(8, 2)": "7", "sa.Float": "7", "sa.Boolean": "true", "sa.Date": "'2020-02-02'",
    "sa.DateTime": "'2020-02-02 00:00:00'", "sa.Time": "'10:00:00'",
}  # fmt: skip
_MODEL_VALUES = {
    "sa.Text": '"x"', "sa.String(40)": '"it\'s"', "sa.Integer": "7", "sa.BigInteger": "7", "sa.Numeric(8, 2)": "7",
    "sa.Boolean": "False",
}  # fmt: skip
_OTHER_TYPES = ("sa.LargeBinary", "sa.Uuid", "Json", "sa.Interval", "Timestamp()", "sa.Double")
owners = st.sampled_from(CLASSES)
names = st.sampled_from(["extra", "more", "Mixed", "order"])


@st.composite
def new_columns(draw: st.DrawFn) -> ModelEdit:
    type_ = draw(st.sampled_from([*_TYPES, *_OTHER_TYPES]))
    return _column("column", draw(owners), "Any | None", type_, draw(names))


@st.composite
def columns_with_default(draw: st.DrawFn) -> ModelEdit:
    type_ = draw(st.sampled_from([*_TYPES]))
    default = f"{type_}, server_default=sa.text({_TYPES[type_]!r})"
    return _column(
        "column with default", draw(owners), draw(st.sampled_from(["Any", "Any | None"])), default, draw(names)
    )


@st.composite
def required_columns(draw: st.DrawFn) -> ModelEdit:
    type_ = draw(st.sampled_from([*_TYPES]))
    return _column("required column", draw(owners), "Any", type_, draw(names), value=_TYPES[type_])


@st.composite
def required_columns_with_value(draw: st.DrawFn) -> ModelEdit:
    type_ = draw(st.sampled_from([*_MODEL_VALUES]))
    arguments = f"{type_}, default={_MODEL_VALUES[type_]}"
    return _column("required column with a value of the models", draw(owners), "Any", arguments, draw(names))


@st.composite
def enumeration_columns(draw: st.DrawFn) -> ModelEdit:
    options = draw(st.sampled_from(["", ", create_constraint=True", ", native_enum=False, create_constraint=True"]))
    default = draw(st.sampled_from(["", ', server_default="big"']))
    type_ = f'sa.Enum("small", "big", name="size"{options}){default}'
    return _column("enumeration column", draw(owners), "Any | None", type_, "size")


@st.composite
def array_columns(draw: st.DrawFn) -> ModelEdit:
    item = draw(st.sampled_from(["sa.Integer", "sa.Text"]))
    type_ = f'sa.JSON().with_variant(postgresql.ARRAY({item}), "postgresql")'
    return _column("array column", draw(owners), "Any | None", type_, draw(names))


@st.composite
def boolean_checks(draw: st.DrawFn) -> ModelEdit:
    type_ = 'sa.Boolean(create_constraint=True, name="active_flag"), server_default=sa.false()'
    return _column(
        "boolean column with CHECK", draw(owners), draw(st.sampled_from(["bool", "bool | None"])), type_, "active"
    )


@st.composite
def computed_columns(draw: st.DrawFn) -> ModelEdit:
    owner, source = draw(st.sampled_from([(owner, column) for owner, (column, _) in _CHECKS.items()]))
    expression = draw(st.sampled_from([f"length({source})", f"length({source}) + 1"]))
    persisted = draw(st.sampled_from(["True", "None", "False"]))
    arguments = f"sa.Integer, sa.Computed({expression!r}, persisted={persisted})"
    return _column("computed column", owner, "int | None", arguments, draw(names))


@st.composite
def new_checks(draw: st.DrawFn) -> ModelEdit:
    owner, column = draw(st.sampled_from([(owner, column) for owner, (column, _) in _CHECKS.items()]))
    condition = draw(
        st.sampled_from(
            [
                f"length({column}) < 90",
                f"{column} <> 'none'",
                f"{column} NOT IN ('a b', 'c')",
                f"{column} NOT LIKE '%:x'",
            ]
        )
    )
    return _argument("CHECK", owner, f'sa.CheckConstraint("{condition}", name="extra_rule")')


@st.composite
def other_checks(draw: st.DrawFn) -> ModelEdit:
    owner, (column, name) = draw(st.sampled_from([*_CHECKS.items()]))
    old = f'sa.CheckConstraint("{column} <> \'\'", name="{name}"),'
    new = draw(
        st.sampled_from(
            [
                ("CHECK changed", old.replace(f"{column} <> ''", f"length({column}) > 0")),
                ("CHECK removed", ""),
            ]
        )
    )
    return ModelEdit(new[0], owner, old, new[1])


_INDEXED = {
    "Type": "type_name", "Object": "created_by", "Link": "parent_type", "Permission": "user", "Version": "created_at",
    "Attribute": "updated_on",
}  # fmt: skip


@st.composite
def new_indexes(draw: st.DrawFn) -> ModelEdit:
    owner = draw(owners)
    column = _INDEXED[owner]
    condition = f'sa.text("{column} IS NOT NULL")'.replace("user", '\\"user\\"')
    text = draw(
        st.sampled_from(
            [
                f'sa.Index(None, "{column}")',
                f'sa.Index(None, "{column}", "id")',
                f'sa.Index("ix_extra", sa.desc("{column}"))',
                f'sa.Index("ix_extra", sa.column("{column}").desc().nulls_last())',
                f'sa.Index("ix_extra", "{column}", sqlite_where={condition}, postgresql_where={condition})',
                f'sa.Index("ix_extra", "{column}", postgresql_include=["id"])',
                f'sa.Index("ix_extra", "{column}", postgresql_with={{"fillfactor": 70}})',
                f'sa.Index("ix_extra", "{column}", postgresql_using="hash")',
                f'sa.Index("ix_extra", sa.func.coalesce(sa.column("{column}"), sa.column("{column}")))',
                f'sa.Index("ix_extra", "{column}", "id", unique=True)',
            ]
        )
    )
    return _argument("index", owner, text)


def _edits(kind: str, owner: str, old: str, *new: str, value: str = "") -> st.SearchStrategy[ModelEdit]:
    return st.sampled_from([ModelEdit(kind, owner, old, it, value) for it in new])


other_indexes = st.one_of(
    _edits("expression index changed", "Object", "sa.func.lower(name)", "sa.func.upper(name)", "sa.func.lower(name).desc()"),
    _edits("index renamed", "Object", '"ix_object_lower_name"', '"ix_object_any_case"'),
    _edits("index removed", "Object", 'sa.Index("ix_object_lower_name", sa.func.lower(name)),', ""),
    _edits("index changed", "Link", 'sa.Index(None, "child")', 'sa.Index(None, "child", "parent")', 'sa.Index("ix_link_child", "child", "parent")', 'sa.Index("ix_link_child", "child", postgresql_include=["r_name"])'),
    _edits("index without WHERE", "Permission", "postgresql_where=permission_level == PermissionLevel.ADMIN,\n            sqlite_where=permission_level == PermissionLevel.ADMIN,", "", "unique=False,"),
    _edits("operator class changed", "Attribute", 'postgresql_ops={"value": "jsonb_path_ops"},', ""),
)  # fmt: skip
unique_constraints = st.one_of(
    _edits("unique constraint", "Object", "__table_args__ = (", '__table_args__ = (sa.UniqueConstraint("name", "type"),'),
    _edits("unique constraint changed", "Version", 'sa.UniqueConstraint("object", "version")', 'sa.UniqueConstraint("object", "version", "created_at")', 'sa.UniqueConstraint("version", "object")', 'sa.UniqueConstraint("object", "version", deferrable=True, initially="DEFERRED")', 'sa.UniqueConstraint("object", "version", postgresql_nulls_not_distinct=True)'),
    _edits("unique constraint renamed", "Type", 'sa.UniqueConstraint("type_name")', 'sa.UniqueConstraint("type_name", name="uq_the_name")'),
    _edits("unique constraint removed", "Attribute", 'sa.UniqueConstraint("object", "name"),', ""),
)  # fmt: skip
foreign_keys = st.one_of(
    _edits("foreign key changed", "Object", 'sa.ForeignKey("type.id")', *(f'sa.ForeignKey("type.id", {it})' for it in ('ondelete="CASCADE"', 'deferrable=True, initially="DEFERRED"', 'ondelete="RESTRICT"'))),
    _edits("foreign key changed", "Link", 'sa.ForeignKey("object.id", ondelete="CASCADE")', 'sa.ForeignKey("object.id")'),
    _edits("foreign key to itself", "Type", _FIRST_COLUMN, f'{_FIRST_COLUMN}    parent: Mapped[UUID | None] = mapped_column(sa.ForeignKey("type.id"))\n'),
    _edits("mutual foreign keys", "Type", _FIRST_COLUMN, f'{_FIRST_COLUMN}    first: Mapped[UUID | None] = mapped_column(sa.ForeignKey("object.id", use_alter=True))\n'),
)  # fmt: skip
types = st.one_of(
    _edits("type changed", "Object", "mapped_column(sa.String(100))", *(f"mapped_column({it})" for it in ("sa.String(300)", "sa.Text", "sa.String(50)"))),
    _edits("type changed", "Version", "version: Mapped[int]", "version: Mapped[int] = mapped_column(sa.BigInteger)", "version: Mapped[int] = mapped_column(sa.Numeric(12, 2))", "version: Mapped[str] = mapped_column(sa.Text)"),
    _edits("type changed", "Object", "version: Mapped[int] = mapped_column(", "version: Mapped[int] = mapped_column(sa.BigInteger, ", "version: Mapped[int] = mapped_column(sa.SmallInteger, "),
    _edits("type changed", "Attribute", "updated_on: Mapped[datetime | None] = mapped_column(Timestamp())", "updated_on: Mapped[datetime | None] = mapped_column(sa.DateTime)"),
)  # fmt: skip
nullability = st.one_of(
    _edits("required", "Object", "created_by: Mapped[str | None]", "created_by: Mapped[str]", value="'x'"),
    _edits("required", "Attribute", "updated_on: Mapped[datetime | None]", "updated_on: Mapped[datetime]", value="'2020-02-02 00:00:00.000000'"),
    _edits("not required", "Version", "version: Mapped[int]", "version: Mapped[int | None]", value="1"),
    _edits("not required", "Object", "name: Mapped[str]", "name: Mapped[str | None]", value="'x'"),
)  # fmt: skip
defaults = st.one_of(
    _edits("default", "Object", 'sa.text("1")', 'sa.text("2")'),
    _edits("default removed", "Object", 'server_default=sa.text("1")', ""),
    _edits("default", "Object", "mapped_column(sa.String(100))", "mapped_column(sa.String(100), server_default=\"it's: %\")"),
    _edits("default", "Permission", "server_default=PermissionLevel.READ.value", "server_default=PermissionLevel.WRITE.value"),
    _edits("default removed", "Permission", ", server_default=PermissionLevel.READ.value", ""),
)  # fmt: skip
comments = st.one_of(
    _edits("comment", "Object", "mapped_column(sa.String(255))", "mapped_column(sa.String(255), comment=\"it's: 100 % \\\\ \")"),
    _edits("comment of a table", "", "# end", 'Link.__table__.comment = "one below another"\n# end'),
    _edits("storage options", "", "# end", 'Version.__table__.dialect_options["postgresql"]["with"] = {"fillfactor": 70}\n# end'),
    _edits("sequence", "", "# end", 'sa.Sequence("numbers", start=5, metadata=Base.metadata)\n# end'),
)  # fmt: skip
dropped = st.one_of(
    _edits("column dropped", "Object", "    created_by: Mapped[str | None] = mapped_column(sa.String(100))\n", ""),
    _edits("column dropped", "Object", '    version: Mapped[int] = mapped_column(server_default=sa.text("1"))\n', ""),
)  # fmt: skip
renamed = st.one_of(
    _edits("column renamed", "Object", "created_by: Mapped", "author: Mapped", "creator: Mapped"),
    _edits("column renamed", "Object", "    version: Mapped", "    revision: Mapped"),
    _edits("column renamed", "Permission", "    permission_level: Mapped[PermissionLevel] = mapped_column(", '    permission_level: Mapped[PermissionLevel] = mapped_column("level", '),
)  # fmt: skip
enumerations = st.one_of(
    _edits("value added", "PermissionLevel", '    ADMIN = "admin"', '    ADMIN = "admin"\n    OWNER = "owner"', '    OWN = "own"\n    ADMIN = "admin"'),
    _edits("value renamed", "PermissionLevel", 'WRITE = "write"', 'WRITE = "writing"'),
    _edits("values reordered", "PermissionLevel", '    READ = "read"\n    WRITE = "write"', '    WRITE = "write"\n    READ = "read"'),
)  # fmt: skip
primary_keys = st.one_of(
    _edits("primary key changed", "Version", "version: Mapped[int]", "version: Mapped[int] = mapped_column(primary_key=True)"),
)  # fmt: skip


@st.composite
def new_tables(draw: st.DrawFn) -> ModelEdit:
    key = draw(
        st.sampled_from(
            [
                "sa.Integer",
                "sa.BigInteger",
                "sa.Integer, sa.Identity()",
                "sa.Integer, sa.Identity(always=True, start=5)",
                "Key()",
            ]
        )
    )
    parts = draw(
        st.lists(
            st.sampled_from(
                [
                    'sa.Column("object", sa.ForeignKey("object.id", ondelete="CASCADE"), index=True)',
                    'sa.Column("upper", sa.ForeignKey("tag.id"))',
                    'sa.Column("reason", sa.Enum("ill", "well", name="reason", create_constraint=True), nullable=False)',
                    'sa.Column("word", sa.String(20), sa.CheckConstraint("word <> \'\'", name="word_given"), unique=True)',
                    'sa.Column("size", sa.Integer, sa.Computed("id + 1"))' if key != "Key()" else 'sa.Column("size", sa.Integer)',
                    'sa.Column("made", Timestamp(), server_default=utc_now(), comment="when")',
                ]
            ),
            unique=True,
        )
    )  # fmt: skip
    text = f'sa.Table("tag", Base.metadata, sa.Column("id", {key}, primary_key=True), {", ".join(parts)})'
    return ModelEdit("table", "", "# end", f"{text}\n# end")


KINDS: tuple[st.SearchStrategy[ModelEdit], ...] = (
    new_columns(), columns_with_default(), required_columns(), required_columns_with_value(), enumeration_columns(),
    array_columns(), boolean_checks(), computed_columns(), new_checks(), other_checks(), new_indexes(), other_indexes,
    unique_constraints, foreign_keys, types, nullability, defaults, comments, dropped, renamed, enumerations,
    primary_keys, new_tables(),
)  # fmt: skip


def model_edits(most: int) -> st.SearchStrategy[list[ModelEdit]]:
    """Return a strategy for up to so many edits at a time, each of another place."""
    return st.lists(st.one_of(*KINDS), min_size=1, max_size=most, unique_by=lambda it: (it.owner, it.old))
