"""Preferences: which of two completions of one task is better, from their scores."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kohai.code import parse, strip_noise
from kohai.errors import InternalError
from kohai.records import Feedback, Preference

_ROUNDING = 1e-9  # 0.35 - 0.30 is a margin of 0.05


@dataclass(frozen=True, slots=True)
class Pairing:
    """The preferences, and what was left out on the way to them."""

    preferences: tuple[Preference, ...]
    n_unscored: int  # completions without a score
    n_duplicates: int  # completions whose code another one of the task has
    n_ties: int  # pairs closer than the margin
    n_capped: int  # pairs beyond the limit per task


def preferences(
    feedback: Sequence[Feedback],
    codes: Mapping[tuple[str, int], str],
    min_margin: float,
    max_pairs_per_task: int | None = None,
) -> list[Preference]:
    """The preferences of `pairing`, without its counts."""
    return list(pairing(feedback, codes, min_margin, max_pairs_per_task).preferences)


def pairing(
    feedback: Sequence[Feedback],
    codes: Mapping[tuple[str, int], str],
    min_margin: float,
    max_pairs_per_task: int | None = None,
) -> Pairing:
    """All pairs of distinct completions of one task whose scores differ by at least `min_margin` (and differ at all).

    `codes` holds each completion's code by (task id, index). Completions without a score are left out; of those with
    the same code (comments, docstrings and layout aside) the first one stays. Where a task has more pairs than
    `max_pairs_per_task`, those with the largest margins stay. Tasks keep their order; pairs go by margin, then index.
    """
    scored: dict[str, list[tuple[int, float]]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    n_unscored = n_duplicates = n_ties = n_capped = 0
    for item in feedback:
        if item.score is None:
            n_unscored += 1
            continue
        code = codes.get((item.task_id, item.index))
        if code is None:
            raise InternalError(f"no code for completion {item.index} of task {item.task_id}")
        identity = (item.task_id, normalised(code))
        if identity in seen:
            n_duplicates += 1
            continue
        seen.add(identity)
        scored[item.task_id].append((item.index, item.score))
    found: list[Preference] = []
    for task_id, completions in scored.items():
        pairs = _pairs(task_id, completions, min_margin)
        n_ties += len(completions) * (len(completions) - 1) // 2 - len(pairs)
        kept = pairs[:max_pairs_per_task]
        n_capped += len(pairs) - len(kept)
        found += kept
    return Pairing(tuple(found), n_unscored, n_duplicates, n_ties, n_capped)


def normalised(code: str) -> str:
    """The same text for programs that differ in comments, docstrings and layout only."""
    text = strip_noise(code)
    tree = parse(text)
    return " ".join(text.split()) if tree is None else ast.dump(tree)


def _pairs(task_id: str, completions: Sequence[tuple[int, float]], min_margin: float) -> list[Preference]:
    pairs = []
    for position, (first, first_score) in enumerate(completions):
        for second, second_score in completions[position + 1 :]:
            margin = abs(first_score - second_score)
            if margin <= 0 or margin + _ROUNDING < min_margin:
                continue
            chosen, rejected = (first, second) if first_score > second_score else (second, first)
            pairs.append(Preference(task_id, chosen, rejected, margin))
    return sorted(pairs, key=lambda pair: (-pair.margin, pair.chosen, pair.rejected))
