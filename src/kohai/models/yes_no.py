"""A local judge that answers any criterion: the model's probability of yes against no as the next word.

No text is generated. What is known of a case is computed once and shared by all of its questions, which stand side by
side in one packed row. Small models are near chance at this (docs/log.md): the judge bench says what it is worth.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from kohai.judge import Case, Criterion
from kohai.judge.prompt import ask, describe
from kohai.models import adapters
from kohai.models.base import Base
from kohai.models.packing import Group, pack, reading_tokens, rows
from kohai.models.scoring import hidden_states
from kohai.records import Answer, Verdict

WORDS = {"yes": ("yes", "Yes", " yes", " Yes", "YES"), "no": ("no", "No", " no", " No", "NO")}


class YesNo:
    """An answerer for the panel; `model` is a causal model, whose adapters, if it carries any, are left aside."""

    name = "yes_no"

    def __init__(self, base: Base, model: Any) -> None:
        self.base = base
        self.model = model
        heads = {word: sorted({base.encode(form)[0] for form in forms}) for word, forms in WORDS.items()}
        shared = set(heads["yes"]) & set(heads["no"])
        self._ids = {word: [i for i in ids if i not in shared] for word, ids in heads.items()}

    def answer(
        self,
        criteria: Sequence[Criterion],
        cases: Sequence[Case],
        on_done: Callable[[int], None] | None = None,
        fresh: bool = False,  # noqa: ARG002 - nothing is remembered
    ) -> list[list[Verdict]]:
        """One verdict per criterion and case, each with its probability."""
        if not criteria:
            return [[] for _ in cases]
        groups = [self._group(criteria, case) for case in cases]
        fits = [len(known) + max(map(len, asked)) <= self.base.n_positions for known, asked in groups]
        readable = [group for group, does_fit in zip(groups, fits, strict=True) if does_fit]
        found: list[list[Verdict]] = []
        with adapters.merged(self.model, None) as plain:
            for row in rows(readable, reading_tokens(self.base.device)):
                chances = self._probabilities(plain, [readable[i] for i in row]).view(len(row), len(criteria)).tolist()
                found += [[self._verdict(c, p) for c, p in zip(criteria, of_case, strict=True)] for of_case in chances]
                if on_done is not None:
                    on_done(len(row))
        if on_done is not None and len(readable) < len(cases):
            on_done(len(cases) - len(readable))
        reason = f"longer than the {self.base.n_positions} tokens that the model can read"
        unread = [Verdict(criterion.id, "unscored", self.name, reason) for criterion in criteria]
        answers = iter(found)
        return [next(answers) if does_fit else list(unread) for does_fit in fits]

    def note(self) -> str:
        """Nothing to tell."""
        return ""

    def _group(self, criteria: Sequence[Criterion], case: Case) -> Group:
        """What the questions of a case share, and what each adds."""
        known = describe(case)
        asked = [self.base.render(f"{known}\n\n{ask(criterion)}") for criterion in criteria]
        alike = itertools.takewhile(lambda tokens: len(set(tokens)) == 1, zip(*asked, strict=False))
        n_shared = min(sum(1 for _ in alike), *(len(ids) - 1 for ids in asked))
        return asked[0][:n_shared], [ids[n_shared:] for ids in asked]

    def _probabilities(self, plain: Any, groups: Sequence[Group]) -> torch.Tensor:
        """(number of questions,): P(yes) / (P(yes) + P(no)) after each."""
        packed = pack(groups, self.base.device)
        hidden = hidden_states(plain, packed)[packed.lasts]
        logits = plain.get_output_embeddings()(hidden)
        yes, no = (logits[:, self._ids[word]].float().logsumexp(-1) for word in ("yes", "no"))
        return torch.sigmoid(yes - no)

    def _verdict(self, criterion: Criterion, probability: float) -> Verdict:
        answer: Answer = "yes" if probability >= 0.5 else "no"
        return Verdict(criterion.id, answer, self.name, f"P(yes) = {probability:.3f}", round(probability, 6))
