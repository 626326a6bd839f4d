"""Replies, syntax trees and dotted names: worked cases."""

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
        ("enroll", "stockroom.items.enroll"),
        ("pack", "pack"),
        ("orders.draft().line", "stockroom.orders.draft().line"),
        ("(await orders.draft()).line", "stockroom.orders.draft().line"),
        ("(o := orders.draft()).line", "stockroom.orders.draft().line"),
        ("orders.pair()[1].line", "stockroom.orders.pair()[1].line"),
        ("orders.by_name()[key].line", "stockroom.orders.by_name()[.].line"),
        ("'a'.upper", "?.upper"),
    ],
)
def test_dotted(text, expected):
    """Names stand for what they were imported as; calls and indices are steps of the name; literals are unknown."""
    names = {"enroll": "stockroom.items.enroll", "orders": "stockroom.orders"}
    assert code.dotted(ast.parse(text).body[0].value, names) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import stockroom.items, os.path as p", {"stockroom": "stockroom", "p": "os.path"}),
        ("from stockroom import items as i, orders", {"i": "stockroom.items", "orders": "stockroom.orders"}),
        ("from . import items", {"items": "..items"}),
        ("from stockroom import *", {"*": "stockroom.*"}),
    ],
)
def test_import_names(text, expected):
    """Each name with its dotted origin."""
    assert dict(code.import_names(ast.parse(text).body[0])) == expected
