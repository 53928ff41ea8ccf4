"""The round trip finds what a downgrade leaves behind: each forgotten line is caught, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.recording import json_codec
from dormatory.recording.leg import Direction
from dormatory.recording.loss import LossKind
from dormatory.recording.model import Recording, RouteKind
from dormatory.replay.replay import replay_history
from dormatory.runtime import scratch
from tests.replay.recordings import unclean_legs
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.recording.leg import Statement
    from dormatory.recording.model import Route
    from tests.conftest import SmallProject


@pytest.fixture(params=BACKENDS)
def maker(request: pytest.FixtureRequest) -> ScratchMaker:
    """A maker of scratch databases, once per backend."""
    return scratch_maker(request.param, request)


def trace_text(recording: Recording, revision: str) -> str:
    (step,) = (step for step in recording.steps if step.revision == revision)
    return "\n".join(str(change) for leg in step.legs for change in leg.trace)


def write_branches(project: SmallProject) -> None:
    """Write a table, two independent branches, and a revision that joins them."""
    project.write_table_revisions("a")
    for name in ("left", "right"):
        create = f"op.create_table('{name}', sa.Column('id', sa.Integer))"
        project.write_revision(name, create, f"op.drop_table('{name}')", after="001")
    project.write_revision("joined", after=("left", "right"))


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
        self, small_project: SmallProject, maker: ScratchMaker, upgrade: str, downgrade: str, left: str
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", upgrade, downgrade)
        recording = replay_history(small_project.project, maker)
        assert ("002", Direction.DOWNGRADE) in unclean_legs(recording)
        assert ("001", Direction.DOWNGRADE) not in unclean_legs(recording)
        (step,) = (step for step in recording.steps if step.revision == "002")
        assert left in trace_text(recording, "002") or any(leg.failure for leg in step.legs)

    def test_a_validation_leaves_no_trace_because_no_statement_reverts_it(
        self, small_project: SmallProject, postgres_server: throwaway.Server
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", "op.execute('CREATE TABLE b (x integer, y integer)')", "op.drop_table('b')")
        checks = {"ck": "CHECK (x > 0)", "fk": "FOREIGN KEY (x) REFERENCES a (id)", "nn": "NOT NULL y"}
        add = [f"op.execute('ALTER TABLE b ADD CONSTRAINT {name} {it} NOT VALID')" for name, it in checks.items()]
        drop = [f"op.execute('ALTER TABLE b DROP CONSTRAINT {name}')" for name in checks]
        small_project.write_revision("003", "\n".join(add), "\n".join(drop))
        validate = [f"op.execute('ALTER TABLE b VALIDATE CONSTRAINT {name}')" for name in checks]
        small_project.write_revision("004", "\n".join(validate), "pass")
        recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert unclean_legs(recording) == []
        small_project.write_revision("004", "op.execute('ALTER TABLE b RENAME CONSTRAINT ck TO positive')", "pass")
        recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert "positive" in trace_text(recording, "004")

    @pytest.mark.parametrize(("default", "clean"), [("'-1'", True), ("-1", True), ("1", False), ("'x'", False)])
    def test_a_default_that_comes_back_in_another_spelling_is_no_trace(
        self, small_project: SmallProject, default: str, *, clean: bool
    ) -> None:
        table = "id integer PRIMARY KEY, place integer DEFAULT '-1', done boolean DEFAULT false"
        small_project.write_revision("001", f'op.execute("CREATE TABLE a ({table})")', "op.drop_table('a')")
        names = ("place", "done")
        drop = "\n".join(f"op.drop_column('a', '{name}')" for name in names)
        add = [f'op.execute("ALTER TABLE a ADD COLUMN {it}")' for it in (f"place integer DEFAULT {default}",)]
        add.append("op.execute(\"ALTER TABLE a ADD COLUMN done boolean DEFAULT '0'\")")
        small_project.write_revision("002", drop, "\n".join(add))
        recording = replay_history(small_project.project, scratch_sqlite)
        assert (("002", Direction.DOWNGRADE) not in unclean_legs(recording)) is clean

    def test_an_enum_type_that_survives_its_table_is_in_the_trace(
        self, small_project: SmallProject, postgres_server: throwaway.Server
    ) -> None:
        create = "op.create_table('b', sa.Column('x', sa.Enum('p', 'q', name='mood')))"
        small_project.write_revision("001", create, "op.drop_table('b')")
        recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert "mood" in trace_text(recording, "001")
        small_project.write_revision("001", create, "op.drop_table('b'); sa.Enum(name='mood').drop(op.get_bind())")
        assert (
            unclean_legs(replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server)))
            == []
        )


class TestRoundTrips:
    def test_a_sound_history_leaves_nothing(self, small_project: SmallProject, maker: ScratchMaker) -> None:
        small_project.write_table_revisions("a", "b", "c")
        recording = replay_history(small_project.project, maker)
        assert [step.revision for step in recording.steps] == ["001", "002", "003"]
        assert [len(step.legs) for step in recording.steps] == [3, 3, 3]
        assert unclean_legs(recording) == []
        assert recording.unreached == ()

    def test_a_failing_downgrade_does_not_hide_the_revisions_after_it(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision(
            "002", "op.create_table('b', sa.Column('id', sa.Integer))", "raise NotImplementedError"
        )
        recording = replay_history(small_project.project, maker)
        assert unclean_legs(recording) == [("002", Direction.DOWNGRADE)]
        assert [step.revision for step in recording.steps] == ["001", "002", "003"]
        failure = recording.steps[1].legs[-1].failure
        assert failure is not None
        assert failure.is_declared

    def test_revisions_after_a_failing_upgrade_are_unreached(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision("002", "op.execute('NO SUCH STATEMENT')")
        recording = replay_history(small_project.project, maker)
        assert unclean_legs(recording) == [("002", Direction.UPGRADE)]
        assert recording.unreached == ("003",)

    def test_a_revision_that_commits_by_itself_fails(self, small_project: SmallProject, maker: ScratchMaker) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision(
            "002", "op.execute('CREATE TABLE b (x int)'); op.get_bind().commit()", "op.drop_table('b')"
        )
        recording = replay_history(small_project.project, maker)
        assert ("002", Direction.UPGRADE) in unclean_legs(recording)

    def test_branches_are_replayed_one_step_at_a_time(self, small_project: SmallProject, maker: ScratchMaker) -> None:
        write_branches(small_project)
        recording = replay_history(small_project.project, maker)
        assert [step.revision for step in recording.steps] == ["001", "left", "right", "joined"]
        assert unclean_legs(recording) == []


def routes_by_kind(recording: Recording) -> dict[RouteKind, Route]:
    return {route.kind: route for route in recording.routes}


class TestRoutes:
    def test_a_sound_history_goes_down_to_base_and_up_in_one_run(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        found = routes_by_kind(replay_history(small_project.project, maker))
        assert found[RouteKind.DOWN].revisions == ("003", "002", "001")
        assert found[RouteKind.UP].revisions == ("001", "002", "003")
        assert all(route.is_clean for route in found.values())

    @pytest.mark.parametrize("downgrade", ["op.drop_table('b')", "raise NotImplementedError('one way')"])
    def test_on_head_is_called_once_after_one_run_that_reached_the_head(
        self, small_project: SmallProject, maker: ScratchMaker, downgrade: str
    ) -> None:
        seen: list[tuple[tuple[str, ...], list[str]]] = []

        def record_tables(target: Target) -> None:
            with sa.create_engine(target.sqlalchemy_url(), poolclass=sa.NullPool).connect() as connection:
                tables = sorted(sa.inspect(connection).get_table_names())
            seen.append((scratch.current_revisions(small_project.project, target), tables))

        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision("002", "op.create_table('b', sa.Column('id', sa.Integer))", downgrade)
        replay_history(small_project.project, maker, on_head=record_tables)
        replay_history(small_project.project, maker, on_head=record_tables, only=("003",))
        small_project.write_revision("003", "1 / 0")
        replay_history(small_project.project, maker, on_head=record_tables)

        assert seen == [(("003",), ["a", "alembic_version", "b", "c"])] * 2

    def test_the_downgrade_route_ends_above_a_revision_without_downgrade(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c", "d")
        create = "op.create_table('b', sa.Column('id', sa.Integer))"
        small_project.write_revision("002", create, "raise NotImplementedError('one way')")
        found = routes_by_kind(replay_history(small_project.project, maker))
        assert found[RouteKind.DOWN].revisions == ("004", "003")
        assert found[RouteKind.UP].revisions == ("001", "002", "003", "004")
        assert all(route.is_clean for route in found.values())

    def test_a_downgrade_that_only_works_right_after_its_upgrade_is_found(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision(
            "002",
            "op.create_table('b', sa.Column('id', sa.Integer))",
            """
            bind = op.get_bind()
            if 'c' in sa.inspect(bind).get_table_names() or not hasattr(sa, '_c_has_been_dropped'):
                op.drop_table('b')
            """,
        )
        small_project.write_revision(
            "003",
            "op.create_table('c', sa.Column('id', sa.Integer))",
            "op.drop_table('c'); sa._c_has_been_dropped = True",
        )
        try:
            found = routes_by_kind(replay_history(small_project.project, maker))
        finally:
            del sa._c_has_been_dropped  # type: ignore[attr-defined]
        assert "b" in "\n".join(str(change) for change in found[RouteKind.DOWN].trace)

    def test_one_run_remembers_what_it_created_and_steps_do_not(
        self, small_project: SmallProject, postgres_server: throwaway.Server
    ) -> None:
        create = "op.create_table('{}', sa.Column('x', sa.Enum('p', 'q', name='mood')))"
        drop = "op.drop_table('{}'); sa.Enum(name='mood').drop(op.get_bind())"
        small_project.write_revision("001", create.format("a"), drop.format("a"))
        small_project.write_revision("002", drop.format("a"), create.format("a"))
        small_project.write_revision("003", create.format("c"), drop.format("c"))
        recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert [leg.direction for step in recording.steps[2:] for leg in step.legs if not leg.is_clean] == []
        found = routes_by_kind(recording)[RouteKind.UP]
        assert found.stopped == "003"
        assert found.failure is not None
        assert "mood" in found.failure.why

    def test_branches_that_need_an_order_are_found(self, small_project: SmallProject, maker: ScratchMaker) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision(
            "left", "op.create_table('left', sa.Column('id', sa.Integer))", "op.drop_table('left')", after="001"
        )
        small_project.write_revision(
            "right",
            """op.add_column('a', sa.Column('has_left', sa.Integer)) if 'left' in sa.inspect(
                op.get_bind()).get_table_names() else None""",
            "[op.drop_column('a', 'has_left') for _ in [1] if 'left' in sa.inspect(op.get_bind()).get_table_names()]",
            after="001",
        )
        small_project.write_revision("joined", after=("left", "right"))
        found = routes_by_kind(replay_history(small_project.project, maker))[RouteKind.OTHER_ORDER]
        assert found.revisions == ("right", "left")
        assert "has_left" in "\n".join(str(change) for change in found.trace)

    def test_independent_branches_end_alike_in_any_order(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        write_branches(small_project)
        recording = replay_history(small_project.project, maker)
        orders = [item for item in recording.routes if item.kind is RouteKind.OTHER_ORDER]
        assert [(item.revisions, item.is_clean) for item in orders] == [(("right", "left"), True)]


class TestSelectedRevisions:
    def test_only_the_chosen_revision_makes_its_round_trip(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        recording = replay_history(small_project.project, maker, only=["002"])
        assert [(step.revision, len(step.legs)) for step in recording.steps] == [("002", 3)]
        assert recording.unreached == ()

    def test_selected_revisions_are_downgraded_to_where_they_began(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        recording = replay_history(small_project.project, maker, only=["002", "003"])
        assert [step.revision for step in recording.steps] == ["002", "003"]
        assert routes_by_kind(recording)[RouteKind.DOWN].revisions == ("003", "002")
        assert routes_by_kind(recording)[RouteKind.UP].is_clean

    def test_a_revision_that_cannot_be_reached_is_listed_as_unreached(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision("002", "op.execute('NO SUCH STATEMENT')")
        recording = replay_history(small_project.project, maker, only=["003"])
        assert recording.steps == ()
        assert recording.unreached == ("003",)
        assert [(item.kind, item.stopped) for item in recording.routes] == [(RouteKind.UP, "002")]


class TestRecording:
    def test_a_recording_as_json_holds_no_secret_and_reads_back_equal(
        self, small_project: SmallProject, maker: ScratchMaker
    ) -> None:
        small_project.write_revision(
            "001",
            """
            op.create_table('person', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(20)))
            op.execute("INSERT INTO person (id, name) VALUES (987654, 'Anna')")
            op.execute("INSERT INTO person (id, name) VALUES (1, 'password=Canary')")
            op.get_bind().execute(sa.text("UPDATE person SET name = :name"), {"name": "Canary 2"})
            """,
            "op.drop_table('person')",
        )
        small_project.write_revision("002", "op.execute(\"INSERT INTO person (id, name) VALUES (987654, 'Anna')\")")
        recording = replay_history(small_project.project, maker)
        assert recording.steps[1].legs[-1].failure is not None  # the row is there already
        text = json_codec.to_json(recording)
        assert "INSERT INTO person" in text
        assert "Canary" not in text
        assert json_codec.from_json(text) == recording
        assert json_codec.to_json(json_codec.from_json(text)) == text


def test_what_a_library_does_not_implement_is_no_declaration(small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    small_project.write_revision(
        "002",
        'with op.batch_alter_table("a") as batch:\n    batch.create_unique_constraint("uq", ["id"])',
        'op.drop_constraint("uq", "a")',
    )
    small_project.write_revision("003", "pass", 'raise NotImplementedError("erased")')
    with scratch.databases("sqlite") as maker:
        recording = replay_history(small_project.project, maker)
    failures = {step.revision: leg.failure for step in recording.steps for leg in step.legs if leg.failure}
    assert {name: failure.is_declared for name, failure in failures.items()} == {"002": False, "003": True}


def test_a_revision_that_only_works_in_one_run_fails_and_does_not_hide_later_ones(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    column = "sa.Column('mood', sa.Enum('glad', 'sad', name='mood'))"
    for name, table in (("001", "a"), ("002", "b")):  # Alembic remembers for a run that the type is there
        drop = f"op.drop_table('{table}')"
        if name == "001":
            drop += "; op.execute('DROP TYPE mood')"
        small_project.write_revision(name, f"op.create_table('{table}', {column})", drop)
    small_project.write_revision("003", "op.add_column('b', sa.Column('x', sa.Integer))", "op.drop_column('b', 'x')")
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    assert unclean_legs(recording) == [("002", Direction.UPGRADE)]
    assert [step.revision for step in recording.steps] == ["001", "002", "003"]
    assert recording.unreached == ()


def test_rows_that_a_revision_leaves_without_a_parent_do_not_end_the_replay(
    small_project: SmallProject, maker: ScratchMaker
) -> None:
    create = """
        op.execute("CREATE TABLE a (id integer PRIMARY KEY)")
        op.execute("CREATE TABLE b (id integer PRIMARY KEY, a_id integer NOT NULL REFERENCES a (id))")
    """
    small_project.write_revision("001", create, "op.drop_table('b'); op.drop_table('a')")
    small_project.write_revision("002", "op.execute('DELETE FROM a WHERE id = 1002')")
    small_project.write_revision("003", "op.add_column('a', sa.Column('x', sa.Integer))", "op.drop_column('a', 'x')")
    recording = replay_history(small_project.project, maker)
    assert [step.revision for step in recording.steps if not step.is_clean] == ["002"]
    assert recording.unreached == ()


def test_refused_downgrades_do_not_end_the_run(small_project: SmallProject, maker: ScratchMaker) -> None:
    opened = 0

    def count_and_make() -> AbstractContextManager[Target]:
        nonlocal opened
        opened += 1
        return maker()

    for name in ("001", "002", "003"):
        create = f"op.create_table('t{name}', sa.Column('id', sa.Integer))"
        small_project.write_revision(name, create, "raise NotImplementedError('no way back')")
    recording = replay_history(small_project.project, count_and_make)
    assert opened == 2  # for the run of the segment, and for the upgrade in one run
    assert all(statement.line or "alembic_version" in statement.sql for statement in statements(recording))


def statements(recording: Recording) -> list[Statement]:
    return [statement for step in recording.steps for leg in step.legs for statement in leg.statements]


@pytest.mark.parametrize(
    ("backend", "statement"),
    [("sqlite", "UPDATE sqlite_sequence SET seq = 0"), ("postgresql", "SELECT setval('t_id_seq', 1, false)")],
)
def test_a_revision_that_only_sets_a_counter_back_is_found(
    small_project: SmallProject, request: pytest.FixtureRequest, backend: str, statement: str
) -> None:
    create = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sqlite_autoincrement=True)'
    small_project.write_revision("001", create, 'op.drop_table("t")')
    file = small_project.write_revision("002", f"op.execute({statement!r})")
    recording = replay_history(small_project.project, scratch_maker(backend, request))
    (loss,) = recording.steps[1].losses
    assert (loss.kind, loss.table, loss.direction) == (LossKind.COUNTER_BEHIND, "t", Direction.UPGRADE)
    assert statement in file.read_text().splitlines()[loss.line - 1]


def test_what_a_trigger_of_the_upgrade_does_to_other_rows_is_no_loss(
    small_project: SmallProject, maker: ScratchMaker
) -> None:
    make = ["CREATE TABLE settings (id integer PRIMARY KEY CHECK (id = 1), strict integer NOT NULL)",
            "INSERT INTO settings VALUES (1, 0)",
            "CREATE TABLE box (id integer PRIMARY KEY, strict integer CHECK (strict IN (0, 1)))"]  # fmt: skip
    change = "UPDATE settings SET strict = 1; UPDATE box SET strict = 1 WHERE strict = 0;"
    trigger = "CREATE TRIGGER sync AFTER INSERT ON box FOR EACH ROW"
    function = f"CREATE FUNCTION sync() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change} RETURN NULL; END $$"
    small_project.write_revision("001", "\n".join(f"op.execute({it!r})" for it in make), "op.drop_table('box')")
    upgrade = f"""
    if op.get_bind().dialect.name == "sqlite":
        op.execute({f"{trigger} BEGIN {change} END"!r})
    else:
        op.execute({function!r})
        op.execute({f"{trigger} EXECUTE FUNCTION sync()"!r})
    """
    downgrade = """
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER sync")
    else:
        op.execute("DROP FUNCTION sync() CASCADE")
    """
    small_project.write_revision("002", upgrade, downgrade)
    (step,) = (step for step in replay_history(small_project.project, maker).steps if step.revision == "002")
    assert (step.is_clean, step.losses) == (True, ())
