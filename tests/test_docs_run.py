"""Runs on docs in place of a package, and on other architectures: every stage, with tiny random models."""

import json
from pathlib import Path

import pytest
import tiny_models
from chat_server import chat

from kohai import pipeline
from kohai.config import Config, ModelConfig, load_config
from kohai.errors import ConfigError, DataError
from kohai.judge.rubric import load_rubric
from kohai.models.base import load_base
from kohai.records import Evaluation, Feedback, Task
from kohai.stages.judges import of_others
from kohai.stages.prepare import detectable
from kohai.workspace import Workspace

ROOT = Path(__file__).parent.parent
CALLS = ["statistics.mean([1, 2])", "json.dumps('a')", "math.sqrt(4)", "textwrap.dedent(' a')"]


def row(call):
    """The docs of a call."""
    return {"domain": "D", "api_call": call, "api_name": call, "description": f"About {call.partition('.')[2]}"}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def small(tmp_path):
    """A configuration of four documented calls, all of whose references run."""
    write(tmp_path / "docs.jsonl", map(row, CALLS))
    counts = {"demo": 4, "practice": 3, "dev": 8, "test": 3, "test_unseen": 1}
    for split, count in counts.items():
        tasks = [(n, CALLS[n % 4]) for n in range(count)]
        write(
            tmp_path / f"{split}.jsonl",
            [
                {
                    "id": f"{split}/{n}",
                    "instruction": f"Case {n} of {split}: use {call.partition('(')[0]}",
                    "apis": [call],
                    "reference": f"import {call.partition('.')[0]}\nprint({call})",
                }
                for n, call in tasks
            ],
        )

    def config(*overrides: str) -> Config:
        paths = [f"run={tmp_path / 'run'}", f"tasks.folder={tmp_path}", f"package={{docs: {tmp_path / 'docs.jsonl'}}}"]
        counts = ["tasks.n_demo=null", "tasks.n_practice=null", "tasks.n_test=null", "tasks.state=null"]
        plain = ["sandbox.image=plain", "model.threads=1", "model.dtype=float32", "feedback.bench.n_tasks=0"]
        return load_config(ROOT / "configs" / "smoke.yaml", [*paths, *counts, *plain, *overrides])

    config.folder = tmp_path
    return config


@pytest.mark.parametrize(
    ("overrides", "shown"),
    [
        (["prompt.k=1"], 1),
        (["prompt.docs=oracle"], 1),
        (["prompt.docs=none"], 0),
        (["prompt.docs=oracle", "prompt.layout=gorilla", "model.chat=gorilla"], 1),
    ],
)
def test_prompts(small, overrides, shown):
    """Each mode's docs: what BM25 finds, the task's own, none; a demo prompt holds its own api's, if any."""
    config = small(*overrides)
    report = pipeline.run(config, ["prepare"])["prepare"]
    prompts = Workspace(config.run).prompts()
    assert {len(prompt.apis) for prompt in prompts} == {shown}
    assert report["apis"] == 4
    assert report["retrieval_recall"]["demo"] == shown
    n_tested = {split: report["tasks"][split] for split in config.tasks.test_splits}
    assert report["detectable_rise"] == {split: detectable(n) for split, n in n_tested.items()}
    if "prompt.docs=oracle" in overrides:
        assert set(report["retrieval_recall"].values()) <= {1, None}  # None: a split without tasks
    text = next(prompt.text for prompt in prompts if prompt.task_id == "demo/0")
    assert ("About mean([1, 2])" in text) == bool(shown)
    base = load_base(config.model)
    rendered = base.tokenizer.decode(base.render(text))
    if config.model.chat == "gorilla":
        assert rendered.startswith(f"###Instruction: {config.prompt.system}\nCase 0 of demo")
        assert rendered.endswith("\n###Output:")
    else:
        assert rendered.startswith("<|im_start|>user\n")


def test_a_model_that_is_too_short(small):
    """One error before anything is trained."""
    with pytest.raises(DataError, match=r"model tiny-random: the longest prompt has .* 4096 positions"):
        pipeline.run(small("sample.max_new_tokens=4050"), ["prepare"])


def test_the_wrong_programs_of_the_reviewer():
    """Another api's reference, of the next task; where all tasks are of one api there is none."""
    tasks = [Task(str(n), f"Case {n}", (api,), f"print({n})") for n, api in enumerate("aab")]
    right, wrong = of_others(tasks)
    assert right == [("Case 0", "print(0)"), ("Case 1", "print(1)"), ("Case 2", "print(2)")]
    assert wrong == [("Case 1", "print(2)"), ("Case 2", "print(0)")]
    assert of_others(tasks[:2])[1] == []


def test_either_a_package_or_docs(small):
    """Both, or none, is one mistake."""
    for override in ("package={path: x, docs: y}", "package={}"):
        with pytest.raises(ConfigError, match="package: expected either `path`"):
            small(override)
    with pytest.raises(ConfigError, match=r"feedback.reviewer.n_mutants: mutants need signatures"):
        small("feedback.reviewer.n_mutants=4")
    with pytest.raises(ConfigError, match=r"evaluate.answers.sft: expected a name"):
        small("evaluate.answers={sft: x.jsonl}")


