"""APIBench's files in the shapes in which they were published."""

import json
from collections import Counter

import pytest

from kohai import code
from kohai.errors import DataError
from kohai.tasks.apibench import answer_code, is_apibench, read_answers, read_docs, read_tasks, without_row

CALL = "torch.hub.load('a/b', 'm', pretrained=True)"
SHAPES = [
    "###Instruction: Do it.\n###Output: <<<domain>>>: D\n<<<api_call>>>: f('x')\n<<<api_provider>>>: P\n"
    "<<<explanation>>>:1. Why.\n<<<code>>>: import x\nf('x')\n",
    "### Instruction: Do it.\n###Input: \"text\"\n### Output: <<<domain>>>: D, <<<api_call>>>: f('x'), "
    "<<<api_provider>>>: P, <<<explanation>>>: Why.<<<code>>>: ```python\nimport x\nf('x')\n```",
]
TORCH_SHAPES = [
    f"###Instruction: Do it.\n###Output: {{'domain': 'D', 'api_call': '{CALL}', 'code': 'import torch\nx = {CALL}'}}\n",
    f"{{'Instruction': Do it., 'Output': {{'api_call': \"{CALL}\", 'code': \"import torch\nx = {CALL}\"}}}}",
    "{'Instruction': Do it., 'Output': {'api_call': 'y', 'code': 'import torch\\nx = "
    + CALL.replace("'", "\\'")
    + "'}}",
]


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def record(text, call="f('x')", provider="Hugging Face"):
    return {"code": text, "api_call": call, "provider": provider, "api_data": {"domain": "D", "api_call": call}}


@pytest.mark.parametrize("text", SHAPES)
def test_marked_shapes(tmp_path, text):
    """Parts on lines of their own or behind commas, an input, a fence around the code."""
    [task], problems = read_tasks(write(tmp_path / "t.json", record(text)))
    assert problems == []
    assert task.instruction.startswith("Do it.")
    assert (task.id, task.part, task.domain, task.api_call) == ("huggingface/0", "huggingface", "D", "f('x')")
    assert task.code == "import x\nf('x')"


@pytest.mark.parametrize("text", TORCH_SHAPES)
def test_what_looks_like_a_dictionary(tmp_path, text):
    """Its quotes are not escaped, or doubly."""
    [task], problems = read_tasks(write(tmp_path / "t.json", record(text, CALL, "PyTorch")))
    assert problems == []
    assert (task.part, task.instruction, task.code) == ("torchhub", "Do it.", f"import torch\nx = {CALL}")


def test_what_is_missing_is_told(tmp_path):
    """Each irregular record is kept, with file, line and reason."""
    path = write(
        tmp_path / "t.json",
        record(SHAPES[0]),
        record("###Instruction: Do it."),
        record("###Instruction: Do it.\n###Output: Done."),
        record("###Instruction: Do it.\n###Output: <<<model>>>: m\n<<<explanation>>>: e\n<<<code>>>: !pip install x"),
        record("Do it."),
    )
    tasks, problems = read_tasks(path)
    assert [task.row for task in tasks] == [0, 1, 2, 3, 4]
    assert [task.code for task in tasks] == ["import x\nf('x')", None, None, "!pip install x", None]
    assert [(problem.line, problem.reason) for problem in problems] == [
        (2, "no output"),
        (3, "no domain, api_call, api_provider, explanation, code"),
        (4, "no domain, api_call, api_provider"),
        (4, "the code is not Python"),
        (5, "no mark of an instruction"),
        (5, "no output"),
    ]
    assert {problem.file for problem in problems} == {str(path)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"t\.json:1: not JSON"),
        ("[1]", r"t\.json:1: expected an object, found list"),
        ('{"id": "t", "instruction": "i"}', r"t\.json:1: field 'code' is missing; this is no such file"),
        ('{"code": 1, "api_call": "f()", "api_data": {}}', r"t\.json:1: field 'code': expected a text, found int"),
        ("", "no record in it"),
    ],
)
def test_other_files(tmp_path, content, message):
    """One clear error."""
    path = tmp_path / "t.json"
    path.write_text(content)
    assert is_apibench(path) == ("api_data" in content)
    with pytest.raises(DataError, match=message):
        read_tasks(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_tasks(tmp_path / "nothing")


def test_answers(tmp_path):
    """By `row` from 0, or by `question_id` from 1; a task that is not there is told."""
    path = write(tmp_path / "a", {"row": 1, "text": "x"}, {"question_id": 1, "text": "y"}, {"row": 0, "text": None})
    assert [(answer.row, answer.text) for answer in read_answers(path, 2)] == [(1, "x"), (0, "y"), (0, "")]
    for bad in ({"text": "x"}, {"row": 2, "text": "x"}, {"row": True, "text": "x"}, {"row": 0, "text": 1}, {"row": 0}):
        with pytest.raises(DataError, match=r"a:1: field"):
            read_answers(write(tmp_path / "a", bad), 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<<<<<<<code>>>>: import x\nx.f('a')", "import x\nx.f('a')"),
        ("1. First.\\n<<<code>>>: import x\\nx.f('a')", "import x\nx.f('a')"),
        ('<<<code>>>: import x\\nx.f(\\"a\\")"', 'import x\nx.f("a")'),
        (f"{{'domain': 'D', 'api_call': '{CALL}', 'code': 'import torch\nx = {CALL}'}}", f"import torch\nx = {CALL}"),
        ("Sure:\n```python\nimport x\n```\nDone.", "import x"),
        ("import x\nprint('\\n')", "import x\nprint('\\n')"),
        ("", ""),
    ],
)
def test_the_code_of_an_answer(text, expected):
    """Behind its mark, in what looks like a dictionary, in a fence, or all of it; escapes only where they are none."""
    assert answer_code(text) == expected


FILES = {  # records, with code, of them Python
    "tensorflow_eval.json": (688, 675, 668),
    "torchhub_eval.json": (186, 185, 183),
    "torchhub_train.json": (837, 835, 832),
    "huggingface_eval_dev.jsonl": (574, 561, 552),
}


@pytest.mark.parametrize("name", FILES)
def test_published_tasks(apibench, name):
    """How many records have code, and how much of it is Python, once blanks, fences and escapes are undone."""
    tasks, problems = read_tasks(apibench / name)
    codes = [task.code for task in tasks if task.code is not None]
    assert (len(tasks), len(codes), sum(code.parse(text) is not None for text in codes)) == FILES[name]
    assert len({task.part for task in tasks}) == 1
    assert all(task.instruction for task in tasks)
    told = {problem.line for problem in problems}
    assert all(task.row + 1 in told for task in tasks if task.code is None or code.parse(task.code) is None)


def test_published_docs(apibench):
    """Rows, different calls, and the rows whose call is no Python; development tasks whose api no row has."""
    docs, problems = read_docs(apibench / "huggingface_api.jsonl")
    reasons = Counter(problem.reason.partition(":")[0] for problem in problems)
    assert (len(docs), len({doc.api_call for doc in docs})) == (936, 895)
    assert reasons == {"not a Python call": 15, "the call stands in an earlier row too": 936 - 895}
    assert all(doc.text and isinstance(doc.example_code, str) for doc in docs)
    tasks, _ = read_tasks(apibench / "huggingface_eval_dev.jsonl")
    assert len(without_row(tasks, docs)) == 54
