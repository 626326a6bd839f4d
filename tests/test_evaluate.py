"""Whose answers an arm's are, and which of a task's samples best of n takes."""

from __future__ import annotations

from types import SimpleNamespace

from tiny_models import move, tiny_base

from kohai.code import extract_code
from kohai.config import LoraConfig, parse_config
from kohai.models import adapters
from kohai.models.generate import generate
from kohai.records import Task, Verdict
from kohai.stages import evaluate
from kohai.workspace import Workspace

REWARDS = {"good": 1.0, "better": 2.0, "gated": 9.0, "gated too": 3.0, "alone": 0.0}


def test_gates_come_before_the_reward_and_only_a_choice_is_read(monkeypatch, tmp_path):
    """A gated program loses whatever its reward, unless all are gated; one program alone is not read."""
    read: list[str] = []

    def score(programs, _on_done):
        read.extend(one.code for one in programs)
        return [REWARDS[one.code] for one in programs]

    def check(code, _task):
        return [Verdict("api_exists", "no" if code.startswith("gated") else "yes", "static")]

    judge = SimpleNamespace(names=["reward"], score=score, model=SimpleNamespace(unload=lambda: None))
    base = SimpleNamespace(model=SimpleNamespace(requires_grad_=lambda _on: None))
    docs = dict.fromkeys("abc", "")
    monkeypatch.setattr(evaluate.RunChecks, "of", lambda _workspace: SimpleNamespace(docs=docs, check=check))
    monkeypatch.setattr(evaluate.RewardModel, "load", lambda *_parts: judge)
    monkeypatch.setattr(evaluate, "digest_path", str)
    config = parse_config(
        {"run": str(tmp_path), "package": {"path": "p"}, "tasks": {"folder": "t"}, "rl": {"gates": ["api_exists"]}}, ""
    )
    groups = [["good", "gated", "better", "good"], ["gated", "gated too"], ["gated", "alone", "alone"]]
    wanted = [("test", Task(name, "Do it.")) for name in "abc"]
    workspace = Workspace(tmp_path)
    found = evaluate.favourites(config, workspace, base, "best_of_n", wanted, groups)
    assert found == ["better", "gated", "alone"]
    assert read == ["good", "better", "gated", "gated too"]


def test_each_arm_answers_with_its_own_weights(monkeypatch, tmp_path):
    """The base, SFT and the policy, greedily; and best of n has the samples after the greedy answer to choose from."""
    needed = {"run": str(tmp_path), "package": {"path": "p"}, "tasks": {"folder": "t"}}
    arms = {"arms": ["base", "sft", "best_of_n", "rlaif"], "n_best": 2}
    config = parse_config(needed | {"evaluate": arms, "sample": {"max_new_tokens": 6}})
    workspace, base = Workspace(tmp_path), tiny_base()
    model = adapters.add(base, base.model, "policy", LoraConfig(r=2, alpha=4.0))
    for seed, place in ((1, ("sft", "adapter")), (2, ("rl", "policy"))):
        move(model, seed)
        adapters.save(model, "policy", workspace.path(*place))
    texts, wanted = ["Say one", "Say two"], [("test", Task(name, "Do it.")) for name in "ab"]
    found = {}
    for arm, where in evaluate.ADAPTERS.items():
        if arm not in ("base", "sft", "rlaif"):
            continue
        fresh = tiny_base()
        plain = fresh.model
        if where is not None:
            carrying = adapters.load(fresh, fresh.model, arm, workspace.path(*where))
            with adapters.merged(carrying, arm) as plain:
                drawn = [generate(fresh, plain, [fresh.render(t)], max_new_tokens=6, batch_tokens=999) for t in texts]
        else:
            drawn = [generate(fresh, plain, [fresh.render(t)], max_new_tokens=6, batch_tokens=999) for t in texts]
        expected = [extract_code(fresh.decode(group[0].ids)) for [group] in drawn]
        found[arm] = evaluate.arm_codes(config, workspace, tiny_base(), arm, texts, wanted)
        assert found[arm] == expected, arm
    assert len(set(map(tuple, found.values()))) == 3
    chosen_from = []
    monkeypatch.setattr(evaluate, "favourites", lambda *given: chosen_from.extend(given[-1]))
    evaluate.arm_codes(config, workspace, tiny_base(), "best_of_n", texts, wanted)
    whole = evaluate.answers(config, workspace, tiny_base(), "sft", texts, wanted)
    assert [len(group) for group in chosen_from] == [2, 2]
    assert [[greedy, *rest] for greedy, rest in zip(found["sft"], chosen_from, strict=True)] == whole
