"""The mathematics of PPO and of the reward model against numbers worked by hand."""

import math

import pytest
import torch

from kohai.models.losses import (
    KlController,
    bradley_terry,
    direct_preference,
    gae,
    kl_estimate,
    leave_one_out,
    masked_mean,
    policy_loss,
    shaped_rewards,
    standardised,
    value_loss,
    win_rates,
)


def close(found: torch.Tensor, expected: list) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)


def test_shaped_rewards():
    """The KL term on each token, the score on the last real one.

    kl_coef 0.1. Row 1: differences 1, 0, -2 -> -0.1, 0, 0.2, and its score 3 makes the last 3.2.
    Row 2 ends after one token: difference 2 -> -0.2 + score -1 = -1.2; padding stays 0 whatever stands there.
    """
    logprobs = torch.tensor([[-1.0, -1.0, -3.0], [-1.0, 7.0, 7.0]])
    reference = torch.tensor([[-2.0, -1.0, -1.0], [-3.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    found = shaped_rewards(torch.tensor([3.0, -1.0]), logprobs, reference, mask, 0.1)
    close(found, [[-0.1, 0.0, 3.2], [-1.2, 0.0, 0.0]])


def test_gae():
    """With gamma 1, lambda 0.95; the second completion ends after two tokens, its padding holds a value of 9.

    Row 1: delta = 0 + 0.4 - 0.5 = -0.1, 0 + 0.2 - 0.4 = -0.2, 1 - 0.2 = 0.8
           A_2 = 0.8, A_1 = -0.2 + 0.95 * 0.8 = 0.56, A_0 = -0.1 + 0.95 * 0.56 = 0.432
           R = A + V = 0.932, 0.96, 1
    Row 2: delta = 0.1 + 0.3 - 0.5 = -0.1, 1 - 0.3 = 0.7 (the end is terminal: no value of the padding)
           A_1 = 0.7, A_0 = -0.1 + 0.95 * 0.7 = 0.565; R = 1.065, 1
    """
    rewards = torch.tensor([[0.0, 0.0, 1.0], [0.1, 1.0, 5.0]])
    values = torch.tensor([[0.5, 0.4, 0.2], [0.5, 0.3, 9.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    advantages, returns = gae(rewards, values, mask, 1.0, 0.95)
    close(advantages, [[0.432, 0.56, 0.8], [0.565, 0.7, 0.0]])
    close(returns, [[0.932, 0.96, 1.0], [1.065, 1.0, 0.0]])


def test_gae_discounts():
    """With gamma 0.9, lambda 0.5: delta = 0 + 0.9 * 2 - 1 = 0.8, 1 - 2 = -1; A_0 = 0.8 + 0.45 * -1 = 0.35."""
    advantages, returns = gae(
        torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 2.0]]), torch.ones((1, 2), dtype=torch.bool), 0.9, 0.5
    )
    close(advantages, [[0.35, -1.0]])
    close(returns, [[1.35, 1.0]])


def test_masked_mean():
    """(1 + 3) / 2 = 2, the padding's 100 aside; nothing real gives 0."""
    mask = torch.tensor([[True, True, False]])
    values = torch.tensor([[1.0, 3.0, 100.0]])
    close(masked_mean(values, mask), 2.0)
    close(masked_mean(values, torch.zeros_like(mask)), 0.0)


def test_policy_loss_clips_both_sides():
    """clip_range 0.2; the smaller of ratio * A and clipped ratio * A.

    ratio 1.5, A  1: min(1.5, 1.2)   =  1.2   clipped
    ratio 1.5, A -1: min(-1.5, -1.2) = -1.5
    ratio 0.5, A  1: min(0.5, 0.8)   =  0.5
    ratio 0.5, A -1: min(-0.5, -0.8) = -0.8   clipped
    ratio 1,   A  2:                    2
    Sum 1.4 over five real tokens: loss -0.28; two of five are clipped. The padding would add 900.
    """
    ratios = torch.tensor([[1.5, 1.5, 0.5], [0.5, 1.0, 9.0]])
    old = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]])
    advantages = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 2.0, 100.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    loss, clipped = policy_loss(old + ratios.log(), old, advantages, mask, 0.2)
    close(loss, -0.28)
    close(clipped, 0.4)


def test_policy_loss_gradient():
    """The slope of the loss by a logprob is -ratio * A / n, 0 where the clip is active: the better token gains.

    Four tokens: ratio 1 with A 2 -> -0.5; ratio 1 with A -2 -> 0.5; ratio 1.5 with A 1, clipped -> 0;
    ratio 0.5 with A 1 -> -0.125.
    """
    old = torch.full((1, 4), -1.0)
    logprobs = (old + torch.tensor([[1.0, 1.0, 1.5, 0.5]]).log()).requires_grad_()
    loss, _ = policy_loss(
        logprobs, old, torch.tensor([[2.0, -2.0, 1.0, 1.0]]), torch.ones((1, 4), dtype=torch.bool), 0.2
    )
    loss.backward()
    close(logprobs.grad, [[-0.5, 0.5, 0.0, -0.125]])


def test_value_loss():
    """clip_range 0.2; half the mean of the larger squared error.

    value 1,   old 0.5, return 2: (1 - 2)^2 = 1, kept near 0.7: (0.7 - 2)^2 = 1.69 -> 1.69
    value 0.6, old 0.5, return 0: near enough: 0.36                               -> 0.36
    value 0,   old 0.5, return 1: (0 - 1)^2 = 1, kept near 0.3: 0.49              -> 1
    0.5 * (1.69 + 0.36 + 1) / 3 = 0.508333; the padding would add 100.
    """
    found = value_loss(
        torch.tensor([[1.0, 0.6], [0.0, 10.0]]),
        torch.tensor([[0.5, 0.5], [0.5, 0.0]]),
        torch.tensor([[2.0, 0.0], [1.0, 0.0]]),
        torch.tensor([[True, True], [True, False]]),
        0.2,
    )
    close(found, 3.05 / 6)


