"""The tasks of DORMATORY, in the order of the manual: what `inv --list` shows. Copy this file to use them elsewhere."""

from __future__ import annotations

from invoke.collection import Collection

from dormatory.cli.tasks.backups import backup, list_backups, restore, undo
from dormatory.cli.tasks.checks import check, rehearse, round_trip
from dormatory.cli.tasks.database import create, current, downgrade, init, reset, shell, stamp, status, upgrade
from dormatory.cli.tasks.revisions import diagram, heads, history, revision, schema_dump, show, sum_

namespace = Collection(
    Collection(
        "db",
        # Create and move a database
        init,
        create,
        revision,
        upgrade,
        downgrade,
        stamp,
        # Show the history and the position in it
        current,
        history,
        show,
        heads,
        status,
        # Go back to an earlier state
        reset,
        backup,
        list_backups,
        restore,
        undo,
        # Check migrations and keep their files up to date
        schema_dump,
        diagram,
        check,
        round_trip,
        rehearse,
        sum_,
        # Work by hand
        shell,
    )
)
