"""The whole pipeline with the tiny random model, in child processes: whole, again, killed, stopped."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from chat_server import chat
from rollout_decoder import Decoder
from safetensors.torch import load_file

from kohai.bench import load
from kohai.config import ModelConfig, load_config
from kohai.models import rl
from kohai.models.base import load_base
from kohai.pipeline import STAGES
from kohai.records import Task
from kohai.workspace import Workspace, digest_path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # whichever is first makes the whole run
ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "kohai"]
SMOKE = ["configs/smoke.yaml", "--set=model.threads=1", "--set=model.dtype=float32", "--set=model.device=cpu"]
ARTIFACTS = (
    "sft/adapter", "sample/completions.jsonl", "reward_model/adapter", "rejection_sft/adapter",
    "dpo/adapter", "rl_execution/policy", "rl/policy",
)  # fmt: skip


def started(run: Path, stage: str = "run", *settings: str) -> subprocess.Popen[str]:
    """The smoke run, or one stage of it, as a child process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*COMMAND, stage, *SMOKE, "--set", f"run={run}", *settings], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finished(run: Path, stage: str = "run", *settings: str) -> str:
    """Its messages, after it ended well."""
    child = started(run, stage, *settings)
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
    """A manifest a stage, and a report of eight arms on two splits with the ceiling beside them."""
    for stage in STAGES[:-1]:
        assert (whole / stage / "manifest.json").exists(), stage
    report = json.loads((whole / "report" / "report.json").read_text(encoding="utf-8"))
    assert set(report["arms"]) == {
        "base", "sft", "best_of_n", "rejection_sft", "dpo", "rl_execution", "rlaif", "rlaif_best_of_n",
    }  # fmt: skip
    for splits in report["arms"].values():
        assert {split: found["executability"]["n"] for split, found in splits.items()} == {"test": 4, "test_unseen": 2}
    assert "https://" not in (whole / "report" / "index.html").read_text(encoding="utf-8").replace("www.w3.org", "")


def test_rl_practises_on_practice_tasks_alone(whole):
    """Not on the probe set, which watches it, even where its tasks have no reference."""
    config = load_config(ROOT / "configs" / "smoke.yaml", [f"run={whole}", "model.device=cpu"])
    trainer = rl.start(config, Workspace(whole))
    assert set(trainer.tasks) == {t.id for t in Workspace(whole).read_records(Task, "prepare/tasks/practice.jsonl")}


def test_rl_is_on_one_base_and_moves(whole, monkeypatch):
    """Loaded once, with four roles: policy, reference and reward model as adapters of it. The policy has left SFT."""
    loaded = []
    monkeypatch.setattr(rl, "load_base", lambda settings: loaded.append(load_base(settings)) or loaded[-1])
    config = load_config(ROOT / "configs" / "smoke.yaml", [f"run={whole}", "model.device=cpu"])
    trainer = rl.start(config, Workspace(whole))
    assert len(loaded) == 1
    assert trainer.reward_model.base is trainer.base is loaded[0]
    assert set(trainer.model.peft_config) == {"policy", "sft", "reward"}
    ours, theirs = (load_file(whole / part / "adapter_model.safetensors") for part in ("rl/policy", "sft/adapter"))
    assert max(float((weight - theirs[name]).abs().max()) for name, weight in ours.items()) > 1e-5


def test_again_everything_is_done_before(whole):
    """A second run does no stage again."""
    messages = finished(whole)
    for stage in STAGES[:-1]:
        assert f"{stage}: done before" in messages


def test_more_samples_where_none_passes(whole):
    """Four completions a task; where none of them ended (there is no other gate), those of six more that did."""
    groups: dict[str, list[dict]] = {}
    for line in map(json.loads, (whole / "sample" / "completions.jsonl").read_text(encoding="utf-8").splitlines()):
        groups.setdefault(line["task_id"], []).append(line)
    assert len(groups) == 4
    lacking = [group for group in groups.values() if not any(one["finished"] for one in group[:4])]
    extra = [one for group in lacking for one in group[4:]]
    assert all(one["finished"] for one in extra)
    for group in groups.values():
        assert [one["index"] for one in group] == list(range(len(group)))
        assert len(group) == 4 or group in lacking
    again = json.loads((whole / "sample" / "manifest.json").read_text(encoding="utf-8"))["report"]["again"]
    assert again == {"tasks": len(lacking), "completions": 6 * len(lacking), "kept": len(extra)}
    tokens = json.loads((whole / "sample" / "tokens.json").read_text(encoding="utf-8"))
    told = [(one["task_id"], one["index"]) for group in groups.values() for one in group]
    assert [(row["task_id"], row["index"]) for row in tokens] == told


