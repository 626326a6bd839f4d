"""APIBench's published files dealt into the task files of a run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kohai.cli import app
from kohai.code import parse
from kohai.errors import DataError
from kohai.published import DEALT, dealt, own_tasks, write_tasks
from kohai.records import Execution
from kohai.stages.evaluate import metrics
from kohai.tasks import apibench as apibench_files
from kohai.tasks import load_tasks

SPLITS = ("demo", "practice", "dev", "test", "test_unseen")


def record(number, api, code="import statistics\nprint(statistics.mean([1]))"):
    """One line of an evaluation file of the HuggingFace part."""
    call = f"pipeline('ner', model='{api}')"
    text = (
        f"###Instruction: Do thing {number}.\n###Output: <<<domain>>>: D\n<<<api_call>>>: {call}\n"
        f"<<<api_provider>>>: P\n<<<explanation>>>: E\n<<<code>>>: {code}"
    )
    return {"code": text, "api_call": call, "provider": "Hugging Face Transformers", "api_data": {"domain": "D"}}


def doc(api, example="x = 1\nprint(x)"):
    """One row of its docs."""
    call = f"pipeline('ner', model='{api}')"
    return {"domain": "D", "api_call": call, "api_name": api, "description": f"About {api}", "example_code": example}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Sixty tasks of twenty apis; the docs lack one of them."""
    write(tmp_path / "huggingface_eval.json", [record(n, f"a/{n % 20}") for n in range(60)])
    write(tmp_path / "huggingface_api.jsonl", [doc(f"a/{n}") for n in range(19)])
    return tmp_path


def read(folder):
    return {name: load_tasks(folder / f"{name}.jsonl") for name in SPLITS}


def test_one_file_is_dealt(folder, tmp_path):
    """All tasks, each once; an api of `test_unseen` in no other split; the same files for the same seed."""
    report = write_tasks(folder, tmp_path / "tasks")
    splits = read(tmp_path / "tasks")
    assert report["tasks"] == {name: len(splits[name]) for name in splits}
    assert (report["without_reference"], report["without_docs"]) == (0, 3)
    ids = [task.id for tasks in splits.values() for task in tasks]
    assert sorted(ids) == sorted(f"huggingface_eval/{n}" for n in range(60))
    unseen = {task.apis for task in splits["test_unseen"]}
    assert unseen
    assert not unseen & {task.apis for name in SPLITS[:-1] for task in splits[name]}
    before = {name: (tmp_path / "tasks" / f"{name}.jsonl").read_bytes() for name in SPLITS}
    write_tasks(folder, tmp_path / "tasks")
    assert before == {name: (tmp_path / "tasks" / f"{name}.jsonl").read_bytes() for name in SPLITS}
    write_tasks(folder, tmp_path / "other", seed=1)
    assert before["demo"] != (tmp_path / "other" / "demo.jsonl").read_bytes()


def test_a_training_file_is_learned_from(folder, tmp_path):
    """The evaluation file is tested on, but for instructions that the training file has; new apis are unseen."""
    write(folder / "huggingface_train.json", [record(n, f"a/{n % 10}") for n in range(50, 90)])
    write_tasks(folder, tmp_path / "tasks")
    splits = read(tmp_path / "tasks")
    assert {task.id.partition("/")[0] for name in ("demo", "practice") for task in splits[name]} == {
        "huggingface_train"
    }
    tested = [task for name in SPLITS[2:] for task in splits[name]]
    assert sorted(int(task.id.partition("/")[2]) for task in tested) == list(range(50))
    assert {task.apis[0] for task in splits["test_unseen"]} == {
        f"pipeline('ner', model='a/{n}')" for n in range(10, 20)
    }


