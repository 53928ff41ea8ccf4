"""For which dialects a condition in a revision is true, and for which it is not."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.registry import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.checks.source.resolver import Reading

OTHER = "another"  # stands for every dialect that a revision does not name
_NAME_OF = re.compile(r"(^|\.)(dialect|engine|bind|connection|impl|get_bind\(\)|\w*dialect)\.(name|__dialect__)$")
_HINTS = re.compile(r"dialect|sqlite|postgres|mysql|maria|oracle|mssql|\bpg\b|_pg\b|\bis_pg", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Truth:
    """The dialects for which a condition may be true, and those for which it may be false.

    `is_vague` tells that it speaks of dialects in a way that is not understood.
    """

    true: frozenset[str]
    false: frozenset[str]
    is_vague: bool = False


class Dialects:
    """The dialects that matter in one revision: both backends, those that it names, and all others as one."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.named = {name: node for node in reading.nodes for name in self._named_in(node)}
        self.all = frozenset({*NAMES, *self.named, OTHER})

    def truth(self, test: ast.expr) -> Truth:
        """Return for which dialects a condition holds; for all and none where it is about something else."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.truth(operand)
                return Truth(inner.false, inner.true, inner.is_vague)
            case ast.BoolOp(op=operator, values=values):
                parts = [self.truth(value) for value in values]
                true, false = [part.true for part in parts], [part.false for part in parts]
                is_vague = any(part.is_vague for part in parts)
                if isinstance(operator, ast.And):
                    return Truth(frozenset.intersection(*true), frozenset.union(*false), is_vague)
                return Truth(frozenset.union(*true), frozenset.intersection(*false), is_vague)
            case ast.Name():
                value = self._reading.value(test)
                return self._unknown(test) if value is None or value is test else self._guarded(value, test)
            case ast.Call(func=ast.Name(id=name)) if name in self._reading.functions:
                return self._of_function(self._reading.functions[name], test)
        found = self._names(test)
        return self._unknown(test) if found is None else Truth(found, self.all - found)

    def is_name(self, node: ast.expr) -> bool:
        """Say whether an expression is the name of the dialect."""
        value = self._reading.value(node)
        return bool(_NAME_OF.search(self._reading.dotted(value)))

    def matching(self, pattern: ast.pattern) -> frozenset[str] | None:
        """Return the names that a case of a match statement takes; None for every one."""
        match pattern:
            case ast.MatchValue(value=ast.Constant(value=str(name))):
                return frozenset({name})
            case ast.MatchOr(patterns=patterns):
                parts = [self.matching(item) for item in patterns]
                return None if None in parts else frozenset[str]().union(*(part for part in parts if part))
        return None

    def _guarded(self, value: ast.expr, test: ast.expr) -> Truth:
        return self._unknown(test) if isinstance(value, ast.Name) else self.truth(value)

    def _of_function(self, function: ast.FunctionDef | ast.AsyncFunctionDef, test: ast.expr) -> Truth:
        """Return the truth of a helper that does nothing but return a condition."""
        body = [node for node in function.body if not _is_docstring(node)]
        if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
            return self.truth(body[0].value)
        return self._unknown(test)

    def _unknown(self, test: ast.expr) -> Truth:
        return Truth(self.all, self.all, bool(_HINTS.search(ast.unparse(test))))

    def _names(self, test: ast.expr) -> frozenset[str] | None:
        """Return the dialects for which one comparison is true, None where it compares something else."""
        match test:
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self._compared(left, operator, right)
            case ast.Call(func=ast.Attribute(value=value, attr="startswith" | "endswith" as how), args=[argument]):
                text = self._reading.text(argument)
                if text and self.is_name(value):
                    return self._where(lambda name: getattr(name, how)(text) is True)
                if text and how == "startswith" and "url" in ast.unparse(value).lower():
                    return self._where(lambda name: name.startswith(text.partition(":")[0]))
        return None

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> frozenset[str] | None:
        if isinstance(operator, (ast.Eq, ast.NotEq)):
            name = self._reading.text(right) if self.is_name(left) else None
            if name is None and self.is_name(right):
                name = self._reading.text(left)
            names = frozenset({name}) if name else None
        elif isinstance(operator, (ast.In, ast.NotIn)) and self.is_name(left):
            names = self._listed(right)
        elif isinstance(operator, (ast.In, ast.NotIn)) and self.is_name(right):
            text = self._reading.text(left)
            names = self._where(lambda name: text in name) if text else None
        else:
            return None
        if names is None:
            return None
        return self.all - names if isinstance(operator, (ast.NotEq, ast.NotIn)) else names & self.all

    def _listed(self, node: ast.expr) -> frozenset[str] | None:
        value = self._reading.value(node)
        if not isinstance(value, (ast.Tuple, ast.List, ast.Set)):
            return None
        return frozenset(text for item in value.elts if (text := self._reading.text(item)))

    def _where(self, holds: Callable[[str], bool]) -> frozenset[str]:
        return frozenset(name for name in self.all if name != OTHER and holds(name))

    def _named_in(self, node: ast.AST) -> Iterator[str]:
        """Yield the names that a comparison or a match statement compares the dialect's with."""
        match node:
            case ast.Compare(left=left, comparators=[right]) if self.is_name(left) or self.is_name(right):
                value = self._reading.value(right if self.is_name(left) else left)
                items = value.elts if isinstance(value, (ast.Tuple, ast.List, ast.Set)) else [value]
                yield from (text for item in items if (text := self._reading.text(item)))
            case ast.Match(subject=subject, cases=cases) if self.is_name(subject):
                for case in cases:
                    yield from self.matching(case.pattern) or ()


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
