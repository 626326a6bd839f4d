"""One RL step's rollouts: which completions are learned from, and with what; and the learning rate's course."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiny_models import move, plain_logprobs, tiny_base

from kohai import machine
from kohai.code import extract_code
from kohai.config import LoraConfig, RlConfig, load_config, parse_config
from kohai.errors import TrainingError, UnscoredError
from kohai.judge.verifiers import Verifier, verified, verifiers
from kohai.models import adapters, brakes, rl, rollouts
from kohai.models.generate import generate
from kohai.models.losses import KlController
from kohai.models.ppo import Rollout, ValueHead
from kohai.models.reward import RewardHead
from kohai.records import Effect, Execution, Feedback, Task, Verdict
from kohai.report import words
from kohai.stages.rl_execution import on_execution
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
        reward_model=SimpleNamespace(head=head),
        sampled=drawn,
        workspace=Workspace("r"),
    )


def config_of(tmp_path, settings):
    """A run's configuration with these settings of `rl`."""
    return parse_config({"run": str(tmp_path), "package": {"path": "p"}, "tasks": {"folder": "t"}, "rl": settings})


def drawn_of(task_id, n):
    """N completions of a task, each of one token."""
    return rollouts.Drawn(task_id, [[50 + i] for i in range(n)], [[-0.5 - i] for i in range(n)], [True] * n)


def test_gated_completions_are_not_learned_from(monkeypatch):
    """Four tasks. In `mixed` one of three is gated; of the others one has a reward of 0, one of 1.

    Rewards times the deviation of 2 are log-odds: -2, 0 and 2 in `mixed`. A lead of 2 wins by tanh(1) = 0.761594, one
    of 4 by tanh(2) = 0.964028; so 0 has a rate of 0, and 2 of 0.862811, before the shift of 1. In `one passes` it wins
    by tanh(1). `alike` earns the shift alone, and nothing of `hopeless` passes. The best comes first.
    """
    drawn = [drawn_of("mixed", 3), drawn_of("alike", 2), drawn_of("hopeless", 2), drawn_of("one passes", 2)]
    scores = [[-1.0, 0.0, 1.0], [0.5, 0.5], [-1.0, -3.0], [0.0, -1.0]]
    passes = [[False, True, True], [True, True], [False, False], [True, False]]
    monkeypatch.setattr(rollouts, "score", lambda _trainer, _drawn: (scores, passes))
    (mixed, alike, lone), numbers = rollouts.collect(trainer_of(drawn), 0)
    assert (mixed.task_id, mixed.completions, mixed.is_from_reference) == ("mixed", [[52], [51]], True)
    assert mixed.logprobs == mixed.reference_logprobs == [[-2.5], [-1.5]]
    torch.testing.assert_close(mixed.scores, torch.tensor([1.862811, 1.0]), rtol=0, atol=1e-5)
    assert (alike.task_id, alike.completions, alike.scores.tolist()) == ("alike", [[50], [51]], [1.0, 1.0])
    assert (lone.task_id, lone.completions) == ("one passes", [[50]])
    torch.testing.assert_close(lone.scores, torch.tensor([1.761594]), rtol=0, atol=1e-5)
    assert numbers["reward"] == pytest.approx((0 + 1.0 - 4.0 - 1.0) / 9)
    assert numbers["gated_share"] == pytest.approx(4 / 9)
    assert (numbers["groups_without_signal"], numbers["fresh"], numbers["length"]) == (1.0, 0.0, 1.0)
    assert numbers["groups_without_variance"] == 1.0  # learned from all the same, for the shift
    best, alike, lone = rollouts.collect(trainer_of(drawn, STEP.model_copy(update={"n_learned": 1})), 0)[0]
    assert (best.completions, alike.completions, lone.completions) == ([[52]], [[50]], [[50]])
    unshifted = rollouts.collect(trainer_of(drawn, STEP.model_copy(update={"baseline_shift": 0.0})), 0)[0]
    assert [rollout.task_id for rollout in unshifted] == ["mixed", "one passes"]
    by_execution = rollouts.collect(trainer_of(drawn, STEP.model_copy(update={"reward": "execution"})), 0)[0]
    assert by_execution[2].scores.tolist() == pytest.approx([1 + math.tanh(0.5)])  # the deviation is not asked


