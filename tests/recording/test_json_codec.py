"""A recording is written as text and reads back equal; other text is refused with a reason."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.errors import UnreadableRecordingError
from dormatory.recording import json_codec
from dormatory.recording.leg import Leg, Statement
from dormatory.recording.model import Recording, Step
from dormatory.replay.replay import replay_history
from dormatory.schema import changes, snapshot
from dormatory.schema.changes import Change, ObjectAltered
from dormatory.schema.snapshot import Snapshot, Table
from tests.recording.made_recordings import long_history, step, table

if TYPE_CHECKING:
    from tests.conftest import SmallProject

CHANGES = [getattr(changes, name) for name in changes.__all__ if name != "Change"]
TABLE_POOL = "tables"


@cache
def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return what makes any value of a type, from the types of the fields of dataclasses."""
    if get_origin(hint) in {Union, UnionType}:
        return st.one_of([values_of(option) for option in get_args(hint)])
    if get_origin(hint) is tuple:
        first, *rest = get_args(hint)
        return (
            st.lists(values_of(first), max_size=2).map(tuple)
            if rest == [...]
            else st.tuples(*map(values_of, [first, *rest]))
        )
    if hint in PLAIN_STRATEGIES:
        return PLAIN_STRATEGIES[hint]
    return st.sampled_from(hint) if issubclass(hint, Enum) else instances_of(hint)


def instances_of(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in fields(kind)})


@st.composite
def snapshots(draw: st.DrawFn) -> Any:
    """Draw a snapshot some of whose tables stand in others, too, perhaps elsewhere or twice, the same or but equal."""
    pool = draw(st.shared(st.lists(instances_of(Table), min_size=1, max_size=4), key=TABLE_POOL))
    shared = draw(st.lists(st.sampled_from(pool), max_size=6))
    tables = tuple(replace(table) if draw(st.booleans()) else table for table in shared)
    return replace(draw(instances_of(Snapshot)), tables=tables)


PLAIN_STRATEGIES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=6),
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    NoneType: st.none(),
    Change: st.deferred(lambda: st.one_of([instances_of(kind) for kind in CHANGES])),
    Snapshot: snapshots(),
}


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(values_of(Recording))
def test_any_recording_reads_back_equal(recording: Recording) -> None:
    text = json_codec.to_json(recording)
    again = json_codec.from_json(text)

    assert again == recording
    assert json_codec.to_json(again) == text
    assert repr(again) == repr(recording)  # equality would take 1 for True


def test_objects_shared_by_snapshots_are_written_once_and_read_as_one() -> None:
    room, bed = table("room", "id"), table("bed", "id")
    first, second = Snapshot(tables=(bed, room)), Snapshot(tables=(replace(bed), room, table("desk", "id")))
    recording = Recording("sqlite", "3", (step("1", Snapshot(), first), step("2", first, second)))

    text = json_codec.to_json(recording)
    again = json_codec.from_json(text)

    assert [next(iter(it)) for it in json.loads(text)["objects"]] == ["Column", "Constraint", "Table", "Table", "Table"]
    assert again.steps[0].after is again.steps[1].before
    one, other = again.steps[1].before, again.steps[1].after
    assert other is not None
    assert one.tables[0] is other.tables[0]
    assert one.tables[0].columns[0] is one.tables[1].columns[0]


def test_equal_values_of_different_types_keep_their_types() -> None:
    trace = tuple(ObjectAltered("sequence", "s", "cache", before, after) for before, after in ((1, True), (False, 0)))

    again = json_codec.from_json(json_codec.to_json(Recording("sqlite", "3", (step("1", Snapshot(), None, *trace),))))

    assert repr(again.steps[0].legs[0].trace) == repr(trace)


def test_a_document_grows_with_what_the_revisions_change() -> None:
    sizes = [len(json_codec.to_json(long_history(size))) / size for size in (50, 400)]

    assert sizes[1] < sizes[0] * 1.1


def test_writing_needs_little_more_memory_than_the_text() -> None:
    recording = long_history(300)
    tracemalloc.start()
    try:
        text = json_codec.to_json(recording)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 25 * len(text)
    assert json_codec.from_json(text).steps[-1] == recording.steps[-1]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_the_recording_of_a_replay_reads_back_equal(
    backend: str, request: pytest.FixtureRequest, small_project: SmallProject
) -> None:
    small_project.write_revision(
        "001", 'op.create_table("room", sa.Column("id", sa.Integer, primary_key=True))', "pass"
    )
    small_project.write_revision("002", 'op.add_column("room", sa.Column("x", sa.Text))', 'raise ValueError("no")')
    if backend == "sqlite":
        recording = replay_history(small_project.project, scratch_sqlite)
    else:
        server: throwaway.Server = request.getfixturevalue("postgres_server")
        recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(server))

    text = json_codec.to_json(recording)

    assert any(not leg.is_clean for played in recording.steps for leg in played.legs)
    assert json_codec.from_json(text) == recording
    assert json_codec.to_json(json_codec.from_json(text)) == text


