"""A recording as a JSON document and back, exactly; what several snapshots share is written once.

A document of version 1 has
- `objects`: every column, table, view, ... of a snapshot once, as `{"Table": {...}}`, after the objects that it
  consists of; everywhere else its number refers to it;
- `snapshots`: each as its difference from the one before, so that the document of a history with a thousand tables
  grows only with what its revisions change;
- `recording`: all the rest, field by field, without the fields that have their default.

cattrs converts the fields of the dataclasses; the numbers and the differences are our own. Only those who read or
write a document import this module, and cattrs with it.
"""

from __future__ import annotations

import json
from contextvars import ContextVar, copy_context
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.strategies import configure_union_passthrough
from cattrs.v import format_exception

from dormatory.errors import UnreadableRecordingError
from dormatory.recording.model import Recording
from dormatory.schema import changes, snapshot
from dormatory.schema.changes import Change
from dormatory.schema.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT_VERSION = 1
_DOCUMENT_KIND = "dormatory recording"
_DOCUMENT_KEYS = frozenset({"kind", "version", "objects", "snapshots", "recording"})

# The only classes that a document can name.
_OBJECT_CLASSES: dict[str, type] = {
    name: it for name, it in vars(snapshot).items() if isinstance(it, type) and is_dataclass(it) and it is not Snapshot
}
_CHANGE_CLASSES: dict[str, type] = {name: getattr(changes, name) for name in changes.__all__ if name != Change.__name__}
_SNAPSHOT_FIELDS = tuple(field.name for field in fields(Snapshot))


def to_json(recording: Recording) -> str:
    """Return a recording as text that `from_json` reads; it is plain ASCII."""
    document = copy_context().run(_encode, recording)
    return json.dumps(document, separators=(",", ":"))


def from_json(text: str) -> Recording:
    """Return the recording of a document; what was one object when it was written is one object again.

    Raises UnreadableRecordingError.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecordingError(f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != _DOCUMENT_KIND:
        raise UnreadableRecordingError(f'it has no "kind": "{_DOCUMENT_KIND}"')
    if (version := document.get("version")) != FORMAT_VERSION:
        raise UnreadableRecordingError(f"it has version {version!r}, and this program reads version {FORMAT_VERSION}")
    if document.keys() != _DOCUMENT_KEYS:
        raise UnreadableRecordingError(f"its entries are not {', '.join(sorted(_DOCUMENT_KEYS))}")
    try:
        return copy_context().run(_decode, document)
    except (BaseValidationError, _MismatchError) as error:
        raise UnreadableRecordingError(transform_error(error, format_exception=_explain)[0]) from error


def _encode(recording: Recording) -> dict[str, Any]:
    encoder = _Encoder()
    _ENCODER.set(encoder)
    return {
        "kind": _DOCUMENT_KIND,
        "version": FORMAT_VERSION,
        "objects": encoder.objects,
        "snapshots": encoder.snapshots,
        "recording": _CONVERTER.unstructure(recording),
    }


def _decode(document: dict[str, Any]) -> Recording:
    decoder = _Decoder()
    _DECODER.set(decoder)
    decoder.read_objects(document["objects"])
    decoder.read_snapshots(document["snapshots"])
    return _CONVERTER.structure(document["recording"], Recording)


class _MismatchError(Exception):
    """A part of a document is not what is expected there."""


class _Encoder:
    """What one document shares: its objects and snapshots so far, and the number of each."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.snapshots: list[Any] = []
        self._numbers: dict[int, int] = {}  # by id(): the recording keeps all its objects alive
        self._numbers_by_text: dict[str, int] = {}  # by what is written: 1 and True are equal, but not the same
        self._last_numbers: dict[str, list[int]] = {}
        self._last_snapshot: Snapshot | None = None

    def object_number(self, value: Any) -> int:
        """Return the number of a column, table, ...; it is written when it is met for the first time."""
        number = self._numbers.get(id(value))
        if number is None:
            entry = _named_fields(value)
            number = self._numbers_by_text.setdefault(json.dumps(entry), len(self.objects))
            if number == len(self.objects):
                self.objects.append(entry)
            self._numbers[id(value)] = number
        return number

    def snapshot_number(self, value: Snapshot) -> int:
        """Return the number of a snapshot; it is written when it is met for the first time."""
        number = self._numbers.get(id(value))
        if number is None:
            changed = {name: edit for name in _SNAPSHOT_FIELDS if (edit := self._edit(name, getattr(value, name)))}
            if changed or not self.snapshots:
                self.snapshots.append(changed)
            number = self._numbers[id(value)] = len(self.snapshots) - 1
            self._last_snapshot = value
        return number

    def _edit(self, name: str, members: tuple[Any, ...]) -> list[Any] | None:
        """Return the edit of one tuple since the last snapshot: the places to remove, then the members to insert."""
        if members is getattr(self._last_snapshot, name, None):
            return None
        known = self._numbers  # most members are known: looking here saves a call for each
        new = [known[id(it)] if id(it) in known else _CONVERTER.unstructure(it) for it in members]
        old, self._last_numbers[name] = self._last_numbers.get(name, []), new
        kept = {*old} & {*new}
        if [it for it in old if it in kept] != [it for it in new if it in kept]:
            kept = set()  # one has changed its place, or is contained twice
        removed = [at for at, it in enumerate(old) if it not in kept]
        inserted = [[at, it] for at, it in enumerate(new) if it not in kept]
        return [removed, inserted] if removed or inserted else None


