"""Tuning by likelihood: its learning rate, and that a stopped one goes on as if it had not been."""

import json
import weakref

import pytest
import torch
from tiny_models import Stops, plain_logprobs, tiny_base

from kohai.config import LoraConfig, TuningConfig
from kohai.models import adapters
from kohai.models.tracking import Tracker
from kohai.models.tuning import schedule, tune

PAIRS = [([40 + n, 41], [50 + n, 51, 2]) for n in range(12)]


def tuned(folder, n_pairs, last=0, epochs=1):
    """The weights of an adapter tuned on so many pairs, batches of two, and the lines that were logged."""
    base = tiny_base()
    with Stops(folder, "sft", ()) as tracker:
        tracker.last = last
        tune(
            base, PAIRS[:n_pairs], folder / "adapter", name="sft", seed=0, tracker=tracker, start=LoraConfig(r=2),
            settings=TuningConfig(epochs=epochs, learning_rate=1e-2, batch_size=2),
        )  # fmt: skip
    model = adapters.load(base, base.model, "sft", folder / "adapter")
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [weight.clone() for weight in adapters.parameters(model, "sft")], [json.loads(line) for line in lines]


def test_schedule():
    """Of forty: two updates up, then half a cosine down; no update at zero."""
    shares = [schedule(done, 40) for done in range(40)]
    assert shares[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert shares[21] == pytest.approx(0.5)
    assert shares[2:] == sorted(shares[2:], reverse=True)
    assert 0 < shares[-1] < 0.01
    assert schedule(0, 1) == 1.0


def test_one_update_learns(tmp_path):
    """Two references in a batch of two."""
    weights, [line] = tuned(tmp_path, 2)
    assert line["learning_rate"] == pytest.approx(1e-2)
    assert any(weight.abs().max() > 0 for weight in weights[1::2])  # B, which starts at zero


def test_nothing_holds_the_base_afterwards(tmp_path):
    """The next stage loads its own: two in memory would be one too many."""
    base = tiny_base()
    held = weakref.ref(base.model)
    with Tracker(tmp_path, "sft", ()) as tracker:
        tune(
            base, PAIRS[:2], tmp_path / "adapter", name="sft", seed=0, tracker=tracker, start=LoraConfig(r=2),
            settings=TuningConfig(epochs=1, learning_rate=1e-2, batch_size=2),
        )  # fmt: skip
    del base
    assert held() is None


def test_its_loss_is_the_answers_likelihood(tmp_path):
    """The first update's, before anything is learned: the mean over all answer tokens of a batch, whatever its answers'
    lengths; and it falls.
    """
    pairs = [([40, 41], [50, 2]), ([42], [60, 61, 62, 63, 2])]
    base = tiny_base()
    expected = -torch.cat([plain_logprobs(base, prompt, answer) for prompt, answer in pairs]).mean()
    with Tracker(tmp_path, "sft", ()) as tracker:
        tune(
            base, pairs, tmp_path / "adapter", name="sft", seed=0, tracker=tracker, start=LoraConfig(r=2),
            settings=TuningConfig(epochs=12, learning_rate=1e-2, batch_size=2),
        )  # fmt: skip
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[0] == pytest.approx(float(expected), abs=1e-3)
    assert losses[-1] < losses[0] - 0.5


def test_stopped_and_gone_on(tmp_path):
    """Two epochs of six updates, stopped at the ninth: weights and curve are those of an unbroken one."""
    weights, lines = tuned(tmp_path / "whole", 12, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "broken", 12, last=9, epochs=2)
    assert list((tmp_path / "broken").glob("adapter.checkpoints/checkpoint-*"))
    again, found = tuned(tmp_path / "broken", 12, epochs=2)
    assert all(torch.equal(one, other) for one, other in zip(weights, again, strict=True))
    latest = {line["step"]: line for line in found}
    assert [(line["step"], line["loss"]) for line in lines] == [(n, latest[n]["loss"]) for n in range(1, 13)]
