"""Training curves: one line a step, also after a step was done again, and never half a file."""

import json

from kohai.models.tracking import Tracker


def steps(folder):
    return [(line["step"], line["loss"]) for line in map(json.loads, (folder / "metrics.jsonl").open())]


def test_one_line_a_step(tmp_path):
    """In order, with their numbers."""
    with Tracker(tmp_path / "sft", "run") as tracker:
        tracker.log(1, {"loss": 0.5})
        tracker.log(2, {"loss": 0.25})
    assert steps(tmp_path / "sft") == [(1, 0.5), (2, 0.25)]


def test_a_resumed_loop_writes_over_what_it_does_again(tmp_path):
    """Steps 1 to 3, then on from the checkpoint after 1: the old 2 and 3 go."""
    for first, losses in ((1, [0.5, 0.4, 0.3]), (2, [0.35])):
        with Tracker(tmp_path, "run") as tracker:
            for step, loss in enumerate(losses, first):
                tracker.log(step, {"loss": loss})
    assert steps(tmp_path) == [(1, 0.5), (2, 0.35)]


def test_earlier_lines_are_never_at_risk(tmp_path):
    """The file is replaced, not written over: who has it open still reads all of it."""
    with Tracker(tmp_path, "run") as tracker:
        tracker.log(1, {"loss": 0.5})
        with (tmp_path / "metrics.jsonl").open() as before:
            tracker.log(2, {"loss": 0.25})
            assert json.loads(before.read()) == {"step": 1, "loss": 0.5}
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_tensorboard_events_lie_beside(tmp_path):
    """`report_to` adds a tracker's own files."""
    with Tracker(tmp_path, "run", ["tensorboard"]) as tracker:
        tracker.log(1, {"loss": 0.5})
    assert list((tmp_path / "trackers").rglob("*tfevents*"))
    assert steps(tmp_path) == [(1, 0.5)]