class _Decoder:
    """What one document shares: its objects and snapshots, by number."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._snapshots: list[Snapshot] = []

    def read_objects(self, entries: Any) -> None:
        """Read the objects; each may refer to those before it."""
        for entry in _require(entries, list, "a list of objects"):
            self._objects.append(_structure_named(entry, _OBJECT_CLASSES))

    def read_snapshots(self, entries: Any) -> None:
        """Read the snapshots, each from the one before."""
        last = Snapshot()
        for entry in _require(entries, list, "a list of snapshots"):
            if not isinstance(entry, dict) or not entry.keys() <= {*_SNAPSHOT_FIELDS}:
                raise _MismatchError("snapshots: an entry does not consist of edits")
            members = {name: getattr(last, name) for name in _SNAPSHOT_FIELDS}
            for name, edit in entry.items():
                members[name] = self._apply_edit(members[name], edit, _member_types()[name])
            last = Snapshot(**members)
            self._snapshots.append(last)

    def object_at(self, number: Any, kinds: tuple[type, ...]) -> Any:
        """Return the object of one of these classes with a number."""
        return _item_at(self._objects, number, kinds)

    def snapshot_at(self, number: Any) -> Snapshot:
        """Return the snapshot with a number."""
        found: Snapshot = _item_at(self._snapshots, number, (Snapshot,))
        return found

    def _apply_edit(self, members: tuple[Any, ...], edit: Any, kind: Any) -> tuple[Any, ...]:
        match edit:
            case [list(removed), list(inserted)] if all(type(at) is int and 0 <= at < len(members) for at in removed):
                dropped = set(removed)
            case _:
                raise _MismatchError("a snapshot removes what it does not have")
        found = [it for at, it in enumerate(members) if at not in dropped]
        for item in inserted:
            match item:
                case [int(at), member] if 0 <= at <= len(found):
                    found.insert(at, _CONVERTER.structure(member, kind))
                case _:
                    raise _MismatchError("a snapshot inserts something at an impossible place")
        return tuple(found)


# cattrs calls its hooks with a value and a type only: what a document shares reaches them in this way.
_ENCODER: ContextVar[_Encoder] = ContextVar("encoder")
_DECODER: ContextVar[_Decoder] = ContextVar("decoder")


@cache
def _member_types() -> dict[str, Any]:
    return {name: get_args(hint)[0] for name, hint in get_type_hints(Snapshot).items()}


def _named_fields(value: Any) -> dict[str, Any]:
    """Return the fields of an object by the name of its class."""
    kind: type = type(value)
    return {kind.__name__: _unstructure_function(kind)(value)}


def _structure_named(entry: Any, known: dict[str, type]) -> Any:
    """Return the object of a class that the document names."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise _MismatchError("an object has no class")
    ((name, values),) = entry.items()
    if name not in known:
        raise _MismatchError(f"there is no class {name!r}")
    return _structure_fields(known[name])(values, known[name])