@pytest.mark.slow
def test_every_stage(small):
    """To the report, whose table has an arm that was made elsewhere, on the tasks that it answered, and its pairs."""
    write(small.folder / "theirs.jsonl", [{"row": n, "text": f"<<<code>>>: import math\nprint({n})"} for n in (0, 2)])
    config = small(f"evaluate.answers={{theirs: {small.folder / 'theirs.jsonl'}}}", "reward_model.mutants=false")
    reports = pipeline.run(config)
    assert reports["evaluate"]["answered_elsewhere"] == {"theirs": 3}  # rows 0 and 2 of test, row 0 of test_unseen
    report = json.loads((config.run / "report" / "report.json").read_text(encoding="utf-8"))
    theirs = report["arms"]["theirs"]["test"]
    assert (theirs["executability"]["n"], theirs["executability"]["value"]) == (2, 1.0)
    assert (theirs["hallucinated_api"]["value"], theirs["exact_api"]["value"]) == (1.0, 0.0)
    assert report["reference"]["test"]["exact_api"]["value"] == 1.0
    assert report["reference"]["test"]["hallucinated_api"]["value"] == 0.0
    assert report["paired"]["rlaif-theirs"]["test"]["executability"]["n"] == 2
    page = (config.run / "report" / "index.html").read_text(encoding="utf-8")
    assert "theirs" in page
    assert "Gorilla AST" in page


def save_tiny(architecture, folder):
    """A tiny random model and its tokenizer in a folder, as from a hub."""
    base = tiny_models.tiny_base(architecture)
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["gpt2", "qwen2", "qwen3"])
def test_every_stage_of_an_architecture(small, architecture):
    """A model of another architecture, read from a folder, goes through all stages; Llama's does elsewhere."""
    folder = save_tiny(architecture, small.folder / "model")
    config = small(
        f"model.name={folder}", "model.chat=gorilla", "prompt.docs=none", "prompt.layout=gorilla",
        "feedback.judges=[yes_no]", "reward_model.mutants=false",
        "rl.sampling.max_new_tokens=12", "sample.max_new_tokens=12",
    )  # fmt: skip
    assert load_base(ModelConfig(name=str(folder))).model.config.model_type == architecture
    pipeline.run(config)
    workspace = Workspace(config.run)
    arms = {evaluation.arm for evaluation in workspace.read_records(Evaluation, "evaluate/evaluations.jsonl")}
    assert arms == {"base", "sft", "best_of_n", "rejection_sft", "dpo", "rl_execution", "rlaif", "rlaif_best_of_n"}


@pytest.mark.slow
def test_the_papers_own_arm(small, serve, monkeypatch):
    """`configs/paper.yaml` comes to its report with a tiny GPT-2; an endpoint answers all eight questions in a call."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("KOHAI_JUDGE_KEY", "a-key")
    questions = [criterion.id for criterion in load_rubric(ROOT / "configs" / "paper-rubric.yaml").criteria]

    def script(number, body):
        answers = {
            name: {"reason": "so", "answer": "yes" if (number + n) % 3 else "no"} for n, name in enumerate(questions)
        }
        return 200, chat(json.dumps(answers), usage=(100, 10))

    server = serve(script)
    config = load_config(
        ROOT / "configs" / "paper.yaml",
        [
            f"run={small.folder / 'run'}", f"tasks.folder={small.folder}",
            f"package.docs={small.folder / 'docs.jsonl'}", "sandbox.image=plain", "sandbox.catalogue=null",
            "tasks.n_probe=0",
            f"model.name={save_tiny('gpt2', small.folder / 'model')}", "model.threads=1", "model.dtype=float32",
            "sample.max_new_tokens=12", "rl.sampling.max_new_tokens=12", "rl.steps=2", "rl.gates=[]",
            f"feedback.endpoints.judge.base_url={server.url}", "evaluate.n_best=2", "evaluate.resamples=200",
        ],
    )  # fmt: skip
    pipeline.run(config)
    workspace = Workspace(config.run)
    feedback = workspace.read_records(Feedback, "feedback/feedback.jsonl")
    assert len(feedback) == 3 * config.sample.n
    for item in feedback:
        assert [verdict.criterion for verdict in item.verdicts] == questions
        assert {verdict.answerer for verdict in item.verdicts} == {"judge"}
    assert all(all(name in body["messages"][1]["content"] for name in questions) for body in server.requests)
    report = json.loads((config.run / "report" / "report.json").read_text(encoding="utf-8"))
    assert set(report["arms"]) == set(config.evaluate.arms)


def test_what_so_many_tasks_can_show():
    """As `detectable_rise` from a half; three tasks show nothing."""
    assert detectable(337) == pytest.approx(0.1075, abs=1e-4)
    assert detectable(3) is None
