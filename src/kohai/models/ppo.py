"""PPO's working parts: a rollout of one task, the value head, and the loss of a task's completions in one packed row.

A row is one task: its prompt once, its n completions, so the prompt is computed once per update and nothing is padded.
Completions that were drawn twice are computed once and weigh twice.
Advantages are not whitened over the batch: scores are win rates within a group, so their scale is known.
Leaves out: more than one device, and dropout (the sampling and the updating policy are the same function).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
    is_from_reference: the reference itself sampled them; the KL is then estimated as KL(reference || policy), since an
    estimate of KL(policy || reference) needs tokens that the policy drew.
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
    rollout: Rollout,
    settings: RlConfig,
    kl_coef: float,
    share: float,
    device: torch.device,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Policy plus value loss of one task's completions, weighted by its `share` of the minibatch's tokens; without a
    value head (any estimator but gae) each token has its completion's score as advantage, and KL is a loss of its own.

    Returns:
        The loss, and numbers for the curves: sums over completions or tokens of this row.
    """
    times = Counter(map(tuple, rollout.completions))
    places = [rollout.completions.index(list(completion)) for completion in times]
    packed = pack([(rollout.prompt, [rollout.completions[i] for i in places])], device)
    scored = token_scores(model, packed)
    logprobs, mask = padded(scored.logprobs, packed)
    weight = mask * torch.tensor(list(times.values()), device=device)[:, None]
    entropies, _ = padded(scored.entropies, packed)
    old = _padded_like([rollout.logprobs[i] for i in places], mask)
    reference = _padded_like([rollout.reference_logprobs[i] for i in places], mask)
    scores = rollout.scores[places].to(device)
    if settings.estimator == "gae":
        values, _ = padded(head(scored.hidden), packed)
        if not rollout.kept:
            with torch.no_grad():
                rewards = shaped_rewards(scores, logprobs, reference, mask, kl_coef)
                advantages, returns = gae(rewards, values.detach(), mask, settings.gamma, settings.gae_lambda)
            rollout.kept = {"advantages": advantages, "returns": returns, "old_values": values.detach()}
        kept = rollout.kept
        other = value_loss(values, kept["old_values"], kept["returns"], weight, settings.value_clip_range)
    else:
        rollout.kept = {"advantages": scores[:, None] * mask}
        other = kl_coef * masked_mean(kl_estimate(logprobs, reference), weight)
    policy, clipped = policy_loss(logprobs, old, rollout.kept["advantages"], weight, settings.clip_range)
    with torch.no_grad():
        sampled, compared = (reference, logprobs) if rollout.is_from_reference else (old, reference)
        kl = (kl_estimate(sampled, compared) * weight).sum()
    numbers = {
        "policy_loss": float(policy.detach()) * share,
        "value_loss" if settings.estimator == "gae" else "kl_loss": float(other.detach()) * share,
        "clip_share": float(clipped) * share,
        "entropy": float(masked_mean(entropies, weight)) * share,
        "kl": float(kl),
    }
    return (policy + other) * share, numbers


def _padded_like(rows: Sequence[Sequence[float]], mask: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(mask.shape, device=mask.device)
    for index, row in enumerate(rows):
        out[index, : len(row)] = torch.tensor(row, device=mask.device)
    return out
