"""One RL step's rollouts: which completions are learned from, and with what; and the learning rate's course."""

from types import SimpleNamespace

import pytest
import torch
from tiny_models import plain_logprobs, tiny_base

from kohai.config import RlConfig, parse_config
from kohai.errors import UnscoredError
from kohai.models.losses import KlController
from kohai.models.ppo import ValueHead
from kohai.models.reward import RewardHead
from kohai.records import Execution, Task, Verdict
from kohai.stages import rl
from kohai.workspace import Workspace

STEP = RlConfig(tasks_per_step=4, baseline_shift=1.0, n_learned=None)


def trainer_of(drawn, settings=STEP):
    """What `collect` reads of a trainer whose sampled completions are the first rollouts."""
    head = RewardHead()
    head.deviation.fill_(2.0)
    return SimpleNamespace(
        config=SimpleNamespace(rl=settings),
        base=tiny_base(),
        prompts={one.task_id: "Say hi" for one in drawn},
        reward_head=head,
        sampled=drawn,
    )


def drawn_of(task_id, n):
    """N completions of a task, each of one token."""
    return rl.Drawn(task_id, [[50 + i] for i in range(n)], [[-0.5 - i] for i in range(n)], [True] * n)


def test_gated_completions_are_not_learned_from(monkeypatch):
    """Four tasks. In `mixed` one of three is gated; of the others one has a reward of 0, one of 1.

    Rewards times the deviation of 2 are log-odds: -2, 0 and 2 in `mixed`. A lead of 2 wins by tanh(1) = 0.761594, one
    of 4 by tanh(2) = 0.964028; so 0 has a rate of 0, and 2 of 0.862811, before the shift of 1. In `one passes` it wins
    by tanh(1). `alike` earns the shift alone, and nothing of `hopeless` passes. The best comes first.
    """
    drawn = [drawn_of("mixed", 3), drawn_of("alike", 2), drawn_of("hopeless", 2), drawn_of("one passes", 2)]
    scores = [[-1.0, 0.0, 1.0], [0.5, 0.5], [-1.0, -3.0], [0.0, -1.0]]
    passes = [[False, True, True], [True, True], [False, False], [True, False]]
    monkeypatch.setattr(rl, "score", lambda _trainer, _drawn: (scores, passes))
    rollouts, numbers = rl.collect(trainer_of(drawn), 0)
    mixed, alike, lone = rollouts
    assert (mixed.task_id, mixed.completions, mixed.is_from_reference) == ("mixed", [[52], [51]], True)
    assert mixed.logprobs == mixed.reference_logprobs == [[-2.5], [-1.5]]
    torch.testing.assert_close(mixed.scores, torch.tensor([1.862811, 1.0]), rtol=0, atol=1e-5)
    assert (alike.task_id, alike.completions, alike.scores.tolist()) == ("alike", [[50], [51]], [1.0, 1.0])
    assert (lone.task_id, lone.completions) == ("one passes", [[50]])
    torch.testing.assert_close(lone.scores, torch.tensor([1.761594]), rtol=0, atol=1e-5)
    assert numbers["reward"] == pytest.approx((0 + 1.0 - 4.0 - 1.0) / 9)
    assert numbers["gated_share"] == pytest.approx(4 / 9)
    assert (numbers["groups_without_signal"], numbers["fresh"], numbers["length"]) == (1.0, 0.0, 1.0)
    best, alike, lone = rl.collect(trainer_of(drawn, STEP.model_copy(update={"n_learned": 1})), 0)[0]
    assert (best.completions, alike.completions, lone.completions) == ([[52]], [[50]], [[50]])
    unshifted = rl.collect(trainer_of(drawn, STEP.model_copy(update={"baseline_shift": 0.0})), 0)[0]
    assert [rollout.task_id for rollout in unshifted] == ["mixed", "one passes"]


def test_what_the_environment_stopped_is_in_no_group(monkeypatch):
    """Of four, one is unscored: the rest fare as if it had never been drawn. A task with nothing known is skipped."""
    alone = [drawn_of("lone", 3)]
    monkeypatch.setattr(rl, "score", lambda _trainer, _drawn: ([[1.0, 0.0, -2.0]], [[True, True, False]]))
    expected, without = rl.collect(trainer_of(alone), 0)
    drawn = [drawn_of("lone", 4), drawn_of("nothing known", 2)]
    scores = [[1.0, 5.0, 0.0, -2.0], [1.0, 1.0]]
    passes = [[True, None, True, False], [None, None]]
    monkeypatch.setattr(rl, "score", lambda _trainer, _drawn: (scores, passes))
    found, numbers = rl.collect(trainer_of(drawn), 0)
    assert [(r.task_id, r.completions, r.scores.tolist()) for r in found] == [
        ("lone", [[50], [52]], expected[0].scores.tolist())
    ]
    assert (numbers["reward"], numbers["gated_share"]) == (without["reward"], without["gated_share"])
    assert (numbers["completions"], numbers["unscored"], numbers["groups_without_signal"]) == (6.0, 3.0, 1.0)
    monkeypatch.setattr(rl, "score", lambda _trainer, _drawn: (scores[1:], passes[1:]))
    nothing, numbers = rl.collect(trainer_of(drawn[1:]), 0)
    assert (nothing, numbers["unscored"]) == ([], 2.0)
    assert "reward" not in numbers