@pytest.mark.parametrize("credit", [leave_one_out, standardised, win_rates])
@pytest.mark.parametrize("n", [1, 3, 6, 8, 16])
def test_what_is_alike_earns_nothing(credit, n):
    """Exactly: the mean of equal numbers is not that number in float32, and a deviation of 1e-7 is no deviation."""
    alike = torch.full((1, n), 0.91) * torch.tensor([[2.3], [7.1], [-30.3]])
    assert not credit(alike).any()


def test_kl_estimate():
    """With d = log p_ref - log p: d = ln 2: 2 - 1 - 0.693147 = 0.306853; d = -ln 2: 0.5 - 1 + 0.693147 = 0.193147."""
    found = kl_estimate(torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([-1.0 + math.log(2), -1.0 - math.log(2), -1.0]))
    close(found, [0.306853, 0.193147, 0.0])


def test_kl_estimate_is_unbiased():
    """Its mean under p is KL(p || q): p = (0.75, 0.25), q = (0.5, 0.5): 0.75 ln 1.5 + 0.25 ln 0.5 = 0.130812.

    With the two swapped inside, that mean would be 0.75 * 1.5 + 0.25 * 0.5 - 1 - 0.130812 = 0.119188.
    """
    p, q = torch.tensor([0.75, 0.25]), torch.tensor([0.5, 0.5])
    close((p * kl_estimate(p.log(), q.log())).sum(), 0.130812)


def test_kl_controller():
    """With target 2 and horizon 10 a KL of 2.2, 10 % too much, is times 1.01; 4 counts as 20 %, 1 as -20 %."""
    control = KlController(0.1, target=2.0)
    expected = 0.1
    for kl, factor in ((2.2, 1.01), (4.0, 1.02), (1.0, 0.98), (2.0, 1.0)):
        control.update(kl)
        expected *= factor
        assert control.coefficient == pytest.approx(expected, abs=1e-12)
    fixed = KlController(0.1)
    fixed.update(100.0)
    assert fixed.coefficient == 0.1


def test_bradley_terry():
    """Mean of -log sigmoid(chosen - rejected - margin).

    1 - 0 - 0.5 = 0.5: ln(1 + e^-0.5) = 0.474077; 0 - 1 - 0 = -1: ln(1 + e) = 1.313262; mean 0.893669.
    """
    found = bradley_terry(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.0]))
    close(found, 0.893669)


def test_bradley_terry_with_a_soft_label():
    """Distance 1 - 0 - 0.5, label 0.75: 0.75 * log(1 + e^-0.5) + 0.25 * log(1 + e^0.5), e.g. 0.474077 and 0.974077."""
    found = bradley_terry(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([0.5]), torch.tensor([0.75]))
    close(found, 0.75 * 0.474077 + 0.25 * 0.974077)


def test_bradley_terry_survives_far_scores():
    """-log sigmoid(-200) = 200 and -log sigmoid(200) = 0: no infinity, no NaN."""
    close(bradley_terry(torch.tensor([0.0]), torch.tensor([200.0]), torch.tensor([0.0])), 200.0)
    close(bradley_terry(torch.tensor([200.0]), torch.tensor([0.0]), torch.tensor([0.0])), 0.0)


def test_direct_preference():
    """The chosen one has gained 2 nats on the reference, the rejected one lost 1: d = 0.5 * 3 = 1.5.

    -log sigmoid(1.5) = 0.201413, -log sigmoid(-1.5) = 1.701413; a label of 0.75 gives 0.576413. Nothing gained: log 2.
    """
    now, before = (torch.tensor([-10.0]), torch.tensor([-21.0])), (torch.tensor([-12.0]), torch.tensor([-20.0]))
    close(direct_preference(*now, *before, 0.5), [0.201413])
    close(direct_preference(*now, *before, 0.5, torch.tensor([0.75])), [0.576413])
    close(direct_preference(*before, *before, 0.5), [0.693147])


def test_leave_one_out():
    """1, 2, 6 lead the others' mean by 1 - 4, 2 - 3.5 and 6 - 1.5; one alone leads nobody."""
    close(leave_one_out(torch.tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]])), [[-3.0, -1.5, 4.5], [0.0, 0.0, 0.0]])
    close(leave_one_out(torch.tensor([[3.0]])), [[0.0]])


def test_standardised():
    """1 and 5 lie one standard deviation of 2 around 3; equal scores say nothing."""
    close(standardised(torch.tensor([[1.0, 5.0], [4.0, 4.0]])), [[-1.0, 1.0], [0.0, 0.0]])


def test_win_rates():
    """Log-odds 0, ln 3, ln 9: a difference of ln 3 wins 3 of 4 times, 2 * 0.75 - 1 = 0.5; of ln 9 0.9, 0.8.

    (-0.5 - 0.8) / 2 = -0.65; 0; 0.65. All alike: zeros. Far apart: the best beats two, the two others draw.
    """
    scores = torch.tensor([[0.0, math.log(3), math.log(9)], [0.3, 0.3, 0.3], [-500.0, 500.0, -500.0]])
    close(win_rates(scores), [[-0.65, 0.0, 0.65], [0.0, 0.0, 0.0], [-0.5, 1.0, -0.5]])
    close(win_rates(torch.tensor([[3.0]])), [[0.0]])
