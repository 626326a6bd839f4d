"""Replies, syntax trees and calls: worked cases."""

import ast

import pytest

from kohai import code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sure:\n```python\nx = 1\n```\nDone.", "x = 1"),
        ("```\nnot this\n```\n```python\nthis\n```", "this"),
        ("```\nx = 1\n```", "x = 1"),
        ("```python\nx = 1\nprint(x)", "x = 1\nprint(x)"),
        ("  x = 1\n  y = 2\n", "x = 1\ny = 2"),
        ("x = 1\n```", "x = 1"),
        ("```py\r\nx = 1\r\n```", "x = 1"),
        ("~~~python\nx = '''```'''\n~~~", "x = '''```'''"),
        ("  ```python\n  if a:\n      b()\n  ```", "if a:\n    b()"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''"),
        ("", ""),
        ("```python\n```", ""),
    ],
)
def test_extract_code(text, expected):
    """The first python block wins, then any block, then the whole text; dedented."""
    assert code.extract_code(text) == expected


@pytest.mark.parametrize("text", ["x = (", "x = 1\n y = 2", "a\0b", "(" * 5000])
def test_parse_gives_none_for_what_is_not_python(text):
    """Broken code is an answer, not an exception."""
    assert code.parse(text) is None


def test_strip_noise_keeps_only_what_runs():
    """Comments, docstrings and lone strings go; a body left empty gets `pass`."""
    text = '"""Doc."""\n# note\ndef f():\n    """Doc."""\n\nx = "kept"  # why\n"lone"\n'
    assert code.strip_noise(text) == "def f():\n    pass\nx = 'kept'"


def test_strip_noise_of_broken_code_cuts_comments():
    """What does not parse loses its comments and blank lines, strings stay."""
    assert code.strip_noise("x = '#'  # a\n\n# b\ny = = 2\n") == "x = '#'\ny = = 2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from stockroom import open_room\nopen_room()", ["stockroom.open_room"]),
        ("import stockroom.items\nstockroom.items.enroll()", ["stockroom.items.enroll"]),
        ("import stockroom.items as i\ni.enroll()", ["stockroom.items.enroll"]),
        ("from stockroom import items as i\nf = i.enroll\nf()", ["stockroom.items.enroll"]),
        (
            "from stockroom import orders\nwith orders.draft() as d:\n    d.line()",
            ["stockroom.orders.draft", "stockroom.orders.draft().line"],
        ),
        ("from s import a\nx = a.f()\nx.g().h()", ["s.a.f", "s.a.f().g", "s.a.f().g().h"]),
        ("from s import a\nfor x in a.all():\n    x.g()", ["s.a.all", "s.a.all()[].g"]),
        ("from s import a\nx, y = a.pair()\ny.g()", ["s.a.pair", "s.a.pair()[1].g"]),
        ("from s import a\nx, y = a.f(), a.g()\ny.h()", ["s.a.f", "s.a.g", "s.a.g().h"]),
        ("from s import a\na.f()[0].g()", ["s.a.f", "s.a.f()[0].g"]),
        ("from s import a\n[x.g() for x in a.all()]", ["s.a.all", "s.a.all()[].g"]),
        ("from s import a\na.f(a.g())", ["s.a.g", "s.a.f"]),
        ("import s\ns = 3\ns.f()", ["?.f"]),
        ("from s import T\ndef main(t: T):\n    t.f()\nmain()", ["s.T().f", "main"]),
        ("from s import a\nasync def m():\n    x = await a.f()\n    x.g()", ["s.a.f", "s.a.f().g"]),
        ("from s import a\nif (x := a.f()):\n    x.g()", ["s.a.f", "s.a.f().g"]),
        ("from s import a\nt = lambda x: a.f(x)", ["s.a.f"]),
        ("from s import a\nprint(f'{a.f()}')", ["s.a.f", "print"]),
        ("from . import a\na.f()", ["..a.f"]),
        ("x = 'a'.upper()", ["?.upper"]),
        ("x = 1\nx += 1\nx.f()", ["?.f"]),
    ],
)
def test_calls_resolve_names(text, expected):
    """Dotted names follow imports, aliases, assignments, with, for, unpacking, comprehensions; in evaluation order."""
    assert [call.name for call in code.calls(ast.parse(text))] == expected


def test_call_keeps_arguments_line_and_target():
    """A call knows its arguments, its line and the name its result is bound to."""
    tree = ast.parse("from s import a\n\nx = a.f(1, *r, k='v', **m)\nwith a.g() as y: pass\na.h()\n")
    first, second, third = code.calls(tree)
    assert (first.line, first.target, second.target, third.target) == (3, "x", "y", None)
    assert [ast.unparse(value) for value in first.args] == ["1", "*r"]
    assert {name: ast.unparse(value) for name, value in first.keywords.items()} == {"k": "'v'", "**": "m"}
