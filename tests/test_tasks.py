"""Task files, prompts and fixtures."""

import json

import pytest

from kohai import tasks
from kohai.errors import DataError
from kohai.records import Effect, Task

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
        (GOOD | {"id": "t2", "fixture": "gone.sql"}, r"demo.jsonl:3: field 'fixture': .*gone.sql does not exist"),
        (GOOD | {"id": "t2", "fixture": "../"}, r"demo.jsonl:3: field 'fixture': '../' leads out of"),
    ],
)
def test_load_tasks_names_file_line_and_field(tmp_path, line, message):
    """A mistake on line 3 (line 2 is blank) is reported as line 3."""
    with pytest.raises(DataError, match=message):
        tasks.load_tasks(_write(tmp_path, GOOD, "", line))


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


def test_gorillas_layout():
    """The instruction, behind it each doc as Gorilla's retriever puts it, no system line where there is none."""
    text = tasks.build_prompt_text(" Do it. ", ['{"api_call": "f()"}'], "", "gorilla")
    assert text == 'Do it.\nUse this API documentation for reference: {"api_call": "f()"}'
    assert tasks.build_prompt_text("Do it.", [], "Write Python.", "gorilla") == "Write Python.\nDo it."