def test_what_the_environment_stopped_is_in_no_group(monkeypatch):
    """Of four, one is unscored: the rest fare as if it had never been drawn. A task with nothing known is skipped."""
    alone = [drawn_of("lone", 3)]
    monkeypatch.setattr(rollouts, "score", lambda _trainer, _drawn: ([[1.0, 0.0, -2.0]], [[True, True, False]]))
    expected, without = rollouts.collect(trainer_of(alone), 0)
    drawn = [drawn_of("lone", 4), drawn_of("nothing known", 2)]
    scores = [[1.0, 5.0, 0.0, -2.0], [1.0, 1.0]]
    passes = [[True, None, True, False], [None, None]]
    monkeypatch.setattr(rollouts, "score", lambda _trainer, _drawn: (scores, passes))
    found, numbers = rollouts.collect(trainer_of(drawn), 0)
    assert [(r.task_id, r.completions, r.scores.tolist()) for r in found] == [
        ("lone", [[50], [52]], expected[0].scores.tolist())
    ]
    assert (numbers["reward"], numbers["gated_share"]) == (without["reward"], without["gated_share"])
    assert (numbers["completions"], numbers["unscored"], numbers["groups_without_signal"]) == (6.0, 3.0, 1.0)
    monkeypatch.setattr(rollouts, "score", lambda _trainer, _drawn: (scores[1:], passes[1:]))
    nothing, numbers = rollouts.collect(trainer_of(drawn[1:]), 0)
    assert (nothing, numbers["unscored"]) == ([], 2.0)
    assert "reward" not in numbers


def test_too_much_unscored_ends_the_run(monkeypatch, tmp_path):
    """Two of ten a step are within a limit of a fifth; three in the third step are not."""
    config = config_of(tmp_path, {"steps": 4, "probe_every": 0})
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
        rl.train(config, Workspace(tmp_path), "rl")
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
        checks=SimpleNamespace(check=lambda code, _task: list(verdicts[code == fails])),
        config=SimpleNamespace(rl=STEP.model_copy(update={"gates": ("api_exists", "runs")})),
        reward_model=SimpleNamespace(score=lambda programs: [] if not programs else None),
        verifiers={},
    )
    rewards, passes = rollouts.score(trainer, [drawn])
    assert passes == [[True, False, None, False, False]]
    assert rewards == [[1.0, -2.0, 1.0, -2.0, -2.0]]
    drawn.executions[3] = environment
    assert rollouts.score(trainer, [drawn])[1] == passes
    trainer.config.rl = STEP.model_copy(update={"gates": ("api_exists",)})
    assert rollouts.score(trainer, [drawn])[1] == [[True, True, True, False, False]]
    trainer.verifiers = {"runs": Verifier(1.0)}  # what failed is worth less, what the environment stopped is not known
    rewards, passes = rollouts.score(trainer, [drawn])
    assert (rewards[0][:2], passes) == ([2.0, 1.0], [[True, True, None, False, False]])


@pytest.mark.parametrize("row_tokens", [512, 4])
def test_every_reference_comes_once_a_round(row_tokens):
    """Three references, two an update: after three updates each was there twice; the loss is their tokens' mean, in one
    row or in one for each.
    """
    base = tiny_base()
    references = [([5, 6], [7]), ([8], [9, 10, 11]), ([12], [13, 14])]
    trainer = SimpleNamespace(
        config=SimpleNamespace(
            seed=3, rl=STEP.model_copy(update={"ptx_tasks": 2, "ptx_coef": 0.5, "row_tokens": row_tokens})
        ),
        base=base,
        model=base.model,
        references=references,
    )
    parts = {len(answer): -plain_logprobs(base, prompt, answer).sum() for prompt, answer in references}
    pairs = {(a, b): float((parts[a] + parts[b]) / (a + b)) for a in parts for b in parts}
    seen = []
    for done in range(3):
        units = rl.references_losses(trainer, done)
        assert len(units) == (1 if row_tokens == 512 else 2)
        found = [unit() for unit in units]
        loss = sum(numbers["ptx_loss"] for _, numbers in found)
        assert sum(float(part) for part, _ in found) == pytest.approx(0.5 * loss)
        seen += min(pairs, key=lambda pair: abs(pairs[pair] - loss))
        assert min(abs(value - loss) for value in pairs.values()) < 1e-5
    assert sorted(seen) == [1, 1, 2, 2, 3, 3]
    trainer.references = []
    assert rl.references_losses(trainer, 0) == []


def test_schedule():
    """Twenty updates: two to the peak, then down in a line to the last one's twentieth."""
    assert rl.schedule(0, 20) == pytest.approx(0.5)
    assert rl.schedule(1, 20) == pytest.approx(0.95)
    assert rl.schedule(10, 20) == pytest.approx(0.5)
    assert rl.schedule(19, 20) == pytest.approx(0.05)
    assert rl.schedule(0, 1) == 1.0


