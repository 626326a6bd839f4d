"""The reward model: an adapter and a small head on the base that score a program for an instruction (Bradley-Terry).

It reads as the reviewer does, the program first and then the instruction, and starts from the reviewer's adapter:

    reward = scale * (mean log-probability of the instruction's tokens) + w . (hidden state at its end) + b

With scale 1 and w = 0, as it starts, that is the reviewer's score; the preferences, which know of execution and static
checks too, move it from there. Comments and unused strings are stripped, so they cannot pay. Rewards are standardised
by the mean and deviation they had on the training completions.
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
from kohai.models.packing import Packed, pack, rows
from kohai.models.reviewer import ROW_TOKENS, review_group
from kohai.models.scoring import per_segment, token_scores
from kohai.workspace import writing


class RewardHead(torch.nn.Module):
    """Hidden states (S, E) and mean log-probabilities (S,) -> rewards (S,).

    `mean` and `deviation` standardise the rewards; they are set after training.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(size, 1)
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.zeros_(self.linear.bias)
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.mean = torch.nn.Buffer(torch.zeros(()))
        self.deviation = torch.nn.Buffer(torch.ones(()))

    def forward(self, hidden: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
        """Rewards of completions."""
        return (self.scale * logprobs + self.linear(hidden.float()).squeeze(-1) - self.mean) / self.deviation


def rewards(model: Any, head: RewardHead, packed: Packed) -> torch.Tensor:
    """(S,): the reward of each (program, instruction) pair of a packed row, see `review_group`."""
    scored = token_scores(model, packed)
    lengths = torch.bincount(packed.segments, minlength=packed.n_segments)
    ends = scored.hidden[lengths.cumsum(0) - 1]
    reward: torch.Tensor = head(ends, per_segment(scored.logprobs, packed) / lengths)
    return reward


@torch.no_grad()
def score_programs(base: Base, plain: Any, head: RewardHead, instruction: str, codes: Sequence[str]) -> list[float]:
    """Rewards of programs for one instruction."""
    groups = [review_group(base, instruction, code) for code in codes]
    values: list[float] = []
    for row in rows(groups, ROW_TOKENS):
        values += rewards(plain, head, pack([groups[i] for i in row], base.device)).tolist()
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
    head = RewardHead(base.model.config.hidden_size)
    try:
        head.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: the reward head does not load ({reason}); delete its stage's folder and run again"
        ) from None
    return head.to(base.device).eval()
