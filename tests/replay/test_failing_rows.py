"""What a failure on rows means, and that it hides neither the structure nor the rest of the revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.data import check_data_loss
from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import check_round_trip
from dormatory.checks.row_failures import check_assumptions
from dormatory.project.history import History
from dormatory.replay.replay import replay_history
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from dormatory.backends.parts import ScratchMaker
    from dormatory.checks.finding import Finding
    from tests.conftest import SmallProject

MEMBER = (
    "op.create_table('member', sa.Column('id', sa.Integer, primary_key=True), sa.Column('phone', sa.String(30)),"
    " sa.Column('note', sa.Text))"
)
UNIQUE_PHONE = "op.create_index('ux_phone', 'member', ['phone'], unique=True)"


@pytest.fixture(params=BACKENDS)
def maker(request: pytest.FixtureRequest) -> ScratchMaker:
    """Databases of each backend."""
    return scratch_maker(str(request.param), request)


def play(
    project: SmallProject, maker: ScratchMaker, up: str, down: str = "pass", *, extra: str = "", member: str = MEMBER
) -> dict[str, Finding]:
    """Play a second revision after the one that creates `member`, and return what is found of it, by rule."""
    project.write_revision("001", member, "op.drop_table('member')")
    project.write_revision("002", up, down, extra=extra)
    recording, history = replay_history(project.project, maker), History.read(project.project)
    return {it.rule: it for it in (*check_round_trip(recording, history), *check_assumptions([recording], history))}


def test_a_unique_index_over_twins_says_so_and_its_downgrade_is_judged(
    small_project: SmallProject, maker: ScratchMaker
) -> None:
    found = play(small_project, maker, UNIQUE_PHONE)

    assert found.keys() == {"upgrade-fails-on-rows", "trace"}
    failed = found["upgrade-fails-on-rows"]
    assert "fails where two rows of member share phone, and passes without such rows" in failed.message
    assert "SELECT c.id FROM " in failed.hint
    assert "index ux_phone" in found["trace"].message


def test_a_column_that_must_not_be_null_any_more_is_named(small_project: SmallProject, maker: ScratchMaker) -> None:
    (failed,) = play(small_project, maker, alter("note", nullable=False), alter("note", nullable=True)).values()

    assert failed.rule == "upgrade-fails-on-rows"
    assert "fails where note of member is NULL" in failed.message


def test_a_column_that_no_row_gets_is_one_finding_and_names_the_default_to_give(
    small_project: SmallProject, maker: ScratchMaker
) -> None:
    up = "op.add_column('member', sa.Column('grade', sa.Integer, nullable=False))"
    (failed,) = play(small_project, maker, up, "op.drop_column('member', 'grade')").values()

    assert failed.rule == "upgrade-fails-on-rows"
    assert "fails where member has a row, which gets no grade" in failed.message
    assert failed.hint.startswith("give grade a server_default")


FILL = {
    "NOT NULL": ("where grade of member stays NULL", "give grade a value in every row"),
    "UNIQUE": ("where two rows of member share grade", "correct them in the revision"),
}


@pytest.mark.parametrize("rule", FILL)
def test_no_query_is_shown_for_a_column_that_the_revision_adds_itself(
    small_project: SmallProject, maker: ScratchMaker, rule: str
) -> None:
    constrain = {
        "NOT NULL": alter("grade", nullable=False),
        "UNIQUE": "op.create_index('ux', 'member', ['grade'], unique=True)",
    }[rule]
    fill = "UPDATE member SET grade = CASE WHEN note IS NOT NULL THEN length(phone) / 1000 END"
    up = f"op.add_column('member', sa.Column('grade', sa.Integer))\nop.execute({fill!r})\n{constrain}"
    drop = "op.drop_column('member', 'grade')"
    down = drop if rule == "NOT NULL" else f"op.drop_index('ux', 'member')\n{drop}"
    (failed,) = play(small_project, maker, up, down).values()

    where, hint = FILL[rule]
    assert failed.rule == "upgrade-fails-on-rows"
    assert where in failed.message
    assert failed.hint.startswith(hint)


def test_a_downgrade_that_fails_on_new_rows_only_is_a_warning(small_project: SmallProject, maker: ScratchMaker) -> None:
    member = MEMBER.replace("sa.Text", "sa.Text, nullable=False")
    up, down = alter("note", nullable=True), alter("note", nullable=False)
    (failed,) = play(small_project, maker, up, down, member=member).values()

    assert (failed.rule, failed.severity) == ("downgrade-fails-on-rows", Severity.WARNING)
    assert "where note of member is NULL, as the upgraded schema allows" in failed.message


def test_a_downgrade_that_fails_on_empty_tables_is_not_hidden_by_one_on_rows(
    small_project: SmallProject, maker: ScratchMaker
) -> None:
    member = MEMBER.replace("sa.Text", "sa.Text, nullable=False")
    down = f"{alter('note', nullable=False)}\nop.drop_table('nobody')"
    found = play(small_project, maker, alter("note", nullable=True), down, member=member)

    assert found.keys() == {"downgrade-fails-on-rows", "downgrade-fails"}
    assert "nobody" in found["downgrade-fails"].message


@pytest.mark.parametrize("guard", ["raise RuntimeError('correct it first')", "assert not twins, 'correct it first'"])
def test_a_guard_is_a_note_and_the_trip_goes_on_without_its_rows(
    small_project: SmallProject, maker: ScratchMaker, guard: str
) -> None:
    query = "SELECT phone FROM member GROUP BY phone HAVING count(*) > 1"
    up = f"twins = op.get_bind().execute(sa.text({query!r})).all()\nif twins: {guard}\n{UNIQUE_PHONE}"
    found = play(small_project, maker, up)

    assert found.keys() == {"guard", "trace"}
    assert "correct it first" in found["guard"].message


def test_text_that_code_does_not_know_is_a_warning_at_most(small_project: SmallProject, maker: ScratchMaker) -> None:
    query = "SELECT phone FROM member WHERE phone IS NOT NULL"
    loop = f"for (text,) in op.get_bind().execute(sa.text({query!r})).all()"
    up = f"{loop}: {{}}[text]"
    (failed,) = play(small_project, maker, up).values()

    assert (failed.rule, failed.severity) == ("fails-on-content", Severity.WARNING)
    assert "phone of member" in failed.message


def test_null_where_code_needs_a_value_is_what_the_schema_allows(
    small_project: SmallProject, maker: ScratchMaker
) -> None:
    up = "for (text,) in op.get_bind().execute(sa.text('SELECT note FROM member')).all(): text.strip()"
    (failed,) = play(small_project, maker, up).values()

    assert failed.rule == "upgrade-fails-on-rows"


def test_an_assumption_makes_a_note_of_it(small_project: SmallProject, maker: ScratchMaker) -> None:
    extra = "assumes = 'nobody shares a phone'"
    (failed,) = play(small_project, maker, UNIQUE_PHONE, "op.drop_index('ux_phone', 'member')", extra=extra).values()

    assert (failed.rule, failed.severity) == ("upgrade-fails-on-rows", Severity.NOTE)
    assert "it assumes: nobody shares a phone" in failed.message


def test_an_assumption_that_nothing_needs_is_reported(small_project: SmallProject, maker: ScratchMaker) -> None:
    up, down = "op.add_column('member', sa.Column('x', sa.Integer))", "op.drop_column('member', 'x')"
    found = play(small_project, maker, up, down, extra="assumes = 'nobody shares a phone'")

    assert found.keys() == {"assumes-unneeded"}


@pytest.mark.parametrize("maker", ["postgresql"], indirect=True)
def test_a_swallowed_error_is_a_failure_at_its_line(small_project: SmallProject, maker: ScratchMaker) -> None:
    up = "try:\n    op.alter_column('member', 'note', nullable=False)\nexcept Exception: pass"
    (failed,) = play(small_project, maker, up, alter("note", nullable=True)).values()

    assert failed.rule == "upgrade-fails-on-rows"
    assert "it catches the error" in failed.message
    assert "002_x.py" in failed.location.path


def alter(column: str, *, nullable: bool) -> str:
    """Return code that lets a text column hold NULL, or not."""
    change = f"batch.alter_column({column!r}, existing_type=sa.Text(), nullable={nullable})"
    return f"with op.batch_alter_table('member') as batch: {change}"


REFER = "with op.batch_alter_table('child') as batch: batch.create_foreign_key('fk_p', 'parent', ['p'], ['id'])"
REFER_NO_MORE = "with op.batch_alter_table('child') as batch: batch.drop_constraint('fk_p', type_='foreignkey')"
FAMILY = (
    "for name in ('parent', 'child'):\n"
    "    op.create_table(name, sa.Column('id', sa.Integer, primary_key=True), sa.Column('p', sa.Integer))"
)


@pytest.mark.parametrize("assumption", ["", "all parents are there"])
def test_a_key_that_rows_do_not_meet_is_the_same_in_kind_on_each_backend(
    small_project: SmallProject, maker: ScratchMaker, assumption: str
) -> None:
    """PostgreSQL refuses such rows; on SQLite they are there, and our env.py refuses them at its end."""
    small_project.write_revision("001", FAMILY, "op.drop_table('child'); op.drop_table('parent')")
    small_project.write_revision("002", REFER, REFER_NO_MORE, extra=f"assumes = {assumption!r}")
    small_project.write_revision("003", REFER_NO_MORE, REFER)
    project, history = small_project.project, History.read(small_project.project)

    found = [
        (it.revision, it.severity)
        for revision in ("002", "003")
        for recording in [replay_history(project, maker, only={revision})]
        for check in (check_round_trip, check_data_loss)
        for it in check(recording, history)
    ]

    assert found == [("002", Severity.NOTE if assumption else Severity.ERROR), ("003", Severity.WARNING)]
    assert not list(check_assumptions([replay_history(project, maker, only={"002"})], history))