def _item_at(known: list[Any], number: Any, kinds: tuple[type, ...]) -> Any:
    if type(number) is not int or not 0 <= number < len(known) or not isinstance(known[number], kinds):
        raise _MismatchError(f"the number of a {' or '.join(kind.__name__ for kind in kinds)} is expected")
    return known[number]


def _require(value: Any, kind: type, expected: str) -> Any:
    if not isinstance(value, kind):
        raise _MismatchError(f"{expected} is expected, not {type(value).__name__}")
    return value


def _explain(error: BaseException, kind: Any) -> str:
    """Return our own errors as they are, and those of cattrs in its words."""
    return str(error) if isinstance(error, _MismatchError) else format_exception(error, kind)


@cache
def _unstructure_function(kind: type) -> Callable[[Any], dict[str, Any]]:
    return make_dict_unstructure_fn(kind, _CONVERTER, _cattrs_omit_if_default=True)


@cache
def _structure_fields(kind: type) -> Callable[[Any, Any], Any]:
    """Return what makes an object of a class from its fields; those with a default may be missing, others may not."""
    structure: Callable[[Any, Any], Any] = make_dict_structure_fn(kind, _CONVERTER, _cattrs_forbid_extra_keys=True)
    return lambda values, _: structure(_require(values, dict, f"a {kind.__name__}"), kind)


def _structure_tuple(hint: Any) -> Callable[[Any, Any], Any]:
    """Return what makes a tuple from a list, and from nothing else: cattrs would take a text for its letters."""
    items = get_args(hint)
    if items[1:] == (...,):
        as_list: Any = list[items[0]]  # type: ignore[valid-type]  # known when the program runs
        structure = _CONVERTER.get_structure_hook(as_list)
        return lambda values, _: tuple(structure(_require(values, list, "a list"), as_list))

    def structure_pair(values: Any, _: Any) -> Any:
        if len(_require(values, list, "a list")) != len(items):
            raise _MismatchError(f"a list of {len(items)} is expected, not of {len(values)}")
        return tuple([_CONVERTER.structure(value, item) for value, item in zip(values, items, strict=True)])

    return structure_pair


def _structure_plain(value: Any, kind: type) -> Any:
    """Return a text, a number or a boolean as it is: cattrs would convert one into another."""
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise _MismatchError(f"{kind.__name__} is expected, not {type(value).__name__}")


def _is_tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple


def _is_union_of_objects(hint: Any) -> bool:
    return get_origin(hint) in {Union, UnionType} and {*get_args(hint)} <= {*_OBJECT_CLASSES.values()}


def _new_converter() -> Converter:
    converter = Converter(omit_if_default=True)
    configure_union_passthrough(str | int | bool | None, converter)
    converter.register_structure_hook_factory(_is_tuple, _structure_tuple)
    converter.register_structure_hook_factory(is_dataclass, _structure_fields)
    for plain in (str, int, float, bool):
        converter.register_structure_hook(plain, _structure_plain)
    for kind in _OBJECT_CLASSES.values():
        converter.register_unstructure_hook(kind, lambda value: _ENCODER.get().object_number(value))
        converter.register_structure_hook(kind, lambda number, kind: _DECODER.get().object_at(number, (kind,)))
    converter.register_structure_hook_func(
        _is_union_of_objects, lambda number, hint: _DECODER.get().object_at(number, get_args(hint))
    )
    converter.register_unstructure_hook(Snapshot, lambda value: _ENCODER.get().snapshot_number(value))
    converter.register_structure_hook(Snapshot, lambda number, _: _DECODER.get().snapshot_at(number))
    converter.register_unstructure_hook(Change, _named_fields)
    converter.register_structure_hook(Change, lambda entry, _: _structure_named(entry, _CHANGE_CLASSES))
    return converter


_CONVERTER = _new_converter()
