"""A recording as a JSON document and back, exactly; what many snapshots share is written once.

A document of version 1 holds
- `objects`: every column, table, view, ... of a snapshot once, as `{"Table": {...}}`, its parts before it; elsewhere
  stands its number;
- `snapshots`: each as what it adds to and takes from the one before, so that a history of a thousand tables grows with
  what its revisions change;
- `recording`: all the rest, field by field, without those that have their default.

No serialisation library: what makes the document small is the sharing, which all of them leave to the caller, and none
takes unions of dataclasses, which changes hold, without a rule of its own for each.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from dormatory.errors import UnreadableRecordingError
from dormatory.recording.model import Loss, Recording
from dormatory.schema import changes, describe, snapshot
from dormatory.schema.changes import Change
from dormatory.schema.snapshot import Snapshot

FORMAT_VERSION = 1
_DOCUMENT_KIND = "dormatory recording"
_DOCUMENT_KEYS = frozenset({"kind", "version", "objects", "snapshots", "recording"})

# The only classes that a document can name.
_SNAPSHOT_CLASSES: dict[str, type] = {
    name: it for name, it in vars(snapshot).items() if isinstance(it, type) and is_dataclass(it) and it is not Snapshot
}
_CHANGE_CLASSES: dict[str, type] = {name: getattr(changes, name) for name in changes.__all__ if name != Change.__name__}
# What annotations name that their modules import for type checkers only.
_TYPE_NAMES: dict[str, Any] = {"Loss": Loss, "Change": Change, "Snapshot": Snapshot, **_SNAPSHOT_CLASSES}
_TYPE_NAMES |= {name: getattr(describe, name) for name in ("SchemaObject", "Part", "AttributeValue")}
_SNAPSHOT_FIELDS = tuple(field.name for field in fields(Snapshot))


def to_json(recording: Recording) -> str:
    """Return a recording as text that `from_json` takes; it is plain ASCII."""
    writer = _Encoder()
    encoded = writer.encode(recording)
    document = {
        "kind": _DOCUMENT_KIND,
        "version": FORMAT_VERSION,
        "objects": writer.objects,
        "snapshots": writer.snapshots,
        "recording": encoded,
    }
    return json.dumps(document, separators=(",", ":"))


def from_json(text: str) -> Recording:
    """Return the recording that a text is of; what was one object in it is one again.

    Raises UnreadableRecordingError.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecordingError(f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != _DOCUMENT_KIND:
        raise UnreadableRecordingError(f'it does not say "kind": "{_DOCUMENT_KIND}"')
    if (version := document.get("version")) != FORMAT_VERSION:
        raise UnreadableRecordingError(f"it is of version {version!r}, and this program reads version {FORMAT_VERSION}")
    try:
        return _Decoder().decode(document)
    except _MismatchError as error:
        raise UnreadableRecordingError(str(error)) from error


class _MismatchError(Exception):
    """A part of a document is not what belongs there."""


class _Field(NamedTuple):
    hint: Any
    default: Any


@cache
def _fields(kind: Any) -> dict[str, _Field]:
    """Return the fields of a dataclass; the default of one that has none is MISSING."""
    hints = get_type_hints(kind, localns=_TYPE_NAMES)
    return {field.name: _Field(hints[field.name], field.default) for field in fields(kind)}


class _Encoder:
    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.snapshots: list[Any] = []
        self._numbers: dict[int, int] = {}  # by id(): the recording keeps all its objects alive
        self._numbers_by_text: dict[str, int] = {}  # by what is written: 1 and True are equal, and not the same
        self._last_numbers: dict[str, list[int]] = {}
        self._last_snapshot: Snapshot | None = None

    def encode(self, value: Any) -> Any:
        """Return a value as JSON has it."""
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, tuple):
            return [self.encode(item) for item in value]
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, Snapshot):
            return self._snapshot_number(value)
        name = type(value).__name__
        if _SNAPSHOT_CLASSES.get(name) is type(value):
            return self._object_number(value)
        return {name: self._encode_fields(value)} if isinstance(value, Change) else self._encode_fields(value)

    def _encode_fields(self, value: Any) -> dict[str, Any]:
        """Return the fields that do not have their default."""
        found = {}
        for name, field in _fields(value.__class__).items():
            held = getattr(value, name)
            if held != field.default or type(held) is not type(field.default):
                found[name] = self.encode(held)
        return found

    def _object_number(self, value: Any) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            entry = {type(value).__name__: self._encode_fields(value)}
            number = self._numbers_by_text.setdefault(json.dumps(entry), len(self.objects))
            if number == len(self.objects):
                self.objects.append(entry)
            self._numbers[id(value)] = number
        return number

    def _snapshot_number(self, value: Snapshot) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            changed = {name: edit for name in _SNAPSHOT_FIELDS if (edit := self._edit(name, getattr(value, name)))}
            if changed or not self.snapshots:
                self.snapshots.append(changed)
            number = self._numbers[id(value)] = len(self.snapshots) - 1
            self._last_snapshot = value
        return number

    def _edit(self, name: str, members: tuple[Any, ...]) -> list[Any] | None:
        """Return what turns one tuple of the last snapshot into this one's: places taken out, then members put in."""
        if members is getattr(self._last_snapshot, name, None):
            return None
        known = self._numbers  # most members are known, and to ask here saves a call for each
        new = [known[id(it)] if id(it) in known else self.encode(it) for it in members]
        old, self._last_numbers[name] = self._last_numbers.get(name, []), new
        kept = {*old} & {*new}
        if [it for it in old if it in kept] != [it for it in new if it in kept]:
            kept = set()  # one has changed its place, or stands there twice
        out = [at for at, it in enumerate(old) if it not in kept]
        put = [[at, it] for at, it in enumerate(new) if it not in kept]
        return [out, put] if out or put else None