RECORDING = Recording("sqlite", "3", (step("1", Snapshot(), Snapshot(tables=(table("room", "id"),))),))


def damaged_document(path: str, value: Any) -> str:
    """Return a document of which one place holds something else; a path ends in + where an entry is added."""
    document = json.loads(json_codec.to_json(RECORDING))
    *way, last = path.split("/")
    place = document
    for name in way:
        place = place[int(name) if name.isdigit() else name]
    place[int(last) if last.isdigit() else last] = value
    return json.dumps(document)


REFUSED_DOCUMENTS = {
    "no JSON": ("{", "it is no JSON: Expecting property name"),
    "too deep": ("[" * 100_000, "it is no JSON: maximum recursion"),
    "something else": ("[]", 'it has no "kind": "dormatory recording"'),
    "newer": (damaged_document("version", 2), "it has version 2, and this program reads version 1"),
    "no version": (damaged_document("version", None), "it has version None"),
    "unknown entry": (damaged_document("more", 1), "its entries are not kind, objects, recording, snapshots, version"),
    "unknown field": (damaged_document("recording/steps/0/mood", 1), "extra fields found (mood) @ $.steps[0]"),
    "missing field": (
        damaged_document("recording/steps/0/legs", [{}]),
        "required field missing @ $.steps[0].legs[0].direction",
    ),
    "wrong type": (
        damaged_document("recording/steps/0/legs/0/statements/0/rows", "many"),
        "int is expected, not str @ $.steps[0].legs[0].statements[0].rows",
    ),
    "yes for a number": (
        damaged_document("recording/steps/0/legs/0/statements/0/rows", True),
        "int is expected, not bool @ $.steps[0].legs[0].statements[0].rows",
    ),
    "no list": (damaged_document("recording/steps", 1), "a list is expected, not int @ $.steps"),
    "no object": (damaged_document("recording", 1), "a Recording is expected, not int"),
    "no such direction": (
        damaged_document("recording/steps/0/legs/0/direction", "left"),
        "invalid value for type, expected Direction @ $.steps[0].legs[0].direction",
    ),
    "pair of three": (
        damaged_document("recording/unfilled", [["a", "b", "c"]]),
        "a list of 2 is expected, not of 3 @ $.unfilled[0]",
    ),
    "class of nowhere": (damaged_document("objects/0", {"os.system": {}}), "there is no class 'os.system'"),
    "class without name": (damaged_document("objects/0", {}), "an object has no class"),
    "object not yet there": (
        damaged_document("objects/0", {"Table": {"namespace": None, "name": "t", "columns": [5]}}),
        "the number of a Column is expected",
    ),
    "object of another class": (damaged_document("snapshots/1/tables/1/0/1", 0), "the number of a Table is expected"),
    "negative number": (damaged_document("snapshots/1/tables/1/0/1", -1), "the number of a Table is expected"),
    "snapshot of nowhere": (
        damaged_document("recording/steps/0/before", 7),
        "the number of a Snapshot is expected @ $.steps[0].before",
    ),
    "snapshot of what": (
        damaged_document("snapshots/0", {"rows": []}),
        "snapshots: an entry does not consist of edits",
    ),
    "removes too much": (damaged_document("snapshots/1/tables/0", [3]), "a snapshot removes what it does not have"),
    "removes nonsense": (damaged_document("snapshots/1/tables/0", [[]]), "a snapshot removes what it does not have"),
    "inserts too far": (
        damaged_document("snapshots/1/tables/1/0/0", 9),
        "a snapshot inserts something at an impossible place",
    ),
}


@pytest.mark.parametrize(("text", "why"), REFUSED_DOCUMENTS.values(), ids=REFUSED_DOCUMENTS.keys())
def test_text_that_is_no_recording_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(UnreadableRecordingError) as caught:
        json_codec.from_json(text)

    assert why in caught.value.why
    assert str(caught.value).startswith("the recording cannot be read (")


def test_every_field_of_a_recording_can_be_written() -> None:
    kinds = {kind for kind in vars(snapshot).values() if isinstance(kind, type) and is_dataclass(kind)}

    for kind in {*kinds, *CHANGES, Recording, Step, Leg, Statement}:
        json_codec._unstructure_function(kind)  # fails for a type that cannot be written
        json_codec._structure_fields(kind)  # fails for a type that cannot be read
        assert get_type_hints(kind).keys() >= {field.name for field in fields(kind)}
