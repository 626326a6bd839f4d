"""Which of a task's samples best of n takes."""

from __future__ import annotations

from types import SimpleNamespace

from kohai.config import parse_config
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
