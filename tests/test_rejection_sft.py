"""Which completions rejection sampling learns from."""

from types import SimpleNamespace

from tiny_models import tiny_base

from kohai.config import parse_config
from kohai.models.tuning import answer_ids
from kohai.records import Completion, Execution, Feedback, Prompt, Task, Verdict
from kohai.stages import rejection_sft
from kohai.stages.rejection_sft import best_completions, passing
from kohai.workspace import Workspace

OK = Execution("ok", "none")
FAILED = Execution("wrong_type", "program")


def chosen(*feedback):
    """By the checks that each item has, whatever the rubric asks."""
    allowed = passing(feedback, lambda item: item.verdicts, ["covers", "runs"])
    return {task_id: item.index for task_id, item in best_completions(allowed).items()}


def test_the_best_that_ran():
    """Better judged, but did not run: not taken. Among those that ran the score decides."""
    assert chosen(
        Feedback("t", 0, 0.9, (), FAILED),
        Feedback("t", 1, 0.3, (), OK),
        Feedback("t", 2, 0.5, (), OK),
        Feedback("t", 3, 0.4, (), OK),
    ) == {"t": 2}


def test_what_teaches_nothing():
    """A task none of whose completions ran, or that has no score, is left out; a score of 0 is one."""
    assert chosen(
        Feedback("t", 0, 0.9, (), FAILED),
        Feedback("u", 0, None, (), OK),
        Feedback("v", 0, 0.9),
        Feedback("w", 0, 0.0, (), OK),
    ) == {"w": 0}


def test_what_a_gate_stops():
    """Better judged and ran, but drops something: not taken. What says nothing, or is no gate, stops nothing."""
    no, unscored, other = Verdict("covers", "no", ""), Verdict("covers", "unscored", ""), Verdict("prints", "no", "")
    assert chosen(
        Feedback("t", 0, 0.9, (no,), OK),
        Feedback("t", 1, 0.3, (unscored, other), OK),
        Feedback("u", 0, 0.9, (no,), OK),
    ) == {"t": 1}


def test_equal_scores():
    """The first one."""
    assert chosen(Feedback("t", 0, 0.2, (), OK), Feedback("t", 1, 0.2, (), OK)) == {"t": 0}


def test_what_it_learns_from(monkeypatch, tmp_path):
    """The best completion of each task that passes, and the demo references; a task without one is counted."""
    workspace = Workspace(tmp_path)
    workspace.write_records("prepare/prompts/demo.jsonl", [Prompt("d", "demo", "Show", ())])
    workspace.write_records(
        "prepare/prompts/practice.jsonl",
        [Prompt(t, "practice", text, ()) for t, text in (("t", "Say hi"), ("u", "Say ho"))],
    )
    workspace.write_records("prepare/tasks/demo.jsonl", [Task("d", "Show", reference="show()")])
    workspace.write_records("prepare/tasks/practice.jsonl", [Task("t", "Say hi"), Task("u", "Say ho")])
    completions = [Completion("t", place, "", f"hi({place})") for place in range(3)] + [Completion("u", 0, "", "ho()")]
    completions.append(Completion("t", 3, "", "hi(3)", finished=False))
    workspace.write_records("sample/completions.jsonl", completions)
    feedback = [Feedback("t", 0, 0.9, (), FAILED), Feedback("t", 1, 0.3, (), OK), Feedback("t", 2, 0.5, (), OK)]
    feedback.append(Feedback("t", 3, 0.8, (), OK))  # ran as far as it goes: it was cut
    workspace.write_records("feedback/feedback.jsonl", [*feedback, Feedback("u", 0, 0.8, (), FAILED)])
    base, given = tiny_base(), []
    monkeypatch.setattr(rejection_sft, "load_base", lambda _settings: base)
    monkeypatch.setattr(
        rejection_sft, "tune", lambda _base, pairs, *_, **settings: given.append((pairs, settings)) or {}
    )
    monkeypatch.setattr(rejection_sft.RunChecks, "of", lambda _run: SimpleNamespace(check=lambda *_: []))
    config = parse_config({"run": str(tmp_path), "package": {"path": "p"}, "tasks": {"folder": "t"}})
    report = rejection_sft.run(config, workspace)
    [(pairs, settings)] = given
    wanted = {"Say hi": "hi(2)", "Show": "show()"}
    assert pairs == [(base.render(prompt), answer_ids(base, code)) for prompt, code in wanted.items()]
    assert settings["start"] == workspace.path("sft", "adapter")
    assert (report["tasks"], report["tasks_left_out"]) == (1, 1)