def test_too_much_unscored_ends_the_run(monkeypatch, tmp_path):
    """Two of ten a step are within a limit of a fifth; three in the third step are not."""
    config = parse_config(
        {"run": str(tmp_path), "package": {"path": "p"}, "tasks": {"folder": "t"}, "rl": {"steps": 4, "probe_every": 0}}
    )
    base = tiny_base()
    trainer = SimpleNamespace(model=base.model, value_head=ValueHead(8, 0), kl=KlController(0.1, None))
    unscored = iter([2.0, 2.0, 3.0, 0.0])
    seen = []

    def collect(_trainer, step):
        seen.append(step)
        return [], {"completions": 10.0, "unscored": next(unscored)}

    monkeypatch.setattr(rl, "start", lambda _config, _workspace: trainer)
    monkeypatch.setattr(rl, "collect", collect)
    monkeypatch.setattr(rl.adapters, "parameters", lambda _model, _name: [torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(UnscoredError, match=r"kept 7 of 30 completions from running, more than .* = 0\.2 allows"):
        rl.run(config, Workspace(tmp_path))
    assert seen == [0, 1, 2]


def test_a_program_passes_the_gates_only_if_it_ran():
    """Five of reward 1: one is fine, one raises, one the environment stopped, one fails a static gate, one is cut.

    What the environment stopped is unscored, and keeps its reward; what a static gate stops is not, run or not.
    """
    base = tiny_base()
    drawn = drawn_of("one", 5)
    drawn.rewards = [1.0] * 5
    drawn.finished = [True, True, True, True, False]
    fault, environment = Execution("runtime_error", "program"), Execution("timeout", "environment")
    drawn.executions = [Execution("ok", "none"), fault, environment, Execution("ok", "none"), Execution("ok", "none")]
    fails = base.decode(drawn.completions[3])
    verdicts = {True: [Verdict("api_exists", "no", "static")], False: [Verdict("covers", "no", "static")]}
    trainer = SimpleNamespace(
        base=base,
        model=base.model,
        tasks={"one": Task("one", "Say hi")},
        checks=SimpleNamespace(check=lambda code, _task: verdicts[code == fails]),
        config=SimpleNamespace(rl=STEP),
    )
    rewards, passes = rl.score(trainer, [drawn])
    assert passes == [[True, False, None, False, False]]
    assert rewards == [[1.0, -2.0, 1.0, -2.0, -2.0]]
    drawn.executions[3] = environment
    assert rl.score(trainer, [drawn])[1] == passes
    trainer.config.rl = STEP.model_copy(update={"gates": ("api_exists",)})
    assert rl.score(trainer, [drawn])[1] == [[True, True, True, False, False]]


def test_every_reference_comes_once_a_round():
    """Three references, two an update: after three updates each was there twice; the loss is their tokens' mean."""
    base = tiny_base()
    references = [([5, 6], [7]), ([8], [9, 10, 11]), ([12], [13, 14])]
    trainer = SimpleNamespace(
        config=SimpleNamespace(seed=3, rl=STEP.model_copy(update={"ptx_tasks": 2})),
        base=base,
        model=base.model,
        references=references,
    )
    parts = {len(answer): -plain_logprobs(base, prompt, answer).sum() for prompt, answer in references}
    pairs = {(a, b): float((parts[a] + parts[b]) / (a + b)) for a in parts for b in parts}
    seen = []
    for done in range(3):
        loss = float(rl.reference_loss(trainer, done))
        seen += min(pairs, key=lambda pair: abs(pairs[pair] - loss))
        assert min(abs(value - loss) for value in pairs.values()) < 1e-5
    assert sorted(seen) == [1, 1, 2, 2, 3, 3]


def test_schedule():
    """Twenty updates: two to the peak, then down in a line to the last one's twentieth."""
    assert rl.schedule(0, 20) == pytest.approx(0.5)
    assert rl.schedule(1, 20) == pytest.approx(0.95)
    assert rl.schedule(10, 20) == pytest.approx(0.5)
    assert rl.schedule(19, 20) == pytest.approx(0.05)
    assert rl.schedule(0, 1) == 1.0
