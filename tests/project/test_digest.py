"""The digest of a revision changes with what the revision does, and with nothing else."""

from __future__ import annotations

import ast

import pytest

from dormatory.project.digest import tree_digest


@pytest.mark.parametrize(
    "other",
    [
        "x  =  [1,\n 2]  # a comment\ndef f():\n  'words'\n  return f'a{x!r:>{1}}b' 'c'\n",
        "'''Title.'''\nx = [1, 2]\n\n\ndef f():\n    return (f'a{x!r:>{1}}bc')\n",
        "x = [1, 2,]\r\ndef f():\r\n\treturn f\"a{x!r:>{1}}\" f'bc'\r\n",
    ],
)
def test_layout_comments_and_docstrings_do_not_change_the_digest(other: str) -> None:
    first = "x = [1, 2]\ndef f():\n    return f'a{x!r:>{1}}bc'\n"
    assert tree_digest(ast.parse(other)) == tree_digest(ast.parse(first))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = True"),
        ("x = None", "x = 'None'"),
        ("f(a)", "f(*a)"),
        ("x = 1", "y = 1"),
        ("-1", "1"),
        ("f'{a}'", "f'{a!r}'"),
    ],
)
def test_anything_else_changes_the_digest(one: str, other: str) -> None:
    assert tree_digest(ast.parse(one)) != tree_digest(ast.parse(other))


def test_the_digest_is_the_same_on_every_python() -> None:
    # It includes the syntax whose trees differ between 3.11, 3.12 and 3.13.
    text = '''
class A(object): ...
async def f(a, /, b=1, *c, d, e=None, **g) -> "x":
    """Words."""
    async with a as h, b: yield {**g, 1: ...}
    match a:
        case {"k": [1, *_], **r} if r: return f"{a!r:>{b}}{{}}{c=}" "" if 0 else -1.5e300j
        case A(x=1) | None: raise
    try: del a[1:2, ::3]
    except* ValueError as i: j: int = (k := 1)
    lambda *a, b: [x async for x in y if z]
    "\\u20ac\\U0001f600" "b", b"\\x00", 10 ** 20, 1_0.0, u"u"
'''
    assert tree_digest(ast.parse(text)) == "v1:e1d134ad68bd7ddd2d887bcc2fe23991a02e6fe89c892cf682883acc355af5d5"
