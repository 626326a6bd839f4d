"""PPO's working parts: a rollout of one task, the value head, and the loss of tasks' completions in one packed row.

In a row each task has its prompt once, then its n completions: a prompt is computed once per update, nothing is padded.
Completions that were drawn twice are computed once and weigh twice.
Advantages are not whitened over the batch: scores are win rates within a group, so their scale is known.
Leaves out dropout (the sampling and the updating policy are the same function).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from kohai.config import RlConfig
from kohai.models.losses import gae, kl_estimate, masked_mean, policy_loss, shaped_rewards, value_loss
from kohai.models.packing import pack
from kohai.models.scoring import padded, token_scores


@dataclass
class Rollout:
    """n completions of one task, as they were sampled.

    completions: token ids. logprobs: per token, under the policy that sampled, at temperature 1: what is optimised is
    the model's own distribution; a cooler one only chose which completions to look at.
    reference_logprobs: the same under the reference. scores: (n,) what each completion earns, with gae at its end.
    is_from_reference: the reference itself sampled them; the KL is then estimated as KL(reference || policy), else as
    KL(policy || reference), each token weighing p / p_old, since an earlier policy drew it.
    kept: advantages, returns and old values of the distinct completions, set when the row is first seen and kept for
    later epochs.
    """

    task_id: str
    prompt: Sequence[int]
    completions: Sequence[list[int]]
    logprobs: Sequence[Sequence[float]]
    reference_logprobs: Sequence[Sequence[float]]
    scores: torch.Tensor
    is_from_reference: bool = False
    kept: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def n_tokens(self) -> int:
        """Completion tokens."""
        return sum(map(len, self.completions))


class ValueHead(torch.nn.Module):
    """(C, E) hidden states of the policy -> (C,) values. Gradients stop at the hidden states: the policy learns from
    its own loss alone, and the value costs no backward pass through the base.
    """

    def __init__(self, size: int, seed: int, width: int = 64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.norm = torch.nn.LayerNorm(size)
        self.inner = torch.nn.Linear(size, width)
        self.outer = torch.nn.Linear(width, 1)
        with torch.no_grad():
            self.inner.weight.normal_(0.0, size**-0.5, generator=generator)
            self.inner.bias.zero_()
            self.outer.weight.zero_()
            self.outer.bias.zero_()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Values of hidden states."""
        value: torch.Tensor = self.outer(torch.tanh(self.inner(self.norm(hidden.detach().float())))).squeeze(-1)
        return value


def row_loss(
    model: Any,
    head: ValueHead,
    rollouts: Sequence[Rollout],
    settings: RlConfig,
    kl_coef: float,
    share: float,
    device: torch.device,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Policy plus value loss of a few tasks' completions, weighted by their `share` of the minibatch's tokens; without
    a value head (any estimator but gae) each token has its completion's score as advantage, and KL is a loss of its
    own.

    All rollouts were sampled by the same policy.

    Returns:
        The loss, and numbers for the curves: sums over completions or tokens of this row.
    """
    times = [Counter(map(tuple, rollout.completions)) for rollout in rollouts]
    distinct = [[list(ids) for ids in counts] for counts in times]
    packed = pack([(one.prompt, found) for one, found in zip(rollouts, distinct, strict=True)], device)
    scored = token_scores(model, packed)
    logprobs, mask = padded(scored.logprobs, packed)
    entropies, _ = padded(scored.entropies, packed)
    weight = mask * torch.tensor([count for counts in times for count in counts.values()], device=device)[:, None]
    places = [[one.completions.index(ids) for ids in found] for one, found in zip(rollouts, distinct, strict=True)]
    known = [(one, i) for one, found in zip(rollouts, places, strict=True) for i in found]
    old = _padded_like([torch.tensor(one.logprobs[i]) for one, i in known], mask)
    reference = _padded_like([torch.tensor(one.reference_logprobs[i]) for one, i in known], mask)
    scores = torch.stack([one.scores[i] for one, i in known]).to(device)
    if settings.estimator == "gae":
        values, _ = padded(head(scored.hidden), packed)
        if not rollouts[0].kept:
            with torch.no_grad():
                rewards = shaped_rewards(scores, logprobs, reference, mask, kl_coef)
                advantages, returns = gae(rewards, values.detach(), mask, settings.gamma, settings.gae_lambda)
            _keep(rollouts, distinct, {"advantages": advantages, "returns": returns, "old_values": values.detach()})
        old_values, returns = _kept(rollouts, "old_values", mask), _kept(rollouts, "returns", mask)
        other = value_loss(values, old_values, returns, weight, settings.value_clip_range)
    else:
        _keep(rollouts, distinct, {"advantages": scores[:, None] * mask})
        other = kl_coef * masked_mean(kl_estimate(logprobs, reference), weight)
    policy, clipped = policy_loss(logprobs, old, _kept(rollouts, "advantages", mask), weight, settings.clip_range)
    with torch.no_grad():
        if rollouts[0].is_from_reference:
            divergence = kl_estimate(reference, logprobs)
        else:
            divergence = (logprobs - old).exp() * kl_estimate(logprobs, reference)
        kl = (divergence * weight).sum()
    numbers = {
        "policy_loss": float(policy.detach()) * share,
        "value_loss" if settings.estimator == "gae" else "kl_loss": float(other.detach()) * share,
        "clip_share": float(clipped) * share,
        "entropy": float(masked_mean(entropies, weight)) * share,
        "kl": float(kl),
    }
    return (policy + other) * share, numbers


def _keep(
    rollouts: Sequence[Rollout], distinct: Sequence[Sequence[Sequence[int]]], values: Mapping[str, torch.Tensor]
) -> None:
    """Gives each rollout its part of what was computed for a row (S, T): its completions, as long as its longest."""
    for name, whole in values.items():
        parts = whole.split([len(found) for found in distinct])
        for rollout, found, part in zip(rollouts, distinct, parts, strict=True):
            rollout.kept[name] = part[:, : max(map(len, found))]


def _kept(rollouts: Sequence[Rollout], name: str, mask: torch.Tensor) -> torch.Tensor:
    return _padded_like([row for rollout in rollouts for row in rollout.kept[name]], mask)


def _padded_like(rows: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    """Rows of up to T numbers as (S, T), the shape of `mask`; zero behind their ends."""
    out = torch.zeros(mask.shape, device=mask.device)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return out
