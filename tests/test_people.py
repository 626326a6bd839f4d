"""What people's labels say of judges: worked numbers."""

from __future__ import annotations

from typing import Any

import pytest

from kohai.judge.people import against_people
from kohai.records import Feedback, Label, Verdict, to_json
from kohai.stages.feedback import labels_of


def feedback(task: int, **answers: Any) -> Feedback:
    """One completion of a task with these answerers' verdicts on `does_task`."""
    verdicts = tuple(Verdict("does_task", answer, name) for name, answer in answers.items())
    return Feedback(f"t{task}", 0, 1.0, (Verdict("runs", "yes", "execution"), *verdicts))


def test_agreement_with_people_and_the_corrected_rate():
    """Labels 1, 1, 0, 0 judged 1, 1, 1, 0, four others 1, 1, 0, 0: rate 0.411; kappa (0.75 - 0.5) / (1 - 0.5)."""
    labelled = [("yes", "yes"), ("yes", "yes"), ("no", "yes"), ("no", "no")]
    items = [feedback(i, human=person, senior=said, panel=said) for i, (person, said) in enumerate(labelled)]
    items += [feedback(9 + i, senior=said) for i, said in enumerate(["yes", "yes", "no", "no"])]
    items += [feedback(99, human="yes", senior="unscored"), feedback(98, human="unscored", senior="yes")]
    found = against_people(items[:8])
    assert list(found) == ["does_task"]
    of_task = found["does_task"]
    assert of_task["labels"] == 4
    assert of_task["senior"]["kappa"]["value"] == pytest.approx(0.5)
    assert of_task["senior"]["rate"]["value"] == pytest.approx(0.4111, abs=1e-4)
    assert of_task["senior"]["rate"]["n"] == 8
    # 2 of the 8 ordered pairs differ (0.25); of 5 yes and 3 no 2*5*3 of 8*7 would by chance: 1 - 0.25/0.5357
    assert of_task["alpha"]["value"] == pytest.approx(1 - 0.25 / (30 / 56), abs=1e-4)
    more = against_people(items)["does_task"]
    assert (more["labels"], more["senior"]["kappa"]["n"], more["senior"]["rate"]["n"]) == (5, 4, 9)


def test_without_enough_to_say_nothing_is_said():
    """No label, no entry; one label bears out no rate; answers that are all alike have no kappa."""
    assert against_people([feedback(1, senior="yes")]) == {}
    found = against_people([feedback(1, senior="yes", human="yes")])["does_task"]
    assert found == {"labels": 1, "alpha": None, "senior": {"kappa": None, "rate": None}}


def test_a_note_of_several_lines(tmp_path):
    """A label's note may hold what Unicode counts as the end of a line, raw as our own files write it."""
    label = Label("t1", 0, "does_task", "no", "first\u2028second\x85third")
    (tmp_path / "labels.jsonl").write_text(f"{to_json(label)}\n", encoding="utf-8")
    labels, n_elsewhere = labels_of(tmp_path / "labels.jsonl", {("t1", 0): "pass"})
    assert [verdict.evidence for verdict in labels["t1", 0]] == [label.note]
    assert n_elsewhere == 0


def test_labels_of_another_run(tmp_path):
    """A label that names its program is of that alone; those of programs that are not here are counted."""
    labels = [
        Label("t", 0, "does_task", "yes", code="print(1)"),
        Label("t", 1, "does_task", "no", code="print(1)"),  # here it is another one
        Label("t", 2, "does_task", "no"),
        Label("u", 0, "does_task", "no"),
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(f"{to_json(label)}\n" for label in labels), encoding="utf-8")
    found, n_elsewhere = labels_of(path, {("t", 0): "print(1)", ("t", 1): "print(2)", ("t", 2): "print(3)"})
    assert {place: verdicts[0].answer for place, verdicts in found.items()} == {("t", 0): "yes", ("t", 2): "no"}
    assert n_elsewhere == 2
