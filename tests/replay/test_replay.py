"""The round trip finds what a downgrade leaves behind: each forgotten line is caught, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.recording.model import Course, Direction, Recording
from dormatory.replay.replay import play
from dormatory.runtime import scratch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dormatory.backends.url import Target
    from dormatory.recording.model import Passage, Statement
    from dormatory.runtime.scratch import Scratch
    from tests.conftest import SmallProject


@pytest.fixture(params=["sqlite", "postgresql"])
def maker(request: pytest.FixtureRequest) -> Scratch:
    """A maker of scratch databases, once per backend."""
    if request.param == "sqlite":
        return scratch_sqlite
    server: throwaway.Server = request.getfixturevalue("postgres_server")
    return lambda: throwaway.scratch_postgresql(server)


def unclean(recording: Recording) -> list[tuple[str, Direction]]:
    return [(step.revision, leg.direction) for step in recording.steps for leg in step.legs if not leg.is_clean]


def trace(recording: Recording, revision: str) -> str:
    (step,) = (step for step in recording.steps if step.revision == revision)
    return "\n".join(str(change) for leg in step.legs for change in leg.trace)


def branch(project: SmallProject) -> None:
    """Write a table, two branches that do not care for each other, and what joins them."""
    project.tables("a")
    for name in ("left", "right"):
        create = f"op.create_table('{name}', sa.Column('id', sa.Integer))"
        project.revision(name, create, f"op.drop_table('{name}')", after="001")
    project.revision("joined", after=("left", "right"))


class TestForgottenLines:
    @pytest.mark.parametrize(
        ("upgrade", "downgrade", "left"),
        [
            ("op.add_column('a', sa.Column('x', sa.Text))", "pass", "x"),
            ("op.create_index('ix_left', 'a', ['id'])", "pass", "ix_left"),
            (
                "op.create_table('b', sa.Column('id', sa.Integer)); op.create_index('ix_b', 'b', ['id'])",
                "op.drop_index('ix_b')",
                "b",
            ),
            (
                "with op.batch_alter_table('a') as batch: batch.alter_column('id', server_default='7')",
                "pass",
                "7",
            ),
            (
                "with op.batch_alter_table('a') as batch: batch.create_check_constraint('positive', 'id > 0')",
                "pass",
                "positive",
            ),
            ("op.execute('CREATE VIEW v AS SELECT id FROM a')", "pass", "v"),
        ],
        ids=["column", "index", "table", "default", "check", "view"],
    )
    def test_what_a_downgrade_leaves_is_in_the_trace(
        self, small_project: SmallProject, maker: Scratch, upgrade: str, downgrade: str, left: str
    ) -> None:
        small_project.tables("a")
        small_project.revision("002", upgrade, downgrade)
        recording = play(small_project.project, maker)
        assert ("002", Direction.DOWNGRADE) in unclean(recording)
        assert ("001", Direction.DOWNGRADE) not in unclean(recording)
        (step,) = (step for step in recording.steps if step.revision == "002")
        assert left in trace(recording, "002") or any(leg.failure for leg in step.legs)

    def test_a_validation_leaves_no_trace_for_no_statement_takes_it_back(
        self, small_project: SmallProject, postgres_server: throwaway.Server
    ) -> None:
        small_project.tables("a")
        small_project.revision("002", "op.execute('CREATE TABLE b (x integer, y integer)')", "op.drop_table('b')")
        checks = {"ck": "CHECK (x > 0)", "fk": "FOREIGN KEY (x) REFERENCES a (id)", "nn": "NOT NULL y"}
        add = [f"op.execute('ALTER TABLE b ADD CONSTRAINT {name} {it} NOT VALID')" for name, it in checks.items()]
        drop = [f"op.execute('ALTER TABLE b DROP CONSTRAINT {name}')" for name in checks]
        small_project.revision("003", "\n".join(add), "\n".join(drop))
        validate = [f"op.execute('ALTER TABLE b VALIDATE CONSTRAINT {name}')" for name in checks]
        small_project.revision("004", "\n".join(validate), "pass")
        recording = play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert unclean(recording) == []
        small_project.revision("004", "op.execute('ALTER TABLE b RENAME CONSTRAINT ck TO positive')", "pass")
        recording = play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert "positive" in trace(recording, "004")

    def test_an_enum_type_that_survives_its_table_is_in_the_trace(
        self, small_project: SmallProject, postgres_server: throwaway.Server
    ) -> None:
        create = "op.create_table('b', sa.Column('x', sa.Enum('p', 'q', name='mood')))"
        small_project.revision("001", create, "op.drop_table('b')")
        recording = play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert "mood" in trace(recording, "001")
        small_project.revision("001", create, "op.drop_table('b'); sa.Enum(name='mood').drop(op.get_bind())")
        assert unclean(play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))) == []


class TestWalk:
    def test_a_sound_history_leaves_nothing(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a", "b", "c")
        recording = play(small_project.project, maker)
        assert [step.revision for step in recording.steps] == ["001", "002", "003"]
        assert [len(step.legs) for step in recording.steps] == [3, 3, 3]
        assert unclean(recording) == []
        assert recording.unreached == ()

    def test_a_failing_downgrade_does_not_hide_the_revisions_after_it(
        self, small_project: SmallProject, maker: Scratch
    ) -> None:
        small_project.tables("a", "b", "c")
        small_project.revision("002", "op.create_table('b', sa.Column('id', sa.Integer))", "raise NotImplementedError")
        recording = play(small_project.project, maker)
        assert unclean(recording) == [("002", Direction.DOWNGRADE)]
        assert [step.revision for step in recording.steps] == ["001", "002", "003"]
        failure = recording.steps[1].legs[-1].failure
        assert failure is not None
        assert failure.is_declared

    def test_what_lies_behind_a_failing_upgrade_is_unreached(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a", "b", "c")
        small_project.revision("002", "op.execute('NO SUCH STATEMENT')")
        recording = play(small_project.project, maker)
        assert unclean(recording) == [("002", Direction.UPGRADE)]
        assert recording.unreached == ("003",)

    def test_a_revision_that_commits_by_itself_does_not_pass(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a")
        small_project.revision(
            "002", "op.execute('CREATE TABLE b (x int)'); op.get_bind().commit()", "op.drop_table('b')"
        )
        recording = play(small_project.project, maker)
        assert ("002", Direction.UPGRADE) in unclean(recording)

    def test_branches_are_walked_one_step_at_a_time(self, small_project: SmallProject, maker: Scratch) -> None:
        branch(small_project)
        recording = play(small_project.project, maker)
        assert [step.revision for step in recording.steps] == ["001", "left", "right", "joined"]
        assert unclean(recording) == []


def passages(recording: Recording) -> dict[Course, Passage]:
    return {passage.course: passage for passage in recording.passages}


class TestPassages:
    def test_a_sound_history_goes_down_to_base_and_up_in_one_run(
        self, small_project: SmallProject, maker: Scratch
    ) -> None:
        small_project.tables("a", "b", "c")
        found = passages(play(small_project.project, maker))
        assert found[Course.DOWN].revisions == ("003", "002", "001")
        assert found[Course.UP].revisions == ("001", "002", "003")
        assert all(passage.is_clean for passage in found.values())

    @pytest.mark.parametrize("downgrade", ["op.drop_table('b')", "raise NotImplementedError('one way')"])
    def test_who_wants_sees_the_head_after_one_run_once_and_no_way_that_ends_elsewhere(
        self, small_project: SmallProject, maker: Scratch, downgrade: str
    ) -> None:
        seen: list[tuple[tuple[str, ...], list[str]]] = []

        def look(target: Target) -> None:
            with sa.create_engine(target.url, poolclass=sa.NullPool).connect() as connection:
                tables = sorted(sa.inspect(connection).get_table_names())
            seen.append((scratch.current(small_project.project, target), tables))

        small_project.tables("a", "b", "c")
        small_project.revision("002", "op.create_table('b', sa.Column('id', sa.Integer))", downgrade)
        play(small_project.project, maker, on_head=look)
        play(small_project.project, maker, on_head=look, only=("003",))
        small_project.revision("003", "1 / 0")
        play(small_project.project, maker, on_head=look)

        assert seen == [(("003",), ["a", "alembic_version", "b", "c"])] * 2

    def test_the_way_down_ends_above_what_has_no_way_back(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a", "b", "c", "d")
        create = "op.create_table('b', sa.Column('id', sa.Integer))"
        small_project.revision("002", create, "raise NotImplementedError('one way')")
        found = passages(play(small_project.project, maker))
        assert found[Course.DOWN].revisions == ("004", "003")
        assert found[Course.UP].revisions == ("001", "002", "003", "004")
        assert all(passage.is_clean for passage in found.values())

    def test_a_downgrade_that_only_works_behind_its_own_upgrade_is_met_on_the_way_down(
        self, small_project: SmallProject, maker: Scratch
    ) -> None:
        small_project.tables("a", "b", "c")
        small_project.revision(
            "002",
            "op.create_table('b', sa.Column('id', sa.Integer))",
            """
            bind = op.get_bind()
            if 'c' in sa.inspect(bind).get_table_names() or not hasattr(sa, '_c_has_been_there'):
                op.drop_table('b')
            """,
        )
        small_project.revision(
            "003",
            "op.create_table('c', sa.Column('id', sa.Integer)); sa._c_has_been_there = True",
            "op.drop_table('c')",
        )
        try:
            found = passages(play(small_project.project, maker))
        finally:
            del sa._c_has_been_there  # type: ignore[attr-defined]
        assert "b" in "\n".join(str(change) for change in found[Course.DOWN].trace)

    def test_one_run_remembers_what_it_created_and_steps_do_not(
        self, small_project: SmallProject, postgres_server: throwaway.Server
    ) -> None:
        create = "op.create_table('{}', sa.Column('x', sa.Enum('p', 'q', name='mood')))"
        drop = "op.drop_table('{}'); sa.Enum(name='mood').drop(op.get_bind())"
        small_project.revision("001", create.format("a"), drop.format("a"))
        small_project.revision("002", drop.format("a"), create.format("a"))
        small_project.revision("003", create.format("c"), drop.format("c"))
        recording = play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert [leg.direction for step in recording.steps[2:] for leg in step.legs if not leg.is_clean] == []
        found = passages(recording)[Course.UP]
        assert found.stopped == "003"
        assert found.failure is not None
        assert "mood" in found.failure.why

    def test_branches_that_need_an_order_are_found(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a")
        small_project.revision(
            "left", "op.create_table('left', sa.Column('id', sa.Integer))", "op.drop_table('left')", after="001"
        )
        small_project.revision(
            "right",
            """op.add_column('a', sa.Column('has_left', sa.Integer)) if 'left' in sa.inspect(
                op.get_bind()).get_table_names() else None""",
            "[op.drop_column('a', 'has_left') for _ in [1] if 'left' in sa.inspect(op.get_bind()).get_table_names()]",
            after="001",
        )
        small_project.revision("joined", after=("left", "right"))
        found = passages(play(small_project.project, maker))[Course.OTHER_ORDER]
        assert found.revisions == ("right", "left")
        assert "has_left" in "\n".join(str(change) for change in found.trace)

    def test_branches_that_do_not_care_agree(self, small_project: SmallProject, maker: Scratch) -> None:
        branch(small_project)
        recording = play(small_project.project, maker)
        orders = [item for item in recording.passages if item.course is Course.OTHER_ORDER]
        assert [(item.revisions, item.is_clean) for item in orders] == [(("right", "left"), True)]


class TestChosen:
    def test_only_the_chosen_revision_makes_its_round_trip(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a", "b", "c")
        recording = play(small_project.project, maker, only=["002"])
        assert [(step.revision, len(step.legs)) for step in recording.steps] == [("002", 3)]
        assert recording.unreached == ()

    def test_what_a_reference_lacks_is_played_and_taken_back_to_where_it_began(
        self, small_project: SmallProject, maker: Scratch
    ) -> None:
        small_project.tables("a", "b", "c")
        recording = play(small_project.project, maker, only=["002", "003"])
        assert [step.revision for step in recording.steps] == ["002", "003"]
        assert passages(recording)[Course.DOWN].revisions == ("003", "002")
        assert passages(recording)[Course.UP].is_clean

    def test_a_revision_that_cannot_be_reached_is_said_to_be(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a", "b", "c")
        small_project.revision("002", "op.execute('NO SUCH STATEMENT')")
        recording = play(small_project.project, maker, only=["003"])
        assert recording.steps == ()
        assert recording.unreached == ("003",)
        assert [(item.course, item.stopped) for item in recording.passages] == [(Course.UP, "002")]


class TestRecording:
    def test_what_leaves_the_process_holds_no_value_and_comes_back_equal(
        self, small_project: SmallProject, maker: Scratch
    ) -> None:
        small_project.revision(
            "001",
            """
            op.create_table('person', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(20)))
            op.execute("INSERT INTO person (id, name) VALUES (987654, 'Canary')")
            op.get_bind().execute(sa.text("UPDATE person SET name = :name"), {"name": "Canary 2"})
            """,
            "op.drop_table('person')",
        )
        small_project.revision("002", "op.execute(\"INSERT INTO person (id, name) VALUES (987654, 'Canary')\")")
        recording = play(small_project.project, maker)
        assert recording.steps[1].legs[-1].failure is not None  # the row is there already
        text = recording.to_json()
        assert "INSERT INTO person" in text
        assert "Canary" not in text
        assert "987654" not in text
        assert Recording.from_json(text) == recording
        assert Recording.from_json(text).to_json() == text


def test_what_only_works_in_one_run_is_told_and_does_not_hide_what_follows(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    column = "sa.Column('mood', sa.Enum('glad', 'sad', name='mood'))"
    for name, table in (("001", "a"), ("002", "b")):  # Alembic remembers for a run that the type is there
        drop = f"op.drop_table('{table}')"
        if name == "001":
            drop += "; op.execute('DROP TYPE mood')"
        small_project.revision(name, f"op.create_table('{table}', {column})", drop)
    small_project.revision("003", "op.add_column('b', sa.Column('x', sa.Integer))", "op.drop_column('b', 'x')")
    recording = play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    assert unclean(recording) == [("002", Direction.UPGRADE)]
    assert [step.revision for step in recording.steps] == ["001", "002", "003"]
    assert recording.unreached == ()


def test_downgrades_that_refuse_do_not_break_the_walk_off(small_project: SmallProject, maker: Scratch) -> None:
    opened = 0

    def counted() -> AbstractContextManager[Target]:
        nonlocal opened
        opened += 1
        return maker()

    for name in ("001", "002", "003"):
        create = f"op.create_table('t{name}', sa.Column('id', sa.Integer))"
        small_project.revision(name, create, "raise NotImplementedError('no way back')")
    recording = play(small_project.project, counted)
    assert opened == 2  # the walk, and the one run
    assert all(statement.line or "alembic_version" in statement.sql for statement in statements(recording))


def statements(recording: Recording) -> list[Statement]:
    return [statement for step in recording.steps for leg in step.legs for statement in leg.statements]
