"""The mathematics of PPO and of the reward model: pure functions of tensors.

Shapes: B completions, padded to T tokens; `mask` (B, T) is True on real tokens. Sources: PPO arXiv 1707.06347, GAE
arXiv 1506.02438, KL-shaped rewards and adaptive coefficient arXiv 1909.08593, Bradley-Terry with margin arXiv
2307.09288.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional


def shaped_rewards(
    scores: torch.Tensor, logprobs: torch.Tensor, reference_logprobs: torch.Tensor, mask: torch.Tensor, kl_coef: float
) -> torch.Tensor:
    """Per-token rewards (B, T): -kl_coef * (log p - log p_ref) on each token, plus the score (B,) on the last."""
    rewards = -kl_coef * (logprobs - reference_logprobs) * mask
    last = mask.long().sum(1) - 1
    return rewards.index_put((torch.arange(len(scores), device=scores.device), last), scores, accumulate=True)


def gae(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, gae_lambda: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns (B, T); a completion's end is terminal.

    delta_t = r_t + gamma * V_(t+1) - V_t;  A_t = delta_t + gamma * lambda * A_(t+1);  R_t = A_t + V_t.
    """
    values = values * mask
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(running)
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = (delta + gamma * gae_lambda * running) * mask[:, t]
        advantages[:, t] = running
    return advantages, (advantages + values) * mask


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the real tokens, each with its weight in `mask` (True is 1); zero where there are none."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def policy_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor, clip_range: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """PPO's clipped surrogate, to be minimised, and the share of tokens where the clip is active.

    -mean(min(ratio * A, clip(ratio, 1 - c, 1 + c) * A)) with ratio = p / p_old.
    """
    ratio = (logprobs - old_logprobs).exp()
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range) * advantages
    return -masked_mean(torch.minimum(plain, clipped), mask), masked_mean((clipped < plain).float(), mask)


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor, clip_range: float
) -> torch.Tensor:
    """Half the larger of the squared errors of the value and of the value kept within clip_range of the old one."""
    near = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return 0.5 * masked_mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)


def kl_estimate(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """Per-token estimate of KL(p || p_ref) from tokens drawn from p: exp(d) - 1 - d with d = log p_ref - log p.

    Unbiased, never negative (Schulman, "Approximating KL divergence", 2020, k3).
    """
    difference = reference_logprobs - logprobs
    return difference.exp() - 1 - difference


@dataclass
class KlController:
    """kl_coef, fixed where `target` is None, else moved toward a KL of `target` per completion (arXiv 1909.08593)."""

    coefficient: float
    target: float | None = None
    horizon: float = 10.0

    def update(self, kl: float) -> None:
        """Proportional control with the error clipped to 20 %, one step in `horizon`."""
        if self.target is not None:
            error = max(-0.2, min(0.2, kl / self.target - 1))
            self.coefficient *= 1 + error / self.horizon


def bradley_terry(
    chosen: torch.Tensor, rejected: torch.Tensor, margin: torch.Tensor, label: torch.Tensor | float = 1.0
) -> torch.Tensor:
    """Mean over pairs (P,) of -label * log sigmoid(d) - (1 - label) * log sigmoid(-d).

    d = r_chosen - r_rejected - margin. `label` (P,) is the probability that the chosen one is the better; at 1 it is
    the plain loss.
    """
    return preferred(chosen - rejected - margin, label).mean()


def direct_preference(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    reference_chosen: torch.Tensor,
    reference_rejected: torch.Tensor,
    beta: float,
    label: torch.Tensor | float = 1.0,
) -> torch.Tensor:
    """Per pair (P,) DPO's loss (arXiv 2305.18290) from the completions' summed log-probabilities.

    -label * log sigmoid(d) - (1 - label) * log sigmoid(-d), d = beta * ((chosen - its reference) - (rejected - its
    reference)). `label` is the probability that the chosen one is the better (conservative DPO, Mitchell 2023).
    """
    return preferred(beta * ((chosen - reference_chosen) - (rejected - reference_rejected)), label)


def preferred(distance: torch.Tensor, label: torch.Tensor | float) -> torch.Tensor:
    """-label * log sigmoid(d) - (1 - label) * log sigmoid(-d), by element: what both preference losses are made of."""
    return -(label * functional.logsigmoid(distance) + (1 - label) * functional.logsigmoid(-distance))


def leave_one_out(scores: torch.Tensor) -> torch.Tensor:
    """Scores (G, n) less the mean of the others of their group (RLOO, arXiv 2402.14740); 0 where n = 1."""
    n = scores.shape[1]
    return _centred(scores) * (n / max(1, n - 1))


def standardised(scores: torch.Tensor) -> torch.Tensor:
    """Scores (G, n) less their group's mean, in its standard deviations (GRPO, arXiv 2402.03300); 0 where all agree."""
    centred = _centred(scores)
    return centred / (centred.pow(2).mean(1, keepdim=True).sqrt() + 1e-6)


def _centred(scores: torch.Tensor) -> torch.Tensor:
    """Less their group's mean; exactly 0 where all agree, whose mean need not be that number in float32."""
    apart = scores - scores[:, :1]
    return apart - apart.mean(1, keepdim=True)


def win_rates(scores: torch.Tensor) -> torch.Tensor:
    """Scores (G, n) of n completions a task, in the reward model's log-odds -> how much likelier each is preferred.

        w_i = mean over j != i of 2 * sigmoid(s_i - s_j) - 1     in (-1, 1), mean 0 in a group; 0 where n = 1

    The Bradley-Terry model's own reading of its scores: a hair's breadth counts as one, however alike the rest of the
    group is, and a fault beyond doubt no more than another.
    """
    wins = torch.tanh((scores[:, :, None] - scores[:, None, :]) / 2)  # 2 * sigmoid(x) - 1
    return wins.sum(2) / max(1, scores.shape[1] - 1)