def test_other_arms_keep_the_answers(whole, tmp_path):
    """A finished run evaluated with other arms decodes only what it has not; with other prompts' limits, all again."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    kept = run / "answers"

    def made(arms: str, *settings: str) -> set[str]:
        """The arms whose answers that command wrote."""
        before = {path.stem: path.stat().st_mtime_ns for path in kept.iterdir()}
        finished(run, "evaluate", "--set", f"evaluate.arms={arms}", *settings)
        return {path.stem for path in kept.iterdir() if path.stat().st_mtime_ns != before.get(path.stem)}

    (kept / "dpo.json").unlink()
    assert made("[base,sft,best_of_n,dpo]") == {"dpo"}
    (kept / "best_of_n.json").unlink()
    assert made("[sft,best_of_n]") == {"best_of_n"}
    assert made("[base,best_of_n]") == set()
    assert made("[base,sft]", "--set", "sample.max_new_tokens=5") == {"base", "sft"}


def test_more_tasks_leave_alone_what_does_not_read_them(whole, tmp_path):
    """Practice tasks are no reason to fine-tune again, test tasks none to sample again; what reads them is redone."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)

    def done_before(setting: str, *stages: str) -> list[str]:
        """Which of the stages, after `prepare` with that setting, are said to be done."""
        finished(run, "prepare", "--set", setting)
        messages = {stage: finished(run, stage, "--set", setting) for stage in stages}
        return [stage for stage, said in messages.items() if f"{stage}: done before" in said]

    assert done_before("tasks.n_test=[3,3]", "sft", "sample", "judges", "evaluate") == ["sft", "sample", "judges"]
    assert done_before("tasks.n_practice=7", "sft", "judges", "sample") == ["sft", "judges"]


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


