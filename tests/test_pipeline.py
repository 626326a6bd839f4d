"""The whole pipeline with the tiny random model, in child processes: whole, again, killed, stopped."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kohai.pipeline import STAGES
from kohai.workspace import digest_path

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "kohai"]
SMOKE = ["configs/smoke.yaml", "--set", "model.threads=1", "--set", "model.dtype=float32"]
ARTIFACTS = ("sft/adapter", "sample/completions.jsonl", "reward_model/adapter", "rejection_sft/adapter", "rl/policy")


def started(run: Path, stage: str = "run") -> subprocess.Popen[str]:
    """The smoke run, or one stage of it, as a child process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*COMMAND, stage, *SMOKE, "--set", f"run={run}"], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finished(run: Path, stage: str = "run") -> str:
    """Its messages, after it ended well."""
    child = started(run, stage)
    _, messages = child.communicate(timeout=300)
    assert child.returncode == 0, messages
    return messages


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    finished(run)
    return run


def test_every_stage_leaves_its_proof(whole):
    """A manifest a stage, and a report of five arms on two splits with the ceiling beside them."""
    for stage in STAGES[:-1]:
        assert (whole / stage / "manifest.json").exists(), stage
    report = json.loads((whole / "report" / "report.json").read_text(encoding="utf-8"))
    assert set(report["arms"]) == {"base", "sft", "best_of_n", "rejection_sft", "rlaif"}
    for splits in report["arms"].values():
        assert {split: found["executability"]["n"] for split, found in splits.items()} == {"test": 4, "test_unseen": 2}
    assert "https://" not in (whole / "report" / "index.html").read_text(encoding="utf-8").replace("www.w3.org", "")


def test_again_everything_is_done_before(whole):
    """A second run does no stage again."""
    messages = finished(whole)
    for stage in STAGES[:-1]:
        assert f"{stage}: done before" in messages


@pytest.mark.timeout(600)
def test_killed_and_continued_is_the_same(whole, tmp_path):
    """`kill -9` in the middle of several stages, then on: the artifacts equal those of the unbroken run, bit by bit."""
    run = tmp_path / "run"
    for landmark in ("sft/progress.json", "feedback/progress.json", "rl/checkpoint.pt"):
        child = started(run)
        deadline = time.monotonic() + 200
        while not (run / landmark).exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert child.poll() is None, f"it ended before {landmark}: {child.communicate()[1]}"
        child.send_signal(signal.SIGKILL)
        child.wait()
    finished(run)
    for name in ARTIFACTS:
        assert digest_path(run / name) == digest_path(whole / name), name
    for name in ("rl/metrics.jsonl", "rl/probe.jsonl"):
        assert (run / name).read_text(encoding="utf-8") == (whole / name).read_text(encoding="utf-8"), name
    codes = [
        [(line["arm"], line["task_id"], line["code"], line["metrics"]) for line in map(json.loads, text.splitlines())]
        for text in ((folder / "evaluate" / "evaluations.jsonl").read_text(encoding="utf-8") for folder in (run, whole))
    ]
    assert codes[0] == codes[1]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_rl_killed_anywhere_is_the_same(whole, tmp_path, seed):
    """`kill -9` at random moments of rl, the last one when the policy is just saved: same curves, policy and report."""
    run = tmp_path / "run"
    shutil.copytree(whole, run, ignore=shutil.ignore_patterns("rl", "evaluate", "report"))
    moments = random.Random(seed)
    for landmark in ("rl/progress.json", "rl/progress.json", "rl/metrics.jsonl", "rl/policy"):
        child = started(run, "rl")
        deadline = time.monotonic() + 200
        while not (run / landmark).exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.0 if landmark == "rl/policy" else moments.uniform(0.0, 1.5))
        child.kill()
        child.communicate()
    finished(run, "rl")
    assert digest_path(run / "rl" / "policy") == digest_path(whole / "rl" / "policy")
    for name in ("rl/metrics.jsonl", "rl/probe.jsonl"):
        assert (run / name).read_text(encoding="utf-8") == (whole / name).read_text(encoding="utf-8"), name
    reports = [json.loads((folder / "rl" / "manifest.json").read_text(encoding="utf-8")) for folder in (run, whole)]
    assert reports[0]["report"] == reports[1]["report"]
    assert not list(run.rglob("*.part"))


def test_interrupted_says_how_to_go_on(tmp_path):
    """SIGINT ends it with exit code 130 and one line that names the command."""
    run = tmp_path / "run"
    child = started(run)
    while not (run / "prepare" / "progress.json").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, messages = child.communicate(timeout=60)
    assert child.returncode == 130, messages
    assert "goes on where it stopped" in messages.splitlines()[-1]
    assert "Traceback" not in messages
