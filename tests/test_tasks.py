"""Task files, prompts and fixtures."""

import json
from collections import Counter

import pytest
from typer.testing import CliRunner

import kohai
from kohai import cli, pipeline, tasks
from kohai.config import load_config
from kohai.errors import ConfigError, DataError
from kohai.records import Effect, Task, to_json
from kohai.workspace import Workspace

GOOD = {
    "id": "t1",
    "instruction": "Do it.",
    "apis": ["p.f"],
    "reference": "x = 1",
    "effect": {"state": "a", "stdout": ""},
}


def _write(folder, *lines):
    path = folder / "demo.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_load_tasks_reads_records(tmp_path):
    """One task a line, blank lines skipped, nested effect included."""
    loaded = tasks.load_tasks(_write(tmp_path, GOOD, "", {"id": "t2", "instruction": "Do."}))
    assert loaded[0] == Task("t1", "Do it.", ("p.f",), "x = 1", None, Effect("a", ""))
    assert [task.id for task in loaded] == ["t1", "t2"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"demo.jsonl:3: not JSON"),
        ({"id": "t2"}, r"demo.jsonl:3: field 'instruction' is missing"),
        (GOOD | {"colour": 1}, r"demo.jsonl:3: unknown field 'colour'"),
        (GOOD | {"id": 3}, r"demo.jsonl:3: field 'id': expected str, found 3"),
        (GOOD, r"demo.jsonl:3: field 'id': 't1' is also the task of line 1"),
        (GOOD | {"id": " "}, r"demo.jsonl:3: field 'id' is empty"),
        (GOOD | {"id": "t2", "instruction": " "}, r"demo.jsonl:3: field 'instruction' is empty"),
        (GOOD | {"id": "t2", "reference": "x ="}, r"demo.jsonl:3: field 'reference' is not Python"),
        (GOOD | {"id": "t2", "reference": "# later"}, r"demo.jsonl:3: field 'reference' has no code"),
        (GOOD | {"id": "t2", "reference": "# later\n'soon'"}, r"demo.jsonl:3: field 'reference' has no code"),
        (GOOD | {"id": "t2", "fixture": "gone.sql"}, r"demo.jsonl:3: field 'fixture': .*gone.sql does not exist"),
        (GOOD | {"id": "t2", "fixture": "../"}, r"demo.jsonl:3: field 'fixture': '../' leads out of"),
    ],
)
def test_load_tasks_names_file_line_and_field(tmp_path, line, message):
    """A mistake on line 3 (line 2 is blank) is reported as line 3."""
    with pytest.raises(DataError, match=message):
        tasks.load_tasks(_write(tmp_path, GOOD, "", line))


def test_load_tasks_cuts_at_line_ends_alone(tmp_path):
    """A text may hold what Unicode counts as the end of a line (U+2028, U+0085), raw as our own files write it."""
    task = Task("t1", "Print a\u2028b\x85c.", reference="print('a\u2028b')")
    (tmp_path / "demo.jsonl").write_text(f"{to_json(task)}\n", encoding="utf-8")
    assert tasks.load_tasks(tmp_path / "demo.jsonl") == [task]


def test_load_tasks_of_no_file_or_no_task(tmp_path):
    """A missing file, an empty one and one that isn't text each get one clear error."""
    with pytest.raises(DataError, match="cannot be read"):
        tasks.load_tasks(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="no task in it"):
        tasks.load_tasks(_write(tmp_path, ""))
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        tasks.load_tasks(tmp_path / "bytes.jsonl")


def test_prompt_text_ends_with_the_instruction():
    """Order: system, docs as given, instruction; empty parts leave no gap."""
    assert tasks.build_prompt_text(" Do X.\n", ["doc a\n", "", "doc b"], "Write.") == "Write.\n\ndoc a\ndoc b\n\nDo X."
    assert tasks.build_prompt_text("Do X.", [], "") == "Do X."


def test_prompt_text_shows_shared_facts_once():
    """Indented lines of docs are gathered below the docs, each once, plain imports of one module on one line."""
    docs = [
        "b.f(): F.\n  from p import b\n  from p.b import E (X, Y)\n  T: id",
        "a.g(): G.\n  from p import a\n  from p.b import E (X, Y)\n  T: id",
    ]
    facts = "from p import a, b\nfrom p.b import E (X, Y)\nT: id"
    assert tasks.build_prompt_text("Do X.", docs, "") == f"b.f(): F.\na.g(): G.\n\n{facts}\n\nDo X."


