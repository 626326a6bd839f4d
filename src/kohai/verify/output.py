"""Whether a program prints where its instruction asks for output, and only there. Reads English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from kohai.records import Answer

_ASKS = re.compile(r"\b(?:(?:print|output|display)(?:s|ed|ing)?|show(?!\s+that\b))\b", re.IGNORECASE)
_MAY_ASK = re.compile(
    r"\b(?:show\w*|what|which|who|whose|whom|when|where|why|how|tell|list|count|report|give|say|write|return|find|know)\b",
    re.IGNORECASE,
)
_PRINTS = frozenset({"print", "pprint", "pp"})
_MAY_PRINT = _PRINTS | {"write", "writelines", "echo", "display", "show", "dump", "info", "log", "secho", "inform"}


def printing(tree: ast.Module, instruction: str) -> tuple[Answer, str]:
    """The answer, and the evidence of a no; unscored where the instruction may ask for output without saying so."""
    calls = list(_calls(tree))
    if _ASKS.search(instruction):
        if any(name in _MAY_PRINT for name, _ in calls):
            return "yes", ""
        return "no", "the instruction asks for output and the program prints nothing"
    if _MAY_ASK.search(instruction):
        return "unscored", "the instruction may or may not ask for output"
    lines = [line for name, line in calls if name in _PRINTS]
    return ("no", f"line {lines[0]}: prints, and the instruction asks for no output") if lines else ("yes", "")


def _calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each call's last name and line."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                yield name, node.lineno
