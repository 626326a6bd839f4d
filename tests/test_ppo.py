"""PPO's loss of one row by hand, and its updates learning a toy reward."""

from types import SimpleNamespace

import pytest
import torch
from tiny_models import tiny_base

from kohai.config import LoraConfig, RlConfig
from kohai.errors import TrainingError
from kohai.models import adapters, ppo, rl
from kohai.models.generate import generate
from kohai.models.losses import KlController, policy_loss
from kohai.models.packing import pack
from kohai.models.ppo import Rollout, ValueHead, row_loss
from kohai.models.rollouts import EARNED
from kohai.models.scoring import token_scores
from kohai.workspace import Workspace

CPU = torch.device("cpu")
PROMPT = [40, 41, 42]
COMPLETIONS = [[50, 51, 52], [60, 61]]


def settings(**values):
    return RlConfig(**({"gae_lambda": 1.0} | values))


def logprobs_of(model, prompt, completions):
    """Per completion and token, what the model gives."""
    with torch.no_grad():
        scores = token_scores(model, pack([(prompt, completions)])).logprobs
    return [part.tolist() for part in scores.split([len(ids) for ids in completions])]


def rollout_of(base, scores, sampled_shift=0.0, reference_shift=0.0, is_from_reference=False):
    """The row above; who sampled it and the reference differ from the base by a constant per token."""
    now = logprobs_of(base.model, PROMPT, COMPLETIONS)
    sampled, reference = (
        [[value + shift for value in row] for row in now] for shift in (sampled_shift, reference_shift)
    )
    return Rollout("task", PROMPT, COMPLETIONS, sampled, reference, torch.tensor(scores), is_from_reference)


def test_row_loss():
    """The policy is still the one that sampled, so each ratio is 1; values are 0; gamma and lambda are 1.

    Scores 1 and -0.5 reach each token of their completion: advantages 1, 1, 1 and -0.5, -0.5.
    Policy loss -(3 - 1) / 5 = -0.4. Value loss 0.5 * (3 * 1 + 2 * 0.25) / 5 = 0.35. Times the share of 0.5: -0.025.
    """
    base = tiny_base()
    rollout = rollout_of(base, [1.0, -0.5])
    assert rollout.n_tokens == 5
    loss, numbers = row_loss(base.model, ValueHead(32, seed=0), [rollout], settings(), 0.0, 0.5, CPU)
    assert loss.item() == pytest.approx(-0.025, abs=1e-5)
    assert numbers["policy_loss"] == pytest.approx(-0.2, abs=1e-5)
    assert numbers["value_loss"] == pytest.approx(0.175, abs=1e-5)
    assert numbers["clip_share"] == 0.0
    assert numbers["kl"] == pytest.approx(0.0, abs=1e-5)
    assert numbers["entropy"] > 0
    assert rollout.kept["advantages"].tolist() == [[1.0, 1.0, 1.0], [-0.5, -0.5, 0.0]]


def test_a_completion_drawn_twice_weighs_twice():
    """Completion one twice, scores 1, 1, -0.5: policy loss -(6 - 1) / 8 = -0.625, though it is computed once."""
    base = tiny_base()
    once = rollout_of(base, [1.0, -0.5])
    again = Rollout(
        "task", PROMPT, [COMPLETIONS[0], *COMPLETIONS], [once.logprobs[0], *once.logprobs],
        [once.reference_logprobs[0], *once.reference_logprobs], torch.tensor([1.0, 1.0, -0.5]),
    )  # fmt: skip
    _, numbers = row_loss(base.model, ValueHead(32, seed=0), [again], settings(), 0.0, 1.0, CPU)
    assert numbers["policy_loss"] == pytest.approx(-0.625, abs=1e-5)
    assert numbers["value_loss"] == pytest.approx(0.5 * (6 * 1 + 2 * 0.25) / 8, abs=1e-5)
    assert again.kept["advantages"].tolist() == [[1.0, 1.0, 1.0], [-0.5, -0.5, 0.0]]


