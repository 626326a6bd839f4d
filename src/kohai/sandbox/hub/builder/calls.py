"""A documented call, read without running it: its name, its constants, the objects it names."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """`name(*args, **keywords)`; arguments that are no constants are left out."""

    name: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]

    @property
    def owner(self) -> str:
        """The class of a class method, else the function."""
        return self.name.split(".", maxsplit=1)[0]


def read_call(text: str) -> Call | None:
    """The call that a documentation's line makes; None where it is none."""
    try:
        node: ast.AST = ast.parse(text.strip().rstrip("."), mode="eval").body
    except (SyntaxError, ValueError):
        found = re.match(r"\s*([A-Za-z_][\w.]*)\s*\(", text)
        constants = tuple(re.findall(r"['\"]([^'\"]+)['\"]", text))
        return Call(found[1], constants[:1], {}) if found else None
    if isinstance(node, ast.Tuple) and node.elts:
        node = node.elts[0]
    if not isinstance(node, ast.Call):
        return None
    inner = node
    while isinstance(inner.func, ast.Attribute) and isinstance(inner.func.value, ast.Call):
        inner = inner.func.value  # a.from_pretrained(...).to(...)
    args = tuple(_constant(item) for item in inner.args)
    keywords = {item.arg: _constant(item.value) for item in inner.keywords if item.arg}
    return Call(
        ast.unparse(inner.func),
        tuple(value for value in args if value is not None),
        {key: value for key, value in keywords.items() if value is not None},
    )


def _constant(node: ast.AST) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
