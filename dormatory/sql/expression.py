"""SQL expressions in portable form: two texts that mean the same on two backends become equal values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from dormatory.sql.cursor import SQLParseError, TokenCursor
from dormatory.sql.lexer import Token, TokenKind, render, tokenize
from dormatory.sql.literals import string_value
from dormatory.sql.normal_form import (
    NOW,
    NULL,
    ONE,
    TIME_OF_DAY,
    TODAY,
    ZERO,
    Node,
    call_node,
    cast_node,
    exact_call_node,
    exact_cast_node,
    logical_node,
    membership,
    negation,
    signed_node,
)
from dormatory.sql.types import portable_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dormatory.sql.dialect import Dialect

# Of SQLite, https://sqlite.org/lang_expr.html; PostgreSQL shows its expressions with all parentheses.
_PRECEDENCES = {
    "or": 1,
    "and": 2,
    "=": 4,
    "<>": 4,
    "glob": 4,
    "match": 4,
    "regexp": 4,
    "~": 4,
    "~*": 4,
    "!~": 4,
    "!~*": 4,
}
_PRECEDENCES |= {"<": 5, "<=": 5, ">": 5, ">=": 5, "+": 7, "-": 7, "*": 8, "/": 8, "%": 8, "||": 9, "->": 9, "->>": 9}
_NOT_PRECEDENCE, _EQUALITY_PRECEDENCE, _OTHER_PRECEDENCE, _SIGN_PRECEDENCE, _HIGHEST_PRECEDENCE = 3, 4, 6, 10, 11
_OPERATOR_ALIASES = {"==": "=", "!=": "<>", "~~": "like", "~~*": "ilike", "!~~": "not like", "!~~*": "not ilike"}
_NO_OPERATOR = frozenset("()[],.;:_")
_FUNCTION_ALIASES = {"char_length": "length", "character_length": "length", "ifnull": "coalesce", "substring": "substr"}
_FUNCTION_ALIASES |= {"btrim": "trim", "both": "trim", "leading": "ltrim", "trailing": "rtrim"}
_KEYWORD_NODES = {"null": NULL, "true": ONE, "false": ZERO, "current_timestamp": NOW, "localtimestamp": NOW}
_KEYWORD_NODES |= {"current_date": TODAY, "current_time": TIME_OF_DAY, "localtime": TIME_OF_DAY}
_LOWEST_PRECEDENCE = 0


class FormRules(NamedTuple):
    """Which calls and which casts become equal nodes."""

    call: Callable[[str, list[Node]], Node]
    cast: Callable[..., Node]


PORTABLE = FormRules(call_node, cast_node)  # what means the same to an application on two backends
EXACT = FormRules(exact_call_node, exact_cast_node)  # what always gives the same value on one backend


@lru_cache(maxsize=4096)
def portable_expression(
    sql: str, dialect: Dialect, columns: frozenset[tuple[str, str]] = frozenset(), rules: FormRules = PORTABLE
) -> Node:
    """Return the portable form of an expression; one that cannot be parsed equals only the same text.

    `columns` are the names and portable types of the columns that it may name: `x` and `x = 1` mean the same if x is
    boolean, and a cast from one integer type to another changes nothing.
    """
    node, rest = portable_index_key(sql, dialect, columns, rules)
    return ("text", render(tokenize(sql, dialect), dialect)) if rest else node


@lru_cache(maxsize=4096)
def portable_index_key(
    sql: str, dialect: Dialect, columns: frozenset[tuple[str, str]] = frozenset(), rules: FormRules = PORTABLE
) -> tuple[Node, tuple[str, ...]]:
    """Return the expression at the beginning of a text, and the words after it, such as DESC in the key of an index."""
    tokens = tokenize(sql, dialect)
    parser = _ExpressionParser(tokens, dialect, dict(columns), rules)
    try:
        node = parser.parse_expression()
    except SQLParseError:
        return ("text", render(tokens, dialect)), ()
    return node, tuple(token.text.lower() for token in parser.take_rest())


class _ExpressionParser(TokenCursor):
    """Parses an expression by the precedence of its operators, and simplifies it at the same time."""

    __slots__ = ("_dialect", "_rules", "_types")

    def __init__(self, tokens: Sequence[Token], dialect: Dialect, types: Mapping[str, str], rules: FormRules) -> None:
        super().__init__(tokens)
        self._dialect, self._types, self._rules = dialect, types, rules

    def parse_expression(self, floor: int = _LOWEST_PRECEDENCE) -> Node:
        """Return the longest expression whose operators bind more tightly than `floor`."""
        left = self._parse_operand()
        while (found := self._parse_operator(left, floor)) is not None:
            left = found
        return left

    def _parse_operand(self) -> Node:
        token = self.take()
        if token.kind is TokenKind.NUMBER:
            return ("number", token.text)
        if token.kind is TokenKind.STRING:
            return ("string", string_value(token.text))
        if token.word == "(":
            return self._parse_group()
        if token.word == "not":
            return negation(self.parse_expression(_NOT_PRECEDENCE))
        if token.word in {"-", "+"}:
            return signed_node(token.word, self.parse_expression(_SIGN_PRECEDENCE))
        return self._parse_word(token)

    def _parse_word(self, token: Token) -> Node:
        if token.kind is TokenKind.SYMBOL:
            self.raise_unexpected()
        if token.word == "case":
            return self._parse_case()
        if token.word == "cast" and self.accept("("):
            inner = self.parse_expression()
            self.expect("as")
            return self._parse_cast(inner, ")")
        if token.word == "array" and self.accept("["):
            return ("array", *self._parse_list("]"))
        return self._parse_name(token.text.lower(), quoted=token.kind is TokenKind.NAME)

    def _parse_name(self, name: str, *, quoted: bool) -> Node:
        while self.accept("."):
            name, quoted = self.take().text.lower(), True
        if self.accept("("):
            return self._parse_call(name)
        return ("name", name) if quoted else _KEYWORD_NODES.get(name, ("name", name))

    def _parse_group(self) -> Node:
        items = self._parse_list(")")
        return items[0] if len(items) == 1 else ("row", *items)

    def _parse_list(self, closing: str) -> list[Node]:
        """Take expressions up to the closing symbol; FROM and FOR separate them like a comma."""
        items = list[Node]()
        while not self.accept(closing):
            if items and not (self.accept(",") or self.accept("from") or self.accept("for")):
                self.raise_unexpected()
            items.append(self.parse_expression())
        return items

    def _parse_call(self, name: str) -> Node:
        side = self.word
        if name == "trim" and side in {"both", "leading", "trailing"}:  # TRIM(BOTH FROM x), as PostgreSQL shows it
            self.accept(side)
            items = self._parse_list(")") if self.accept("from") else self._parse_list(")")[::-1]
            return ("call", _FUNCTION_ALIASES[side], *items)
        return self._rules.call(_FUNCTION_ALIASES.get(name, name), self._parse_list(")"))

    def _parse_case(self) -> Node:
        parts: list[Node | str] = [] if self.word == "when" else [self.parse_expression()]
        while not self.accept("end"):
            word = self.take().word
            if word not in {"when", "then", "else"}:
                self.raise_unexpected()
            parts += [word, self.parse_expression()]
        return ("case", *parts)

    def _parse_operator(self, left: Node, floor: int) -> Node | None:
        """Return `left` with the next operator applied to it, None if the expression ends here."""
        word = _OPERATOR_ALIASES.get(self.word, self.word)
        if word == "::":
            self.accept("::")
            return self._parse_cast(left)
        if word == "at" and self.accept("at", "time", "zone"):
            return self._rules.call("timezone", [self.parse_expression(_HIGHEST_PRECEDENCE), left])
        if word == "collate" and self.accept("collate"):
            return ("collate", left, self.take().text.lower())
        if word in {"is", "isnull", "notnull", "in", "not", "between", "like", "ilike", "not like", "not ilike"}:
            return self._parse_predicate(left, word) if floor < _EQUALITY_PRECEDENCE else None
        precedence = _PRECEDENCES.get(
            word, _LOWEST_PRECEDENCE if not word or word[0] in _NO_OPERATOR or word[0].isalnum() else _OTHER_PRECEDENCE
        )
        if precedence <= floor:
            return None
        self.take()
        return self._parse_binary(word, left, precedence)

    def _parse_binary(self, word: str, left: Node, precedence: int) -> Node:
        if word in {"=", "<>"} and (self.accept("any", "(") or self.accept("all", "(")):
            values = self.parse_expression()
            self.expect(")")
            return membership(left, values, negated=word == "<>")
        right = self.parse_expression(precedence)
        if word in {"and", "or"}:
            return logical_node(word, left, right)
        if word in {"=", "<>"}:
            return self._boolean_condition(left, right, negated=word == "<>") or (word, left, right)
        return (word, left, right)

    def _parse_predicate(self, left: Node, word: str) -> Node | None:
        """Return `left` with IN, LIKE, BETWEEN or IS applied to it; None if NOT belongs to something else."""
        if self.accept("isnull") or self.accept("is", "null"):
            return ("is", left, NULL)
        if self.accept("notnull") or self.accept("not", "null") or self.accept("is", "not", "null"):
            return ("is not", left, NULL)
        if self.accept("is"):
            return self._parse_is(left)
        negated = self.accept("not") or word.startswith("not ")
        word = _OPERATOR_ALIASES.get(self.word, self.word).removeprefix("not ")
        self.take()
        if word == "in":
            self.expect("(")
            return membership(left, ("array", *self._parse_list(")")), negated=negated)
        if word == "between":
            low = self.parse_expression(_EQUALITY_PRECEDENCE)
            self.expect("and")
            high = self.parse_expression(_EQUALITY_PRECEDENCE)
            found = logical_node("and", (">=", left, low), ("<=", left, high))
        elif word in {"like", "ilike"}:
            found = self._parse_like(left, word)
        else:
            found = (word, left, self.parse_expression(_EQUALITY_PRECEDENCE))  # GLOB, MATCH, REGEXP
        return negation(found) if negated else found

    def _parse_is(self, left: Node) -> Node:
        negated = self.accept("not")
        if self.accept("distinct", "from"):
            negated = not negated
        right = self.parse_expression(_EQUALITY_PRECEDENCE)
        return ("is not" if negated else "is", left, right)

    def _parse_like(self, left: Node, word: str) -> Node:
        """Return a LIKE as "like" if case matters, else as "ilike"; without letters in the pattern it is "like"."""
        pattern = self.parse_expression(_EQUALITY_PRECEDENCE)
        escape: Node = (self.parse_expression(_EQUALITY_PRECEDENCE),) if self.accept("escape") else ()
        if pattern[:2] == ("call", "like_escape") and isinstance(pattern[2], tuple):  # ESCAPE, as PostgreSQL shows it
            pattern, escape = pattern[2], pattern[3:]
        caseless = pattern[0] == "string" and not any(sign.isalpha() for sign in str(pattern[1]))
        if caseless:
            word = "like"
        elif self._dialect.like_ignores_case:
            word = "ilike"
        return (word, left, pattern, *escape)

    def _boolean_condition(self, left: Node, right: Node, *, negated: bool) -> Node | None:
        """Return the condition itself for a comparison of a boolean with true or false."""
        if self._type_of(left) != "boolean" or right not in {ONE, ZERO}:
            return None
        return negation(left) if negated is (right == ONE) else left

    def _parse_cast(self, inner: Node, closing: str = "") -> Node:
        """Take a type, and return the cast to it, or `inner` itself if the cast makes no difference."""
        words = [self.take().text]
        while self.word in {"varying", "precision", "with", "without", "time", "zone"}:
            words.append(self.take().text)
        if self.accept("."):
            words = [self.take().text]
        if self.word == "(":
            words.append(f"({', '.join(token.text for token in self.take_group() if token.word != ',')})")
            while self.word in {"with", "without", "time", "zone"}:
                words.append(self.take().text)
        is_array = False
        while self.accept("[", "]"):
            is_array = True
        if closing:
            self.expect(closing)
        to = portable_type(" ".join(words))
        return inner if to == "integer" == self._type_of(inner) else self._rules.cast(inner, to, is_array=is_array)

    def _type_of(self, node: Node) -> str | None:
        return self._types.get(str(node[1])) if node[0] == "name" else None
