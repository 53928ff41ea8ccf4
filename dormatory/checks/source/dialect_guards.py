"""For which dialects a condition in a revision is true, and for which it is not."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.source.statement_lines import is_docstring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.checks.source.resolver import NameResolver

OTHER_DIALECTS = "another"  # stands for every dialect that a revision does not name
_DIALECT_NAME = re.compile(r"(^|\.)(dialect|engine|bind|connection|impl|get_bind\(\)|\w*dialect)\.(name|__dialect__)$")
_DIALECT_HINTS = re.compile(r"dialect|sqlite|postgres|mysql|maria|oracle|mssql|\bpg\b|_pg\b|\bis_pg", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DialectCondition:
    """The dialects for which a condition may be true, and those for which it may be false.

    `is_uncertain` means that it seems to be about dialects, but is not understood.
    """

    when_true: frozenset[str]
    when_false: frozenset[str]
    is_uncertain: bool = False


class DialectGuards:
    """The dialects that matter in one revision: both backends, those that it names, and all others as one."""

    def __init__(self, resolver: NameResolver) -> None:
        self._resolver = resolver
        self.named_dialects = {name: node for node in resolver.nodes for name in self._names_compared_in(node)}
        self.all_dialects = frozenset({*BACKEND_NAMES, *self.named_dialects, OTHER_DIALECTS})

    def condition(self, test: ast.expr) -> DialectCondition:
        """Return the dialects for which a condition may be true, and false; all where it is about something else."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.condition(operand)
                return DialectCondition(inner.when_false, inner.when_true, inner.is_uncertain)
            case ast.BoolOp(op=operator, values=values):
                parts = [self.condition(value) for value in values]
                true, false = [part.when_true for part in parts], [part.when_false for part in parts]
                is_uncertain = any(part.is_uncertain for part in parts)
                if isinstance(operator, ast.And):
                    return DialectCondition(frozenset.intersection(*true), frozenset.union(*false), is_uncertain)
                return DialectCondition(frozenset.union(*true), frozenset.intersection(*false), is_uncertain)
            case ast.Name():
                value = self._resolver.value(test)
                return (
                    self._unknown_condition(test)
                    if value is None or value is test
                    else self._condition_of_value(value, test)
                )
            case ast.Call(func=ast.Name(id=name)) if name in self._resolver.functions:
                return self._condition_of_function(self._resolver.functions[name], test)
        found = self._compared_dialects(test)
        return self._unknown_condition(test) if found is None else DialectCondition(found, self.all_dialects - found)

    def is_dialect_name(self, node: ast.expr) -> bool:
        """Return whether an expression is the name of the dialect."""
        value = self._resolver.value(node)
        return bool(_DIALECT_NAME.search(self._resolver.dotted_name(value)))

    def names_in_pattern(self, pattern: ast.pattern) -> frozenset[str] | None:
        """Return the names that a case of a match statement takes; None for every one."""
        match pattern:
            case ast.MatchValue(value=ast.Constant(value=str(name))):
                return frozenset({name})
            case ast.MatchOr(patterns=patterns):
                parts = [self.names_in_pattern(item) for item in patterns]
                return None if None in parts else frozenset[str]().union(*(part for part in parts if part))
        return None

    def _condition_of_value(self, value: ast.expr, test: ast.expr) -> DialectCondition:
        return self._unknown_condition(test) if isinstance(value, ast.Name) else self.condition(value)

    def _condition_of_function(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, test: ast.expr
    ) -> DialectCondition:
        """Return the condition of a helper that does nothing but return one."""
        body = [node for node in function.body if not is_docstring(node)]
        if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
            return self.condition(body[0].value)
        return self._unknown_condition(test)

    def _unknown_condition(self, test: ast.expr) -> DialectCondition:
        return DialectCondition(self.all_dialects, self.all_dialects, bool(_DIALECT_HINTS.search(ast.unparse(test))))

    def _compared_dialects(self, test: ast.expr) -> frozenset[str] | None:
        """Return the dialects for which one comparison is true, None where it compares something else."""
        match test:
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self._dialects_of_comparison(left, operator, right)
            case ast.Call(func=ast.Attribute(value=value, attr="startswith" | "endswith" as how), args=[argument]):
                text = self._resolver.text(argument)
                if text and self.is_dialect_name(value):
                    return self._dialects_where(lambda name: getattr(name, how)(text) is True)
                if text and how == "startswith" and "url" in ast.unparse(value).lower():
                    return self._dialects_where(lambda name: name.startswith(text.partition(":")[0]))
        return None

    def _dialects_of_comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> frozenset[str] | None:
        if isinstance(operator, (ast.Eq, ast.NotEq)):
            name = self._resolver.text(right) if self.is_dialect_name(left) else None
            if name is None and self.is_dialect_name(right):
                name = self._resolver.text(left)
            names = frozenset({name}) if name else None
        elif isinstance(operator, (ast.In, ast.NotIn)) and self.is_dialect_name(left):
            names = self._listed_names(right)
        elif isinstance(operator, (ast.In, ast.NotIn)) and self.is_dialect_name(right):
            text = self._resolver.text(left)
            names = self._dialects_where(lambda name: text in name) if text else None
        else:
            return None
        if names is None:
            return None
        return self.all_dialects - names if isinstance(operator, (ast.NotEq, ast.NotIn)) else names & self.all_dialects

    def _listed_names(self, node: ast.expr) -> frozenset[str] | None:
        value = self._resolver.value(node)
        if not isinstance(value, (ast.Tuple, ast.List, ast.Set)):
            return None
        return frozenset(text for item in value.elts if (text := self._resolver.text(item)))

    def _dialects_where(self, holds: Callable[[str], bool]) -> frozenset[str]:
        return frozenset(name for name in self.all_dialects if name != OTHER_DIALECTS and holds(name))

    def _names_compared_in(self, node: ast.AST) -> Iterator[str]:
        """Yield the names with which a comparison or a match statement compares that of the dialect."""
        match node:
            case ast.Compare(left=left, comparators=[right]) if self.is_dialect_name(left) or self.is_dialect_name(
                right
            ):
                value = self._resolver.value(right if self.is_dialect_name(left) else left)
                items = value.elts if isinstance(value, (ast.Tuple, ast.List, ast.Set)) else [value]
                yield from (text for item in items if (text := self._resolver.text(item)))
            case ast.Match(subject=subject, cases=cases) if self.is_dialect_name(subject):
                for case in cases:
                    yield from self.names_in_pattern(case.pattern) or ()
