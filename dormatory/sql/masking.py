"""What may leave the process: SQL and error texts without the values of rows and without secrets.

Literals that define structure stay, as they do in a dump of the schema: defaults, conditions, labels, comments on
objects, bodies of functions. Whatever is not surely structure is taken for a value.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from dormatory.sql.lexer import Syntax, lexemes

if TYPE_CHECKING:
    from collections.abc import Callable


MASK = "***"

_HIDDEN = "'…'"  # also for a number: the text remains SQL, and nobody takes it for what was there
_HIDDEN_COMMENTS = {"line": "-- …", "comment": "/* … */"}
_HIDDEN_SECRET = f"'{MASK}'"

# The first words of statements whose literals are structure or settings.
_STRUCTURE = frozenset({"alter", "attach", "comment", "create", "drop", "grant", "import", "pragma", "revoke", "set"})
_LITERALS = frozenset({"string", "escaped", "dollar"})
_WORDS = frozenset({"word", "lone"})
_UNCLOSED = frozenset({"'", '"', "`", "$"})  # symbols where a literal was not closed: what follows may be in it
_SQL_LANGUAGES = frozenset({"plpgsql", "sql"})
_DO_LANGUAGE = re.compile(r"""(?:\bdo|\$)\s*\blanguage\s+['"]?(\w+)""", re.IGNORECASE)
_BEFORE_NAMES = frozenset({"into", "update", "from", "join", "table", "as", "."})
_KINDS = frozenset({"function", "index", "procedure", "rule", "table", "trigger", "type", "view"})
_OPENING = 8  # words, enough for: ALTER ROLE name IN DATABASE name SET
_OF_TYPES = frozenset({"char", "character", "varying"})  # beyond the first word of a type that has a length

_MAY_HOLD = re.compile(r"""['"`$]|--|/\*|(?<!\w)\d""")  # something to look at: most statements have parameters

_SECRET_NAME = re.compile(r"pass(?:word|wd|phrase)|pwd|secret|token|credential|(?:^|_)key$")
_SECRETS = (
    re.compile(r"(?P<kept>://[^\s/:@'\"]{0,200}:)[^\s'\"]{1,4000}(?=@)"),  # the user's part of a URL
    re.compile(  # a setting of libpq, a parameter of a URL, an entry of JSON
        r"""(?P<kept>(?:password|passwd|passphrase|pwd|secret|token)\w{0,30}"?\s{0,9}[:=](?!:)\s{0,9}"?)
            (?:''.*?''|[^\s'"&;,)}]+)""",
        re.IGNORECASE | re.VERBOSE,
    ),
)

# What databases and Python say of rows.
_OF_ROWS = (
    (re.compile(r"^(LINE \d+:).*$", re.MULTILINE), r"\1 …"),
    (re.compile(r"\[(SQL|parameters):.*", re.DOTALL), r"[\1: …]"),
    (re.compile(r"\)(\s*=\s*)\(.*\)", re.DOTALL), r")\1(…)"),  # Key (label)=(...) already exists
    (re.compile(r"(row contains) \(.*\)", re.DOTALL), r"\1 (…)"),
    (re.compile(r"(KeyError: ).*", re.DOTALL), r"\1…"),
    (re.compile(r"(?<!\S)\S++(?= is not a valid )"), "…"),
    (re.compile(r""": (?!'\w+' object)(["']).*\1""", re.DOTALL), r": \1…\1"),  # a quote within the value is not doubled
)
# The words before a name.
_NOUNS = (
    "attribute|argument|collation|columns?|constraint|domain|encoding|enum|extension|function|index|label|language|"
    "module|named|near|operator|parameter|policy|procedure|relation|role|schema|sequence|table|trigger|type|view"
)
_NAME = r"""(?:"[^"'][^"]*"|'\w+')"""
_QUOTED = re.compile(
    rf"""(?P<names>\b(?:{_NOUNS})\s{_NAME}(?:(?:,\s|\sand\s|\sor\s|\.){_NAME})*
        | '\w+'(?=\sobject\b) | \bname\s'\w+'(?=\sis\snot\sdefined) | <class\s'[\w.]+'>)
    | "[^"]*(?:"|\Z) | (?<!\w)'(?:[^'\\]|\\(?:.|\Z)|'(?=\w))*(?:'|\Z)
    | »[^«]*(?:«|\Z) | „[^“]*(?:“|\Z) | “[^”]*(?:”|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {'"': '"', "'": "'", "»": "«", "„": "“", "“": "”"}


def without_values(sql: str, syntax: Syntax, is_name: Callable[[str], bool] = lambda _: False) -> str:
    """Return SQL with an ellipsis for each literal that may be a value of a row, and without secrets and comments.

    SQLite takes a name in double quotes for a text where no column is called so: such a one stays where `is_name` knows
    it, or where only a name can stand.
    """
    return _Masker(sql, syntax, is_name).result() if _MAY_HOLD.search(sql) else sql


def without_secrets(text: str) -> str:
    """Return a text without the passwords in its URLs and connection strings."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<kept>{MASK}", text)
    return text


def without_row(text: str) -> str:
    """Return what a database or Python said of rows, without their values and without secrets.

    Names stay where the word before them tells that they are names. A value that a revision's own message holds without
    quotes looks like any other word, and stays.
    """
    shown = without_secrets(text)
    if "CHECK constraint failed: " in text:  # SQLite repeats the condition, which is structure
        return shown
    for pattern, kept in _OF_ROWS:
        shown = pattern.sub(kept, shown)
    return _QUOTED.sub(lambda found: found["names"] or f"{found[0][0]}…{_CLOSING[found[0][0]]}", shown)


class _Masker:
    """One pass over a text; `holds` says for all of it whether literals are values, None lets each statement say."""

    def __init__(self, sql: str, syntax: Syntax, is_name: Callable[[str], bool], *, holds: bool | None = None) -> None:
        self._sql, self._syntax, self._is_name, self._holds = sql, syntax, is_name, holds
        self._before: deque[str] = deque(("", "", ""), 3)  # the last words and symbols of the statement
        self._is_cut = False
        self._start()

    def _start(self) -> None:
        """Begin a statement."""
        self._opening: list[str] = []
        self._values = self._holds is not False
        self._depth = self._block = 0
        self._until: int | None = None  # the depth at which a comma ends an expression that makes values
        self._type = ""  # how far a cast has got: "::", its type's "word", the "(" of its length

    def result(self) -> str:
        """Return the text as it may be shown."""
        parts, position = list[str](), 0
        for group, start, end in lexemes(self._sql, self._syntax):
            parts += self._sql[position:start], self._shown(group, start, end)
            position = end
            if self._is_cut:
                return "".join(parts)
        return "".join(parts) + self._sql[position:]

    def _shown(self, group: str, start: int, end: int) -> str:
        text = self._sql[start:end]
        if group in _HIDDEN_COMMENTS:
            return without_secrets(text) if self._holds is False else _HIDDEN_COMMENTS[group]
        shown = text
        if group in _LITERALS:
            shown = self._literal(group, text)
        elif self._values and (
            (group == "number" and self._type != "(")
            or (group == "name" and self._syntax is Syntax.SQLITE and self._is_text(text, end))
        ):
            shown = _HIDDEN
        elif self._values and group == "symbol" and text in _UNCLOSED:
            shown, self._is_cut = _HIDDEN, True
        word = text.lower() if group in _WORDS or group in {"comma", "symbol"} else text.strip('"')
        self._follow(group, word)
        return shown

    def _literal(self, group: str, text: str) -> str:
        if self._names_a_secret():
            return _HIDDEN_SECRET
        if group == "dollar" and (not self._values or self._opening[:1] == ["do"]):
            return self._body(text)
        return _HIDDEN if self._values else without_secrets(text)

    def _body(self, text: str) -> str:
        """Return code between dollar quotes; that of a DO moves rows, that of a function is structure."""
        mark = text[: text.index("$", 1) + 1]
        body = text[len(mark) : -len(mark)]
        if self._values and (language := _DO_LANGUAGE.search(self._sql)) and language[1].lower() not in _SQL_LANGUAGES:
            return f"{mark}…{mark}"
        inner = _Masker(body, self._syntax, self._is_name, holds=self._values)
        return mark + inner.result() + mark

    def _names_a_secret(self) -> bool:
        """Tell whether PASSWORD, or an option or setting of such a name, stands before a literal."""
        _, name, last = self._before
        if last in {"=", "to"}:
            is_setting = self._opening[:1] in (["set"], ["pragma"]) or "set" in self._opening[1:]
            return is_setting and bool(_SECRET_NAME.search(name.lower()))
        return not self._values and bool(_SECRET_NAME.search(last.lower()))

    def _is_text(self, name: str, end: int) -> bool:
        """Tell whether SQLite may take what stands in double quotes for a text."""
        is_placed = self._before[-1] in _BEFORE_NAMES or self._sql[end : end + 1] == "."
        return not is_placed and not self._is_name(name[1:-1].replace('""', '"'))

    def _follow(self, group: str, word: str) -> None:
        """Take in what has been read."""
        if word == ";" and not self._block:
            self._start()
            return
        if group in _WORDS:
            self._follow_word(word)
        self._depth += (word == "(") - (word == ")")
        if self._until is not None and (self._depth < self._until or (word == "," and self._depth == self._until)):
            self._until, self._values = None, False
        self._follow_type(group, word)
        self._before.append(word)

    def _follow_word(self, word: str) -> None:
        opening = self._opening
        if len(opening) < _OPENING:
            opening.append(word)
        if self._holds is not None:
            return
        if len(opening) == 1 and word == opening[0]:
            self._values = word not in _STRUCTURE
        if opening[0] == "create":
            kind = next((it for it in opening if it in _KINDS), "")
            if word == "as" and kind == "table" and not self._depth:
                self._values = True
            is_begin = (word == "begin" and kind == "trigger") or (word == "atomic" and self._before[-1] == "begin")
            self._block += is_begin or (self._block > 0 and (word == "case") - (word == "end"))
        elif opening[:2] == ["alter", "table"] and word == "using" and self._before[-1] != "exclude":
            self._values, self._until = True, self._depth
        elif opening[0] == "copy" and word == "stdin":
            self._is_cut = True  # what follows is no SQL but rows

    def _follow_type(self, group: str, word: str) -> None:
        """See whether a number would be the length of a type that something is cast to."""
        if word in {"::", "as"}:
            self._type = "::"
        elif (self._type == "::" and (group in _WORDS or group == "name")) or (
            self._type == "word" and word in _OF_TYPES
        ):
            self._type = "word"
        elif self._type == "word" and word == "(":
            self._type = "("
        elif not (self._type == "(" and (group == "number" or word == ",")):
            self._type = ""
