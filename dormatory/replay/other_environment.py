"""Another environment for the code of one revision: time zone, locale, user, and the order of sets and hashes."""

from __future__ import annotations

import ast
import builtins
import os
import re
import time
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from dormatory.project.script import parse_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from dormatory.recording.leg import Statement

OTHER_TIME_ZONE = "Pacific/Chatham"  # more than half a day from UTC, and by three quarters of an hour
_VARIABLES = {
    "TZ": OTHER_TIME_ZONE,
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "tr_TR.UTF-8",
    "USER": "somebody",
    "LOGNAME": "somebody",
    "USERNAME": "somebody",
    "HOME": "/nonexistent",
}
_CODE = re.compile(
    rb"environ|getenv|getpass|getuser|expanduser|gethostname|locale|fromtimestamp|localtime|mktime|astimezone|tzlocal"
    rb"|utcnow|datetime\.now\(|\.today\(|strftime|strptime|\bhash\(|\bset\(|\bfrozenset\(|\bin\s+\{|[=(]\s*\{\s*[\"'\w]+\s*,"
)
_MOVES_VALUES = re.compile(r"\s*(?:WITH|UPDATE|INSERT|DO)\b|\bTYPE\b|\bAS\s+SELECT\b", re.IGNORECASE)
_READS_A_CLOCK = re.compile(
    r"time ?zone|timestamp|local|current_|date\(|::date|::time|to_char|to_date|date_trunc|extract\("
    r"|strftime|datetime\(",
    re.IGNORECASE,
)


def may_depend_on_environment(file: Path, statements: Iterable[Statement]) -> bool:
    """Return whether a revision's code, or a statement that moves values, names anything that environments decide."""
    if file.is_file() and _CODE.search(file.read_bytes()):
        return True
    return any(moves_values(it.sql) and _READS_A_CLOCK.search(it.sql) for it in statements)


def moves_values(sql: str) -> bool:
    """Return whether a statement writes rows, or gives a column another type."""
    return _MOVES_VALUES.search(sql) is not None


@contextmanager
def other_environment(module: ModuleType) -> Iterator[None]:
    """Let the code of a revision run in another environment for the length of the block."""
    before, upgrade = {name: os.environ.get(name) for name in _VARIABLES}, getattr(module, "upgrade", None)
    os.environ.update(_VARIABLES)
    time.tzset()
    if other := _upgrade_in_other_order(module):
        module.upgrade = other  # type: ignore[attr-defined]  # a module has any attribute
    try:
        yield
    finally:
        module.upgrade = upgrade  # type: ignore[attr-defined]
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        time.tzset()


class _OtherSet(set[Any]):
    """A set that yields its elements in another order, as it does with another hash seed."""

    def __iter__(self) -> Iterator[Any]:
        return iter([*super().__iter__()][::-1])


class _OtherFrozenSet(frozenset[Any]):
    """A frozenset that yields its elements in another order."""

    def __iter__(self) -> Iterator[Any]:
        return iter([*super().__iter__()][::-1])


class _SetsAsCalls(ast.NodeTransformer):
    """Writes {a, b} as set({a, b}); `is_needed` if there was anything to write, or a call of set() or hash().

    The copy of a set has its order: made from a list it has another one where two hashes collide.
    """

    def __init__(self) -> None:
        self.is_needed = False

    def visit_Set(self, node: ast.Set) -> ast.AST:
        self.generic_visit(node)
        return self._call(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        self.generic_visit(node)
        return self._call(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        self.is_needed |= node.id in {"set", "frozenset", "hash"}
        return node

    def _call(self, node: ast.expr) -> ast.AST:
        self.is_needed = True
        call = ast.Call(ast.Name("set", ast.Load()), [node], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


def _upgrade_in_other_order(module: ModuleType) -> Any:
    """Return the upgrade of a module whose sets and hashes are others, None if it has none.

    The seed of hashes cannot be changed in a process that runs, so the file is compiled again with other sets.
    """
    file = Path(getattr(module, "__file__", None) or "")
    if not file.is_file():
        return None
    transformer = _SetsAsCalls()
    tree = transformer.visit(parse_source(file, file.read_bytes()))
    if not transformer.is_needed:
        return None
    names = {"__name__": module.__name__, "__file__": str(file), "set": _OtherSet, "frozenset": _OtherFrozenSet}
    names |= {"hash": lambda value: builtins.hash(("another seed", value))}
    code = _with_constants(compile(tree, str(file), "exec"), _constant_sets(module))
    exec(code, names)  # noqa: S102  # the revision's own code, as Alembic executed it
    return names.get("upgrade")


def _constant_sets(module: ModuleType) -> dict[frozenset[Any], frozenset[Any]]:
    """Return the constant sets in the code of a module's functions, each as key and as value.

    Their order depends on whether Python has compiled the file or read its byte code.
    """
    codes = [it.__code__ for it in vars(module).values() if isinstance(it, FunctionType)]
    found: dict[frozenset[Any], frozenset[Any]] = {}
    while codes:
        constants = codes.pop().co_consts
        codes += [it for it in constants if isinstance(it, CodeType)]
        found |= {it: it for it in constants if isinstance(it, frozenset)}
    return found


def _with_constants(code: CodeType, sets: dict[frozenset[Any], frozenset[Any]]) -> CodeType:
    """Return the code with the same objects for its constant sets, so with their order."""
    constants = (
        _with_constants(it, sets) if isinstance(it, CodeType) else sets.get(it, it) if isinstance(it, frozenset) else it
        for it in code.co_consts
    )
    return code.replace(co_consts=(*constants,))
