"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) of two texts, equal to rouge-score 0.1.2 without its stemmer.

A text's tokens are its runs of letters a to z and digits, in lower case: operators, quotes and case are not seen
(`x = a + b` and `x = a - b` are alike). Other libraries cut tokens otherwise and differ by many points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_TOKEN = re.compile("[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two texts share: by the prediction's size, by the reference's, and the harmonic mean of both."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Rouge:
    """The three measures of a pair of texts; all 0 where a text has no token (of two tokens' n-grams: no pair)."""

    rouge_1: Overlap
    rouge_2: Overlap
    rouge_l: Overlap


def rouge(prediction: str, reference: str) -> Rouge:
    """The three measures, each in [0, 1].

    "the cat sat on the mat" as reference, "the cat is on the mat": 5 of 6 words (0.8333), 3 of 5 pairs (0.6), and
    "the cat on the mat" as longest common subsequence (0.8333).
    """
    said, wanted = tokens(prediction), tokens(reference)
    return Rouge(
        _shared(said, wanted),
        _shared(list(pairwise(said)), list(pairwise(wanted))),
        _overlap(common_subsequence(said, wanted), len(said), len(wanted)),
    )


def tokens(text: str) -> list[str]:
    """Runs of a to z and digits, in lower case."""
    return _TOKEN.findall(text.lower())


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bits: one long integer is a column of the table (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << place
    full = (1 << len(a)) - 1
    column = full
    for token in b:
        matched = column & places.get(token, 0)
        column = ((column + matched) | (column - matched)) & full
    return len(a) - column.bit_count()


def _shared(said: Sequence[Hashable], wanted: Sequence[Hashable]) -> Overlap:
    few, many = Counter(said), Counter(wanted)
    if len(few) > len(many):
        few, many = many, few
    return _overlap(sum(min(count, many[gram]) for gram, count in few.items()), len(said), len(wanted))


def _overlap(shared: int, n_said: int, n_wanted: int) -> Overlap:
    precision, recall = shared / max(1, n_said), shared / max(1, n_wanted)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if shared else 0.0)
