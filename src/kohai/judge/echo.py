"""Programs that repeat their instruction: what they repeat is cut before the reviewer reads them.

The reviewer asks how well a program explains its instruction; one that holds the instruction as a text or in its names
explains it perfectly and does nothing. Cut are runs of words that stand in the same order in both, but for what the
instruction itself quotes, which a program must hold. Not covered: an instruction in pieces shorter than a run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from kohai.code import parse
from kohai.judge.reading import own_names, read, rename

RUN = 4  # words: shorter ones are names and phrases that a right program has too
_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|“[^”]*”|`[^`]*`")


def without_echo(code: str, instruction: str) -> str:
    """A program as judges read it (`judge/reading.py`), and without runs of its instruction's words in texts (`...`
    instead) and in names of its own (`name_1` instead). One that does not parse is only stripped.
    """
    stripped = read(code, instruction).code
    runs = set(_runs([word.lower() for word in _WORD.findall(_QUOTED.sub(" ", instruction))]))
    tree = parse(stripped) if runs else None
    if tree is None:
        return stripped
    is_changed = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = _cut(node.value, runs)
            is_changed |= text != node.value
            node.value = text
    nodes = list(ast.walk(tree))
    names = [name for name in own_names(nodes) if _cut(name, runs) != name]
    rename(nodes, names)
    if not is_changed and not names:
        return stripped
    try:
        return ast.unparse(tree)
    except ValueError:  # an f-string that this Python cannot write
        return stripped


def _cut(text: str, runs: set[tuple[str, ...]]) -> str:
    """A text with `...` in place of every stretch that runs cover."""
    found = list(_WORD.finditer(text))
    words = [match[0].lower() for match in found]
    covered = {place for start, run in enumerate(_runs(words)) if run in runs for place in range(start, start + RUN)}
    pieces, end = [], 0
    for place in sorted(covered):
        if place - 1 not in covered:
            pieces += [text[end : found[place].start()], "..."]
        end = found[place].end()
    return "".join(pieces) + text[end:]


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))
