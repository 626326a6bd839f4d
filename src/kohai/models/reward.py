"""The reward model: an adapter and a small head on the base that score a program for an instruction (Bradley-Terry).

It reads as the reviewer does, the program first and then the instruction, starts from the reviewer's adapter, and is
told what the static checks found:

    reward = scale * (mean log-probability of the instruction's tokens) + w . findings

With scale 1 and w = 0, as it starts, that is the reviewer's score. The preferences know of execution, too: they set
scale and w first (a convex problem), then move the adapter. Comments and unused strings are stripped, so they cannot
pay. Rewards are standardised by the mean and deviation they had on the training completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kohai.errors import DataError
from kohai.models.base import Base
from kohai.models.losses import bradley_terry
from kohai.models.reviewer import review
from kohai.records import Verdict
from kohai.verify import CRITERIA
from kohai.workspace import writing

RIDGE = 1e-3  # on the head's weights, so that a check that no preference turns on gets none


class RewardHead(torch.nn.Module):
    """Mean log-probabilities (S,) and findings (S, F) -> rewards (S,).

    `mean` and `deviation` standardise the rewards; they are set after training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.weights = torch.nn.Parameter(torch.zeros(len(CRITERIA)))
        self.mean = torch.nn.Buffer(torch.zeros(()))
        self.deviation = torch.nn.Buffer(torch.ones(()))

    def forward(self, logprobs: torch.Tensor, findings: torch.Tensor) -> torch.Tensor:
        """Rewards of completions."""
        return (self.scale * logprobs + findings @ self.weights - self.mean) / self.deviation

    def fit(
        self, logprobs: torch.Tensor, findings: torch.Tensor, pairs: Sequence[tuple[int, int, float, float]]
    ) -> None:
        """Sets scale and weights: the least Bradley-Terry loss on pairs (chosen, rejected, margin, label), ridged."""
        chosen, rejected = (torch.tensor([pair[side] for pair in pairs]) for side in (0, 1))
        margin, label = (torch.tensor([pair[side] for pair in pairs], dtype=torch.float64) for side in (2, 3))
        features = torch.cat((logprobs[:, None], findings), dim=1).double().cpu()
        values = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)
        solver = torch.optim.LBFGS([values], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            solver.zero_grad()
            rewards = features @ values
            total = bradley_terry(rewards[chosen], rewards[rejected], margin, label) + RIDGE * values.pow(2).sum()
            total.backward()
            return total

        solver.step(loss)
        with torch.no_grad():
            self.scale.copy_(values[0])
            self.weights.copy_(values[1:])


def findings_of(verdicts: Sequence[Verdict]) -> list[float]:
    """What the static checks found, (F,) in the order of `CRITERIA`: yes 1, no -1, unscored 0."""
    answers = {verdict.criterion: verdict.answer for verdict in verdicts}
    return [{"yes": 1.0, "no": -1.0}.get(answers.get(criterion, ""), 0.0) for criterion in CRITERIA]


@torch.no_grad()
def score_programs(
    base: Base,
    plain: Any,
    head: RewardHead,
    instruction: str,
    codes: Sequence[str],
    findings: Sequence[Sequence[float]],
) -> list[float]:
    """Rewards of programs for one instruction."""
    logprobs = torch.tensor(review(base, plain, [(instruction, code) for code in codes]), device=base.device)
    values: list[float] = head(logprobs, torch.tensor(findings, device=base.device)).tolist()
    return values


def save_head(head: RewardHead, path: Path) -> None:
    """Writes the head: whole or not at all."""
    with writing(path) as temporary:
        save_file({name: value.contiguous().cpu() for name, value in head.state_dict().items()}, temporary)


def load_head(base: Base, path: Path) -> RewardHead:
    """Reads a head.

    Raises:
        DataError: it is missing or truncated.
    """
    head = RewardHead()
    try:
        head.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: the reward head does not load ({reason}); delete its stage's folder and run again"
        ) from None
    return head.to(base.device).eval()