def test_what_teaches_nothing_is_practice(folder, tmp_path):
    """References that are no program, or fail by their own fault where they are run, leave `demo`; examples that run
    join it, those of unseen apis and those that fail do not.
    """
    codes = ["def (", "# nothing\n'at all'", "print(unknown)", "print(1)"]
    write(folder / "huggingface_eval.json", [record(n, f"a/{n % 20}", codes[n % 4]) for n in range(60)])
    docs = [doc(f"a/{n}", f"x = {n}\nprint(x{'' if n % 2 else ' + y'})") for n in range(20)]
    write(folder / "huggingface_api.jsonl", docs)
    plain = write_tasks(folder, tmp_path / "tasks")
    assert plain["without_reference"] == 30
    assert {task.reference for task in read(tmp_path / "tasks")["demo"]} == {"print(unknown)", "print(1)"}
    report = write_tasks(folder, tmp_path / "tasks", image="plain")
    splits = read(tmp_path / "tasks")
    examples = [task for task in splits["demo"] if task.id.startswith("docs/")]
    assert {task.reference for task in splits["demo"] if task not in examples} == {"print(1)"}
    assert report["kinds"]["demo"]["unbound_name"] == plain["tasks"]["demo"] - report["kinds"]["demo"]["ok"]
    assert examples
    assert all(int(task.id.partition("/")[2]) % 2 for task in examples)
    assert not {task.apis for task in examples} & {task.apis for task in splits["test_unseen"]}
    assert len(splits["demo"]) + len(splits["practice"]) == plain["tasks"]["demo"] + plain["tasks"]["practice"] + len(
        examples
    )


def test_shares():
    """Groups stay whole, sets come out within half a group of their share, and order does not matter."""
    items = [f"{n % 50}" for n in range(1000)]
    sets = dealt(items, DEALT, 3, lambda item: item)
    assert {name: len(found) for name, found in sets.items()} == pytest.approx(
        {name: 1000 * share for name, share in DEALT.items()}, abs=20
    )
    again = dealt(items[::-1], DEALT, 3, lambda item: item)
    assert {name: set(found) for name, found in sets.items()} == {name: set(found) for name, found in again.items()}


def test_files_that_are_not_there(tmp_path):
    """One error that names what is expected; on the command line a part that is none is told."""
    with pytest.raises(
        DataError, match=r"huggingface_eval.json or huggingface_eval_dev.jsonl and huggingface_api.jsonl"
    ):
        write_tasks(tmp_path, tmp_path / "tasks")
    found = CliRunner().invoke(app, ["data", "apibench", "--to", str(tmp_path), "--part", "x"])
    assert found.exit_code != 0


PUBLISHED = {"huggingface": (574, 24, 54), "torchhub": (1023, 8, 0), "tensorhub": (688, 20, 0)}


@pytest.mark.parametrize("part", PUBLISHED)
def test_published_files(apibench, tmp_path, part):
    """Every task of the published files is in one split, in each part."""
    report = write_tasks(apibench, tmp_path, part)
    found = (sum(report["tasks"].values()), report["without_reference"], report["without_docs"])
    assert found == PUBLISHED[part]
    assert all(len(load_tasks(tmp_path / f"{name}.jsonl")) == n for name, n in report["tasks"].items() if n)
    if part == "torchhub":  # every api of its evaluation part is trained on
        assert not (tmp_path / "test_unseen.jsonl").exists()


def test_a_text_is_no_program(apibench):
    """Row 107's code is a comment and a string: the task has no reference, and CodeBLEU to such a one is unscored."""
    published = apibench_files.read_tasks(apibench / "huggingface_eval_dev.jsonl")[0][107]
    assert parse(published.code).body
    task = own_tasks(apibench / "huggingface_eval_dev.jsonl")[107]
    assert (task.id, task.reference) == ("huggingface_eval_dev/107", None)
    ran = Execution(kind="ok", blame="none")
    found = metrics(replace(task, reference=published.code), "print(1)", ran, lambda code, task: {})
    assert (found["codebleu"], found["executability"]) == (None, True)


def test_own_tasks(folder):
    """Ids name file and row; the api is the call in one spelling."""
    first = own_tasks(folder / "huggingface_eval.json")[0]
    assert (first.id, first.instruction) == ("huggingface_eval/0", "Do thing 0.")
    assert first.apis == ("pipeline('ner', model='a/0')",)
