"""Training of the reward model: that it learns what is preferred, goes on after a kill, and what its report counts."""

import pytest
import torch
from tiny_models import Stops, tiny_base

from kohai.config import LoraConfig, parse_config
from kohai.judge import load_rubric
from kohai.models import adapters, reward_training
from kohai.models.reward_training import Material, fit_members, laid_out
from kohai.records import Execution, Feedback, Preference, Verdict
from kohai.stages.reward_model import by_criterion, combined, correlations, effect_auc, pair_accuracy, split_tasks
from kohai.verify import CRITERIA
from kohai.workspace import Workspace

TASKS = [f"t{place}" for place in range(6)]
CODES = {name: [f"print({place})", f"print('{name}')", "pass"] for place, name in enumerate(TASKS)}


def material_of(label=1.0):
    """Six tasks of three programs, of which the first is preferred to the others, or they to it (a label of 0)."""
    pairs = {name: [Preference(name, 0, other, 0.1, label=label) for other in (1, 2)] for name in TASKS}
    findings = {name: torch.zeros(3, len(CRITERIA)) for name in TASKS}
    return Material({name: f"Say {name}" for name in TASKS}, CODES, findings, pairs, TASKS)


@pytest.fixture(scope="module")
def start_from(tmp_path_factory):
    """A saved adapter that changes nothing yet."""
    folder = tmp_path_factory.mktemp("reviewer") / "adapter"
    base = tiny_base()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        adapters.save(adapters.add(base, base.model, "reviewer", LoraConfig(r=2, alpha=4.0)), "reviewer", folder)
    return folder


def fitted(folder, start_from, material, **settings):
    """Settings, base, and what `fit_members` gives."""
    needed = {"run": str(folder), "package": {"path": "p"}, "tasks": {"folder": "t"}}
    chosen = {"epochs": 2, "batch_tasks": 1, "learning_rate": 1e-2} | settings
    config = parse_config(needed | {"reward_model": chosen})
    base = tiny_base()
    model, names, heads, _ = fit_members(config, Workspace(folder), base, material, start_from)
    return config.reward_model, base, model, names, heads


def apart(found, material):
    """By how much the first program of each task is ahead of its others, in the mean."""
    reward_model = combined(*found)
    gaps = []
    for name in TASKS:
        pairs = [(material.instructions[name], code) for code in material.codes[name]]
        rewards = reward_model.head(reward_model.read(pairs), material.findings[name])
        gaps += (rewards[0] - rewards[1:]).tolist()
    return sum(gaps) / len(gaps)


def test_what_is_preferred_gains(tmp_path, start_from):
    """Adapter and head learn together: ahead with labels of 1, behind with labels of 0, where the head alone is not."""
    ahead = {}
    for label in (1.0, 0.0):
        for epochs in (0, 8):
            material = material_of(label)
            found = fitted(tmp_path / f"{label}-{epochs}", start_from, material, epochs=epochs, batch_tasks=3)
            ahead[label, epochs] = apart(found, material)
    assert ahead[1.0, 8] > ahead[1.0, 0] + 1
    assert ahead[0.0, 8] < ahead[0.0, 0] - 1


@pytest.mark.parametrize("last", [8, 20])
def test_stopped_and_gone_on(monkeypatch, tmp_path, start_from, last):
    """Two members of twelve updates, stopped in the first or the second, past a checkpoint: as an unbroken one."""
    monkeypatch.setattr(reward_training, "Tracker", Stops)
    material = material_of()
    *_, model, names, heads = fitted(tmp_path / "whole", start_from, material, members=2)
    monkeypatch.setattr(Stops, "last", last)
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "broken", start_from, material, members=2)
    monkeypatch.setattr(Stops, "last", 0)
    *_, model_2, names_2, heads_2 = fitted(tmp_path / "broken", start_from, material, members=2)
    assert names == names_2 == ["reward", "reward_2"]
    for name in names:
        for one, other in zip(adapters.parameters(model, name), adapters.parameters(model_2, name), strict=True):
            assert torch.equal(one, other)
    for one, other in zip(heads, heads_2, strict=True):
        assert torch.equal(one.scale, other.scale)
        assert torch.equal(one.weights, other.weights)


def test_members_differ_and_average(tmp_path, start_from):
    """Each learns from a draw of its own; an average changes a layer by the mean of what they change."""
    settings, base, model, names, heads = fitted(tmp_path, start_from, material_of(), members=2, combine="average")
    changes = {}
    plain = tiny_base().model.state_dict()
    found = combined(settings, base, model, names, heads)
    assert found.names == ["averaged"]
    for name in (*names, *found.names):
        with adapters.merged(model, name) as merged:
            now = {key.replace(".base_layer", ""): weight for key, weight in merged.state_dict().items()}
            changes[name] = {key: now[key] - weight for key, weight in plain.items() if "q_proj.weight" in key}
    for key in changes["averaged"]:
        one, other = (changes[name][key] for name in names)
        assert float((one - other).abs().max()) > 1e-3
        torch.testing.assert_close(changes["averaged"][key], (one + other) / 2, rtol=1e-4, atol=1e-6)


