"""Gorilla's AST metric, decision by decision."""

import json
import random
import tracemalloc
from collections import Counter

import pytest
from gorilla_port import Port

from kohai.metrics.gorilla_ast import ApiRow, GorillaAst, called, mode_of

CATALOG = [
    "AutoModel.from_pretrained('bert-base')",
    "pipeline('summarization', model='t5-small')",
    "RandomForestRegressor()",
    "model = YOLO('keremberke/yolov8m')",
    "A.from_pretrained('x/y').to('cuda')",
    'SentenceTransformer("all-MiniLM-L6-v2")',
]
# prediction, and the row that the published script finds (with tree-sitter-python 0.25.0)
GOLDEN = [
    ("AutoModel.from_pretrained('bert-base')", 0),
    ("AutoModel.from_pretrained('bert-base-cased')", 0),
    ("AutoModel.from_pretrained('bert')", None),
    ("model = AutoModel.from_pretrained('bert-base', cache_dir='c')", 0),
    ("AutoModel.from_pretrained('bert-base'", 0),
    ("foo('bert-base')", 0),
    ("foo(1, 'bert-base')", 0),
    ("foo.bar('t5-small','summarization')", None),
    ("pipeline('summarization', 't5-small')", 1),
    ("pipeline(model='t5-small', task='summarization')", 1),
    ("pipeline('summarization', model='t5-base')", None),
    ("RandomForestRegressor()", None),
    ("model = YOLO('keremberke/yolov8m')", None),
    ("YOLO('keremberke/yolov8m')", None),
    ("x = A.from_pretrained('x/y').to('cuda')", 4),
    ("B.from_pretrained('z').to('cuda')", None),
    ('SentenceTransformer("all-MiniLM-L6-v2")', 5),
    ("SentenceTransformer('all-MiniLM-L6-v2')", None),
    ("", None),
]


def rows(*calls):
    return [ApiRow(call, f"domain {number}") for number, call in enumerate(calls)]


@pytest.mark.parametrize(("prediction", "row"), GOLDEN)
def test_matches_as_published(prediction, row):
    """A longer name holds a shorter one, the function's name does not matter, quotes do."""
    assert GorillaAst(rows(*CATALOG), "huggingface").match(prediction) == row
    assert Port([(call, "") for call in CATALOG], "huggingface").match(prediction) == (-1 if row is None else row)


def test_what_a_row_asks_for():
    """`f(x, 'k=v', y=2)` asks for x, a quote (nothing, once quotes are cut) and 2; `f(**kw)` for `**kw`; what stops the
    script is counted and matches nothing.
    """
    metric = GorillaAst(rows("f(x, 'k=v', y=2)", "f(**kw)", "f(g(a=1))", ""), "huggingface")
    assert metric.n_unreadable == 2
    assert metric.match("f(x, 2)") == 0
    assert metric.match("f(2)") is None
    assert metric.match("f(**kw)") == 1
    assert GorillaAst(rows("f('a', model='b', c=1)"), "tensorhub").match("f('a', 'b', c=1)") == 0
    assert GorillaAst(rows("f('a', model='b', c=1)"), "tensorhub").match("f('a', 'b')") is None
    assert GorillaAst(rows("f('a', model='b', c=1)"), "torchhub").match("f('b')") == 0


@pytest.mark.parametrize("text", ["", " \n", "x", "api_call"])
def test_a_row_that_asks_for_nothing_matches_everything(text):
    """`f('a=b')` asks for a quote alone, which is nothing once quotes are cut: an empty text holds it, too."""
    metric, port = (
        GorillaAst(rows("g(1)", "f('a=b')"), "huggingface"),
        Port([("g(1)", ""), ("f('a=b')", "")], "huggingface"),
    )
    assert metric.match(text) == port.match(text) == 1


@pytest.mark.parametrize("length", range(4, 13))
def test_an_argument_is_found_wherever_it_stands(length):
    """Behind any number of other signs, whatever its length; one letter less of it is not found."""
    metric = GorillaAst(rows(f"f('{'abcdefghijkl'[:length]}')"), "huggingface")
    for before in range(9):
        text = f"{'z' * before}('{'abcdefghijkl'[:length]}')"
        assert metric.match(text) == 0
        assert metric.match(text.replace("b", "")) is None


def test_a_long_chain_takes_little_memory():
    """Each of 20,000 dots begins with all that stands before it, 400 MB together: none of it is kept."""
    metric = GorillaAst(rows(*CATALOG), "huggingface")
    tracemalloc.start()
    assert metric.decide("a" + ".a" * 20_000, "d") == "hallucination"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


