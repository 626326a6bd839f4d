"""What is wrong with a model, a task file or an endpoint is said in one message, with the right exit code."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kohai.config import ModelConfig
from kohai.errors import ConfigError, DataError
from kohai.models import adapters
from kohai.models.base import choose_dtype, load_base

ROOT = Path(__file__).parent.parent
SMOKE = ["configs/smoke.yaml", "--set", "model.threads=1"]


def kohai(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a child process, from the project's root."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "kohai", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tiny model as a folder of its own."""
    base = load_base(ModelConfig(name="tiny-random", threads=1))
    base.model.save_pretrained(tmp_path / "model")
    base.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_loads(folder):
    """A whole folder is a model."""
    base = load_base(ModelConfig(name=str(folder), threads=1, dtype="float32"))
    assert base.decode(base.encode("print(1)")) == "print(1)"
    assert choose_dtype(ModelConfig(dtype="bfloat16"), base.device).is_floating_point


@pytest.mark.parametrize("damage", ["truncated", "missing", "no config"])
def test_damaged_model(folder, damage):
    """The message names the folder and what to do."""
    weights = folder / "model.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "missing":
        weights.unlink()
    else:
        (folder / "config.json").unlink()
    with pytest.raises(DataError, match=rf"{folder} does not load .*; delete"):
        load_base(ModelConfig(name=str(folder), threads=1))


def test_adapter_on_layers_that_are_not_there():
    """The names that the model has are in the message."""
    from kohai.config import LoraConfig

    base = load_base(ModelConfig(name="tiny-random", threads=1))
    with pytest.raises(ConfigError, match=r"no wq; it has down_proj, gate_proj"):
        adapters.add(base, base.model, "sft", LoraConfig(modules=("wq",)))


@pytest.mark.slow
def test_bad_task_line(tmp_path):
    """File, line and field, exit code 2, and no stage's proof."""
    tasks = ROOT / "examples" / "stockroom" / "tasks"
    (tmp_path / "fixtures").symlink_to(tasks / "fixtures")
    for file in tasks.glob("*.jsonl"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    lines = (tmp_path / "demo.jsonl").read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace('"instruction"', '"instructions"')
    (tmp_path / "demo.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = kohai("prepare", *SMOKE, "--set", f"run={tmp_path / 'run'}", "--set", f"tasks.folder={tmp_path}")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"kohai: error: {tmp_path / 'demo.jsonl'}:3: unknown field 'instructions'")
    assert not (tmp_path / "run" / "prepare" / "manifest.json").exists()


@pytest.mark.slow
def test_endpoint_that_refuses(tmp_path):
    """The feedback stage ends with the endpoint's address and exit code 2; earlier stages stay done."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    endpoint = f"feedback.endpoint={{base_url: 'http://127.0.0.1:{port}/v1', model: judge, retries: 0}}"
    done = kohai("run", *SMOKE, "--set", f"run={tmp_path}", "--set", "feedback.judge=endpoint", "--set", endpoint)
    assert done.returncode == 2, done.stderr
    assert f"127.0.0.1:{port}" in done.stderr.strip().splitlines()[-1]
    assert (tmp_path / "sample" / "manifest.json").exists()
    assert not (tmp_path / "feedback" / "manifest.json").exists()
