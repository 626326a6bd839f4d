"""Whether what an instruction names literally occurs in the program: grounding the other way round.

A program that drops a step runs more often and does less; the numbers, keys and quoted texts of that step are then
nowhere in it. Counted as named: quoted text, numbers but 0 and 1, words of letters and digits (BX-20). Left out: number
words, ordinals, hours with am or pm, spans of time, the numbers of a list's points. Compared without case and quotes;
dates and cents count as the numbers they say.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from kohai.verify.grounding import DOTTED_DATE, QUOTED, has_text, normal, numbers_in

_POINT = re.compile(r"(?<!\S)\d{1,2}[.)](?=\s+\S)")
_TIME = re.compile(
    r"(?<!\w)(?:\d{1,2}(?:[:.]\d\d)?\s?[ap]\.?m|\d+(?:\.\d+)?[\s-]?(?:minute|hour|week|year)s?)\b", re.IGNORECASE
)
_HUGE = 1e300  # beyond, integers are no floats
_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|[A-Za-z0-9][\w./@-]*")
_ORDINAL = re.compile(r"\d+(st|nd|rd|th)")
_MEASURE = re.compile(r"(\d+(?:\.\d+)?)[a-z]{1,3}")  # 20kg
_FREE = frozenset({0.0, 1.0})


def uncovered(tree: ast.Module, instruction: str) -> list[str] | None:
    """Evidence for each literal of the instruction that the program lacks; None where the instruction has none."""
    texts, numbers = _wanted(instruction)
    if not texts and not numbers:
        return None
    constants = list(_constants(tree))
    said = normal(" ".join(map(str, constants)))
    known = set(numbers_in(said))
    for value in constants:
        if isinstance(value, int | float) and abs(value) < _HUGE:
            known |= {round(abs(value) * factor, 6) for factor in (1, 100, 0.01)}
            if isinstance(value, float) or 100 in constants:  # 15 % off: * 0.85, * 85 // 100
                known.add(round(abs(100 - abs(value) * (100 if isinstance(value, float) else 1)), 6))
    missing = [text for text in texts if not has_text(text, said, frozenset(known))]
    missing += [f"{number:g}" for number in numbers if number not in known]
    return [f"{text!r} of the instruction is nowhere in the program" for text in missing]


def _wanted(instruction: str) -> tuple[list[str], list[float]]:
    texts = [match[1].strip(" .,!?") for match in QUOTED.finditer(instruction)]
    numbers: list[float] = []
    text = DOTTED_DATE.sub(r"\1 \2 \3", _TIME.sub(" ", _POINT.sub(" ", QUOTED.sub(" ", instruction))))
    for match in _TOKEN.finditer(text):
        token = match[0].rstrip("./-@")
        if _ORDINAL.fullmatch(token):
            continue
        measure = _MEASURE.fullmatch(token)
        if measure or not re.search(r"[A-Za-z_]", token):
            found = re.findall(r"\d+(?:\.\d+)?", measure[1] if measure else token.replace(",", ""))
            numbers += [round(float(number), 6) for number in found]
        elif re.search(r"\d", token):
            texts.append(token)
    return list(dict.fromkeys(texts)), [number for number in dict.fromkeys(numbers) if number not in _FREE]


def _constants(tree: ast.Module) -> Iterator[str | int | float]:
    """Values of the program's literals, and names of its members (an enum's, say) and keywords, also as words; not what
    no statement uses.
    """
    idle = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.JoinedStr)
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.keyword):
            name = (node.attr if isinstance(node, ast.Attribute) else node.arg) or ""
            yield from (name, name.replace("_", " "))
        elif isinstance(node, ast.Constant) and id(node) not in idle and not isinstance(node.value, bool):
            value = node.value
            yield from [value] if isinstance(value, str | int | float) else []
