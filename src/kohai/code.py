"""A model's reply, as code: the block cut out of the text, its syntax tree, and what its expressions are called.

Pure and static: nothing is imported or executed. Leaves out types: what a dotted name means in a package is the
catalog's business.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
import warnings
from collections.abc import Iterator

UNKNOWN = "?"  # the dotted name of a value that comes from nowhere we can follow
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_PYTHON = frozenset({"python", "python3", "py", "py3"})


def extract_code(text: str) -> str:
    """The code of a reply: its first python block, else its first block of any kind (unclosed too), else all of it."""
    blocks = list(_blocks(text.replace("\r\n", "\n")))
    python = [code for language, code in blocks if language in _PYTHON]
    plain = [code for language, code in blocks if code.strip()]
    chosen = python[0] if python else plain[0] if plain else _FENCE.sub("", text)
    return textwrap.dedent(chosen.strip("\n")).strip()


def parse(code: str) -> ast.Module | None:
    """The syntax tree, or None where the code is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def strip_noise(code: str) -> str:
    """The code without comments, docstrings and unused strings; of what does not parse, without comments."""
    tree = parse(code)
    if tree is None:
        return _without_comments(code)
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                kept = [statement for statement in body if not _is_unused_text(statement)]
                needs_pass = not kept and body and not isinstance(node, ast.Module)
                setattr(node, field, [ast.Pass()] if needs_pass else kept)
    try:
        return ast.unparse(ast.fix_missing_locations(tree))
    except ValueError:
        return _without_comments(code)


def written(node: ast.AST) -> str:
    """A node's source; its tree where an f-string's values have a backslash, which Python 3.11 cannot write."""
    try:
        return ast.unparse(node)
    except ValueError:
        return ast.dump(node)


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """The dotted name of an expression, given what the program's names stand for: `stockroom.items.enroll`.

    A method of what a call gave is `stockroom.orders.draft().line`, of what is indexed or unpacked from it
    `stockroom.items.pair()[0].rename`, of the elements that a loop takes from it `stockroom.items.search()[].rename`.
    `?` stands for a value that is not known.
    """
    match node:
        case ast.Name(id=name):
            return names.get(name, name)
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value, names)}.{attr}"
        case ast.Call(func=func):
            return f"{dotted(func, names)}()"
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return dotted(value, names)
        case ast.Subscript(value=value, slice=ast.Constant(value=int(index))):
            return f"{dotted(value, names)}[{index}]"
        case ast.Subscript(value=value):
            return f"{dotted(value, names)}[.]"
    return UNKNOWN


def import_names(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with its dotted origin; `from x import *` binds `*`."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        else:
            origin = "." * node.level + (node.module or "")
            yield alias.asname or alias.name, f"{origin}.{alias.name}"


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a text, (language, content); the last one may be unclosed."""
    opened: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        if opened is None:
            opened = mark
        elif mark[1].startswith(opened[1]) and not mark[2]:
            yield opened[2].lower(), text[opened.end() : mark.start()]
            opened = None
    if opened is not None:
        yield opened[2].lower(), text[opened.end() :]


def _is_unused_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _without_comments(code: str) -> str:
    """Cuts comments as far as the tokenizer comes; blank lines that are left are dropped."""
    lines = code.splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError):
        pass  # the rest stays as it is
    return "\n".join(line.rstrip() for line in lines if line.strip())
