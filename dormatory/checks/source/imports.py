"""Rules about what a revision takes from the application, which may have changed when the revision runs again."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source.resolver import argument
from dormatory.system.text import name_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.resolver import NameResolver
    from dormatory.checks.source.revision import RevisionSource
    from dormatory.project.project import Project

_LIBRARY_MODULES = frozenset({"alembic", "sqlalchemy", "__future__", *sys.stdlib_module_names})
_COLUMN_CALLS = frozenset({"Column", "column", "alter_column", "cast", "with_variant"})
_FOR_REVISIONS = "dormatory.operations."  # of this package, the room that revisions may import
# What makes a statement or an enumeration of what it is given; with these, a mapped class is read or written.
_STRUCTURE_CALLS = frozenset(
    {
        *("select", "insert", "update", "delete", "exists", "query", "select_from", "join", "outerjoin", "aliased"),
        *("filter", "where", "order_by", "group_by", "add", "add_all", "merge", "bulk_insert_mappings"),
        *("bulk_update_mappings", "bulk_save_objects", "Enum", "ENUM"),
    }
)
_MODEL_ATTRIBUTES = frozenset({"__table__", "c", "columns", "type", "metadata"})
_CREATE_OR_DROP_ALL = frozenset({"create_all", "drop_all"})
_METADATA_SOURCES = ("MetaData()", "declarative_base()", "automap_base()", "registry()")


@dataclass(frozen=True, slots=True)
class ApplicationModules:
    """The names by which a project's own modules are imported, and those of helpers next to its revisions."""

    modules: frozenset[str]
    helpers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, project: Project) -> ApplicationModules:
        """Return the modules in the directories around the revisions, from which a project imports; it imports none."""
        scripts, modules, helpers = project.script_location, set[str](), set[str]()
        near = [outer for outer in scripts.parents if outer == project.root or project.root in outer.parents]
        for root in (root for directory in {project.root, *near} for root in (directory, directory / "src")):
            if root.is_dir():
                modules |= {path.stem for path in root.iterdir() if _is_module(path)}
            if root in scripts.parents:
                helpers.add(".".join(scripts.relative_to(root).parts))
        package = scripts
        while (package.parent / "__init__.py").exists():
            package = package.parent
        if (package / "__init__.py").exists():  # installed, perhaps among others that are not the application's
            modules.add(package.name)
            helpers.add(".".join(scripts.relative_to(package.parent).parts))
        return cls(frozenset(modules) - _LIBRARY_MODULES, frozenset(helpers) - _LIBRARY_MODULES)

    def has_module(self, module: str) -> bool:
        """Return whether a module is the application's."""
        if f"{module}.".startswith(_FOR_REVISIONS):
            return False
        return module.startswith(".") or module.partition(".")[0] in self.modules

    def is_revision_helper(self, module: str) -> bool:
        """Return whether a module is in the directory of the revisions."""
        return any(f"{module}.".startswith(f"{helper}.") for helper in self.helpers)


def _is_module(path: Path) -> bool:
    if path.is_file():
        return path.suffix == ".py" and path.stem.isidentifier()
    return path.name.isidentifier() and path.is_dir() and next(path.glob("*.py"), None) is not None


APPLICATION_IMPORT = Rule(
    "application-import",
    "source",
    Severity.ERROR,
    meaning="a revision imports the application",
    why="""Live code describes the newest schema. On the day a column is added to the model, or the module moves, a
    fresh database can no longer be made. It is an error where statements or columns are built from what is imported,
    and a warning where the import only has to stay: a function, a constant, a type, a helper next to the revisions.""",
    recipe="""
    profiles = sa.table("profiles", sa.column("id", sa.Integer), sa.column("slug", sa.String))
    op.execute(profiles.update().values(slug=sa.func.lower(profiles.c.nick)))
    """,
)

CREATE_ALL = Rule(
    "create-all",
    "source",
    Severity.ERROR,
    meaning="a revision creates or drops the tables of live metadata",
    why="""It creates today's tables, not those of its day: a later revision that adds a column finds it there, and
    fails.""",
    recipe="""
    op.create_table(
        "cameras",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cameras")),
    )
    """,
)


def application_imports(source: RevisionSource, application: ApplicationModules) -> Iterator[Finding]:
    """Report imports of the application, and tables that are created from live metadata."""
    resolver = source.resolver
    uses: dict[str, list[ast.Name]] = {}
    for node in resolver.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            uses.setdefault(node.id, []).append(node)
        if isinstance(node, ast.Call):
            yield from _import_by_name(source, node, application)
        if isinstance(node, ast.Attribute) and _is_create_or_drop(node) and not _is_own_metadata(node, resolver):
            message = f"{ast.unparse(node)} acts on the tables of today's models"
            hint = "write down the tables of this revision: op.create_table(...), op.drop_table(...)"
            yield source.finding(CREATE_ALL, node, message, hint)
    for imported in _application_modules(source, application, uses):
        yield _import_finding(source, imported, application)


@dataclass(frozen=True, slots=True)
class _ImportedModule:
    """A module of the application: the first statement that imports it, names from it, and where these are used."""

    name: str
    statement: ast.Import | ast.ImportFrom
    names: tuple[str, ...]
    uses: tuple[ast.Name, ...]

    def __str__(self) -> str:
        """Return the module, or the names and the module that they come from."""
        return f"{name_list(self.names, 4)} from {self.name}" if self.names else self.name


