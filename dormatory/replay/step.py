"""Plays one revision up, down and up again on populated tables, inside a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.errors import MissingDowngradeError
from dormatory.errors.failure_origin import FailureOrigin
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction, Failure, Leg
from dormatory.recording.loss import LossKind
from dormatory.recording.masking import mask_secrets
from dormatory.recording.model import Step
from dormatory.replay.attempt import FIRST_ATTEMPT
from dormatory.replay.environment_trial import EnvironmentTrial
from dormatory.replay.offending_rows import delete_offending_rows
from dormatory.replay.other_environment import may_depend_on_environment
from dormatory.schema.diff import diff, residue

if TYPE_CHECKING:
    from collections.abc import Generator

    from alembic.runtime.migration import RevisionStep

    from dormatory.recording.model import EnvironmentDependence
    from dormatory.recording.offending_rows import OffendingRows
    from dormatory.replay.attempt import Attempt
    from dormatory.replay.row_filler import RowFiller
    from dormatory.replay.row_tracker import RowTracker
    from dormatory.replay.seed_rows import SeedRows
    from dormatory.replay.session import ReplaySession
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot


class StepReplay:
    """One attempt at the round trip of a revision, as far as it was played.

    `after` is the structure after the first upgrade.
    """

    def __init__(
        self, session: ReplaySession, tracker: RowTracker, filler: RowFiller, revision: str, before: Snapshot
    ) -> None:
        self._session, self._tracker, self._filler = session, tracker, filler
        self._revision, self._before = revision, before
        self._attempt = FIRST_ATTEMPT
        self._legs: list[Leg] = []
        self._direction = Direction.UPGRADE
        self._file = Path(session.revision_file(revision))
        self._trial: EnvironmentTrial | None = None
        self._dependences: tuple[EnvironmentDependence, ...] = ()
        self.after: Snapshot | None = None

    def play(self, attempt: Attempt, seeds: SeedRows | None) -> Generator[RevisionStep, None, bool]:
        """Play the legs; return whether everything is as the first upgrade left it.

        If a downgrade has not undone anything, the upgrade is not applied again: it would fail on what is still there.
        """
        self._attempt = attempt
        with self._session.connection_between_steps(before_leg=True) as connection:
            self._tracker.read_unknown(connection, self._before)
            if not attempt.is_empty:
                self._filler.prepare(connection, self._before, seeds)
            if attempt.excluded:
                delete_offending_rows(connection, self._before, attempt.excluded)
                self._tracker.read(connection, self._before, None)
            self._tracker.begin_trip(self._before)
        yield from self._play_leg(Direction.UPGRADE)
        self.after = after = self._read_state()
        self._add_leg()
        if not self._session.has_downgrade(self._revision):
            failure = Failure.from_error(MissingDowngradeError(Location(self._session.revision_file(self._revision))))
            self._legs.append(Leg(Direction.DOWNGRADE, 0.0, failure=failure))
            return True
        refused = yield from self._play_leg(Direction.DOWNGRADE)
        if refused:
            self._add_leg(failure=refused)
            yield from self._session.stamp_step(self._revision)
            return True
        downgraded = self._read_state()
        self._add_leg(residue(self._before, self._session.spelled_as(self._before, downgraded)))
        if downgraded != self._before and not diff(after, downgraded):
            yield from self._session.stamp_step(self._revision)
            return True
        yield from self._play_leg(Direction.SECOND_UPGRADE)
        repeated = self._read_state()
        is_restored = repeated == after
        self._add_leg(diff(after, self._session.spelled_as(after, repeated)))
        if is_restored and may_depend_on_environment(self._file, self._session.statements):
            self._trial = EnvironmentTrial(self._session, self._tracker, self._revision, after)
            self._dependences = yield from self._trial.play()
        return is_restored

    def fail(self, failure: Failure) -> None:
        """Add the current leg, which has failed."""
        if self._trial and self._trial.is_running:
            failure = replace(failure, what=f"with another time zone, locale and user, {failure.what}")
        is_statement = failure.origin is FailureOrigin.STATEMENT
        self._add_leg(failure=failure, offending_rows=self._session.offending_rows() if is_statement else None)

    def step(self) -> Step:
        """Return the trip as far as it has been played, with the rows it lost."""
        found = self._tracker.losses()
        drops = tuple(loss for loss in found if loss.kind is LossKind.DROPPED)
        losses = tuple(loss for loss in found if loss.kind is not LossKind.DROPPED)
        return Step(
            self._revision,
            tuple(self._legs),
            self._before,
            self.after,
            losses,
            drops=drops,
            dependences=self._dependences,
        )

    def _play_leg(self, direction: Direction) -> Generator[RevisionStep, None, Failure | None]:
        self._direction = direction
        return (yield from self._session.recorded_step(self._revision, direction))

    def _read_state(self) -> Snapshot:
        """Return the structure after a leg, and record its rows; after the upgrade, add rows to what it changed."""
        session = self._session
        with session.connection_between_steps(before_leg=True) as connection:
            schema = session.read_schema_on(connection)
            self._tracker.record_leg(connection, schema, self._direction, session.statements, session.written_tables)
            if self._direction is Direction.UPGRADE and self._attempt.adds_rows:
                self._filler.fill_changed_tables(connection, schema)
        return schema

    def _add_leg(
        self,
        trace: tuple[Change, ...] = (),
        failure: Failure | None = None,
        offending_rows: OffendingRows | None = None,
    ) -> None:
        """Add the current leg, without the secrets in its statements."""
        statements = mask_secrets(self._session.statements, dialect_by_name(self._session.target.backend_name))
        ends = self._session.transaction_ends
        seconds = self._session.seconds
        self._legs.append(Leg(self._direction, seconds, statements, trace, failure, ends, offending_rows))