def line(step, ran, reward):
    """A look at the probe set: which of its tasks ran."""
    return {"step": step, "ran": [{"1": True, "0": False, "?": None}[mark] for mark in ran], "reward": reward}


@pytest.mark.parametrize(("ran", "rings"), [("00000111", True), ("00001111", False)])
def test_the_alarm(ran, rings):
    """Eight tasks ran at step 1. Five lost, none won: 5 > 2 * sqrt(5). Four: 4 = 2 * sqrt(4) is within chance."""
    probes = {"0": line(0, "11111000", -1.0), "1": line(1, "11111111", 0.0), "2": line(2, ran, 1.0)}
    assert brakes.best_step(probes) == 1
    assert brakes.fallen(probes) == rings * (
        "alarm: of 8 probe tasks 3 run at step 2, 8 did at step 1, and the reward rose: it is being hacked "
        "(+0.00 to +1.00)"
    )


def test_what_is_unknown_does_not_ring():
    """Tasks that the environment stopped, then or now, are left out; with a falling reward it says so."""
    probes = {"1": line(1, "11111111?", 0.0), "2": line(2, "0000????1", -0.5)}
    assert brakes.fallen(probes) == ""
    probes["2"] = line(2, "00000???1", -0.5)
    assert brakes.fallen(probes).endswith(
        "of 5 probe tasks 0 run at step 2, 5 did at step 1, and the reward fell too (+0.00 to -0.50)"
    )
    assert brakes.best_step({"0": line(0, "11", 0.0), "5": line(5, "11", 0.0)}) == 5


