"""The reward model: adapters and a small head on the base that score a program for an instruction (Bradley-Terry).

It reads as the reviewer does, the program first and then the instruction, starts from the reviewer's adapter, and is
told what the static checks found:

    raw = scale * (mean log-probability of the instruction's tokens) + w . findings

With scale 1 and w = 0, as it starts, that is the reviewer's score. The preferences know of execution, too: they set
scale and w first (a convex problem), then move the adapter. Comments and unused strings are stripped, so they cannot
pay. Several members disagree where they do not know: the reward is their mean less `risk` times their spread (Coste et
al., arXiv 2310.02743), in standard deviations of what it was on the training completions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kohai.errors import DataError
from kohai.models import adapters
from kohai.models.base import Base
from kohai.models.losses import bradley_terry
from kohai.models.reviewer import review
from kohai.records import Verdict
from kohai.verify import CRITERIA
from kohai.workspace import Workspace, writing

RIDGE = 1e-3  # on the head's weights, so that a check that no preference turns on gets none
HEAD = "head.safetensors"


class Read(NamedTuple):
    """A program for an instruction, and what the static checks found of it, (F,) as `findings_of` gives it."""

    instruction: str
    code: str
    findings: Sequence[float]


class RewardHead(torch.nn.Module):
    """K members' mean log-probabilities (K, S), or (1, S) where one adapter serves all, and findings (S, F) -> (S,).

    `means` (K,) and `deviation` standardise; they are set after training. `risk` is the weight of the members' spread.
    """

    def __init__(self, members: int = 1) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(members))
        self.weights = torch.nn.Parameter(torch.zeros(members, len(CRITERIA)))
        self.means = torch.nn.Buffer(torch.zeros(members))
        self.deviation = torch.nn.Buffer(torch.ones(()))
        self.risk = torch.nn.Buffer(torch.zeros(()))

    def forward(self, logprobs: torch.Tensor, findings: torch.Tensor) -> torch.Tensor:
        """Rewards of completions."""
        raw = self.scale[:, None] * logprobs + self.weights @ findings.T - self.means[:, None]  # (K, S)
        spread = raw.std(0, correction=0) if len(raw) > 1 else 0.0
        return (raw.mean(0) - self.risk * spread) / self.deviation

    def fit(
        self, logprobs: torch.Tensor, findings: torch.Tensor, pairs: Sequence[tuple[int, int, float, float]]
    ) -> None:
        """Sets the one member's scale and weights by (S,) log-probabilities and findings (S, F): the least ridged
        Bradley-Terry loss on pairs (chosen, rejected, margin, label).
        """
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
            self.scale.copy_(values[:1])
            self.weights.copy_(values[None, 1:])

    @torch.no_grad()
    def standardise(self, logprobs: torch.Tensor, findings: torch.Tensor) -> None:
        """Makes the rewards of these completions have mean 0, each member's, and the standard deviation 1."""
        self.means.zero_()
        self.deviation.fill_(1.0)
        self.means.copy_((self.scale[:, None] * logprobs + self.weights @ findings.T).mean(1))
        self.deviation.copy_(self(logprobs, findings).std(correction=0).clamp(min=1e-3))

    @torch.no_grad()
    def cool(self, temperature: float) -> None:
        """Divides what it says, in log-odds, by a temperature; the rewards, which are standardised, stay."""
        for part in (self.scale, self.weights, self.means, self.deviation):
            part.div_(temperature)


def stacked(heads: Sequence[RewardHead], risk: float) -> RewardHead:
    """Heads of one member each as one of all."""
    whole = RewardHead(len(heads))
    with torch.no_grad():
        whole.scale.copy_(torch.cat([head.scale for head in heads]))
        whole.weights.copy_(torch.cat([head.weights for head in heads]))
        whole.risk.fill_(risk)
    return whole


def averaged(heads: Sequence[RewardHead]) -> RewardHead:
    """Heads of one member each as one with the mean of their weights."""
    whole = RewardHead()
    with torch.no_grad():
        whole.scale.copy_(torch.stack([head.scale for head in heads]).mean(0))
        whole.weights.copy_(torch.stack([head.weights for head in heads]).mean(0))
    return whole


def adapter_names(count: int) -> list[str]:
    """The roles of so many adapters, and under `adapter` in place of `reward` their folders."""
    return ["reward", *(f"reward_{place}" for place in range(2, count + 1))]


def folder_of(name: str) -> str:
    """The folder of an adapter, inside the stage's."""
    return name.replace("reward", "adapter")


@dataclass(frozen=True)
class RewardModel:
    """`model` carries the adapters `names`, one a member, or one that serves all members."""

    base: Base
    model: Any
    head: RewardHead
    names: Sequence[str] = ("reward",)

    @classmethod
    def load(cls, base: Base, model: Any, workspace: Workspace) -> RewardModel:
        """What the stage `reward_model` made, its adapters beside those that `model` carries.

        Raises:
            DataError: a part is missing or truncated.
        """
        names = adapter_names(len(adapter_folders(workspace)))
        for name in names:
            model = adapters.load(base, model, name, workspace.path("reward_model", folder_of(name)))
        return cls(base, model, load_head(base, workspace.path("reward_model", HEAD)), names)

    def read(self, pairs: Sequence[tuple[str, str]], on_done: Callable[[int], None] | None = None) -> torch.Tensor:
        """(A, S): how well each (instruction, code) pair's code explains its instruction, by each of A adapters."""
        found = []
        for name in self.names:
            with adapters.merged(self.model, name) as plain:
                found.append(review(self.base, plain, pairs, on_done))
        return torch.tensor(found, device=self.base.device)

    @torch.no_grad()
    def score(self, programs: Sequence[Read], on_done: Callable[[int], None] | None = None) -> list[float]:
        """Rewards."""
        if not programs:
            return []
        logprobs = self.read([(one.instruction, one.code) for one in programs], on_done)
        findings = torch.tensor([list(one.findings) for one in programs], device=self.base.device)
        values: list[float] = self.head(logprobs, findings).tolist()
        return values


def adapter_folders(workspace: Workspace) -> list[Path]:
    """The adapters that the stage wrote, as they follow one another."""
    found = [workspace.path("reward_model", "adapter")]
    while (following := workspace.path("reward_model", f"adapter_{len(found) + 1}")).exists():
        found.append(following)
    return found


def parts(workspace: Workspace) -> list[Path]:
    """All files and folders of the reward model."""
    return [*adapter_folders(workspace), workspace.path("reward_model", HEAD)]


def findings_of(verdicts: Sequence[Verdict]) -> list[float]:
    """What the static checks found, (F,) in the order of `CRITERIA`: yes 1, no -1, unscored 0."""
    answers = {verdict.criterion: verdict.answer for verdict in verdicts}
    return [{"yes": 1.0, "no": -1.0}.get(answers.get(criterion, ""), 0.0) for criterion in CRITERIA]


def save_head(head: RewardHead, path: Path) -> None:
    """Writes the head: whole or not at all."""
    with writing(path) as temporary:
        save_file({name: value.contiguous().cpu() for name, value in head.state_dict().items()}, temporary)


def load_head(base: Base, path: Path) -> RewardHead:
    """Reads a head.

    Raises:
        DataError: it is missing or truncated.
    """
    try:
        saved = load_file(path)
        head = RewardHead(saved["scale"].numel() if "scale" in saved else 1)
        head.load_state_dict(saved)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: the reward head does not load ({reason}); delete its stage's folder and run again"
        ) from None
    return head.to(base.device).eval()
