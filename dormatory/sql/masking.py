"""SQL and error texts without the values of rows and without secrets: what may be shown or stored.

Literals that define structure stay, as they do in a dump of the schema: defaults, conditions, labels, comments on
objects, bodies of functions. Whatever is not surely structure counts as a value.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from dormatory.sql.lexer import lexemes
from dormatory.sql.mask import MASK
from dormatory.sql.split import quoted_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.sql.dialect import Dialect


_MASKED_VALUE = "'…'"  # also for a number: the text remains SQL, and cannot be mistaken for the value
_MASKED_COMMENTS = {"line": "-- …", "comment": "/* … */"}
_MASKED_SECRET = f"'{MASK}'"

# The first words of statements whose literals are structure or settings.
_STRUCTURE_VERBS = frozenset(
    {"alter", "attach", "comment", "create", "drop", "grant", "import", "pragma", "revoke", "set"}
)
_LITERAL_GROUPS = frozenset({"string", "escaped", "dollar"})
_WORD_GROUPS = frozenset({"word", "lone"})
_UNCLOSED_QUOTES = frozenset(
    {"'", '"', "`", "$"}
)  # a lone one opens a literal that is not closed: all that follows may be in it
_SQL_LANGUAGES = frozenset({"plpgsql", "sql"})
_DO_LANGUAGE = re.compile(r"""(?:\bdo|\$)\s*\blanguage\s+['"]?(\w+)""", re.IGNORECASE)
_WORDS_BEFORE_NAMES = frozenset({"into", "update", "from", "join", "table", "as", "."})
_OBJECT_KINDS = frozenset({"function", "index", "procedure", "rule", "table", "trigger", "type", "view"})
_MAX_FIRST_WORDS = 8  # words, enough for: ALTER ROLE name IN DATABASE name SET
# The second word of a type that has a length.
_TYPE_NAME_CONTINUATIONS = frozenset({"char", "character", "varying"})

_HAS_LITERAL = re.compile(r"""['"$]|--|/\*""")
_MAY_NEED_MASKING = re.compile(r"""['"`$]|--|/\*|(?<!\w)\d""")  # most statements have parameters, and need none

_SECRET_NAME = re.compile(r"pass(?:word|wd|phrase)|pwd|secret|token|credential|(?:^|_)key$")
_SECRET_PATTERNS = (
    re.compile(r"(?P<kept>://[^\s/:@'\"]{0,200}:)[^\s'\"]{1,4000}(?=@)"),  # the user's part of a URL
    re.compile(  # a setting of libpq, a parameter of a URL, an entry of JSON
        r"""(?P<kept>(?:password|passwd|passphrase|pwd|secret|token)\w{0,30}"?\s{0,9}[:=](?!:)\s{0,9}"?)
            (?:''.*?''|[^\s'"&;,)}]+)""",
        re.IGNORECASE | re.VERBOSE,
    ),
)

# How messages of databases and Python quote rows.
_ROW_VALUE_PATTERNS = (
    (re.compile(r"^(LINE \d+:).*$", re.MULTILINE), r"\1 …"),
    (re.compile(r"\[(SQL|parameters):.*", re.DOTALL), r"[\1: …]"),
    (re.compile(r"\)(\s*=\s*)\(.*\)", re.DOTALL), r")\1(…)"),  # Key (label)=(...) already exists
    (re.compile(r"(row contains) \(.*\)", re.DOTALL), r"\1 (…)"),
    (re.compile(r"(KeyError: ).*", re.DOTALL), r"\1…"),
    (re.compile(r"(?<!\S)\S++(?= is not a valid )"), "…"),
    (re.compile(r""": (?!'\w+' object)(["']).*\1""", re.DOTALL), r": \1…\1"),  # a quote within the value is not doubled
)
# The words that a name follows in a message.
_OBJECT_NOUNS = (
    "argument|attribute|class|collation|columns?|configuration|constraint|cursor|database|dictionary|domain|encoding|"
    "enum|extension|family|function|index|label|language|method|module|named|near|object|operator|option|parameter|"
    "partition|policy|procedure|publication|relation|role|rule|savepoint|schema|sequence|server|statement|subscription|"
    "table|tablespace|trigger|type|variable|view|wrapper"
)
_NAME = r"""(?:"[^"'][^"]*"|'\w+')"""
_QUOTED_TEXT = re.compile(
    rf"""(?P<names>\b(?:{_OBJECT_NOUNS})\s{_NAME}(?:(?:,\s|\sand\s|\sor\s|\.){_NAME})*
        | {_NAME}(?=\sis\s(?:not\s)?an?\s(?:\w+\s)?(?:{_OBJECT_NOUNS})\b)
        | '\w+'(?=\sobject\b) | \bname\s'\w+'(?=\sis\snot\sdefined) | <class\s'[\w.]+'>)
    | "[^"]*(?:"|\Z) | (?<!\w)'(?:[^'\\]|\\(?:.|\Z)|'(?=\w))*(?:'|\Z)
    | »[^«]*(?:«|\Z) | „[^“]*(?:“|\Z) | “[^”]*(?:”|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING_QUOTES = {'"': '"', "'": "'", "»": "«", "„": "“", "“": "”"}


def without_values(sql: str, dialect: Dialect, is_name: Callable[[str], bool] = lambda _: False) -> str:
    """Return SQL with an ellipsis for each literal that may be a value of a row, and without secrets and comments.

    Where a text in double quotes may be a string (SQLite), it is kept if `is_name` says that it is a name, or if only
    a name can stand in its place.
    """
    return _Masker(sql, dialect, is_name).masked_text() if _MAY_NEED_MASKING.search(sql) else sql


def without_sql_secrets(sql: str, dialect: Dialect) -> str:
    """Return SQL without secrets; its literals and comments stay."""
    return _Masker(sql, dialect, lambda _: True, has_values=False).masked_text() if _HAS_LITERAL.search(sql) else sql


def without_secrets(text: str) -> str:
    """Return a text without the passwords in its URLs and connection strings."""
    for pattern in _SECRET_PATTERNS:
        text = pattern.sub(rf"\g<kept>{MASK}", text)
    return text


def without_row_values(text: str) -> str:
    """Return a message of a database or of Python without the values of rows and without secrets.

    Names stay if the word before them shows that they are names. A value without quotes in a message of the revision
    itself looks like any other word, and stays.
    """
    shown = without_secrets(text)
    if "CHECK constraint failed: " in text:  # SQLite repeats the condition, which is structure
        return shown
    for pattern, kept in _ROW_VALUE_PATTERNS:
        shown = pattern.sub(kept, shown)
    return _QUOTED_TEXT.sub(lambda found: found["names"] or f"{found[0][0]}…{_CLOSING_QUOTES[found[0][0]]}", shown)


class _Masker:
    """One pass over a text; `has_values` tells whether its literals are values, None if each statement decides."""

    def __init__(
        self, sql: str, dialect: Dialect, is_name: Callable[[str], bool], *, has_values: bool | None = None
    ) -> None:
        self._sql, self._dialect, self._is_name, self._has_values = sql, dialect, is_name, has_values
        self._previous_words: deque[str] = deque(("", "", ""), 3)  # the last words and symbols of the statement
        self._is_stopped = False
        self._start_statement()

    def _start_statement(self) -> None:
        """Reset what is known of the current statement."""
        self._first_words: list[str] = []
        self._is_masking = self._has_values is not False
        self._depth = self._block_depth = 0
        self._expression_depth: int | None = None  # the depth at which a comma ends an expression that computes values
        self._cast_state = ""  # the last part of a cast: "::", a "word" of its type, the "(" of its length

    def masked_text(self) -> str:
        """Return the text without values and secrets."""
        parts, position = list[str](), 0
        for group, start, end in lexemes(self._sql, self._dialect):
            parts += self._sql[position:start], self._masked_token(group, start, end)
            position = end
            if self._is_stopped:
                return "".join(parts)
        return "".join(parts) + self._sql[position:]

    def _masked_token(self, group: str, start: int, end: int) -> str:
        text = self._sql[start:end]
        if group in _MASKED_COMMENTS:
            return without_secrets(text) if self._has_values is False else _MASKED_COMMENTS[group]
        shown = text
        if group in _LITERAL_GROUPS:
            shown = self._masked_literal(group, text)
        elif self._is_masking and (
            (group == "number" and self._cast_state != "(")
            or (group == "name" and self._is_string_in_double_quotes(text, end))
        ):
            shown = _MASKED_VALUE
        elif self._is_masking and group == "symbol" and text in _UNCLOSED_QUOTES:
            shown, self._is_stopped = _MASKED_VALUE, True
        word = text.lower() if group in _WORD_GROUPS or group in {"comma", "symbol"} else text.strip('"')
        self._consume(group, word)
        return shown

    def _masked_literal(self, group: str, text: str) -> str:
        if self._is_secret():
            return _MASKED_SECRET
        if group == "dollar" and (not self._is_masking or self._first_words[:1] == ["do"]):
            return self._masked_body(text)
        return _MASKED_VALUE if self._is_masking else without_secrets(text)

    def _masked_body(self, text: str) -> str:
        """Return code between dollar quotes, masked; the code of a DO moves rows, that of a function is structure."""
        quote, body = quoted_code(text)
        if (
            self._is_masking
            and (language := _DO_LANGUAGE.search(self._sql))
            and language[1].lower() not in _SQL_LANGUAGES
        ):
            return f"{quote}…{quote}"
        inner = _Masker(body, self._dialect, self._is_name, has_values=self._is_masking)
        return quote + inner.masked_text() + quote

    def _is_secret(self) -> bool:
        """Return whether PASSWORD, or an option or setting of such a name, stands before a literal."""
        _, name, last = self._previous_words
        if last in {"=", "to"}:
            is_setting = self._first_words[:1] in (["set"], ["pragma"]) or "set" in self._first_words[1:]
            return is_setting and bool(_SECRET_NAME.search(name.lower()))
        return not self._is_masking and bool(_SECRET_NAME.search(last.lower()))

    def _is_string_in_double_quotes(self, name: str, end: int) -> bool:
        """Return whether a text in double quotes may be a string rather than a name."""
        if not self._dialect.has_strings_in_double_quotes:
            return False
        is_name_position = self._previous_words[-1] in _WORDS_BEFORE_NAMES or self._sql[end : end + 1] == "."
        return not is_name_position and not self._is_name(name[1:-1].replace('""', '"'))

    def _consume(self, group: str, word: str) -> None:
        """Update what is known of the current statement."""
        if word == ";" and not self._block_depth:
            self._start_statement()
            return
        if group in _WORD_GROUPS:
            self._consume_word(word)
        self._depth += (word == "(") - (word == ")")
        if self._expression_depth is not None and (
            self._depth < self._expression_depth or (word == "," and self._depth == self._expression_depth)
        ):
            self._expression_depth, self._is_masking = None, False
        self._track_cast(group, word)
        self._previous_words.append(word)

    def _consume_word(self, word: str) -> None:
        first_words = self._first_words
        if len(first_words) < _MAX_FIRST_WORDS:
            first_words.append(word)
        if self._has_values is not None:
            return
        if len(first_words) == 1 and word == first_words[0]:
            self._is_masking = word not in _STRUCTURE_VERBS
        if first_words[0] == "create":
            kind = next((it for it in first_words if it in _OBJECT_KINDS), "")
            if word == "as" and kind == "table" and not self._depth:
                self._is_masking = True
            is_begin = (word == "begin" and kind == "trigger") or (
                word == "atomic" and self._previous_words[-1] == "begin"
            )
            self._block_depth += is_begin or (self._block_depth > 0 and (word == "case") - (word == "end"))
        elif first_words[:2] == ["alter", "table"] and word == "using" and self._previous_words[-1] != "exclude":
            self._is_masking, self._expression_depth = True, self._depth
        elif first_words[0] == "copy" and word == "stdin":
            self._is_stopped = True  # rows follow, not SQL

    def _track_cast(self, group: str, word: str) -> None:
        """Follow a cast, in which a number is the length of a type and not a value."""
        if word in {"::", "as"}:
            self._cast_state = "::"
        elif (self._cast_state == "::" and (group in _WORD_GROUPS or group == "name")) or (
            self._cast_state == "word" and word in _TYPE_NAME_CONTINUATIONS
        ):
            self._cast_state = "word"
        elif self._cast_state == "word" and word == "(":
            self._cast_state = "("
        elif not (self._cast_state == "(" and (group == "number" or word == ",")):
            self._cast_state = ""
