"""The calls that a revision makes when it runs: in which direction, on which dialects, in which transaction."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dormatory.checks.source.dialect_guards import DialectGuards

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dormatory.checks.source.resolver import NameResolver

DIRECTIONS = ("upgrade", "downgrade")
_MAX_HELPER_DEPTH = 12  # helpers within helpers


@dataclass(frozen=True, slots=True)
class CallSite:
    """One call, on one path through the revision.

    `name` is the full name of what is called, `batch.…` for a batch operation on `table`. `dialects` are those on which
    the path leads here; `is_uncertain` means that a guard on it was not understood. `parameter_texts` are the texts
    that are passed to the helper in which the call stands.
    """

    call: ast.Call
    name: str
    direction: str
    dialects: frozenset[str]
    is_uncertain: bool = False
    in_autocommit: bool = False
    table: str | None = None
    parameter_texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class _State:
    """The state of one path through the revision."""

    direction: str
    dialects: frozenset[str]
    is_uncertain: bool = False
    in_autocommit: bool = False
    batches: tuple[tuple[str, str | None], ...] = ()
    parameter_texts: tuple[tuple[str, str], ...] = ()
    functions: tuple[str, ...] = ()


class CallSiteFinder:
    """Follows a revision from upgrade and downgrade through its own helpers."""

    def __init__(self, resolver: NameResolver) -> None:
        self._resolver = resolver
        self.guards = DialectGuards(resolver)

    def call_sites(self) -> Iterator[CallSite]:
        """Yield each call, in the order in which the revision executes it, once for each path that leads there."""
        for direction in DIRECTIONS:
            if function := self._resolver.functions.get(direction):
                state = _State(direction, self.guards.all_dialects, functions=(direction,))
                yield from self._walk_statements(function.body, state)

    def _walk_statements(self, body: Sequence[ast.stmt], state: _State) -> Iterator[CallSite]:
        for node in body:
            if not state.dialects:
                return
            if isinstance(node, ast.If):
                condition = self.guards.condition(node.test)
                yield from self._walk_expression(node.test, state)
                is_uncertain = state.is_uncertain or condition.is_uncertain
                true = replace(state, dialects=state.dialects & condition.when_true, is_uncertain=is_uncertain)
                false = replace(state, dialects=state.dialects & condition.when_false, is_uncertain=is_uncertain)
                yield from self._walk_statements(node.body, true)
                yield from self._walk_statements(node.orelse, false)
                continuing = [
                    end for end, part in ((true, node.body), (false, node.orelse)) if not _is_terminating(part)
                ]
                dialects = frozenset[str]().union(*(end.dialects for end in continuing))
                state = replace(
                    state,
                    dialects=dialects,
                    is_uncertain=state.is_uncertain or (condition.is_uncertain and len(continuing) == 1),
                )
            elif isinstance(node, ast.Assert):
                condition = self.guards.condition(node.test)
                yield from self._walk_expression(node.test, state)
                is_uncertain = state.is_uncertain or condition.is_uncertain
                state = replace(state, dialects=state.dialects & condition.when_true, is_uncertain=is_uncertain)
            else:
                yield from self._walk_statement(node, state)
                if _is_terminating([node]):
                    return

    def _walk_statement(self, node: ast.stmt, state: _State) -> Iterator[CallSite]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    yield from self._walk_expression(item.context_expr, state)
                    state = self._state_within(item, state)
                yield from self._walk_statements(body, state)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
                yield from self._walk_statements(
                    body, replace(state, is_uncertain=state.is_uncertain or bool(handlers))
                )
                for part in (*(handler.body for handler in handlers), orelse, finalbody):
                    yield from self._walk_statements(part, state)
            case ast.Match(subject=subject, cases=cases):
                yield from self._walk_expression(subject, state)
                yield from self._walk_cases(subject, cases, state)
            case ast.For() | ast.AsyncFor() | ast.While():
                yield from self._walk_expression(node.test if isinstance(node, ast.While) else node.iter, state)
                yield from self._walk_statements([*node.body, *node.orelse], state)
            case _:
                for child in ast.iter_child_nodes(node):
                    yield from self._walk_expression(child, state)

    def _walk_cases(self, subject: ast.expr, cases: Sequence[ast.match_case], state: _State) -> Iterator[CallSite]:
        left = state.dialects
        for case in cases:
            names = self.guards.names_in_pattern(case.pattern) if self.guards.is_dialect_name(subject) else None
            dialects = state.dialects if names is None and not self.guards.is_dialect_name(subject) else left
            yield from self._walk_statements(
                case.body, replace(state, dialects=dialects if names is None else left & names)
            )
            left -= names or frozenset()

    def _state_within(self, item: ast.withitem, state: _State) -> _State:
        """Return the state within a block: of a batch, of an autocommit block, or as it was."""
        name, call = self._resolver.dotted_name(item.context_expr), item.context_expr
        if name.endswith(".autocommit_block()") or self._is_autocommit_helper(name):
            return replace(state, in_autocommit=True)
        if (
            name.endswith("batch_alter_table()")
            and isinstance(call, ast.Call)
            and isinstance(item.optional_vars, ast.Name)
        ):
            first = call.args[0] if call.args else next((w.value for w in call.keywords if w.arg == "table_name"), None)
            table = self._resolver.text(first, dict(state.parameter_texts))
            return replace(state, batches=((item.optional_vars.id, table), *state.batches))
        return state

    def _is_autocommit_helper(self, name: str) -> bool:
        """Return whether a helper of the revision, a context manager, yields within an autocommit block."""
        function = self._resolver.functions.get(name.removesuffix("()"))
        blocks = [node for node in ast.walk(function) if isinstance(node, ast.With)] if function else []
        return any(
            self._resolver.dotted_name(item.context_expr).endswith(".autocommit_block()")
            for block in blocks
            if any(isinstance(node, ast.Yield) for node in ast.walk(block))
            for item in block.items
        )

    def _walk_expression(self, node: ast.AST, state: _State) -> Iterator[CallSite]:
        if isinstance(node, ast.IfExp):
            yield from self._walk_expression(node.test, state)
            condition = self.guards.condition(node.test)
            is_uncertain = state.is_uncertain or condition.is_uncertain
            for part, dialects in ((node.body, condition.when_true), (node.orelse, condition.when_false)):
                if state.dialects & dialects:
                    inner = replace(state, dialects=state.dialects & dialects, is_uncertain=is_uncertain)
                    yield from self._walk_expression(part, inner)
            return
        if isinstance(node, ast.BoolOp):
            yield from self._walk_operands(node, state)
            return
        for child in ast.iter_child_nodes(node):
            yield from self._walk_expression(child, state)
        if isinstance(node, ast.Call):
            yield from self._walk_call(node, state)

    def _walk_operands(self, node: ast.BoolOp, state: _State) -> Iterator[CallSite]:
        """Yield the calls in `a and b and c`, each where those before it are true, or false for `or`."""
        for value in node.values:
            if not state.dialects:
                return
            yield from self._walk_expression(value, state)
            condition = self.guards.condition(value)
            dialects = condition.when_true if isinstance(node.op, ast.And) else condition.when_false
            is_uncertain = state.is_uncertain or condition.is_uncertain
            state = replace(state, dialects=state.dialects & dialects, is_uncertain=is_uncertain)

    def _walk_call(self, node: ast.Call, state: _State) -> Iterator[CallSite]:
        texts, batches = dict(state.parameter_texts), dict(state.batches)
        name, table = self._resolver.dotted_name(node.func), None
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in batches
        ):
            name, table = f"batch.{node.func.attr}", batches[node.func.value.id]
        yield CallSite(
            node, name, state.direction, state.dialects, state.is_uncertain, state.in_autocommit, table, texts
        )
        function = self._resolver.functions.get(name)
        if function is None or name in state.functions or len(state.functions) > _MAX_HELPER_DEPTH:
            return
        passed_texts = tuple(self._passed_texts(function, node, texts))
        passed_batches = tuple(self._passed_batches(function, node, batches))
        is_uncertain = state.is_uncertain or bool(function.decorator_list)  # a decorator may depend on the dialect
        inner = replace(
            state,
            parameter_texts=passed_texts,
            batches=passed_batches,
            functions=(*state.functions, name),
            is_uncertain=is_uncertain,
        )
        yield from self._walk_statements(function.body, inner)

    def _passed_texts(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, texts: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Yield the parameters of a helper for which texts are passed."""
        for parameter, value in _bound_arguments(function, call):
            if (text := self._resolver.text(value, texts)) is not None:
                yield parameter, text

    @staticmethod
    def _passed_batches(
        function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, batches: Mapping[str, str | None]
    ) -> Iterator[tuple[str, str | None]]:
        """Yield the parameters of a helper for which batches are passed."""
        for parameter, value in _bound_arguments(function, call):
            if isinstance(value, ast.Name) and value.id in batches:
                yield parameter, batches[value.id]


def _bound_arguments(
    function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call
) -> Iterator[tuple[str, ast.expr]]:
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    for name, value in zip(names, call.args, strict=False):
        if isinstance(value, ast.Starred):
            break
        yield name, value
    yield from ((word.arg, word.value) for word in call.keywords if word.arg)


def _is_terminating(body: Sequence[ast.stmt]) -> bool:
    """Return whether execution never continues after a body."""
    if not body:
        return False
    match body[-1]:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.If(body=true, orelse=false):
            return _is_terminating(true) and _is_terminating(false)
        case ast.With(body=inner):
            return _is_terminating(inner)
    return False