def _application_modules(
    source: RevisionSource, application: ApplicationModules, uses: Mapping[str, Sequence[ast.Name]]
) -> Iterator[_ImportedModule]:
    """Yield each module of the application once, however often it is imported."""
    statements: dict[str, list[ast.Import | ast.ImportFrom]] = {}
    for node in source.resolver.nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not _is_for_type_checking(node, source.resolver):
            for module in filter(application.has_module, _module_names(node)):
                statements.setdefault(module, []).append(node)
    for module, nodes in statements.items():
        names = [item.name for node in nodes if isinstance(node, ast.ImportFrom) for item in node.names]
        bound = {item.asname or item.name.partition(".")[0] for node in nodes for item in node.names}
        found = sorted((use for name in bound for use in uses.get(name, ())), key=lambda use: use.lineno)
        first = min(nodes, key=lambda node: node.lineno)
        yield _ImportedModule(module, first, tuple(dict.fromkeys(names)), tuple(found))


def _module_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [item.name for item in node.names]
    return ["." * node.level + (node.module or "")]


def _import_finding(source: RevisionSource, imported: _ImportedModule, application: ApplicationModules) -> Finding:
    """Return what is wrong with an import: an error if the revision works on live tables, else a warning."""
    uses, severity, resolver = imported.uses, Severity.WARNING, source.resolver
    hint = "write down what this revision needs: sa.table(...), sa.column(...), or the value itself"
    live = next((use for use in uses if _is_live_structure(use, resolver)), None)
    if not uses and "*" not in imported.names:
        message, hint = f"it imports {imported}, which may be gone one day, and does not use it", "remove the import"
    elif live or "*" in imported.names:
        severity = Severity.ERROR
        where = f": line {live.lineno} works on what it describes then" if live else ""
        message = f"it imports {imported}, which may have changed when the revision runs again{where}"
    elif application.is_revision_helper(imported.name):
        message = f"it imports {imported}, which stands next to the revisions and may change"
    elif all(_is_column_type(use, resolver) for use in uses):
        message = f"a column has a type of the application, {imported}, which may change or go"
        hint = "write down the type that it stands for, such as sa.CHAR(32)"
    else:
        message = f"it imports {imported}, which may have changed when the revision runs again"
        lines = [str(line) for line in dict.fromkeys(use.lineno for use in uses)]
        message += f": used in line {name_list(lines, limit=1)}"
        hint = "copy what this revision needs into it"
    return source.finding(
        APPLICATION_IMPORT, imported.statement, message, hint, severity=severity, object_name=imported.name
    )


def _import_by_name(source: RevisionSource, node: ast.Call, application: ApplicationModules) -> Iterator[Finding]:
    if source.resolver.dotted_name(node.func) in {"importlib.import_module", "__import__"}:
        module = source.resolver.text(argument(node, 0, "name"))
        if module and application.has_module(module):
            message = f"it imports {module}, which may have changed when the revision runs again"
            hint = "write down what this revision needs"
            yield source.finding(APPLICATION_IMPORT, node, message, hint, object_name=module)


def _is_for_type_checking(node: ast.stmt, resolver: NameResolver) -> bool:
    """Return whether an import serves type checkers only."""
    tests = (outer.test for outer in resolver.enclosing_nodes(node) if isinstance(outer, ast.If))
    return any(ast.unparse(test).endswith("TYPE_CHECKING") for test in tests)


def _is_live_structure(use: ast.Name, resolver: NameResolver) -> bool:
    """Return whether a statement or a column is built from a name: what is built is that of the newest code."""
    inner: ast.AST = use
    last_name = use.id
    for outer in resolver.enclosing_nodes(use):
        match outer:
            case ast.Attribute(attr=attr):
                if attr in _MODEL_ATTRIBUTES:
                    return True
                last_name = attr
            case ast.Call(func=function) if function is not inner:
                is_constant = last_name.isupper() or last_name == "__tablename__"
                return not is_constant and resolver.called_name(function) in _STRUCTURE_CALLS
            case ast.expr() | ast.keyword() | ast.comprehension():
                pass
            case _:
                return False
        inner = outer
    return False


def _is_column_type(use: ast.Name, resolver: NameResolver) -> bool:
    """Return whether a name, called or not, is the type of a column itself, and not an argument of a type."""
    inner: ast.AST = use
    for outer in resolver.enclosing_nodes(use):
        match outer:
            case ast.Attribute(attr=attr):
                if attr in _MODEL_ATTRIBUTES:
                    return False
            case ast.Call(func=function) if function is not inner:
                return resolver.called_name(function) in _COLUMN_CALLS
            case ast.Call() | ast.keyword(arg="type_" | "existing_type"):
                pass
            case _:
                return False
        inner = outer
    return False


def _is_create_or_drop(node: ast.Attribute) -> bool:
    """Return whether this creates or drops tables that classes or metadata describe, called here or passed on."""
    is_of_model = isinstance(node.value, ast.Attribute) and node.value.attr == "__table__"
    return node.attr in _CREATE_OR_DROP_ALL or (is_of_model and node.attr in {"create", "drop"})


def _is_own_metadata(creating: ast.Attribute, resolver: NameResolver) -> bool:
    """Return whether metadata is the revision's own: created in this file, so that it never changes."""
    node: ast.expr = creating
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.value if isinstance(node, ast.Attribute) else node.func
        if isinstance(node, ast.Name) and resolver.value(node) is not node:
            node = resolver.value(node) or node
            if resolver.dotted_name(node).endswith(_METADATA_SOURCES):
                return True
    classes = {item.name for item in resolver.nodes if isinstance(item, ast.ClassDef)}
    return isinstance(node, ast.Name) and node.id in classes
