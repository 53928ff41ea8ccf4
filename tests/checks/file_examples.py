"""For each rule something that makes it fire, and a neighbour that must not: rules of files and texts."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.checks.finding import Complaint
from dormatory.checks.graph import graph
from dormatory.checks.integrity import integrity
from dormatory.checks.registry import finding
from dormatory.checks.source import Application, source
from dormatory.checks.sqlfluff import fluffed, handwritten
from dormatory.checks.suppression import suppressed
from dormatory.project.checksums import Sums, digest
from dormatory.project.revision_files import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dormatory.checks.finding import Finding


@dataclass(frozen=True)
class Pair:
    """A check, what it is given where a rule fires, and something near to that where it does not."""

    judge: Callable[[Any], Iterable[Finding]]
    fires: Any
    beside: Any


def revision(
    name: str,
    *parents: str,
    upgrade: str = 'op.drop_table("a")',
    downgrade: str | None = "pass",
    file: str = "",
    title: str = "Do one step",
) -> Script:
    """Return a revision file; `downgrade` None leaves the function out."""
    below = None if not parents else parents[0] if len(parents) == 1 else parents
    lines = [
        f'"""{title}."""',
        "import sqlalchemy as sa",
        "from alembic import op",
        f"revision = {name!r}",
        f"down_revision = {below!r}",
    ]
    for function, code in (("upgrade", upgrade), ("downgrade", downgrade)):
        if code is not None:
            lines += [f"def {function}():", textwrap.indent(textwrap.dedent(code).strip(), "    ")]
    return Script.of(Path(f"versions/{file or f'{name}_step.py'}"), "\n".join([*lines, ""]).encode())


def text_of(upgrade: str) -> Iterable[Finding]:
    """Judge the text of one revision."""
    application = Application(frozenset({"shop"}))
    return source([revision("002", "001", upgrade=upgrade)], application, large_tables=("big",))


def titled(title: str) -> Iterable[Finding]:
    """Judge the title of a revision."""
    return source([revision("002", "001", title=title)], Application(frozenset()))


def sums(*lines: str) -> Sums:
    """Return what versions.sum says."""
    return Sums.of(Path("versions.sum"), "".join(f"{line}\n" for line in lines))


def line(script: Script) -> str:
    """Return the line of a revision."""
    assert script.tree is not None
    assert script.revision is not None
    return f"{script.revision.id} {digest(script.tree)}"


def summed(given: tuple[list[Script], Sums]) -> Iterable[Finding]:
    """Judge files by their sums."""
    return integrity(*given)


def commented(comment: str) -> Iterable[Finding]:
    """Judge what a comment hides: an error of create-all stands beside it."""
    script = revision("002", "001", upgrade=f"call()  {comment}")
    at = next(number for number, text in enumerate(script.source.splitlines(), 1) if b"call()" in text)
    return suppressed([finding("create-all", "m", "h", file=str(script.path), line=at)], [script])[0]


def linted(code: str) -> Iterable[Finding]:
    """Judge SQL of which sqlfluff complains with a code."""
    snippets = handwritten([revision("002", "001", upgrade='op.execute("DELETE FROM a")')])
    return fluffed(snippets, [Complaint(name, 1, code, "it is so") for name in snippets])


ONE, TWO, THREE = revision("001"), revision("002", "001"), revision("003", "002")
OTHER = revision("001", upgrade='op.drop_table("b")')
GUARD = 'if op.get_context().dialect.name == "postgresql":\n    '
BLOCK = "with op.get_context().autocommit_block():\n    "
CONCURRENTLY = 'op.create_index("i", "a", ["b"], postgresql_concurrently=True)'

GRAPH: Mapping[str, Pair] = {
    "several-heads": Pair(graph, [ONE, TWO, revision("003", "001")], [ONE, TWO, THREE]),
    "duplicate-id": Pair(graph, [ONE, TWO, revision("002", "001", file="002_too.py")], [ONE, TWO, THREE]),
    "missing-parent": Pair(graph, [ONE, revision("003", "002")], [ONE, revision("003", "001")]),
    "cycle": Pair(graph, [revision("001", "002"), TWO], [ONE, TWO]),
    "unreachable-revision": Pair(graph, [ONE, revision("002", "x"), THREE], [ONE, revision("002", "x")]),
    "unreadable-revision": Pair(
        graph, [ONE, Script.of(Path("versions/002_x.py"), b"def (")], [ONE, Script.of(TWO.path, TWO.source)]
    ),
    "no-downgrade": Pair(
        graph,
        [ONE, revision("002", "001", downgrade=None)],
        [ONE, revision("002", "001", downgrade="raise NotImplementedError('gone')")],
    ),
    "no-downgrades": Pair(graph, [revision("001", downgrade=None)], [revision("001"), TWO]),
    "empty-revision": Pair(
        graph,
        [ONE, revision("002", "001", upgrade="pass")],
        [ONE, TWO, revision("a02", "001", upgrade="print()"), revision("003", "002", "a02", upgrade="pass")],
    ),
    "id-too-long": Pair(graph, [revision("0" * 33)], [revision("0" * 32)]),
    "file-name": Pair(graph, [ONE, TWO, revision("003", "002", file="004_step.py")], [ONE, TWO, THREE]),
    "branches-collide": Pair(
        graph,
        [ONE, TWO, revision("a02", "001"), revision("003", "002", "a02")],
        [ONE, TWO, revision("a02", "001", upgrade='op.drop_table("b")'), revision("003", "002", "a02")],
    ),
}

INTEGRITY: Mapping[str, Pair] = {
    "revision-changed": Pair(summed, ([OTHER], sums(line(ONE))), ([ONE], sums(line(ONE)))),
    "revision-removed": Pair(
        summed, ([ONE], sums(line(ONE), line(TWO))), ([ONE], sums(line(ONE), "002 removed  # it never ran"))
    ),
    "revision-unsummed": Pair(summed, ([ONE, TWO], sums(line(ONE))), ([ONE, TWO], sums(line(ONE), line(TWO)))),
    "sum-unreadable": Pair(
        summed, ([ONE], sums("<<<<<<< ours", line(ONE))), ([ONE], sums("# <<<<<<< ours", line(ONE)))
    ),
}

SUPPRESSION: Mapping[str, Pair] = {
    "suppression-without-reason": Pair(
        commented, "# db-check: ignore[create-all]", "# db-check: ignore[create-all] it is tiny"
    ),
    "suppression-unused": Pair(
        commented, "# db-check: ignore[random-name] it is tiny", "# db-check: ignore[create-all] it is tiny"
    ),
}

SOURCE: Mapping[str, Pair] = {
    "application-import": Pair(text_of, "import shop\nshop.go()", "import shopping\nshopping.go()"),
    "create-all": Pair(
        text_of,
        "import shop\nshop.Base.metadata.create_all(op.get_bind())",
        'own = sa.MetaData()\nsa.Table("a", own)\nown.create_all(op.get_bind())',
    ),
    "unnamed-constraint": Pair(
        text_of,
        'with op.batch_alter_table("a") as b:\n    b.create_unique_constraint(None, ["x"])',
        'with op.batch_alter_table("a") as b:\n    b.create_unique_constraint("uq_a_x", ["x"])',
    ),
    "random-name": Pair(
        text_of,
        'import uuid\nop.create_index(f"ix_{uuid.uuid4().hex}", "a", ["b"])',
        'import uuid\nop.bulk_insert(sa.table("a", sa.column("b")), [{"b": uuid.uuid4().hex}])',
    ),
    "frozen-default": Pair(
        text_of,
        "from datetime import datetime\ndef now():\n    return str(datetime.now())\n"
        'op.add_column("a", sa.Column("b", sa.Text, server_default=now()))',
        'op.add_column("a", sa.Column("b", sa.DateTime, server_default=sa.func.now()))',
    ),
    "unescaped-colon": Pair(
        text_of, "op.execute(\"UPDATE a SET b = 'x:y :z'\")", "op.execute(\"UPDATE a SET b = 'x:y: z'\")"
    ),
    "pragma-foreign-keys": Pair(
        text_of, 'op.execute("PRAGMA foreign_keys = OFF")', 'op.execute("PRAGMA foreign_key_check")'
    ),
    "transaction-ended": Pair(
        text_of, "op.get_bind().commit()", "import git\nrepository = git.Repo()\nrepository.commit()"
    ),
    "autocommit-not-alone": Pair(text_of, f'op.drop_table("c")\n{BLOCK}{CONCURRENTLY}', f"{BLOCK}{CONCURRENTLY}"),
    "concurrently-in-transaction": Pair(
        text_of,
        CONCURRENTLY,
        "import contextlib\n@contextlib.contextmanager\ndef alone():\n"
        f"    with op.get_context().autocommit_block():\n        yield\nwith alone():\n    {CONCURRENTLY}",
    ),
    "dialect-only": Pair(
        text_of,
        'op.execute("CREATE EXTENSION x")',
        'assert op.get_context().dialect.name == "postgresql"\nop.execute("CREATE EXTENSION x")',
    ),
    "dead-branch": Pair(
        text_of, GUARD.replace("postgresql", "postgres") + 'op.drop_table("a")', GUARD + 'op.drop_table("a")'
    ),
    "message-too-short": Pair(titled, "Tags", "Add tags"),
    "schema-and-data": Pair(
        text_of,
        'op.add_column("big", sa.Column("b", sa.Integer))\nop.execute("UPDATE big SET b = 1")',
        'op.create_table("big", sa.Column("b", sa.Integer))\nop.execute("INSERT INTO big VALUES (1)")',
    ),
}

SQL: Mapping[str, Pair] = {
    "sqlfluff": Pair(linted, "CP01", "LT01"),
    "sql-unparsable": Pair(linted, "PRS", "CP01"),
}

OF_TEXTS: Mapping[str, Pair] = {**GRAPH, **INTEGRITY, **SUPPRESSION, **SOURCE, **SQL}
