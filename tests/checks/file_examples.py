"""For each rule an example that makes it fire, and a similar one that must not: rules of files and texts."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.checks.acceptance import CheckedScope, check_acceptance, divide_findings
from dormatory.checks.finding import LinterMessage
from dormatory.checks.graph import check_graph
from dormatory.checks.integrity import check_integrity
from dormatory.checks.registry import FAMILIES, RULES
from dormatory.checks.source import ApplicationModules, check_source
from dormatory.checks.sqlfluff import sql_snippets, sqlfluff_findings
from dormatory.checks.suppression import apply_suppressions
from dormatory.errors.location import Location
from dormatory.project.accepted_file import AcceptedEntry
from dormatory.project.checksums import ChecksumFile
from dormatory.project.digest import tree_digest
from dormatory.project.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dormatory.checks.finding import Finding


@dataclass(frozen=True)
class RulePair:
    """A check, an input on which the rule fires, and a similar input on which it does not."""

    check: Callable[[Any], Iterable[Finding]]
    fires: Any
    counterexample: Any


def revision_script(
    name: str,
    *parents: str,
    upgrade: str = 'op.drop_table("a")',
    downgrade: str | None = "pass",
    file: str = "",
    title: str = "Do one step",
) -> Script:
    """Return a revision file; `downgrade` None leaves the function out."""
    down_revision = None if not parents else parents[0] if len(parents) == 1 else parents
    lines = [
        f'"""{title}."""',
        "import sqlalchemy as sa",
        "from alembic import op",
        f"revision = {name!r}",
        f"down_revision = {down_revision!r}",
    ]
    for function, code in (("upgrade", upgrade), ("downgrade", downgrade)):
        if code is not None:
            lines += [f"def {function}():", textwrap.indent(textwrap.dedent(code).strip(), "    ")]
    return Script.parse(Path(f"versions/{file or f'{name}_step.py'}"), "\n".join([*lines, ""]).encode())


def check_upgrade_text(upgrade: str) -> Iterable[Finding]:
    """Check the text of one revision."""
    application = ApplicationModules(frozenset({"shop"}))
    return check_source([revision_script("002", "001", upgrade=upgrade)], application, large_tables=("big",))


def check_title(title: str) -> Iterable[Finding]:
    """Check the title of a revision."""
    return check_source([revision_script("002", "001", title=title)], ApplicationModules(frozenset()))


def checksum_file(*lines: str) -> ChecksumFile:
    """Return a versions.sum with these lines."""
    return ChecksumFile.parse(Path("versions.sum"), "".join(f"{line}\n" for line in lines))


def sum_line(script: Script) -> str:
    """Return the line of a revision in versions.sum."""
    assert script.tree is not None
    assert script.revision is not None
    return f"{script.revision.id} {tree_digest(script.tree)}"


def check_checksums(given: tuple[list[Script], ChecksumFile]) -> Iterable[Finding]:
    """Compare files with their checksums."""
    return check_integrity(*given)


def check_comment(comment: str) -> Iterable[Finding]:
    """Check what a comment hides: an error of create-all is on its line."""
    script = revision_script("002", "001", upgrade=f"call()  {comment}")
    at = next(number for number, text in enumerate(script.source.splitlines(), 1) if b"call()" in text)
    found = RULES["create-all"].finding("m", "h", location=Location(str(script.path), at))
    return apply_suppressions([found], [script], RULES)[0]


def check_entry(entry: AcceptedEntry) -> Iterable[Finding]:
    """Check what an entry of accepted.toml accepts: an error of create-all is in revision 002."""
    found = RULES["create-all"].finding("m", "h", revision="002")
    acceptance = divide_findings([found], [entry], Path("/shop"), RULES)
    return check_acceptance(acceptance, CheckedScope({"": FAMILIES}), Path("accepted.toml"), RULES)


def check_sqlfluff_code(code: str) -> Iterable[Finding]:
    """Return the finding for SQL that sqlfluff reports with a code."""
    snippets = sql_snippets([revision_script("002", "001", upgrade='op.execute("DELETE FROM a")')])
    return sqlfluff_findings(snippets, [LinterMessage(name, 1, code, "it is so") for name in snippets])


ONE, TWO, THREE = revision_script("001"), revision_script("002", "001"), revision_script("003", "002")
OTHER = revision_script("001", upgrade='op.drop_table("b")')
GUARD = 'if op.get_context().dialect.name == "postgresql":\n    '
BLOCK = "with op.get_context().autocommit_block():\n    "
CONCURRENTLY = 'op.create_index("i", "a", ["b"], postgresql_concurrently=True)'

GRAPH: Mapping[str, RulePair] = {
    "several-heads": RulePair(check_graph, [ONE, TWO, revision_script("003", "001")], [ONE, TWO, THREE]),
    "duplicate-id": RulePair(
        check_graph, [ONE, TWO, revision_script("002", "001", file="002_too.py")], [ONE, TWO, THREE]
    ),
    "missing-parent": RulePair(check_graph, [ONE, revision_script("003", "002")], [ONE, revision_script("003", "001")]),
    "cycle": RulePair(check_graph, [revision_script("001", "002"), TWO], [ONE, TWO]),
    "unreachable-revision": RulePair(
        check_graph, [ONE, revision_script("002", "x"), THREE], [ONE, revision_script("002", "x")]
    ),
    "unreadable-revision": RulePair(
        check_graph, [ONE, Script.parse(Path("versions/002_x.py"), b"def (")], [ONE, Script.parse(TWO.path, TWO.source)]
    ),
    "no-downgrade": RulePair(
        check_graph,
        [ONE, revision_script("002", "001", downgrade=None)],
        [ONE, revision_script("002", "001", downgrade="raise NotImplementedError('gone')")],
    ),
    "no-downgrades": RulePair(check_graph, [revision_script("001", downgrade=None)], [revision_script("001"), TWO]),
    "empty-revision": RulePair(
        check_graph,
        [ONE, revision_script("002", "001", upgrade="pass")],
        [
            ONE,
            TWO,
            revision_script("a02", "001", upgrade="print()"),
            revision_script("003", "002", "a02", upgrade="pass"),
        ],
    ),
    "id-too-long": RulePair(check_graph, [revision_script("0" * 33)], [revision_script("0" * 32)]),
    "file-name": RulePair(
        check_graph, [ONE, TWO, revision_script("003", "002", file="004_step.py")], [ONE, TWO, THREE]
    ),
    "branches-collide": RulePair(
        check_graph,
        [ONE, TWO, revision_script("a02", "001"), revision_script("003", "002", "a02")],
        [ONE, TWO, revision_script("a02", "001", upgrade='op.drop_table("b")'), revision_script("003", "002", "a02")],
    ),
}

INTEGRITY: Mapping[str, RulePair] = {
    "revision-changed": RulePair(
        check_checksums, ([OTHER], checksum_file(sum_line(ONE))), ([ONE], checksum_file(sum_line(ONE)))
    ),
    "revision-removed": RulePair(
        check_checksums,
        ([ONE], checksum_file(sum_line(ONE), sum_line(TWO))),
        ([ONE], checksum_file(sum_line(ONE), "002 removed  # it never ran")),
    ),
    "revision-unsummed": RulePair(
        check_checksums,
        ([ONE, TWO], checksum_file(sum_line(ONE))),
        ([ONE, TWO], checksum_file(sum_line(ONE), sum_line(TWO))),
    ),
    "sum-unreadable": RulePair(
        check_checksums,
        ([ONE], checksum_file("<<<<<<< ours", sum_line(ONE))),
        ([ONE], checksum_file("# <<<<<<< ours", sum_line(ONE))),
    ),
}

SUPPRESSION: Mapping[str, RulePair] = {
    "accepted-stale": RulePair(
        check_entry,
        AcceptedEntry("create-all", "003", message="m", reason="it is tiny"),
        AcceptedEntry("create-all", "002", message="m", reason="it is tiny"),
    ),
    "accepted-without-reason": RulePair(
        check_entry,
        AcceptedEntry("create-all", "002", message="m"),
        AcceptedEntry("create-all", "002", message="m", reason="it is tiny"),
    ),
    "suppression-without-reason": RulePair(
        check_comment, "# db-check: ignore[create-all]", "# db-check: ignore[create-all] it is tiny"
    ),
    "suppression-unused": RulePair(
        check_comment, "# db-check: ignore[random-name] it is tiny", "# db-check: ignore[create-all] it is tiny"
    ),
}

SOURCE: Mapping[str, RulePair] = {
    "application-import": RulePair(check_upgrade_text, "import shop\nshop.go()", "import shopping\nshopping.go()"),
    "create-all": RulePair(
        check_upgrade_text,
        "import shop\nshop.Base.metadata.create_all(op.get_bind())",
        'own = sa.MetaData()\nsa.Table("a", own)\nown.create_all(op.get_bind())',
    ),
    "unnamed-constraint": RulePair(
        check_upgrade_text,
        'with op.batch_alter_table("a") as b:\n    b.create_unique_constraint(None, ["x"])',
        'with op.batch_alter_table("a") as b:\n    b.create_unique_constraint("uq_a_x", ["x"])',
    ),
    "random-name": RulePair(
        check_upgrade_text,
        'import uuid\nop.create_index(f"ix_{uuid.uuid4().hex}", "a", ["b"])',
        'import uuid\nop.bulk_insert(sa.table("a", sa.column("b")), [{"b": uuid.uuid4().hex}])',
    ),
    "frozen-default": RulePair(
        check_upgrade_text,
        "from datetime import datetime\ndef now():\n    return str(datetime.now())\n"
        'op.add_column("a", sa.Column("b", sa.Text, server_default=now()))',
        'op.add_column("a", sa.Column("b", sa.DateTime, server_default=sa.func.now()))',
    ),
    "unescaped-colon": RulePair(
        check_upgrade_text, "op.execute(\"UPDATE a SET b = 'x:y :z'\")", "op.execute(\"UPDATE a SET b = 'x:y: z'\")"
    ),
    "transaction-ended": RulePair(
        check_upgrade_text, "op.get_bind().commit()", "import git\nrepository = git.Repo()\nrepository.commit()"
    ),
    "autocommit-not-alone": RulePair(
        check_upgrade_text, f'op.drop_table("c")\n{BLOCK}{CONCURRENTLY}', f"{BLOCK}{CONCURRENTLY}"
    ),
    "concurrently-in-transaction": RulePair(
        check_upgrade_text,
        CONCURRENTLY,
        "import contextlib\n@contextlib.contextmanager\ndef alone():\n"
        f"    with op.get_context().autocommit_block():\n        yield\nwith alone():\n    {CONCURRENTLY}",
    ),
    "dialect-only": RulePair(
        check_upgrade_text,
        'op.execute("CREATE EXTENSION x")',
        'assert op.get_context().dialect.name == "postgresql"\nop.execute("CREATE EXTENSION x")',
    ),
    "dead-branch": RulePair(
        check_upgrade_text, GUARD.replace("postgresql", "postgres") + 'op.drop_table("a")', GUARD + 'op.drop_table("a")'
    ),
    "message-too-short": RulePair(check_title, "Tags", "Add tags"),
    "schema-and-data": RulePair(
        check_upgrade_text,
        'op.add_column("big", sa.Column("b", sa.Integer))\nop.execute("UPDATE big SET b = 1")',
        'op.create_table("big", sa.Column("b", sa.Integer))\nop.execute("INSERT INTO big VALUES (1)")',
    ),
}

SQL: Mapping[str, RulePair] = {
    "sqlfluff": RulePair(check_sqlfluff_code, "CP01", "LT01"),
    "sql-unparsable": RulePair(check_sqlfluff_code, "PRS", "CP01"),
}

PAIRS_OF_TEXTS: Mapping[str, RulePair] = {**GRAPH, **INTEGRITY, **SUPPRESSION, **SOURCE, **SQL}
