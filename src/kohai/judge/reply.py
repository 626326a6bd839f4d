"""What a judge's reply says. Tolerant about where the JSON stands, strict about what an answer is: never a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from kohai.judge.rubric import Criterion
from kohai.records import Verdict

_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_MAX_REPLY = 100_000  # characters; no answer is longer
_MAX_OBJECTS = 200
_MAX_REASON = 500


def read_reply(text: str, criteria: Sequence[Criterion], answerer: str) -> list[Verdict]:
    """One verdict per criterion; unscored, with the reason why, where the reply has no exact yes or no.

    The JSON may stand in a fence or amid prose. Where a reply holds several objects that answer a criterion differently
    it is unscored: one of them may be quoted from what was judged.
    """
    objects = list(_objects(_THOUGHT.sub("", text[:_MAX_REPLY])))
    return [_verdict(criterion.id, objects, answerer, text) for criterion in criteria]


def _verdict(name: str, objects: Sequence[dict[str, Any]], answerer: str, text: str) -> Verdict:
    values = [item[name] for item in objects if name in item]
    if not values:
        why = "does not answer it" if objects else "holds no JSON object"
        return Verdict(name, "unscored", answerer, f"the judge's reply {why}: {_short(text)}")
    readings = [_reading(value) for value in values]
    answers = {answer for answer, _ in readings}
    if len(answers) > 1:
        return Verdict(name, "unscored", answerer, "the judge's reply holds several answers that differ")
    answer, reason = readings[-1]
    if answer == "yes":
        return Verdict(name, "yes", answerer, reason)
    if answer == "no":
        return Verdict(name, "no", answerer, reason)
    return Verdict(
        name, "unscored", answerer, f"the judge answered neither yes nor no: {_short(json.dumps(values[-1]))}"
    )


def _reading(value: Any) -> tuple[str, str]:
    """(yes, no or nothing; the reason given)."""
    reason = ""
    if isinstance(value, dict):
        reason = _short(str(value.get("reason", "")))
        value = value.get("answer")
    answer = value.strip().lower() if isinstance(value, str) else ""
    return (answer if answer in ("yes", "no") else ""), reason


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text that do not lie inside one another."""
    decoder = json.JSONDecoder()
    position = 0
    for _ in range(_MAX_OBJECTS):
        position = text.find("{", position)
        if position < 0:
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        if isinstance(value, dict):
            yield value


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_REASON else text[:_MAX_REASON] + " ..."