def test_rl_with_a_server_killed_is_the_same(whole, tmp_path, serve):
    """The fresh rollouts come from a server. `kill -9` while it draws the last step, then on: the same policy.

    The adapter that the killed process left is gone from the server and the run.
    """
    asked = []
    for run in (tmp_path / "whole", tmp_path / "killed"):
        shutil.copytree(whole, run, ignore=shutil.ignore_patterns("rl", "evaluate", "report"))
        script = Decoder(load_base(ModelConfig(name="tiny-random", device="cpu", dtype="float32", threads=1)), 7)
        killed = threading.Event()

        def held(number, body, script=script, killed=killed):
            if number == 5:  # two steps of: load, two tasks, unload
                killed.wait(200)
            return script(number, body)

        server = serve(held)
        settings = ("--set", f"rl.server={{base_url: '{server.url}'}}", "--set", "rl.server.concurrency=1")
        if run.name == "killed":
            child = started(run, "rl", *settings)
            deadline = time.monotonic() + 200
            while len(server.requests) <= 5 and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            child.kill()
            child.communicate()
            assert [path.name for path in (run / "rollout_server").iterdir()] == sorted(script.loaded) != []
        killed.set()
        finished(run, "rl", *settings)
        assert (script.loaded, (run / "rollout_server").exists()) == (set(), False)
        asked.append(sum("prompt" in body for body in server.requests))
        lines = [json.loads(line) for line in (run / "rl" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [line["server_gap"] < 1e-4 for line in lines if "server_gap" in line] == [True, True]
    assert asked[0] == 4 < asked[1]
    assert digest_path(tmp_path / "killed" / "rl" / "policy") == digest_path(tmp_path / "whole" / "rl" / "policy")


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


def kohai(*arguments: str) -> str:
    """What a command prints, after it ended well."""
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_judge_was_examined(whole):
    """The tiny reviewer, on the programs of three tasks; what it is worth is written down, and a page shows it."""
    bench = json.loads((whole / "judges" / "bench.json").read_text(encoding="utf-8"))
    marks = bench["judges"]["reviewer"]["does_task"]
    assert (bench["tasks"], marks["stable"]["value"]) == (3, 1.0)
    assert marks["n"] >= 20
    assert json.loads((whole / "judges" / "reliability.json").read_text(encoding="utf-8"))["reviewer"]["does_task"]
    assert "The judge bench" in (whole / "report" / "index.html").read_text(encoding="utf-8")
    first = json.loads((whole / "feedback" / "feedback.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert {"reviewer", "panel"} <= {verdict["answerer"] for verdict in first["verdicts"]}
    assert json.loads(kohai("judge", "bench", *SMOKE, "--set", f"run={whole}", "--json")) == bench


def test_preferences_are_exported_for_dpo(whole, tmp_path):
    """As a dataset folder that `datasets` loads, its texts those of the run."""
    import datasets

    found = json.loads(kohai("judge", "export", *SMOKE, "--set", f"run={whole}", "--to", str(tmp_path / "pairs")))
    rows = datasets.load_from_disk(str(tmp_path / "pairs"))
    assert found["pairs"] == len(rows) > 0
    assert set(rows.column_names) == {"prompt", "chosen", "rejected", "margin", "label", "task_id"}
    texts = {
        line["text"]
        for line in map(json.loads, (whole / "sample" / "completions.jsonl").read_text(encoding="utf-8").splitlines())
    }
    assert {*rows["chosen"], *rows["rejected"]} <= texts
    assert all(0.5 <= label <= 1 for label in rows["label"])


def test_an_endpoint_is_estimated_examined_and_asked(whole, tmp_path, serve):
    """A dry run asks nothing; then the server is examined, its verdicts are weighed, and every call is counted."""

    def script(number, body):
        answer = "yes" if "print" in body["messages"][1]["content"] else "no"
        return 200, chat(json.dumps({"does_task": {"reason": "so", "answer": answer}}), usage=(100, 10))

    server = serve(script)
    run = tmp_path / "run"
    shutil.copytree(whole, run, ignore=shutil.ignore_patterns("judges", "feedback", "reward_model", "rl", "report"))
    labels = tmp_path / "labels.jsonl"
    task = json.loads((run / "sample" / "completions.jsonl").read_text(encoding="utf-8").splitlines()[0])["task_id"]
    labels.write_text(json.dumps({"task_id": task, "index": 0, "criterion": "does_task", "answer": "no"}) + "\n")
    endpoint = f"{{base_url: '{server.url}', model: m, price: {{input: 1.0, output: 2.0}}}}"
    settings = [*SMOKE, "--set", f"run={run}", "--set", f"feedback.endpoints={{senior: {endpoint}}}"]
    settings += ["--set", "feedback.judges=[senior]", "--set", f"feedback.labels={labels}"]
    estimates = json.loads(kohai("judge", "dry-run", *settings))
    of_bench, estimate = estimates["judges"]["senior"], estimates["feedback"]["senior"]
    assert (server.requests, of_bench["known"], estimate["known"]) == ([], 0, 0)
    assert 0 < estimate["expected_cost"] < estimate["most_cost"]
    bench = json.loads(kohai("judges", *settings))["bench"]["judges"]["senior"]["does_task"]
    assert bench["unscored"] == 0
    asked = len(server.requests)
    assert asked == of_bench["calls"]
    found = json.loads(kohai("feedback", *settings))
    assert len(server.requests) - asked == estimate["calls"]
    assert found["endpoints"]["senior"]["calls"] == len(server.requests)
    assert found["endpoints"]["senior"]["cost"] == pytest.approx(len(server.requests) * 120e-6)
    assert (found["people"]["does_task"]["labels"], found["labels_of_no_completion"]) == (1, 0)
    first = json.loads((run / "feedback" / "feedback.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert [v["answer"] for v in first["verdicts"] if v["answerer"] == "human"] == ["no"]
    estimates = json.loads(kohai("judge", "dry-run", *settings))
    assert estimates["feedback"]["senior"]["known"] == estimate["calls"]
    assert 0 < estimates["judges"]["senior"]["known"] < of_bench["calls"]  # those that are asked twice are asked again


def test_two_rounds(whole, tmp_path):
    """The second round samples other tasks from the first one's policy, learns rewards from both rounds' feedback, goes
    on from that policy, and is what is evaluated; an ensemble of two, killed in the second round, ends the same.
    """
    more = [
        "rounds=2",
        "reward_model.members=2",
        "tasks.n_sampled=3",
        "rl.steps=2",
        "rl.keep_every=2",
        "evaluate.arms=[sft,rlaif]",
    ]
    more = [part for override in more for part in ("--set", override)]
    runs = [tmp_path / "whole", tmp_path / "killed"]
    for run in runs:
        shutil.copytree(
            whole, run, ignore=shutil.ignore_patterns("sample", "feedback", "reward_model", "rl", "evaluate")
        )
    command = [*COMMAND, "run", *SMOKE, *more]
    for run in runs:
        if run.name == "killed":
            child = subprocess.Popen([*command, "--set", f"run={run}"], cwd=ROOT, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 200
            while not (run / "reward_model_2" / "reward.pt").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            child.kill()
            child.wait()
            assert not (run / "reward_model_2" / "manifest.json").exists()
        kohai("run", *SMOKE, *more, "--set", f"run={run}")
    for name in ("reward_model_2/adapter_2", "reward_model_2/head.safetensors", "rl_2/policy"):
        assert digest_path(runs[0] / name) == digest_path(runs[1] / name), name
    first, second = (
        {json.loads(line)["task_id"] for line in (runs[0] / name / "completions.jsonl").read_text().splitlines()}
        for name in ("sample", "sample_2")
    )
    assert len(first) == len(second) == 3
    assert not first & second
    of_pairs = (runs[0] / "reward_model_2" / "scores.json").read_text()
    assert all(f'"{task}"' in of_pairs for task in first | second)
    evaluated = json.loads((runs[0] / "evaluate" / "manifest.json").read_text())["inputs"]
    assert "rl_2/policy" in evaluated
    assert "rl/policy" not in evaluated
    assert [path.name for path in sorted((runs[0] / "rl_2" / "policies").iterdir())] == ["best", "step-2"]
    assert digest_path(runs[0] / "rl_2" / "policies" / "step-2") == digest_path(runs[0] / "rl_2" / "policy")
    report = json.loads((runs[0] / "report" / "report.json").read_text(encoding="utf-8"))
    assert [line["step"] for line in report["curves"]["rl"]] == [1, 2, 3, 4]
    assert report["stages"]["reward_model_2"]["members"] == 2
    assert "sample_2: done before" in kohai_messages("sample", *SMOKE, *more, "--set", f"run={runs[0]}")


def test_going_on_from_an_adapter(whole, tmp_path):
    """SFT from another run's policy is not SFT from nothing, and a changed adapter there makes it run again."""
    run, policy = tmp_path / "run", tmp_path / "policy"
    shutil.copytree(whole / "prepare", run / "prepare")
    shutil.copytree(whole / "rl" / "policy", policy)
    command = ["sft", *SMOKE, "--set", f"run={run}", "--set", f"sft.start_from={policy}"]
    assert "sft: done (" in kohai_messages(*command)
    first = digest_path(run / "sft" / "adapter")
    assert first != digest_path(whole / "sft" / "adapter")
    assert "sft: done before" in kohai_messages(*command)
    shutil.copyfile(whole / "sft" / "adapter" / "adapter_model.safetensors", policy / "adapter_model.safetensors")
    assert "sft: done (" in kohai_messages(*command)
    assert digest_path(run / "sft" / "adapter") != first


def kohai_messages(*arguments: str) -> str:
    """What a command says beside its output, after it ended well."""
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_two_processes_train_as_one(tmp_path):
    """Torchrun with two processes (gloo), from nothing: curves and policy are those of one, but for the order of sums.

    Epochs enough that a row is another process's than at first, at rates at which what it was worth then shows.
    """
    settings = ["rl.epochs=7", "rl.minibatch_tasks=2", "rl.tasks_per_step=4", "rl.row_tokens=1"]
    settings += ["rl.steps=2", "rl.learning_rate=0.01", "rl.value_learning_rate=0.05", "evaluate.arms=[sft, rlaif]"]
    words = [word for setting in settings for word in ("--set", setting)]
    run, whole = tmp_path / "run", tmp_path / "whole"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "kohai", "run", *SMOKE, "--set", f"run={run}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    for stage in ("sft", "judges", "rl", "evaluate"):
        assert done.stderr.count(f"{stage}: done (") == 1
    shutil.copytree(run, whole, ignore=shutil.ignore_patterns("rl"))
    assert "rl: done (" in finished(whole, "rl", *words)
    for name in ("rl/metrics.jsonl", "rl/probe.jsonl"):
        together, alone = (
            [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
            for folder in (run, whole)
        )
        assert len(together) == len(alone) > 0
        for found, expected in zip(together, alone, strict=True):
            assert set(found) == set(expected)
            for key in set(found) - {"ran", "executability", "effect_match"}:
                assert found[key] == pytest.approx(expected[key], rel=1e-3, abs=1e-3), key
            assert name != "rl/metrics.jsonl" or {"policy_loss", "ptx_loss", "kl"} <= set(found)  # each step learned
    ours, theirs = (load_file(folder / "rl" / "policy" / "adapter_model.safetensors") for folder in (run, whole))
    start = load_file(run / "sft" / "adapter" / "adapter_model.safetensors")
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=1e-3)
    assert max(float((weight - start[name]).abs().max()) for name, weight in ours.items()) > 0.01


@pytest.mark.parametrize("what", ["judges", "rl", "merged", "gguf"])
def test_no_room_on_the_disk(whole, tmp_path, what):
    """A disk that holds what is there and little more: one clear error, exit code 2, nothing half-written."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare")
    small = tmp_path / "small"
    small.mkdir()
    before = ("prepare", "sft", "sample", *(("judges", "feedback", "reward_model") if what == "rl" else ()))
    size = sum(f.stat().st_size + 4096 for name in before for f in (whole / name).rglob("*")) + 40_000
    if what in ("judges", "rl"):
        first = f"for stage in {' '.join(before)}; do cp -r {whole}/$stage {small}/; done"
        words = [*COMMAND, what, *SMOKE, "--set", f"run={small}"]
    else:
        first, size = "true", 40_000
        words = [*COMMAND, "export", str(whole), "--to", str(small / "out"), f"--{what}", "--ungated"]
    script = f"mount -t tmpfs -o size={size} tmpfs {small} && {first} && {' '.join(words)}; "
    script += f"code=$?; find {small} -name '.*.part' >&2; ls {small} >&2; exit $code"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    if "unshare: " in done.stderr or "mount: " in done.stderr:
        pytest.skip("no user namespaces here")
    assert done.returncode == 2, done.stderr
    assert "no space left on the disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert ".part" not in done.stderr
    assert "\nout\n" not in done.stderr


def test_averaged_members(whole, tmp_path):
    """Two members become one adapter of twice the rank and one head, whose rewards are neither member's."""
    runs = {}
    for combine in ("ensemble", "average"):
        runs[combine] = run = tmp_path / combine
        shutil.copytree(whole, run, ignore=shutil.ignore_patterns("reward_model", "rl", "evaluate"))
        more = ["--set", f"run={run}", "--set", "reward_model.members=2", "--set", f"reward_model.combine={combine}"]
        kohai("reward-model", *SMOKE, *more)
    for combine, folders, members in (("ensemble", 2, 2), ("average", 1, 1)):
        folder = runs[combine] / "reward_model"
        assert len(list(folder.glob("adapter*"))) == folders
        assert load_file(folder / "head.safetensors")["scale"].numel() == members
    ranks = {
        combine: json.loads((run / "reward_model" / "adapter" / "adapter_config.json").read_text())["r"]
        for combine, run in runs.items()
    }
    assert ranks == {"ensemble": 4, "average": 8}
    scores = [json.loads((run / "reward_model" / "scores.json").read_text()) for run in runs.values()]
    assert scores[0].keys() == scores[1].keys()
    assert scores[0] != scores[1]


def test_the_robustness_benchmark(whole, tmp_path, monkeypatch):
    """One setting of it on this run: a row an arm and metric, a chart of each, and done once."""
    benchmark = load(ROOT / "benchmarks" / "robustness.py", "kohai_bench_robustness")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(benchmark, "RUN", whole)
    monkeypatch.setattr(benchmark, "FOLDER", tmp_path / "robustness")
    monkeypatch.setattr(benchmark, "NOISE", {"40 % flipped": "reward_model.flipped=0.4"})
    monkeypatch.setattr(benchmark, "MODELS", {"two": ["reward_model.members=2", "reward_model.risk=1"]})
    rows = benchmark.run()
    arms = ["best_of_n", "rlaif"]
    pairs = [f"40 % flipped, two: {arm} {metric}" for arm in arms for metric in ("executability", "effect_match")]
    assert [row.name.partition(" less SFT")[0] for row in rows if "less SFT" in row.name] == pairs
    folder = tmp_path / "robustness"
    assert len(list(folder.glob("*.svg"))) == 4
    manifest = (folder / "two-flipped-0.4" / "rl" / "manifest.json").read_text(encoding="utf-8")
    assert [row.value for row in benchmark.run()] == [row.value for row in rows]
    assert (folder / "two-flipped-0.4" / "rl" / "manifest.json").read_text(encoding="utf-8") == manifest
