"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) of two texts, equal to rouge-score 0.1.2 without its stemmer.

A text's tokens are its runs of letters a to z and digits, in lower case: operators, quotes and case are not seen
(`x = a + b` and `x = a - b` are alike). Other libraries cut tokens otherwise and differ by many points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeVar

Gram = TypeVar("Gram")
_TOKEN = re.compile("[a-z0-9]+")


class Overlap(NamedTuple):
    """What two texts share: by the prediction's size, by the reference's, and the harmonic mean of both."""

    precision: float
    recall: float
    f1: float


class Rouge(NamedTuple):
    """The three measures of a pair of texts; all 0 where a text has no token (of two tokens' n-grams: no pair)."""

    rouge_1: Overlap
    rouge_2: Overlap
    rouge_l: Overlap


def rouge(prediction: str, reference: str) -> Rouge:
    """The three measures, each in [0, 1].

    "the cat sat on the mat" as reference, "the cat is on the mat": 5 of 6 words (0.8333), 3 of 5 pairs (0.6), and
    "the cat on the mat" as longest common subsequence (0.8333).
    """
    said, (n, words, pairs, places) = tokens(prediction), _reference(reference)
    return Rouge(
        _overlap(_shared(said, words), len(said), n),
        _overlap(_shared(pairwise(said), pairs), len(said) - 1, n - 1),
        _overlap(_longest(said, places, n), len(said), n),
    )


@lru_cache(4096)
def _reference(text: str) -> tuple[int, Counter[str], Counter[tuple[str, str]], dict[str, int]]:
    """Number of tokens, words, pairs, and the places of each word."""
    found = tokens(text)
    return len(found), Counter(found), Counter(pairwise(found)), _places(found)


def forget() -> None:
    """Lets go of what is kept of references."""
    _reference.cache_clear()


def tokens(text: str) -> list[str]:
    """Runs of a to z and digits, in lower case."""
    return _TOKEN.findall(text.lower())


def _places(found: Iterable[str]) -> dict[str, int]:
    """The places of each token, as bits."""
    places: dict[str, int] = {}
    bit = 1
    for token in found:
        places[token] = places.get(token, 0) | bit
        bit <<= 1
    return places


def _longest(said: Iterable[str], places: Mapping[str, int], n: int) -> int:
    """Length of the longest common subsequence, by bits: one long integer is a column of the table (Hyyrö 2004)."""
    column = full = (1 << n) - 1
    for bits in map(places.get, said):
        if bits:
            matched = column & bits
            column = ((column + matched) | (column - matched)) & full
    return n - column.bit_count()


def _shared(said: Iterable[Gram], wanted: Mapping[Gram, int]) -> int:
    """How many of the grams are wanted, each as often as it is."""
    left = dict(wanted)
    found = 0
    for gram in said:
        n_left = left.get(gram)
        if n_left:
            left[gram] = n_left - 1
            found += 1
    return found


def _overlap(shared: int, n_said: int, n_wanted: int) -> Overlap:
    precision, recall = shared / max(1, n_said), shared / max(1, n_wanted)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if shared else 0.0)
