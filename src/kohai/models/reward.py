"""The reward model: an adapter and a linear head on the base that score a program (Bradley-Terry).

It reads the instruction (with `reward_model.docs` the policy's whole prompt), then the program; the hidden state of the
program's last token goes through the head. Rewards are standardised by the mean and deviation they had on the training
completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kohai.config import RewardModelConfig
from kohai.errors import DataError
from kohai.models.base import Base
from kohai.models.packing import Group, Packed, pack
from kohai.models.scoring import hidden_states
from kohai.models.tuning import answer_ids
from kohai.workspace import writing


class RewardHead(torch.nn.Module):
    """(S, E) hidden states -> (S,) rewards; `mean` and `deviation` standardise them, set after training."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(size, 1)
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.zeros_(self.linear.bias)
        self.mean = torch.nn.Buffer(torch.zeros(()))
        self.deviation = torch.nn.Buffer(torch.ones(()))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Rewards of hidden states."""
        return (self.linear(hidden.float()).squeeze(-1) - self.mean) / self.deviation


def read_by_reward_model(settings: RewardModelConfig, instruction: str, prompt: str) -> str:
    """What the reward model reads before a program."""
    return prompt if settings.docs else instruction


def reward_group(base: Base, prompt: str, codes: Sequence[str]) -> Group:
    """A prompt's text with programs, as the reward model reads them."""
    return base.render(prompt), [answer_ids(base, code) for code in codes]


def rewards(plain: Any, head: RewardHead, packed: Packed) -> torch.Tensor:
    """(S,): the reward of each completion of a packed row."""
    reward: torch.Tensor = head(hidden_states(plain, packed)[packed.lasts])
    return reward


@torch.no_grad()
def score_group(base: Base, plain: Any, head: RewardHead, prompt: str, codes: Sequence[str]) -> list[float]:
    """Rewards of the programs for one prompt."""
    return rewards(plain, head, pack([reward_group(base, prompt, codes)], base.device)).tolist()


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
