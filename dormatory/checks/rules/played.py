"""The rules of what playing a history up, down and up again shows."""

from __future__ import annotations

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_DECLARED = 'lossy = "what is lost"  # at the top of the revision, where it cannot be otherwise'


def _round_trip(name: str, severity: Severity, meaning: str, why: str, recipe: str) -> Rule:
    return Rule(name, "roundtrip", severity, meaning, why, recipe)


def _data(name: str, meaning: str, why: str, recipe: str = _DECLARED) -> Rule:
    return Rule(name, "data", _ERROR, meaning, f"{why} Where the statement itself says so, it is a warning.", recipe)


RULES = (
    _round_trip(
        "upgrade-fails",
        _ERROR,
        "an upgrade fails",
        "It fails on a database that holds rows such as the schema allows; yours holds some of them.",
        """
        batch.add_column(sa.Column("level", sa.Integer(), nullable=True))
        op.execute("UPDATE guest SET level = 0")
        batch.alter_column("level", nullable=False)
        """,
    ),
    _round_trip(
        "downgrade-fails",
        _ERROR,
        "a downgrade fails",
        "The way back is needed when something else is wrong already.",
        """
        def downgrade() -> None:
            op.execute("UPDATE review SET author = '' WHERE author IS NULL")  # what the upgrade allowed since
            ...
        """,
    ),
    _round_trip(
        "second-upgrade-fails",
        _ERROR,
        "an upgrade fails after a downgrade",
        "The downgrade left something behind that the upgrade makes again.",
        'sa.Enum(name="grade").drop(op.get_bind(), checkfirst=False)  # in the downgrade: Alembic never drops a type',
    ),
    _round_trip(
        "trace",
        _ERROR,
        "a downgrade leaves something behind, or takes too much",
        "The schema after it is not the one before the upgrade.",
        "# the downgrade undoes what the upgrade did, in the opposite order",
    ),
    _round_trip(
        "second-upgrade-differs",
        _ERROR,
        "a second upgrade gives another schema than the first",
        "Two databases at the same revision are not the same.",
        "# the downgrade undoes what the upgrade did, in the opposite order",
    ),
    _round_trip(
        "rows-refused",
        _NOTE,
        "rows that may be there keep a constraint from being validated",
        "The validation fails, blocks nobody meanwhile, and can be repeated once the rows are mended.",
        """
        op.execute("DELETE FROM stay WHERE room NOT IN (SELECT id FROM room)")  # in a revision before
        op.execute("ALTER TABLE stay VALIDATE CONSTRAINT fk_stay_room")
        """,
    ),
    _round_trip(
        "way-down",
        _ERROR,
        "going all the way down fails or leaves something behind",
        "What one downgrade leaves, the next one meets.",
        "inv db.round-trip --revision 003",
    ),
    _round_trip(
        "one-run-differs",
        _ERROR,
        "all revisions in one run end elsewhere than one by one",
        """A run remembers which types it has created, and may share one transaction: a new database is not what an old
        one has become.""",
        'postgresql.ENUM("low", "high", name="grade", create_type=False)',
    ),
    _round_trip(
        "branch-order",
        _ERROR,
        "branches applied in another order fail or end elsewhere",
        "Alembic chooses the order, and two databases may meet different ones.",
        'depends_on = "014"',
    ),
    _round_trip(
        "no-path-from-empty",
        _ERROR,
        "the history starts from tables that it does not make",
        "No new database can be made from it.",
        'baseline = "baseline.sql"  # in the settings of the project; or a first revision that makes them',
    ),
    _round_trip(
        "irreversible-is-not",
        _WARNING,
        "a revision declares that it has no way back, and has one",
        "Whoever believes it restores a backup for nothing.",
        '# remove: irreversible = "..."',
    ),
    _round_trip(
        "irreversible",
        _NOTE,
        "a revision declares that it has no way back",
        "Behind it a backup is the only way back.",
        'raise NotImplementedError("the numbers were erased")',
    ),
    _round_trip(
        "not-played",
        _NOTE,
        "revisions were not played, for one before them fails",
        "Nothing is known of them.",
        "# mend the first one",
    ),
    _round_trip(
        "environment-fails",
        _ERROR,
        "env.py raises an error",
        "Nothing can be played.",
        "alembic current",
    ),
    _round_trip(
        "wrong-database",
        _ERROR,
        "env.py did not go to the database that it was given",
        "What is played there says nothing, and may hit a database that matters.",
        'url_variable = ["APP_DATABASE_URL"]  # the variable that it reads, in the settings of the project',
    ),
    _round_trip(
        "not-applied",
        _ERROR,
        "a revision was run and is not in the version table",
        "It ended its transaction by itself, or env.py never commits.",
        "# commit and roll back nothing in a revision",
    ),
    _round_trip(
        "baseline-fails",
        _ERROR,
        "what fills the empty database first does not run",
        "Nothing can be played.",
        'baseline = "baseline.sql"',
    ),
    _data("rows-deleted", "rows that could stay are gone", "Nothing in the schema made them go."),
    _data("rows-duplicated", "rows are there twice", "An upgrade inserts again what its downgrade does not delete."),
    _data("values-changed", "values are not what they were", "The way back does not bring them back."),
    _data("values-lost", "values that could be carried over are gone", "They were there to be copied."),
    _data("truncated", "values are cut off", "The way back cannot restore what was cut off."),
    _data(
        "shifted",
        "moments or numbers move with every round trip",
        "Upgrade and downgrade do not use the same offset.",
        """postgresql_using="starts_at AT TIME ZONE 'Europe/Berlin'"  # the same zone both ways""",
    ),
    _data("reencoded", "texts come back in another encoding", "Encoding and decoding are no pair."),
    _data(
        "mapping-not-inverted",
        "values are mapped one way and not back",
        "The downgrade maps them to something else, or not at all.",
        "op.execute(\"UPDATE page SET state = 1 WHERE state = 'draft'\")  # the opposite of each line of the upgrade",
    ),
    _data(
        "split-not-joined",
        "what was joined is not split again, or the other way round",
        "The parts are still in the joined value; the downgrade makes empty columns.",
        "op.execute(\"UPDATE place SET lat = split_part(position, ';', 1)\")",
    ),
    _data(
        "dangling-foreign-keys",
        "rows refer to rows that are not there",
        "The next check of the foreign keys fails.",
        "# delete or re-point the rows that refer first",
    ),
)