def test_demonstrations_are_alike_and_call_the_first_api():
    """The words of the instruction and the apis decide; itself is none, nor what does not call the first api."""
    solved = [
        Task("d1", "List the crates in the cellar.", ("p.crates",), "a"),
        Task("d2", "List the crates on the roof, then weigh each.", ("p.crates", "p.weigh"), "b"),
        Task("d3", "Weigh the barrel on the roof.", ("p.weigh",), "c"),
    ]
    found = tasks.Demonstrations(solved)
    roof = Task("t1", "Weigh each crate on the roof.")
    assert [one.id for one in found.like(roof, ["p.weigh", "p.crates"], 5)] == ["d2", "d3"]
    assert [one.id for one in found.like(roof, ["p.weigh"], 1)] == ["d2"]
    assert found.like(roof, ["p.paint", "p.weigh"], 5) == []
    assert [one.id for one in found.like(solved[2], ["p.weigh"], 5)] == ["d2"]
    assert [one.id for one in found.like(Task("t2", "cellar"), [], 1)] == ["d1"]
    assert tasks.Demonstrations([]).like(roof, ["p.weigh"], 2) == []


def test_prompt_text_with_demonstrations():
    """Between the docs and the instruction, the most alike next to it."""
    near, far = Task("d1", "Do X twice. ", (), "x()\nx()\n"), Task("d2", "Do Z.", (), "z()")
    text = tasks.build_prompt_text("Do X.", ["x(): X."], "Write.", demonstrations=[near, far])
    assert text == "Write.\n\nx(): X.\n\nExample: Do Z.\n\nz()\n\nExample: Do X twice.\n\nx()\nx()\n\nDo X."


def test_demonstrations_in_a_runs_prompts(tmp_path):
    """Of demo tasks alone, in every second demo prompt, calling the first api shown; cut before any doc where they
    would not fit.
    """

    def settings(*more):
        return [f"run={tmp_path}", "tasks.n_demo=40", "prompt.demonstrations=2", *more]

    def configuration(*more):
        return load_config("configs/smoke.yaml", settings(*more))

    def prompts(*more):
        counts = pipeline.run(configuration(*more), ["prepare"])["prepare"]["prompts_with_demonstrations"]
        found = Workspace(tmp_path).prompts()
        shown = Counter(prompt.split for prompt in found if prompt.demonstrations)
        assert {split: count for split, count in counts.items() if count} == shown
        return {prompt.task_id: prompt for prompt in found}

    ample = prompts("prompt.max_tokens=4000")
    demo = {task.id: task for task in Workspace(tmp_path).read_records(Task, "prepare/tasks/demo.jsonl")}
    in_demo = [bool(ample[name].demonstrations) for name in demo]
    assert not any(in_demo[1::2])
    assert sum(in_demo[::2]) > 10
    for prompt in ample.values():
        assert prompt.task_id not in prompt.demonstrations
        for name in prompt.demonstrations:
            assert prompt.apis[0] in demo[name].apis
            assert demo[name].reference.strip() in prompt.text
    assert any(prompt.demonstrations for prompt in ample.values() if prompt.split == "test")
    least = max(prompt.n_tokens for prompt in prompts("prompt.demonstrations=0", "prompt.max_tokens=4000").values())
    tight = prompts(f"prompt.max_tokens={least}")
    assert [prompt.apis for prompt in tight.values()] == [prompt.apis for prompt in ample.values()]
    assert sum(len(prompt.demonstrations) for prompt in tight.values()) < sum(
        len(prompt.demonstrations) for prompt in ample.values()
    )
    test = Workspace(tmp_path).read_records(Task, "prepare/tasks/test.jsonl")[0]
    overrides = [part for one in settings(f"prompt.max_tokens={least}") for part in ("--set", one)]
    printed = CliRunner().invoke(cli.app, ["prompt", "configs/smoke.yaml", test.instruction, *overrides])
    assert printed.stdout == tight[test.id].text + "\n"
    with pytest.raises(ConfigError, match="names no apis"):
        kohai.prompt(configuration("prompt.docs=oracle"), test.instruction)
    with pytest.raises(DataError, match="its instruction alone takes"):
        kohai.prompt(configuration(), "Go on. " * 900)
    with pytest.raises(DataError, match="the instruction is empty"):
        kohai.prompt(configuration(), " ")


def test_gorillas_layout():
    """The instruction, behind it each doc as Gorilla's retriever puts it, no system line where there is none."""
    text = tasks.build_prompt_text(" Do it. ", ['{"api_call": "f()"}'], "", "gorilla")
    assert text == 'Do it.\nUse this API documentation for reference: {"api_call": "f()"}'
    assert tasks.build_prompt_text("Do it.", [], "Write Python.", "gorilla") == "Write Python.\nDo it."