@pytest.mark.parametrize("estimator", ["gae", "rloo"])
def test_tasks_in_one_row(estimator):
    """Two tasks of different lengths, together and one by one: the same loss, gradients, numbers and advantages."""
    found = []
    for together in (True, False):
        torch.manual_seed(0)
        base = tiny_base()
        model = adapters.add(base, base.model, "policy", LoraConfig(r=2, alpha=4.0))
        one = rollout_of(base, [1.0, -0.5], reference_shift=-0.5)
        long = [[70, 71, 72, 73]]
        given = logprobs_of(base.model, [43], long)
        two = Rollout("other", [43], long, given, given, torch.tensor([2.0]))
        adapters.activate(model, "policy", trainable=True)
        head, totals, loss = ValueHead(32, seed=0), {}, 0.0
        for row, share in [([one, two], 1.0)] if together else [([one], 5 / 9), ([two], 4 / 9)]:
            part, numbers = row_loss(model, head, row, settings(estimator=estimator), 0.1, share, CPU)
            part.backward()
            loss += part.item()
            totals = {name: totals.get(name, 0.0) + value for name, value in numbers.items()}
        gradients = [weight.grad for weight in adapters.parameters(model, "policy")]
        found.append((loss, totals, gradients, one.kept["advantages"], two.kept["advantages"]))
    (loss, totals, gradients, *advantages), (loss_2, totals_2, gradients_2, *advantages_2) = found
    assert loss == pytest.approx(loss_2, abs=1e-6)
    assert totals == pytest.approx(totals_2, abs=1e-5)
    for a, b in zip([*gradients, *advantages], [*gradients_2, *advantages_2], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_kl_is_paid_for():
    """The policy gives each token 0.5 nats more than the reference; kl_coef 0.1 costs 0.05 a token from there on.

    No scores: advantages -0.15, -0.1, -0.05 and -0.1, -0.05. The estimate exp(-0.5) - 1 + 0.5 = 0.106531, five times.
    """
    base = tiny_base()
    rollout = rollout_of(base, [0.0, 0.0], reference_shift=-0.5)
    _, numbers = row_loss(base.model, ValueHead(32, seed=0), [rollout], settings(), 0.1, 1.0, CPU)
    expected = torch.tensor([[-0.15, -0.1, -0.05], [-0.1, -0.05, 0.0]])
    torch.testing.assert_close(rollout.kept["advantages"], expected, rtol=0, atol=1e-5)
    assert numbers["kl"] == pytest.approx(5 * 0.106531, abs=1e-4)


def test_kl_of_what_the_reference_sampled():
    """Tokens drawn from the reference, 0.5 nats below the policy: KL(reference || policy), exp(0.5) - 1 - 0.5 each."""
    base = tiny_base()
    rollout = rollout_of(base, [0.0, 0.0], -0.5, -0.5, is_from_reference=True)
    _, numbers = row_loss(base.model, ValueHead(32, seed=0), [rollout], settings(), 0.1, 1.0, CPU)
    assert numbers["kl"] == pytest.approx(5 * 0.148721, abs=1e-4)
    assert rollout.kept["advantages"][0].tolist() == pytest.approx([-0.15, -0.1, -0.05], abs=1e-5)


def test_older_rollouts_are_clipped():
    """Who sampled gave each token 0.3 nats less: ratio 1.349859, clipped at 1.2 where the advantage is 1, not at -0.5.

    -(3 * 1.2 - 2 * 0.5 * 1.349859) / 5 = -0.450028; three of five tokens are clipped.
    """
    base = tiny_base()
    rollout = rollout_of(base, [1.0, -0.5], sampled_shift=-0.3)
    _, numbers = row_loss(base.model, ValueHead(32, seed=0), [rollout], settings(), 0.0, 1.0, CPU)
    assert numbers["policy_loss"] == pytest.approx(-0.450028, abs=1e-5)
    assert numbers["clip_share"] == pytest.approx(0.6)


def test_advantages_are_those_of_the_first_look():
    """Later epochs keep advantages, returns and old values, though the value head has moved."""
    base = tiny_base()
    rollout = rollout_of(base, [1.0, -0.5])
    head = ValueHead(32, seed=0)
    row_loss(base.model, head, [rollout], settings(), 0.0, 1.0, CPU)
    kept = {name: value.clone() for name, value in rollout.kept.items()}
    with torch.no_grad():
        head.outer.bias.fill_(3.0)
    _, numbers = row_loss(base.model, head, [rollout], settings(value_clip_range=10.0), 0.0, 1.0, CPU)
    assert all(torch.equal(rollout.kept[name], kept[name]) for name in kept)
    assert numbers["value_loss"] == pytest.approx(0.5 * (3 * 2.0**2 + 2 * 3.5**2) / 5, abs=1e-4)


def test_the_value_costs_the_policy_nothing():
    """The value head learns, and no gradient of its loss reaches what it reads."""
    head = ValueHead(32, seed=0)
    hidden = torch.randn((4, 32), generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert head(hidden).tolist() == [0.0] * 4
    (head(hidden) - 1).square().sum().backward()
    assert hidden.grad is None
    assert head.outer.bias.grad is not None
    assert float(head.outer.bias.grad.abs()) > 0


def test_without_a_value_head():
    """Each token has its completion's score as advantage: 1, 1, 1 and -0.5, -0.5 give a policy loss of -0.4.

    Each token has 0.5 nats more than under the reference: exp(-0.5) - 1 + 0.5 = 0.106531 a token, times 0.1.
    """
    base = tiny_base()
    rollout = rollout_of(base, [1.0, -0.5], reference_shift=-0.5)
    head = ValueHead(32, seed=0)
    loss, numbers = row_loss(base.model, head, [rollout], settings(estimator="rloo"), 0.1, 0.5, CPU)
    assert loss.item() == pytest.approx(0.5 * (-0.4 + 0.0106531), abs=1e-5)
    assert numbers["kl_loss"] == pytest.approx(0.5 * 0.0106531, abs=1e-5)
    assert "value_loss" not in numbers
    assert rollout.kept["advantages"].tolist() == [[1.0, 1.0, 1.0], [-0.5, -0.5, 0.0]]


def learner(estimator, rate, steps=36):
    """What `rl.update` needs of a trainer, the policy's weights, and their optimiser."""
    base = tiny_base(stop_ids=())
    model = adapters.add(base, base.model, "policy", LoraConfig(r=4, alpha=8.0))
    head = ValueHead(32, seed=0)
    weights = adapters.parameters(model, "policy")
    groups = [{"params": weights, "peak": rate}, {"params": head.parameters(), "peak": rate / 4}]
    config = settings(gae_lambda=0.95, estimator=estimator, epochs=4, steps=steps, tasks_per_step=2, minibatch_tasks=2)
    trainer = SimpleNamespace(
        config=SimpleNamespace(rl=config, seed=0), base=base, model=model, value_head=head,
        kl=KlController(0.001, None), references=[], workspace=Workspace("r"),
    )  # fmt: skip
    return trainer, weights, torch.optim.AdamW(groups, lr=rate)


@pytest.mark.parametrize("estimator", ["gae", "rloo", "grpo"])
def test_it_learns(estimator):
    """A toy reward, the share of one byte among eight tokens, rises from under 0.05 to over 0.6 in 18 steps."""
    rewards = learned(estimator)
    assert rewards[0] < 0.05
    assert sum(rewards[-3:]) / 3 > 0.6


def test_a_turned_sign_is_seen(monkeypatch):
    """The same with the policy loss turned round: it stays at nothing."""
    turned = lambda *given: (-policy_loss(*given)[0], torch.tensor(0.0))  # noqa: E731
    monkeypatch.setattr(ppo, "policy_loss", turned)
    assert max(learned("rloo")) < 0.1


def learned(estimator):
    """The mean reward of each step of such a training."""
    trainer, weights, optimizer = learner(estimator, 4e-2)
    base, model = trainer.base, trainer.model
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, parameter in model.named_parameters():
            if "lora_A" in name:
                torch.nn.init.normal_(parameter, std=0.2)
    prompts = [[40, 41, 42], [70, 71]]
    with torch.no_grad():
        target = int(base.model(torch.tensor([prompts[0]])).logits[0, -1].topk(4).indices[3])
    rewards = []
    for step in range(18):
        with adapters.merged(model, "policy") as plain:
            drawn = generate(
                base, plain, prompts, n=32, temperature=1.0, max_new_tokens=8, batch_tokens=10_000, seed=step
            )
        raw = torch.tensor([[sampled.ids.count(target) / 8 for sampled in group] for group in drawn])
        rewards.append(float(raw.mean()))
        rollouts = []
        with adapters.merged(model, None) as plain:
            for prompt, group, scores in zip(prompts, drawn, EARNED[estimator](20 * raw), strict=True):
                completions = [sampled.ids for sampled in group]
                sampled = [one.logprobs for one in group]
                reference = logprobs_of(plain, prompt, completions)
                rollouts.append(Rollout(str(prompt), prompt, completions, sampled, reference, scores))
        numbers = rl.update(trainer, rollouts, weights, optimizer, step)
        assert numbers["kl"] >= 0
    return rewards


def test_what_an_update_tells():
    """The KL is a mean over completions, of the last epoch; the policy moves away from what the reference sampled."""
    trainer, weights, optimizer = learner("rloo", 1e-2)
    rollout = rollout_of(trainer.base, [1.0, -1.0], is_from_reference=True)
    numbers = rl.update(trainer, [rollout], weights, optimizer, 0)
    with adapters.merged(trainer.model, "policy") as plain:
        now = logprobs_of(plain, PROMPT, COMPLETIONS)
    assert sum(now[0]) > sum(rollout.logprobs[0])
    assert sum(now[1]) < sum(rollout.logprobs[1])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 * rl.schedule(3, 36 * 4))
    assert all(weight.grad is None for weight in weights)
    assert 0 < numbers["kl"] < 1  # in the first epoch it is 0
    trainer, weights, optimizer = learner("rloo", 1e-9)
    apart = rollout_of(trainer.base, [0.0, 0.0], reference_shift=-0.5)  # five tokens of two completions
    found = rl.update(trainer, [apart], weights, optimizer, 0)
    assert found["kl"] == pytest.approx(5 * 0.106531 / 2, abs=1e-4)


def test_a_gradient_that_is_no_number():
    """The weights stay as they were."""
    trainer, weights, optimizer = learner("rloo", 1e-2)
    before = [weight.detach().clone() for weight in weights]
    with pytest.raises(TrainingError, match="not a number at step 4"):
        rl.update(trainer, [rollout_of(trainer.base, [1.0, float("nan")])], weights, optimizer, 3)
    assert all(torch.equal(one, other) for one, other in zip(weights, before, strict=True))
