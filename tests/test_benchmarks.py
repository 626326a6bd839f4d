"""Benchmarks: what a model is given lies where the model does, here on torch's device without memory."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kohai.models.base import Base

ROOT = Path(__file__).parent.parent


def load(name):
    """A benchmark's module."""
    spec = importlib.util.spec_from_file_location(f"kohai_bench_{name}", ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def base():
    """A base on that device; `model.seen` are the ids that it was asked to go on from."""
    seen = []

    def generate(ids, attention_mask, **settings):
        seen.extend((ids, attention_mask))

    model = SimpleNamespace(config=SimpleNamespace(vocab_size=9), generate=generate, seen=seen)
    found = Base(model, None, torch.float32, torch.device("meta"), ())
    object.__setattr__(found, "render", lambda text: [1, 2])
    return found


def test_decoding(base, monkeypatch):
    """The peer's prompts."""
    benchmark = load("decoding")
    monkeypatch.setattr(benchmark, "load_base", lambda config: base)
    monkeypatch.setattr(benchmark, "_ours", lambda *given: None)
    benchmark.run()
    assert {ids.device.type for ids in base.model.seen} == {"meta"}


def test_the_local_judge(base, monkeypatch):
    """The peer's questions."""
    monkeypatch.setattr("kohai.models.base.load_base", lambda config: base)
    judge = SimpleNamespace(answer=lambda criteria, cases: None)
    monkeypatch.setattr("kohai.models.yes_no.YesNo", lambda base, model: judge)
    monkeypatch.chdir(ROOT)
    load("judge").local()
    assert {ids.device.type for ids in base.model.seen} == {"meta"}