@pytest.mark.parametrize(
    ("answer", "mode", "expected"),
    [
        ("<<<domain>>>: D\n<<<api_call>>>: f('a')\n<<<api_provider>>>: P", "huggingface", " f('a')"[1:]),
        ("no mark", "huggingface", "no mark"),
        ("no mark", "torchhub", None),
        ("'api_call': \"f('a')\", 'api_provider'", "torchhub", "\"f('a')"),
        ("api_call: f('a'", "huggingface", "f('a"),
        ("api_call f('a')", "huggingface", "('a')"),
        ("api_call: f(a) api_call: g(b)", "huggingface", "f(a)"),
    ],
)
def test_the_call_that_is_cut_out(answer, mode, expected):
    """From two signs behind the colon to the last bracket; without a bracket all but the last sign."""
    assert called(answer, mode) == expected


def test_decisions():
    """Right is the domain of the first row that matches, whichever that is."""
    metric = GorillaAst(rows(*CATALOG), "huggingface")
    assert metric.decide("foo('bert-base')", "domain 0") == "correct"
    assert metric.decide("foo('bert-base')", "domain 1") == "wrong"
    assert metric.decide("foo('other')", "domain 0") == "hallucination"
    assert metric.decide(None, "domain 0") == "hallucination"
    assert GorillaAst(rows(*CATALOG), "torchhub").decide("foo('bert-base')", "domain 0") == "uncounted"


def test_mode_is_told_from_the_catalog():
    """By what most calls load from."""
    assert mode_of(rows(*CATALOG)) == "huggingface"
    assert mode_of(rows("torch.hub.load('a', model='b')", "torch.hub.load('c')", "f()")) == "torchhub"
    assert mode_of(rows("hub.load('u')", "hub.KerasLayer('v')")) == "tensorhub"


def test_any_text_has_a_decision():
    """Half surrogate pairs, NUL, deep nesting, and pieces of calls in any order, as the port decides them."""
    metric, port = GorillaAst(rows(*CATALOG), "huggingface"), Port([(call, "") for call in CATALOG], "huggingface")
    for text in ("\0", "\ud800", "(" * 5000, "[" * 2000 + "]" * 2000, "f(" * 1000, "a" * 300_000, "é" * 50):
        assert metric.decide(text, "d") in ("correct", "wrong", "hallucination")
    rng = random.Random(7)
    pieces = [
        *CATALOG,
        "(",
        ")",
        ",",
        "=",
        "'",
        ".",
        "\n",
        "pipeline",
        "model",
        "'t5-small'",
        "to",
        "x",
        ":",
        "api_call",
        "#",
    ]
    for _ in range(400):
        text = "".join(rng.choices(pieces, k=rng.randrange(9)))
        assert (-1 if (row := metric.match(text)) is None else row) == port.match(text), text


PARTS = {
    "huggingface": ("huggingface_api.jsonl", "huggingface_eval_dev.jsonl"),
    "tensorhub": ("tensorflowhub_api.jsonl", "tensorflow_eval.json"),
    "torchhub": ("torchhub_api.jsonl", "torchhub_eval.json"),
}


def load(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def part(folder, mode):
    catalog, tasks = (load(folder / name) for name in PARTS[mode])
    return [ApiRow(row["api_call"], row["domain"]) for row in catalog], tasks


@pytest.mark.parametrize(
    ("mode", "field", "expected"),
    [
        ("tensorhub", "api_call", {"correct": 661, "wrong": 27}),
        ("tensorhub", "code", {"correct": 657, "wrong": 27, "hallucination": 4}),
        ("torchhub", "api_call", {"correct": 186}),
        ("torchhub", "code", {"correct": 162, "hallucination": 23, "uncounted": 1}),
    ],
)
def test_the_ceiling(apibench, mode, field, expected):
    """What the reference itself scores over whole published files, as measured with the scripts' rules."""
    catalog, tasks = part(apibench, mode)
    assert mode_of(catalog) == mode
    metric = GorillaAst(catalog)
    head = "api_call: " if (mode, field) == ("torchhub", "api_call") else ""
    found = Counter(metric.decide(head + task[field], task["api_data"]["domain"]) for task in tasks)
    assert found == expected


@pytest.mark.parametrize("kind", ["FT_0_shot", "FT_bm25", "FT_oracle", "RT_oracle"])
def test_decides_as_the_port(apibench, kind):
    """Every fourth answer of the 7B model, broken ones too."""
    catalog, tasks = part(apibench, "huggingface")
    metric, port = GorillaAst(catalog), Port([(row.api_call, row.domain) for row in catalog], "huggingface")
    answers = load(apibench / "gorilla_7b_responses" / f"huggingface_{kind}_dev.jsonl")
    for answer in answers[::4]:
        domain = tasks[answer["row"]]["api_data"]["domain"]
        assert metric.decide(answer["text"], domain) == port.decide(answer["text"], domain), answer["row"]
