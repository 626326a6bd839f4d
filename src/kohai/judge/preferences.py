"""Preferences: which of two completions of one task is better, from their scores, and what such a set is made of."""

from __future__ import annotations

import ast
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from kohai.code import parse, strip_noise
from kohai.errors import InternalError
from kohai.judge.panel import counting
from kohai.judge.rubric import Criterion, Rubric
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
    A pair's label is the chance that the true scores stand in that order, each being normal around the score.
    """
    scored: dict[str, list[Feedback]] = defaultdict(list)
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
        scored[item.task_id].append(item)
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


def data_sheet(
    rubric: Rubric,
    preferences: Sequence[Preference],
    feedback: Sequence[Feedback],
    codes: Mapping[tuple[str, int], str],
) -> dict[str, Any]:
    """What a set of preferences is made of, as JSON values.

    `by_source`; of the sampled pairs: `by_criterion`, where the chosen one has the yes or the higher probability
    (`for`) and where the rejected one has (`against`); `judge_and_execution`, of the pairs of which one ran and the
    other did not and whose judged criteria differ too, the share in which both point the same way; `chosen_is_longer`,
    and by how much on the average (log of the ratio of lengths); `label_mean`.
    """
    by_place = {(item.task_id, item.index): item for item in feedback}
    sampled = [pair for pair in preferences if pair.source == "sampled"]
    by_criterion: dict[str, Counter[str]] = {criterion.id: Counter() for criterion in rubric.criteria}
    agree: list[bool] = []
    ratios: list[float] = []
    for pair in sampled:
        keys = (pair.task_id, pair.chosen), (pair.task_id, pair.rejected)
        leads = {c.id: ahead for c in rubric.criteria if (ahead := lead(c, *(by_place[key] for key in keys)))}
        for name, ahead in leads.items():
            by_criterion[name]["for" if ahead > 0 else "against"] += 1
        ran, said = (sum(leads[c.id] for c in rubric.asked_of(kind) if c.id in leads) for kind in ("execution", "llm"))
        if ran and said:
            agree.append((ran > 0) == (said > 0))
        ratios.append(math.log((1 + len(codes[keys[0]])) / (1 + len(codes[keys[1]]))))
    return {
        "pairs": len(preferences),
        "by_source": dict(Counter(pair.source for pair in preferences)),
        "by_criterion": {name: dict(counts) for name, counts in by_criterion.items() if counts},
        "judge_and_execution": {"agree": sum(agree), "n": len(agree)},
        "chosen_is_longer": round(sum(ratio > 0 for ratio in ratios) / len(ratios), 4) if ratios else None,
        "log_length_ratio": round(sum(ratios) / len(ratios), 4) if ratios else None,
        "label_mean": round(sum(pair.label for pair in sampled) / len(sampled), 4) if sampled else None,
    }


def lead(criterion: Criterion, chosen: Feedback, rejected: Feedback) -> float:
    """By how much the chosen one is ahead on a criterion; 0 where either is unscored."""
    values = []
    for item in (chosen, rejected):
        verdict = counting(criterion, item.verdicts)
        if verdict is None:
            return 0.0
        values.append(verdict.probability if verdict.probability is not None else float(verdict.answer == "yes"))
    return values[0] - values[1]


def _pairs(task_id: str, completions: Sequence[Feedback], min_margin: float) -> list[Preference]:
    pairs = []
    for position, first in enumerate(completions):
        for second in completions[position + 1 :]:
            assert first.score is not None
            assert second.score is not None
            margin = abs(first.score - second.score)
            if margin <= 0 or margin + _ROUNDING < min_margin:
                continue
            chosen, rejected = (first, second) if first.score > second.score else (second, first)
            spread = math.hypot(first.deviation, second.deviation)
            label = NormalDist().cdf(margin / spread) if spread else 1.0
            pairs.append(Preference(task_id, chosen.index, rejected.index, margin, round(label, 6)))
    return sorted(pairs, key=lambda pair: (-pair.margin, pair.chosen, pair.rejected))