def driven(monkeypatch, config, kl, looks=(), update=None, target=None):
    """A training whose every step adds one to its only weight (or does what `update` does to it), with the KL of that
    step (from 1) and these looks at the probe set; its report and the weights that it saves.
    """
    parameter = torch.nn.Parameter(torch.zeros(1))
    saved, left = [], dict(enumerate(looks))

    def one_more(*given):
        if update is not None:
            update(parameter, *given)
        else:
            with torch.no_grad():
                parameter.add_(1)
        return {"kl": kl(given[-1] + 1)}

    def probe(_trainer, step, probes):
        probes[str(step)] = line(step, left[step // config.rl.probe_every], float(step))

    trainer = SimpleNamespace(model=tiny_base().model, value_head=ValueHead(8, 0), kl=KlController(0.1, target))
    monkeypatch.setattr(rl, "start", lambda _config, _workspace: trainer)
    monkeypatch.setattr(rl, "collect", lambda _trainer, _step: ([1], {"completions": 1.0, "unscored": 0.0}))
    monkeypatch.setattr(rl, "update", one_more)
    monkeypatch.setattr(rl, "probe", probe)
    monkeypatch.setattr(rl.adapters, "parameters", lambda _model, _name: [parameter])
    monkeypatch.setattr(rl.adapters, "save", lambda *_: saved.append(parameter.item()))
    return rl.train(config, Workspace(config.run), "rl"), saved


def logged(config):
    """The last line of each step in the run's curves, without its time."""
    lines = Workspace(config.run).path("rl", "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return {one.pop("step"): one for text in lines if (one := json.loads(text)).pop("time", 0) is not None}


def test_the_kl_coefficient_follows_its_target(monkeypatch, tmp_path):
    """A KL of twice the target or more raises it by a fiftieth a step."""
    config = config_of(tmp_path, {"steps": 3, "probe_every": 0})
    driven(monkeypatch, config, kl=lambda _step: 4.0, target=2.0)
    assert [one["kl_coef"] for one in logged(config).values()] == pytest.approx([0.1, 0.102, 0.10404])


def test_policies_are_kept_on_the_way(monkeypatch, tmp_path):
    """Every second of five, the one that the probe set likes best, and the last."""
    config = config_of(tmp_path, {"steps": 5, "probe_every": 1, "keep_every": 2})
    looks = ["1000", "1100", "1110", "1111", "1110", "1110"]
    assert driven(monkeypatch, config, kl=lambda _step: 0.0, looks=looks)[1] == [2.0, 4.0, 3.0, 5.0]


@pytest.mark.parametrize("alarm", ["", "at the fourth look"])
def test_stopped_and_gone_on(monkeypatch, tmp_path, alarm):
    """Stopped in the fifth of six steps, after the checkpoint of the fourth: weights, curves and report are those of an
    unbroken one, with momentum, an adapted coefficient, and the best weights of before.
    """
    looks = [
        "00000000",
        "11111111",
        "11111110",
        "11111100",
        "00000000" if alarm else "11111000",
        "11110000",
        "11110000",
    ]

    def learn(stops_at):
        def update(parameter, _trainer, _rollouts, _weights, optimizer, step):
            if step == stops_at:
                raise KeyboardInterrupt
            parameter.grad = torch.full((1,), (-0.5) ** step)
            for group in optimizer.param_groups:
                group["lr"] = 0.1
            optimizer.step()

        return update

    def trained(folder, stops_at=None):
        config = config_of(folder, {"steps": 6, "probe_every": 1, "checkpoint_every": 2})
        found = driven(monkeypatch, config, lambda step: float(step), looks, update=learn(stops_at), target=2.0)
        return *found, logged(config)

    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "broken", stops_at=3 if alarm else 4)
    assert (tmp_path / "broken" / "rl" / "checkpoint.pt").exists()
    assert trained(tmp_path / "broken") == whole
    assert ("best_step" in whole[0]) == bool(alarm)
    assert len({one["kl_coef"] for one in whole[2].values()}) > 2


def test_nothing_learned_is_said(monkeypatch, tmp_path):
    """Steps of whose completions none passes: the arm is SFT by another name, and the report says so at its top."""
    told = []
    monkeypatch.setattr(rl.progress, "say", told.append)
    monkeypatch.setattr(rl.adapters, "save", lambda *_: None)
    config = config_of(tmp_path, {"steps": 2, "probe_every": 0})
    trainer = SimpleNamespace(model=tiny_base().model, value_head=ValueHead(8, 0), kl=KlController(0.1, None))
    monkeypatch.setattr(rl, "start", lambda _config, _workspace: trainer)
    monkeypatch.setattr(rl, "collect", lambda _trainer, _step: ([], {"completions": 1.0, "unscored": 0.0}))
    monkeypatch.setattr(rl.adapters, "parameters", lambda _model, _name: [torch.nn.Parameter(torch.zeros(1))])
    report = rl.train(config, Workspace(tmp_path), "rl")
    assert (report["steps"], report["steps_learned_from"]) == (2, 0)
    assert "none of its 2 steps had anything to learn from" in told[-1]
    [said] = words.alarms({"stages": {"rl": report, "sft": {"steps": 3}}})
    assert said == "rl: nothing was learned; its policy is the one that it started from."


@pytest.mark.parametrize(("answer", "steps", "weight"), [("roll_back", 3, 1.0), ("stop", 3, 3.0), ("warn", 4, 4.0)])
def test_the_brakes(monkeypatch, tmp_path, answer, steps, weight):
    """Each step adds one to the weight. The probe is best at step 1 and rings at step 3; what is saved is as told."""
    config = config_of(tmp_path, {"steps": 4, "probe_every": 1, "alarm": answer})
    looks = ["00000000", "11111111", "11110000", "00000000", "00000000"]
    report, saved = driven(monkeypatch, config, kl=lambda _step: 0.0, looks=looks)
    assert (report["steps"], saved) == (steps, [weight])
    assert (report["alarm_answer"], report["best_step"]) == (answer, 1)
    assert [one["step"] for one in report["probe_saved"]] == [1 if answer == "roll_back" else steps]
    assert report["steps_learned_from"] == steps
    assert "0 run at step 3, 8 did at step 1, and the reward rose: it is being hacked" in report["alarm"]


def test_an_alarm_outlives_a_kill():
    """It is read off the looks that were saved: the first one rings, whatever comes after."""
    probes = {"1": line(1, "11111111", 0.0), "2": line(2, "00000111", 1.0)}
    assert brakes.first_alarm(probes) == brakes.fallen(probes) != ""
    assert brakes.first_alarm(probes | {"3": line(3, "11111111", 0.0)}) == brakes.fallen(probes)
    assert brakes.first_alarm({"1": probes["1"]}) == brakes.first_alarm({}) == ""


def test_execution_alone_as_reward():
    """Of programs that pass all earn alike, and the others the floor; the reward model is not asked."""
    base = tiny_base()
    drawn = drawn_of("one", 3)
    drawn.executions = [Execution("ok", "none"), Execution("ok", "none"), Execution("runtime_error", "program")]
    drawn.rewards = [3.0, -1.0, 5.0]  # of a sampled completion the reward model's stage knows them
    trainer = SimpleNamespace(
        config=SimpleNamespace(rl=RlConfig(reward="execution", gates=("runs",), gate_floor=-2.0)),
        base=base, tasks={"one": Task("one", "Do it")}, checks=SimpleNamespace(check=lambda *_: []), verifiers={},
    )  # fmt: skip
    assert rollouts.score(trainer, [drawn]) == ([[0.0, 0.0, -2.0]], [[True, True, False]])


def test_a_reward_that_is_no_number(monkeypatch):
    """Its group is not silently skipped."""
    monkeypatch.setattr(rollouts, "score", lambda *_: ([[1.0, math.nan]], [[True, True]]))
    with pytest.raises(TrainingError, match="a reward of one is not a number at step 1"):
        rollouts.collect(trainer_of([drawn_of("one", 2)]), 0)


def test_processes_share_the_cores(monkeypatch):
    """Four processes on eight cores run two programs at a time each; what the configuration says holds."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(machine, "cores", lambda: 8)
    config = load_config("configs/smoke.yaml")
    assert rl.sharing(config).sandbox.processes == 2
    for setting in ("sandbox.processes=3", "sandbox.engine=ray"):
        config = load_config("configs/smoke.yaml", [setting])
        assert rl.sharing(config) == config


def test_unreliable_rewards_are_not_learned_from(monkeypatch):
    """The best passing completion whose reward lies outside the band is learned from; inside, it is a rival still."""
    drawn = [drawn_of("one", 3)]
    drawn[0].rewards = [1.0, 0.0, -1.0]
    monkeypatch.setattr(rollouts, "score", lambda _trainer, drawn: ([one.rewards for one in drawn], [[True] * 3]))
    settings = STEP.model_copy(update={"n_learned": 1})
    whole = rollouts.collect(trainer_of(drawn, settings), 0)[0][0]
    rest = rollouts.collect(trainer_of(drawn, settings.model_copy(update={"dropped_band": (0.5, 1.5)})), 0)[0][0]
    assert (whole.completions, rest.completions) == ([[50]], [[51]])
    assert rest.scores.tolist() == [1.0]  # it beats one and loses to one


def test_later_rounds_know_the_reference_apart_from_the_sampler(monkeypatch):
    """In the second round the policy sampled: what the reference gives its tokens is computed."""
    drawn = [drawn_of("one", 2)]
    monkeypatch.setattr(rollouts, "score", lambda *_: ([[1.0, 0.0]], [[True, True]]))
    monkeypatch.setattr(rollouts, "reference_logprobs", lambda _trainer, groups: [[[-9.0]] for _ in groups])
    trainer = trainer_of(drawn, STEP.model_copy(update={"n_learned": 1}))
    trainer.workspace = Workspace("r", 2)
    rollout = rollouts.collect(trainer, 0)[0][0]
    assert (rollout.reference_logprobs, rollout.is_from_reference) == ([[-9.0]], False)


def judged(answer, execution, criterion="arguments_bind"):
    """A completion on which the static check said something, and what became of it."""
    return Feedback("t", 0, 0.5, (Verdict(criterion, answer, "static"),), execution)


def test_verifiers_are_corrected_for_their_errors():
    """Of 20 that ran 4 were told no; of 25 whose arguments did not bind 10 were told yes; one no_network tells nothing.

    A yes is then worth (1 - 0.4) / 0.4 = 1.5 and a no (0 - 0.4) / 0.4 = -1: over what is right 0.8 * 1.5 - 0.2 = 1,
    over what is wrong 0.4 * 1.5 - 0.6 = 0. Of 46 verdicts 26 are yes: (26 * 1.5 - 20) / 46 is usual, and what
    an unscored one counts as. With too few cases a check is taken at its word, and 0.5 is usual.
    """
    ran, failed = Execution("ok", "none"), Execution("bad_arguments", "program")
    feedback = (
        [judged("yes", ran)] * 16 + [judged("no", ran)] * 4 + [judged("no", Execution("no_network", "environment"))]
    )
    feedback += [judged("yes", failed)] * 10 + [judged("no", failed)] * 15 + [judged("unscored", failed)] * 9
    found = verifiers({"arguments_bind": 2.0, "parses": 1.0}, feedback)
    assert found == {"arguments_bind": Verifier(2.0, 0.4, 0.2, 19 / 46), "parses": Verifier(1.0)}
    assert [found["arguments_bind"].corrected(is_yes) for is_yes in (True, False)] == pytest.approx([1.5, -1.0])
    assert Verifier(1.0, 0.5, 0.45).corrected(True) is None
    yes, no = Verdict("arguments_bind", "yes", "static"), Verdict("parses", "no", "static")
    assert verified([yes, no, Verdict("covers", "no", "static")], found) == pytest.approx(2 * 1.5 + 0)
    unscored = Verdict("parses", "unscored", "static")
    assert verified([yes, unscored], found) == pytest.approx(2 * 1.5 + 0.5)
    assert verified([unscored], found) == pytest.approx(2 * 19 / 46 + 0.5)
    useless = {"api_exists": Verifier(5.0, 0.5, 0.45)}  # has no part: neither its word nor its weight
    known = [yes, no, Verdict("api_exists", "yes", "static")]
    assert verified(known, found | useless) == pytest.approx(2 * 1.5)


def test_what_running_does_not_refute():
    """A program that leaves a step out, or calls nothing of the package, may run: its no is no error of the check."""
    ran = Execution("ok", "none")
    nothing = Verdict("api_exists", "no", "static", "calls nothing of the package")
    feedback = [judged("no", ran, "covers")] * 30 + [Feedback("t", 0, 0.5, (nothing,), ran)] * 30
    found = verifiers({"covers": 1.0, "api_exists": 1.0}, feedback)
    assert [(one.false_no, one.usual) for one in found.values()] == [(0.0, 0.0)] * 2
    feedback = [judged("no", ran, "api_exists")] * 3 + [judged("yes", ran, "api_exists")] * 27
    assert verifiers({"api_exists": 1.0}, feedback)["api_exists"].false_no == pytest.approx(0.1)


def test_verifiers_add_to_the_reward():
    """Two of the same reward: what runs earns its part more, before the gates."""
    drawn = drawn_of("one", 2)
    drawn.rewards = [1.0, 1.0]
    drawn.executions = [Execution("ok", "none"), Execution("runtime_error", "program")]
    trainer = SimpleNamespace(
        config=SimpleNamespace(rl=RlConfig(gates=("parses",))), base=tiny_base(), tasks={"one": Task("one", "Do it")},
        checks=SimpleNamespace(check=lambda *_: []), reward_model=SimpleNamespace(score=lambda _: []),
        verifiers={"runs": Verifier(0.5)},
    )  # fmt: skip
    assert rollouts.score(trainer, [drawn]) == ([[1.5, 1.0]], [[True, True]])


def test_rows_are_filled_longest_first():
    """Sizes 6, 9 (a completion drawn twice counts once), 12 and 3 in rows of at most 18: 12, then 9, 6 and 3."""
    sizes = {"a": [2, 2], "b": [3, 4], "c": [10], "d": [1]}
    given = []
    for name, lengths in sizes.items():
        completions = [[place] * n for place, n in enumerate(lengths)]
        if name == "b":
            completions.append(completions[0])
        given.append(Rollout(name, [1, 2], completions, [], [], torch.zeros(0)))
    assert [[one.task_id for one in row] for row in rl.rows_of(given, 18)] == [["c"], ["b", "a", "d"]]
    assert [[one.task_id for one in row] for row in rl.rows_of(given, 1)] == [["c"], ["b"], ["a"], ["d"]]


def test_watched_numbers():
    """A number at its bound is inside, one beyond it or no number is not; what was not measured is not watched."""
    watched = {"kl": (0.0, 10.0), "length": (5.0, 50.0)}
    assert brakes.out_of_bounds({"kl": 10.0, "length": 5.0}, watched, 3) == ""
    assert brakes.out_of_bounds({"length": 4.0}, watched, 3) == "alarm: length is 4 at step 3, outside 5 to 50"
    assert brakes.out_of_bounds({"kl": float("nan")}, watched, 3).startswith("alarm: kl is nan")
    assert brakes.out_of_bounds({"entropy": -1.0}, watched, 3) == ""
    assert brakes.out_of_bounds({"length": 4.0, "fresh": 1.0}, watched, 3) != ""
    assert brakes.out_of_bounds({"length": 4.0, "fresh": 0.0}, watched, 3) == ""  # what the sample stage drew
    assert brakes.out_of_bounds({"kl": 11.0, "fresh": 0.0}, watched, 3) != ""


@pytest.mark.parametrize(("answer", "steps", "weight"), [("roll_back", 2, 0.0), ("stop", 2, 2.0), ("warn", 4, 4.0)])
def test_a_watched_number_brakes(monkeypatch, tmp_path, answer, steps, weight):
    """The KL is the step's number squared, at most 3: the second step is beyond. Nobody looked at a probe set."""
    config = config_of(tmp_path, {"steps": 4, "probe_every": 0, "alarm": answer, "watched": {"kl": [0, 3]}})
    report, saved = driven(monkeypatch, config, kl=lambda step: float(step**2))
    assert (report["steps"], saved, report["best_step"]) == (steps, [weight], 0)
    assert report["alarm"] == "alarm: kl is 4 at step 2, outside 0 to 3"


def test_weights_beyond_a_bound_are_not_the_best(monkeypatch, tmp_path):
    """As many probe tasks run after step 2 as after step 1, but its KL rang: back to step 1's weights, as it says."""
    config = config_of(tmp_path, {"steps": 4, "probe_every": 1, "alarm": "roll_back", "watched": {"kl": [0, 3]}})
    report, saved = driven(monkeypatch, config, kl=lambda step: float(step**2), looks=["1100", "1111", "1111"])
    assert (report["steps"], saved, report["best_step"]) == (2, [1.0], 1)


@pytest.fixture(scope="module")
def roles():
    """A base with two adapters apart: the policy's and the reference's."""
    base = tiny_base()
    model = adapters.add(base, base.model, "policy", LoraConfig(r=2, alpha=4.0))
    model = adapters.add(base, model, "sft", LoraConfig(r=2, alpha=4.0))
    move(model, seed=1)
    return base, model


def by_role(base, model, role, prompt, completions):
    """What one role gives each token, by plain passes."""
    with adapters.merged(model, role) as plain:
        of_role = replace(base, model=plain)
        return [plain_logprobs(of_role, base.render(prompt), ids).tolist() for ids in completions]


def test_the_reference_is_the_sft_model(monkeypatch, roles):
    """Of fresh completions of the first round what the reference gives each token is computed; of the sample stage's it
    is what they were drawn with.
    """
    base, model = roles
    fresh = drawn_of("one", 2)
    trainer = trainer_of([], STEP.model_copy(update={"n_learned": None}))
    trainer.base, trainer.model, trainer.prompts = base, model, {"one": "Say hi"}
    monkeypatch.setattr(rollouts, "draw", lambda *_: ([fresh], {}))
    monkeypatch.setattr(rollouts, "score", lambda *_: ([[1.0, 0.0]], [[True, True]]))
    [rollout], numbers = rollouts.collect(trainer, 0)
    assert (numbers["fresh"], rollout.is_from_reference) == (1.0, False)
    expected, other = (by_role(base, model, role, "Say hi", fresh.completions) for role in ("sft", "policy"))
    for found, right, wrong in zip(rollout.reference_logprobs, expected, other, strict=True):
        assert found == pytest.approx(right, abs=1e-4)
        assert abs(found[0] - wrong[0]) > 0.01


def test_a_look_is_at_the_policy(monkeypatch, tmp_path, roles):
    """Greedy answers of the policy, not of the reference; what the environment stopped is counted and in no share."""
    base, model = roles
    workspace = Workspace(tmp_path)
    names = ("one", "two", "three", "four", "five")
    tasks = [Task(name, f"Say {name}", effect=Effect("aa", "")) for name in names]
    workspace.write_records("prepare/tasks/probe.jsonl", tasks)
    ran = []

    def execute(_config, _workspace, programs, label):
        ran.extend(code for code, _ in programs)
        return [Execution(*outcome, state="aa") for outcome in outcomes]

    monkeypatch.setattr(brakes, "execute", execute)
    config = config_of(tmp_path, {"sampling": {"max_new_tokens": 6}})
    trainer = SimpleNamespace(
        config=config, workspace=workspace, base=base, model=model, prompts={t.id: t.instruction for t in tasks},
        checks=SimpleNamespace(check=lambda *_: []),
        reward_model=SimpleNamespace(score=lambda programs: [float(place == 1) for place in range(len(programs))]),
    )  # fmt: skip
    outcomes = [
        ("ok", "none"),
        ("runtime_error", "program"),
        ("ok", "none"),
        ("ok", "none"),
        ("timeout", "environment"),
    ]
    line = brakes.look(trainer, 3)
    prompts = [base.render(task.instruction) for task in tasks]
    answers = {}
    for role in ("policy", "sft"):
        with adapters.merged(model, role) as plain:
            answers[role] = [
                base.decode(g[0].ids) for g in generate(base, plain, prompts, max_new_tokens=6, batch_tokens=999)
            ]
    assert ran == [extract_code(text) for text in answers["policy"]]
    assert ran != [extract_code(text) for text in answers["sft"]]
    assert (line["executability"]["value"], line["executability"]["n"], line["unscored"]) == (0.75, 4, 1)
    assert (line["ran"], line["reward"], line["step"]) == ([True, False, True, True, None], 0.2, 3)
    assert (line["effect_match"]["value"], line["effect_match"]["n"]) == (0.75, 4)
    assert line["effect_auc"] == 0.0  # the one that failed has the highest reward
    outcomes = [("timeout", "environment")] * 5
    told = []
    monkeypatch.setattr(brakes.progress, "say", told.append)
    unknown = brakes.look(trainer, 3)
    assert (unknown["unscored"], unknown.keys() & {"executability"}) == (5, set())
    assert "kept 5 of 5 answers to the probe set from running at step 3" in told[0]


@pytest.mark.parametrize(
    ("estimator", "earned"),
    [
        ("rloo", [3.0, 0.0, -3.0]),  # 2 - (0 - 2) / 2
        ("grpo", [math.sqrt(1.5), 0.0, -math.sqrt(1.5)]),  # 2 / sqrt(8 / 3)
        ("win_rate", [0.862811, 0.0, -0.862811]),
        ("gae", [0.862811, 0.0, -0.862811]),
    ],
)
def test_what_completions_are_credited_with(monkeypatch, estimator, earned):
    """Rewards 1, 0, -1, times the deviation of 2; win rates are (tanh(1) + tanh(2)) / 2."""
    drawn = [drawn_of("one", 3)]
    monkeypatch.setattr(rollouts, "score", lambda *_: ([[1.0, 0.0, -1.0]], [[True] * 3]))
    settings = STEP.model_copy(update={"estimator": estimator, "baseline_shift": 0.0})
    assert rollouts.collect(trainer_of(drawn, settings), 0)[0][0].scores.tolist() == pytest.approx(earned, abs=1e-5)


def test_unseen_tasks_come_first(monkeypatch, tmp_path):
    """Two of six tasks were never sampled: they come first, then the others, before any comes again."""
    trainer = trainer_of([drawn_of(name, 1) for name in "abcd"], STEP.model_copy(update={"tasks_per_step": 2}))
    trainer.tasks, trainer.seen, trainer.config.seed = dict.fromkeys("abcdef"), set("abcd"), 7
    monkeypatch.setattr(rollouts, "draw_of", lambda _trainer, _step, part: list(part))
    steps = [rollouts.draw(trainer, step)[0] for step in range(2, 6)]
    assert set(steps[0]) == set("ef")
    assert {*steps[1], *steps[2]} == set("abcd")
    assert steps[3] == steps[0]


def test_rounds_do_not_draw_the_same(monkeypatch):
    """Neither the same tasks in the same order, nor by the same random streams."""
    trainer = trainer_of([], STEP)
    trainer.tasks, trainer.config.seed = dict.fromkeys("abcdefghijkl"), 7
    monkeypatch.setattr(rollouts, "draw_of", lambda trainer, step, part: rollouts.keys_of(trainer, step, part))
    first = rollouts.draw(trainer, 0)[0]
    trainer.workspace = trainer.workspace.of_round(2)
    second = rollouts.draw(trainer, 0)[0]
    assert {key.rpartition("/")[0] for key in first} == {"rl/0"}
    assert {key.rpartition("/")[0] for key in second} == {"rl_2/0"}
    assert [key[-1] for key in first] != [key[-1] for key in second]


def test_references_go_on_in_the_next_round(monkeypatch):
    """A round of three steps with two updates each: the second one's first update has the number six."""
    asked = []
    monkeypatch.setattr(rl, "references_losses", lambda _trainer, done: asked.append(done) or [])
    monkeypatch.setattr(rl.adapters, "activate", lambda *_, **__: None)
    weights = [torch.nn.Parameter(torch.zeros(1))]
    settings = STEP.model_copy(update={"steps": 3, "epochs": 2, "minibatch_tasks": 4})
    trainer = trainer_of([], settings)
    trainer.config.seed, trainer.model, trainer.value_head = 0, None, torch.nn.Linear(1, 1)
    monkeypatch.setattr(rl, "rollouts_loss", lambda *_: (weights[0].sum(), {}))
    one = SimpleNamespace(prompt=[1], completions=[[2]], n_tokens=1, kept={})
    for number in (1, 2):
        trainer.workspace = Workspace("r", number)
        rl.update(trainer, [one], weights, torch.optim.SGD([{"params": weights, "peak": 0.1}]), 0)
    assert asked == [0, 1, 6, 7]


def test_the_arm_without_feedback(tmp_path):
    """Execution is its reward and its only gate, whatever RL's are."""
    config = config_of(
        tmp_path,
        {"gates": ["parses"], "verifiers": {"parses": 1.0}, "dropped_band": [0, 1], "steps": 9}
        | {"watched": {"kl": [0, 9], "reward": [0, 5]}},
    )
    found = on_execution(config).rl
    assert (found.reward, found.gates, found.verifiers, found.dropped_band) == ("execution", ("runs",), {}, None)
    assert (found.steps, found.watched) == (9, {"kl": (0, 9)})
