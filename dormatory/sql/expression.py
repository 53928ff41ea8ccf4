"""SQL expressions in portable terms: two texts that mean the same on SQLite and on PostgreSQL become equal values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.sql.cursor import Cursor, UnreadableError
from dormatory.sql.lexer import Kind, Syntax, Token, render, tokenize
from dormatory.sql.normal_form import (
    NOW,
    NULL,
    ONE,
    TIME_OF_DAY,
    TODAY,
    ZERO,
    Node,
    called,
    converted,
    joined,
    membership,
    negation,
    signed,
)
from dormatory.sql.types import portable_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How tightly SQLite binds, https://sqlite.org/lang_expr.html; PostgreSQL shows its expressions in parentheses.
_LEVELS = {"or": 1, "and": 2, "=": 4, "<>": 4, "glob": 4, "match": 4, "regexp": 4, "~": 4, "~*": 4, "!~": 4, "!~*": 4}
_LEVELS |= {"<": 5, "<=": 5, ">": 5, ">=": 5, "+": 7, "-": 7, "*": 8, "/": 8, "%": 8, "||": 9, "->": 9, "->>": 9}
_NOT, _EQUALITY, _OTHER, _SIGN, _TIGHTEST = 3, 4, 6, 10, 11
_SPELLINGS = {"==": "=", "!=": "<>", "~~": "like", "~~*": "ilike", "!~~": "not like", "!~~*": "not ilike"}
_NO_OPERATOR = frozenset("()[],.;:_")
_FUNCTIONS = {"char_length": "length", "character_length": "length", "ifnull": "coalesce", "substring": "substr"}
_FUNCTIONS |= {"btrim": "trim", "both": "trim", "leading": "ltrim", "trailing": "rtrim"}
_BARE = {"null": NULL, "true": ONE, "false": ZERO, "current_timestamp": NOW, "localtimestamp": NOW}
_BARE |= {"current_date": TODAY, "current_time": TIME_OF_DAY, "localtime": TIME_OF_DAY}
_LOWEST = 0


@lru_cache(maxsize=4096)
def portable_expression(sql: str, syntax: Syntax, columns: frozenset[tuple[str, str]] = frozenset()) -> Node:
    """Return what an expression means; what cannot be read stands for itself, so it equals only its like.

    `columns` are the names and portable types of those it may speak of: `x` and `x = 1` say the same of a boolean
    one, and to cast a whole number to another is no change.
    """
    node, rest = portable_key(sql, syntax, columns)
    return ("text", render(tokenize(sql, syntax), syntax)) if rest else node


@lru_cache(maxsize=4096)
def portable_key(
    sql: str, syntax: Syntax, columns: frozenset[tuple[str, str]] = frozenset()
) -> tuple[Node, tuple[str, ...]]:
    """Return the expression that a text begins with, and the words after it, as DESC in the key of an index."""
    tokens = tokenize(sql, syntax)
    reader = _Reader(tokens, syntax, dict(columns))
    try:
        node = reader.expression()
    except UnreadableError:
        return ("text", render(tokens, syntax)), ()
    return node, tuple(token.text.lower() for token in reader.rest())


class _Reader(Cursor):
    """Reads an expression by the precedence of its operators, and simplifies as it goes."""

    __slots__ = ("_syntax", "_types")

    def __init__(self, tokens: Sequence[Token], syntax: Syntax, types: Mapping[str, str]) -> None:
        super().__init__(tokens)
        self._syntax, self._types = syntax, types

    def expression(self, floor: int = _LOWEST) -> Node:
        """Return the longest expression whose operators bind more tightly than `floor`."""
        left = self._operand()
        while (found := self._continued(left, floor)) is not None:
            left = found
        return left

    def _operand(self) -> Node:
        token = self.take()
        if token.kind is Kind.NUMBER:
            return ("number", token.text)
        if token.kind is Kind.STRING:
            return ("string", token.text[1:-1].replace("''", "'") if token.text[0] == "'" else token.text)
        if token.word == "(":
            return self._group()
        if token.word == "not":
            return negation(self.expression(_NOT))
        if token.word in {"-", "+"}:
            return signed(token.word, self.expression(_SIGN))
        return self._worded(token)

    def _worded(self, token: Token) -> Node:
        if token.kind is Kind.SYMBOL:
            self.refuse()
        if token.word == "case":
            return self._case()
        if token.word == "cast" and self.skip("("):
            inner = self.expression()
            self.expect("as")
            return self._cast(inner, ")")
        if token.word == "array" and self.skip("["):
            return ("array", *self._listed("]"))
        return self._named(token.text.lower(), quoted=token.kind is Kind.NAME)

    def _named(self, name: str, *, quoted: bool) -> Node:
        while self.skip("."):
            name, quoted = self.take().text.lower(), True
        if self.skip("("):
            return self._call(name)
        return ("name", name) if quoted else _BARE.get(name, ("name", name))

    def _group(self) -> Node:
        items = self._listed(")")
        return items[0] if len(items) == 1 else ("row", *items)

    def _listed(self, closing: str) -> list[Node]:
        """Take expressions up to the closing mark; FROM and FOR separate them as a comma does."""
        items = list[Node]()
        while not self.skip(closing):
            if items and not (self.skip(",") or self.skip("from") or self.skip("for")):
                self.refuse()
            items.append(self.expression())
        return items

    def _call(self, name: str) -> Node:
        side = self.word
        if name == "trim" and side in {"both", "leading", "trailing"}:  # TRIM(BOTH FROM x), as PostgreSQL shows it
            self.skip(side)
            items = self._listed(")") if self.skip("from") else self._listed(")")[::-1]
            return ("call", _FUNCTIONS[side], *items)
        return called(_FUNCTIONS.get(name, name), self._listed(")"))

    def _case(self) -> Node:
        parts: list[Node | str] = [] if self.word == "when" else [self.expression()]
        while not self.skip("end"):
            word = self.take().word
            if word not in {"when", "then", "else"}:
                self.refuse()
            parts += [word, self.expression()]
        return ("case", *parts)

    def _continued(self, left: Node, floor: int) -> Node | None:
        """Return `left` with the operator that comes next applied to it, None when there is none for us."""
        word = _SPELLINGS.get(self.word, self.word)
        if word == "::":
            self.skip("::")
            return self._cast(left)
        if word == "at" and self.skip("at", "time", "zone"):
            return called("timezone", [self.expression(_TIGHTEST), left])
        if word == "collate" and self.skip("collate"):
            return ("collate", left, self.take().text.lower())
        if word in {"is", "isnull", "notnull", "in", "not", "between", "like", "ilike", "not like", "not ilike"}:
            return self._predicate(left, word) if floor < _EQUALITY else None
        level = _LEVELS.get(word, _LOWEST if not word or word[0] in _NO_OPERATOR or word[0].isalnum() else _OTHER)
        if level <= floor:
            return None
        self.take()
        return self._binary(word, left, level)

    def _binary(self, word: str, left: Node, level: int) -> Node:
        if word in {"=", "<>"} and (self.skip("any", "(") or self.skip("all", "(")):
            values = self.expression()
            self.expect(")")
            return membership(left, values, negated=word == "<>")
        right = self.expression(level)
        if word in {"and", "or"}:
            return joined(word, left, right)
        if word in {"=", "<>"}:
            return self._flag(left, right, negated=word == "<>") or (word, left, right)
        return (word, left, right)

    def _predicate(self, left: Node, word: str) -> Node | None:
        """Return what IN, LIKE, BETWEEN and IS say of `left`; None when NOT belongs to something else."""
        if self.skip("isnull") or self.skip("is", "null"):
            return ("is", left, NULL)
        if self.skip("notnull") or self.skip("not", "null") or self.skip("is", "not", "null"):
            return ("is not", left, NULL)
        if self.skip("is"):
            return self._is(left)
        negated = self.skip("not") or word.startswith("not ")
        word = _SPELLINGS.get(self.word, self.word).removeprefix("not ")
        self.take()
        if word == "in":
            self.expect("(")
            return membership(left, ("array", *self._listed(")")), negated=negated)
        if word == "between":
            low = self.expression(_EQUALITY)
            self.expect("and")
            high = self.expression(_EQUALITY)
            found = joined("and", (">=", left, low), ("<=", left, high))
        elif word in {"like", "ilike"}:
            found = self._like(left, word)
        else:
            found = (word, left, self.expression(_EQUALITY))  # GLOB, MATCH, REGEXP
        return negation(found) if negated else found

    def _is(self, left: Node) -> Node:
        negated = self.skip("not")
        if self.skip("distinct", "from"):
            negated = not negated
        right = self.expression(_EQUALITY)
        return ("is not" if negated else "is", left, right)

    def _like(self, left: Node, word: str) -> Node:
        """LIKE looks at the case of letters on PostgreSQL and not on SQLite; a pattern without letters has no case."""
        pattern = self.expression(_EQUALITY)
        escape: Node = (self.expression(_EQUALITY),) if self.skip("escape") else ()
        if pattern[:2] == ("call", "like_escape") and isinstance(pattern[2], tuple):  # ESCAPE, as PostgreSQL shows it
            pattern, escape = pattern[2], pattern[3:]
        caseless = pattern[0] == "string" and not any(sign.isalpha() for sign in str(pattern[1]))
        if caseless:
            word = "like"
        elif self._syntax is Syntax.SQLITE:
            word = "ilike"
        return (word, left, pattern, *escape)

    def _flag(self, left: Node, right: Node, *, negated: bool) -> Node | None:
        """Return the bare condition for a comparison of a boolean with true or false."""
        if self._type_of(left) != "boolean" or right not in {ONE, ZERO}:
            return None
        return negation(left) if negated is (right == ONE) else left

    def _cast(self, inner: Node, closing: str = "") -> Node:
        """Take a type, and return the expression without the cast where a cast says nothing that counts here."""
        words = [self.take().text]
        while self.word in {"varying", "precision", "with", "without", "time", "zone"}:
            words.append(self.take().text)
        if self.skip("."):
            words = [self.take().text]
        if self.word == "(":
            words.append(f"({', '.join(token.text for token in self.group() if token.word != ',')})")
            while self.word in {"with", "without", "time", "zone"}:
                words.append(self.take().text)
        is_array = False
        while self.skip("[", "]"):
            is_array = True
        if closing:
            self.expect(closing)
        to = portable_type(" ".join(words))
        return inner if to == "integer" == self._type_of(inner) else converted(inner, to, is_array=is_array)

    def _type_of(self, node: Node) -> str | None:
        return self._types.get(str(node[1])) if node[0] == "name" else None
