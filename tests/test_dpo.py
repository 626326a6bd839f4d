"""DPO on the sampled preferences: its loss on packed rows, and that it learns."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_models import plain_logprobs, tiny_base

from kohai.config import LoraConfig, TuningConfig, parse_config
from kohai.errors import TrainingError
from kohai.models import adapters
from kohai.models.losses import direct_preference
from kohai.models.packing import pack
from kohai.models.tracking import Tracker
from kohai.models.tuning import Row, tune
from kohai.records import Preference, Prompt
from kohai.stages import dpo
from kohai.workspace import Workspace

ROWS = [Row([40, 41], [[50, 51, 2], [60, 2]], [-9.0, -8.0, 1.0]), Row([42], [[70, 2], [71, 72, 2]], [-7.0, -9.0, 0.8])]


def sums(base, model, row):
    """The summed log-probability of each answer, by plain passes."""
    plain = replace(base, model=model)
    return [float(plain_logprobs(plain, row.prompt, answer).sum()) for answer in row.answers]


def test_the_loss_of_packed_rows():
    """As from each answer by itself."""
    base = tiny_base()
    packed = pack([(row.prompt, row.answers) for row in ROWS])
    with torch.no_grad():
        found = dpo.loss(0.3, base.model, packed, torch.tensor([row.facts for row in ROWS]))
    for row, value in zip(ROWS, found, strict=True):
        chosen, rejected = (torch.tensor(one) for one in sums(base, base.model, row))
        of_chosen, of_rejected, label = map(torch.tensor, row.facts)
        expected = direct_preference(chosen, rejected, of_chosen, of_rejected, 0.3, label)
        assert float(value) == pytest.approx(float(expected), abs=1e-4)


def test_it_learns(tmp_path):
    """From the reference itself the loss starts at log 2; what is chosen gains on what is rejected."""
    base = tiny_base()
    rows = [Row(row.prompt, row.answers, [*sums(base, base.model, row), 1.0]) for row in ROWS]
    margins = [a - b for a, b in (sums(base, base.model, row) for row in rows)]
    with Tracker(tmp_path, "dpo", ()) as tracker:
        report = tune(
            base, rows, tmp_path / "adapter", name="dpo", seed=0, tracker=tracker,
            start=LoraConfig(r=4), settings=TuningConfig(epochs=30, learning_rate=1e-2, batch_size=2),
            loss=lambda *given: dpo.loss(0.5, *given),
        )  # fmt: skip
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [float(json.loads(text)["loss"]) for text in lines]
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert report["loss"] < 0.3
    model = adapters.load(base, base.model, "dpo", tmp_path / "adapter")
    with adapters.merged(model, "dpo") as plain:
        after = [a - b for a, b in (sums(base, plain, row) for row in rows)]
    assert all(new > old + 1 for new, old in zip(after, margins, strict=True))


def test_it_has_no_dropout(tmp_path):
    """The reference's numbers were computed without: from it the loss starts at log 2 with GPT-2's dropout, too."""
    base = tiny_base("gpt2")
    assert any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in base.model.modules())
    rows = [Row(row.prompt, row.answers, [*sums(base, base.model, row), 1.0]) for row in ROWS]
    with Tracker(tmp_path, "dpo", ()) as tracker:
        tune(
            base, rows, tmp_path / "adapter", name="dpo", seed=0, tracker=tracker, start=LoraConfig(r=2),
            settings=TuningConfig(epochs=1, learning_rate=1e-9, batch_size=2),
            loss=lambda *given: dpo.loss(0.5, *given),
        )  # fmt: skip
    line = json.loads((tmp_path / "metrics.jsonl").read_text(encoding="utf-8"))
    assert float(line["loss"]) == pytest.approx(0.6931, abs=1e-3)


def test_what_it_learns_from(monkeypatch, tmp_path):
    """The sampled pairs: the chosen completion first, with what the SFT model gave either; no pair of the bench's."""
    workspace = Workspace(tmp_path)
    tokens = [
        {"task_id": "t", "index": place, "ids": [50 + place, 2], "logprobs": [-1.0 - place, -0.5]} for place in range(3)
    ]
    workspace.write_json("sample/tokens.json", tokens)
    workspace.write_records("prepare/prompts/practice.jsonl", [Prompt("t", "practice", "Say hi", ())])
    pairs = [Preference("t", 2, 0, 0.4, label=0.9), Preference("t", 0, 1, 0.0, source="mutant")]
    workspace.write_records("reward_model/preferences.jsonl", pairs)
    given = []
    monkeypatch.setattr(dpo, "load_base", lambda _settings: tiny_base())
    monkeypatch.setattr(dpo, "tune", lambda _base, rows, *_, **settings: given.append((rows, settings)) or {})
    config = parse_config({"run": str(tmp_path), "package": {"path": "p"}, "tasks": {"folder": "t"}})
    dpo.run(config, workspace)
    [([row], settings)] = given
    assert row == Row(tiny_base().render("Say hi"), [[52, 2], [50, 2]], [-3.5, -1.5, 0.9])
    assert settings["start"] == workspace.path("sft", "adapter")
    assert settings["loss"].args == (config.dpo.beta,)


def test_a_loss_that_is_no_number_stops_it(tmp_path):
    """Where the trainer by itself would log another number, and save weights that are none."""
    base = tiny_base()
    with Tracker(tmp_path, "dpo", ()) as tracker, pytest.raises(TrainingError, match="not a number at update 1; lower"):
        tune(
            base, ROWS, tmp_path / "adapter", name="dpo", seed=0, tracker=tracker,
            start=LoraConfig(r=4), settings=TuningConfig(epochs=2, batch_size=2),
            loss=lambda *given: dpo.loss(0.5, *given) * float("nan"),
        )  # fmt: skip
    assert not (tmp_path / "adapter").exists()