class _Decoder:
    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._snapshots: list[Snapshot] = []

    def decode(self, document: dict[str, Any]) -> Recording:
        """Return the recording of a whole document."""
        if document.keys() != _DOCUMENT_KEYS:
            raise _MismatchError(f"its entries are not {', '.join(sorted(_DOCUMENT_KEYS))}")
        self._read_objects(document["objects"])
        self._read_snapshots(document["snapshots"])
        found: Recording = self._build(Recording, document["recording"])
        return found

    def _read_objects(self, entries: Any) -> None:
        """Read the objects; each may refer to those before it."""
        for entry in _checked_list(entries, "objects"):
            name, values = _class_and_fields(entry, _SNAPSHOT_CLASSES)
            self._objects.append(self._build(_SNAPSHOT_CLASSES[name], values))

    def _read_snapshots(self, entries: Any) -> None:
        """Read the snapshots, each from the one before."""
        last = Snapshot()
        hints = _fields(Snapshot)
        for entry in _checked_list(entries, "snapshots"):
            if not isinstance(entry, dict) or not entry.keys() <= hints.keys():
                raise _MismatchError("snapshots: an entry is not what one adds and takes")
            members = {name: getattr(last, name) for name in _SNAPSHOT_FIELDS}
            for name, edit in entry.items():
                members[name] = self._apply_edit(members[name], edit, get_args(hints[name].hint)[0])
            last = Snapshot(**members)
            self._snapshots.append(last)

    def _apply_edit(self, members: tuple[Any, ...], edit: Any, hint: Any) -> tuple[Any, ...]:
        match edit:
            case [list(out), list(put)] if all(type(at) is int and 0 <= at < len(members) for at in out):
                gone = set(out)
            case _:
                raise _MismatchError("a snapshot takes away what is not there")
        found = [it for at, it in enumerate(members) if at not in gone]
        for item in put:
            match item:
                case [int(at), member] if 0 <= at <= len(found):
                    found.insert(at, self._read(hint, member))
                case _:
                    raise _MismatchError("a snapshot adds something to no place")
        return tuple(found)

    def _read(self, hint: Any, value: Any) -> Any:
        """Return the value of a type that a part of a document stands for."""
        if get_origin(hint) in {Union, UnionType}:
            return self._read_union(get_args(hint), value)
        if get_origin(hint) is tuple:
            return self._read_tuple(get_args(hint), value)
        if hint is Change:
            name, values = _class_and_fields(value, _CHANGE_CLASSES)
            return self._build(_CHANGE_CLASSES[name], values)
        if hint is Snapshot:
            return _object_at(self._snapshots, value, Snapshot)
        return self._read_plain(hint, value)

    def _read_plain(self, kind: Any, value: Any) -> Any:
        if kind in _SNAPSHOT_CLASSES.values():
            return _object_at(self._objects, value, kind)
        if is_dataclass(kind):
            return self._build(kind, value)
        if issubclass(kind, Enum):
            return _enum_member(kind, value)
        if type(value) is kind or (kind is float and type(value) is int):
            return value
        raise _wrong_type(value, kind.__name__)

    def _read_union(self, hints: tuple[Any, ...], value: Any) -> Any:
        if value is None and NoneType in hints:
            return None
        *others, last = (hint for hint in hints if hint is not NoneType)
        for hint in others:
            with suppress(_MismatchError):
                return self._read(hint, value)
        return self._read(last, value)

    def _read_tuple(self, hints: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
        if hints[1:] == (...,):
            return tuple([self._read(hints[0], item) for item in _checked_list(value, "a list")])
        if len(_checked_list(value, "a list")) != len(hints):
            raise _MismatchError(f"a list of {len(value)} stands where one of {len(hints)} belongs")
        return tuple([self._read(hint, item) for hint, item in zip(hints, value, strict=True)])

    def _build(self, kind: Any, values: Any) -> Any:
        """Return an object of a dataclass; each entry is one of its fields, those with a default may be missing."""
        known = _fields(kind)
        if not isinstance(values, dict):
            raise _wrong_type(values, kind.__name__)
        if unknown := sorted(values.keys() - known.keys()):
            raise _MismatchError(f"{kind.__name__} has no {unknown[0]!r}")
        if missing := [name for name, field in known.items() if field.default is MISSING and name not in values]:
            raise _MismatchError(f"{kind.__name__} lacks its {missing[0]}")
        return kind(**{name: self._read_field(kind, name, known[name].hint, value) for name, value in values.items()})

    def _read_field(self, kind: type, name: str, hint: Any, value: Any) -> Any:
        try:
            return self._read(hint, value)
        except _MismatchError as error:
            raise _MismatchError(f"{name} of {kind.__name__}: {error}") from error


def _wrong_type(value: Any, expected: str) -> _MismatchError:
    return _MismatchError(f"{type(value).__name__} stands where {expected} belongs")


def _checked_list(value: Any, expected: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(value, expected)
    return value


def _class_and_fields(entry: Any, known: dict[str, Any]) -> tuple[str, Any]:
    """Return the name and the fields of an object whose class is written with it."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise _MismatchError("an object stands there without its class")
    name, values = next(iter(entry.items()))
    if name not in known:
        raise _MismatchError(f"there is no class {name!r}")
    return name, values


def _object_at(known: list[Any], number: Any, kind: type) -> Any:
    if type(number) is not int or not 0 <= number < len(known) or not isinstance(known[number], kind):
        raise _MismatchError(f"the number of {kind.__name__} belongs there")
    return known[number]


def _enum_member(kind: type[Enum], value: Any) -> Enum:
    try:
        return kind(value)
    except ValueError:
        raise _MismatchError(f"there is no such {kind.__name__}") from None
