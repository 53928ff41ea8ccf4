"""The calls that a revision makes when it runs: in which direction, on which dialects, in which transaction."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dormatory.checks.source.dialect_guards import Dialects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dormatory.checks.source.resolver import Reading

DIRECTIONS = ("upgrade", "downgrade")
_DEEPEST = 12  # helpers within helpers


@dataclass(frozen=True, slots=True)
class Site:
    """One call, on one way through the revision.

    `name` is the full name of what is called, `batch.…` for a batch operation on `table`. `dialects` are those on which
    the way leads here; `is_vague` tells that a guard was not understood. `texts` are those of the parameters of the
    helper that it stands in.
    """

    call: ast.Call
    name: str
    direction: str
    dialects: frozenset[str]
    is_vague: bool = False
    in_autocommit: bool = False
    table: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class _State:
    """Where a way through the revision has come to."""

    direction: str
    dialects: frozenset[str]
    is_vague: bool = False
    in_autocommit: bool = False
    batches: tuple[tuple[str, str | None], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    functions: tuple[str, ...] = ()


class Paths:
    """Follows a revision from upgrade and downgrade through its own helpers."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.dialects = Dialects(reading)

    def sites(self) -> Iterator[Site]:
        """Yield each call, in the order in which the revision comes to it, once for each way that leads there."""
        for direction in DIRECTIONS:
            if function := self._reading.functions.get(direction):
                state = _State(direction, self.dialects.all, functions=(direction,))
                yield from self._statements(function.body, state)

    def _statements(self, body: Sequence[ast.stmt], state: _State) -> Iterator[Site]:
        for node in body:
            if not state.dialects:
                return
            if isinstance(node, ast.If):
                truth = self.dialects.truth(node.test)
                yield from self._expression(node.test, state)
                is_vague = state.is_vague or truth.is_vague
                true = replace(state, dialects=state.dialects & truth.true, is_vague=is_vague)
                false = replace(state, dialects=state.dialects & truth.false, is_vague=is_vague)
                yield from self._statements(node.body, true)
                yield from self._statements(node.orelse, false)
                left = [end for end, part in ((true, node.body), (false, node.orelse)) if not _ends(part)]
                dialects = frozenset[str]().union(*(end.dialects for end in left))
                state = replace(
                    state, dialects=dialects, is_vague=state.is_vague or (truth.is_vague and len(left) == 1)
                )
            elif isinstance(node, ast.Assert):
                truth = self.dialects.truth(node.test)
                yield from self._expression(node.test, state)
                is_vague = state.is_vague or truth.is_vague
                state = replace(state, dialects=state.dialects & truth.true, is_vague=is_vague)
            else:
                yield from self._statement(node, state)
                if _ends([node]):
                    return

    def _statement(self, node: ast.stmt, state: _State) -> Iterator[Site]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    yield from self._expression(item.context_expr, state)
                    state = self._entered(item, state)
                yield from self._statements(body, state)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
                yield from self._statements(body, replace(state, is_vague=state.is_vague or bool(handlers)))
                for part in (*(handler.body for handler in handlers), orelse, finalbody):
                    yield from self._statements(part, state)
            case ast.Match(subject=subject, cases=cases):
                yield from self._expression(subject, state)
                yield from self._cases(subject, cases, state)
            case ast.For() | ast.AsyncFor() | ast.While():
                yield from self._expression(node.test if isinstance(node, ast.While) else node.iter, state)
                yield from self._statements([*node.body, *node.orelse], state)
            case _:
                for child in ast.iter_child_nodes(node):
                    yield from self._expression(child, state)

    def _cases(self, subject: ast.expr, cases: Sequence[ast.match_case], state: _State) -> Iterator[Site]:
        left = state.dialects
        for case in cases:
            names = self.dialects.matching(case.pattern) if self.dialects.is_name(subject) else None
            dialects = state.dialects if names is None and not self.dialects.is_name(subject) else left
            yield from self._statements(case.body, replace(state, dialects=dialects if names is None else left & names))
            left -= names or frozenset()

    def _entered(self, item: ast.withitem, state: _State) -> _State:
        """Return the state within a block: of a batch, of an autocommit block, or as it was."""
        name, call = self._reading.dotted(item.context_expr), item.context_expr
        if name.endswith(".autocommit_block()") or self._opens_autocommit(name):
            return replace(state, in_autocommit=True)
        if (
            name.endswith("batch_alter_table()")
            and isinstance(call, ast.Call)
            and isinstance(item.optional_vars, ast.Name)
        ):
            first = call.args[0] if call.args else next((w.value for w in call.keywords if w.arg == "table_name"), None)
            table = self._reading.text(first, dict(state.texts))
            return replace(state, batches=((item.optional_vars.id, table), *state.batches))
        return state

    def _opens_autocommit(self, name: str) -> bool:
        """Say whether a helper of the revision, a context manager, yields within an autocommit block."""
        function = self._reading.functions.get(name.removesuffix("()"))
        blocks = [node for node in ast.walk(function) if isinstance(node, ast.With)] if function else []
        return any(
            self._reading.dotted(item.context_expr).endswith(".autocommit_block()")
            for block in blocks
            if any(isinstance(node, ast.Yield) for node in ast.walk(block))
            for item in block.items
        )

    def _expression(self, node: ast.AST, state: _State) -> Iterator[Site]:
        if isinstance(node, ast.IfExp):
            yield from self._expression(node.test, state)
            truth = self.dialects.truth(node.test)
            is_vague = state.is_vague or truth.is_vague
            for part, dialects in ((node.body, truth.true), (node.orelse, truth.false)):
                if state.dialects & dialects:
                    inner = replace(state, dialects=state.dialects & dialects, is_vague=is_vague)
                    yield from self._expression(part, inner)
            return
        for child in ast.iter_child_nodes(node):
            yield from self._expression(child, state)
        if isinstance(node, ast.Call):
            yield from self._call(node, state)

    def _call(self, node: ast.Call, state: _State) -> Iterator[Site]:
        texts, batches = dict(state.texts), dict(state.batches)
        name, table = self._reading.dotted(node.func), None
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in batches
        ):
            name, table = f"batch.{node.func.attr}", batches[node.func.value.id]
        yield Site(node, name, state.direction, state.dialects, state.is_vague, state.in_autocommit, table, texts)
        function = self._reading.functions.get(name)
        if function is None or name in state.functions or len(state.functions) > _DEEPEST:
            return
        passed = tuple(self._passed(function, node, texts))
        handed = tuple(self._handed(function, node, batches))
        is_vague = state.is_vague or bool(function.decorator_list)  # a decorator may ask for the dialect
        inner = replace(state, texts=passed, batches=handed, functions=(*state.functions, name), is_vague=is_vague)
        yield from self._statements(function.body, inner)

    def _passed(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, texts: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Yield the parameters of a helper for which texts are passed."""
        for parameter, value in _matched(function, call):
            if (text := self._reading.text(value, texts)) is not None:
                yield parameter, text

    @staticmethod
    def _handed(
        function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, batches: Mapping[str, str | None]
    ) -> Iterator[tuple[str, str | None]]:
        """Yield the parameters of a helper for which batches are passed."""
        for parameter, value in _matched(function, call):
            if isinstance(value, ast.Name) and value.id in batches:
                yield parameter, batches[value.id]


def _matched(function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    for name, value in zip(names, call.args, strict=False):
        if isinstance(value, ast.Starred):
            break
        yield name, value
    yield from ((word.arg, word.value) for word in call.keywords if word.arg)


def _ends(body: Sequence[ast.stmt]) -> bool:
    """Say whether what stands behind a body is never reached from it."""
    if not body:
        return False
    match body[-1]:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.If(body=true, orelse=false):
            return _ends(true) and _ends(false)
        case ast.With(body=inner):
            return _ends(inner)
    return False
