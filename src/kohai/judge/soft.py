"""Probabilities of yes, from the log-probabilities of a reply's tokens (soft labels, arXiv 2309.00267)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from kohai.judge.client import Token

_QUOTES = " \t\n\"'`"


def probability_of_yes(criterion: str, tokens: Sequence[Token]) -> float | None:
    """P(yes) / (P(yes) + P(no)) at the token that begins a criterion's answer.

    None where the reply does not answer it exactly once, or the place has no log-probability of either word. What the
    server leaves out of its list counts as 0, so that a probability may be a little too sure.
    """
    place = _place(criterion, tokens)
    if place is None:
        return None
    chances = {"yes": 0.0, "no": 0.0}
    for text, logprob in tokens[place].likeliest:
        word = text.strip(_QUOTES).lower()
        if word in chances:
            chances[word] += math.exp(min(0.0, logprob))
    total = sum(chances.values())
    return chances["yes"] / total if total > 0 else None


def _place(criterion: str, tokens: Sequence[Token]) -> int | None:
    """Index of the token in which a criterion's answer begins."""
    text = "".join(token.text for token in tokens)
    answer = re.compile(
        rf'"{re.escape(criterion)}"\s*:\s*(?:\{{[^{{}}]*?"answer"\s*:\s*)?"\s*(yes|no)\s*"', re.IGNORECASE
    )
    found = list(answer.finditer(text))
    if len(found) != 1:
        return None
    start, end = found[0].start(1), 0
    for index, token in enumerate(tokens):
        end += len(token.text)
        if end > start:
            return index
    return None