def test_pairs_by_their_place_in_the_row():
    """A task's places begin after the programs of those before it; a task drawn twice stands there twice."""
    logprobs = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([[3.0, 4.0, 5.0]])}
    findings = {"a": torch.ones(2, 1), "b": torch.zeros(3, 1)}
    pairs = {"a": [Preference("a", 1, 0, 0.5, label=0.9)], "b": [Preference("b", 2, 0, 0.25, label=0.8)]}
    row, of_row, places = laid_out(logprobs, Material({}, {}, findings, pairs, []), ["b", "a", "b"])
    assert row.tolist() == [3.0, 4.0, 5.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert of_row[:, 0].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert places == [(2, 0, 0.25, 0.8), (4, 3, 0.5, 0.9), (7, 5, 0.25, 0.8)]


def test_tasks_held_out():
    """None of them is learned from, all are in one or the other, and one to learn from is left."""
    learned, held_out = split_tasks(TASKS, 0.34, seed=3)
    assert (len(learned), len(held_out)) == (4, 2)
    assert sorted(learned + held_out) == TASKS
    assert split_tasks(TASKS, 0.34, seed=3) == (learned, held_out)
    assert split_tasks(["a"], 0.9, seed=3) == (["a"], [])
    assert split_tasks([], 0.9, seed=3) == ([], [])


def test_pairs_in_order():
    """Three of four; of two tasks, of which one has three that are right: fewer than four independent cases."""
    pairs = [Preference("a", 0, other, 0.5) for other in (1, 2, 3)] + [Preference("b", 0, 1, 0.5)]
    found = pair_accuracy(pairs, {"a": [4.0, 1.0, 2.0, 3.0], "b": [0.0, 0.0]})
    assert (found["value"], found["n"], found["tasks"]) == (0.75, 4, 2)
    assert found["low"] < 0.2  # Wilson's of four independent ones is 0.30
    assert pair_accuracy([], {}) is None


def test_pairs_in_order_by_criterion_and_by_effect():
    """A criterion's yes is the better program for it, whichever the judges preferred; the effect is the mutants'."""
    rubric = load_rubric("configs/rubric.yaml")
    said = {0: ("yes", "no"), 1: ("no", "yes"), 2: ("no", "no")}
    feedback = [
        Feedback("a", i, 0.5, (Verdict("parses", parses, "static"), Verdict("covers", covers, "static")), None)
        for i, (parses, covers) in said.items()
    ]
    pairs = [Preference("a", 0, 1, 0.5), Preference("a", 0, 2, 0.5)]
    scores = {"a": [2.0, 1.0, 3.0], "m": [0.5, 1.0, 0.0], "n": [2.0, -1.0]}
    found = by_criterion(rubric, pairs, feedback, scores)
    assert (found["parses"]["value"], found["parses"]["n"]) == (0.5, 2)  # above program 1, not above 2
    assert (found["covers"]["value"], found["covers"]["n"]) == (0.0, 1)  # program 1's yes has less than 0's no
    assert found["api_exists"] is None
    mutants = [Preference(*pair, 0.0, source="mutant") for pair in (("m", 0, 1), ("m", 0, 2), ("n", 0, 1))]
    assert effect_auc([*pairs, *mutants], scores) == pytest.approx(5 / 6, abs=1e-4)  # 0.5 and 2 against 1, 0 and -1
    assert effect_auc(pairs, scores) is None


def test_what_rewards_tell_of_held_out_tasks():
    """Five completions whose rewards rise with their scores, of which the two best ran; a learned task is not asked."""
    rubric = load_rubric("configs/rubric.yaml")
    ran, failed = Execution("ok", "none"), Execution("runtime_error", "program")
    feedback = [
        Feedback("h", place, place / 10, (Verdict("parses", "no" if place == 0 else "yes", "static"),), outcome)
        for place, outcome in enumerate((failed, failed, failed, ran, ran))
    ]
    learned = [Feedback("l", 0, 1.0, (), failed), Feedback("l", 1, 0.0, (), ran)]
    scores = {"h": [-2.0, -1.0, 0.0, 1.0, 2.0], "l": [-9.0, 9.0]}
    found = correlations(rubric, [*feedback, *learned], scores, ["h"])
    assert (found["score_correlation"], found["execution_auc"], found["held_out_completions"]) == (1.0, 1.0, 5)
    assert found["criterion_auc"]["parses"] == 1.0
    assert [(band["from"], band["ran"], band["n"]) for band in found["bands"]] == [
        (-2.0, 0, 1), (-1.0, 0, 1), (0.0, 0, 1), (1.0, 1, 1), (2.0, 1, 1)
    ]  # fmt: skip
    turned = correlations(rubric, feedback, {"h": scores["h"][::-1]}, ["h"])
    assert (turned["score_correlation"], turned["execution_auc"]) == (-1.0, 0.0)
