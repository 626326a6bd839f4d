"""APIs known by docs alone: whether a program calls the one that a row names; the docs found, shown and checked by."""

import json

import pytest

from kohai.catalog import Catalog, Retriever, render
from kohai.catalog.calls import HubCall, HubCatalog, hub_match, wanted_call
from kohai.metrics.documented import DocumentedMetrics
from kohai.records import Task
from kohai.tasks.apibench import api_id, as_catalog, read_docs
from kohai.verify import check

PATH = "pretrained_model_name_or_path"
YES, VALUES, NAMES, NO = (True, True, True), (True, True, False), (True, False, False), (False, False, False)


@pytest.mark.parametrize(
    ("api_call", "name", "arguments"),
    [
        ("AutoModel.from_pretrained('a/b')", "AutoModel.from_pretrained", {PATH: "a/b"}),
        ("AutoModel.from_pretrained('a/b').", "AutoModel.from_pretrained", {PATH: "a/b"}),
        ("A.from_pretrained('x/y').to('cuda')", "A.from_pretrained", {PATH: "x/y"}),
        ("model = YOLO('k/v8')", "YOLO", {"0": "k/v8"}),
        ("pipeline('ner', model=\"a/b\", device=0)", "pipeline", {"task": "ner", "model": "a/b"}),
        ("B.from_pretrained(stabilityai/sd-x2)", "B.from_pretrained", {PATH: "stabilityai/sd-x2"}),
        ("torch.hub.load(repo_or_dir='r', model='m', x=1)", "torch.hub.load", {"repo_or_dir": "r", "model": "m"}),
        ("hub.load('https://tfhub.dev/x/1')", "tensorflow_hub.load", {"handle": "https://tfhub.dev/x/1"}),
        ("joblib.load(cached_download(hf_hub_url('a', 'm.pkl')))", "hf_hub_url", {"repo_id": "a", "filename": "m.pkl"}),
        ("tf.keras.Sequential([hub.KerasLayer('u')])", "tensorflow_hub.KerasLayer", {"handle": "u"}),
        ("RandomForestRegressor()", "RandomForestRegressor", {}),
    ],
)
def test_what_a_row_identifies(api_call, name, arguments):
    """Positional arguments and the keywords that say what is loaded; of several calls the one that comes first."""
    assert wanted_call(api_call) == HubCall(name, tuple(arguments.items()))


@pytest.mark.parametrize("api_call", ["./run.sh --x", "mlagents-load --repo-id='x'", "", "x", "def (", "f(" * 300])
def test_a_row_that_is_no_call(api_call):
    """It identifies nothing: unscored, and no program can be measured by it."""
    assert wanted_call(api_call) is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from transformers import pipeline\np = pipeline('ner', model='a/b')", YES),
        ("import transformers as t\np = t.pipeline(model='a/b', task='ner', device=-1)", YES),
        ("from transformers import pipeline as p\nm, task = 'a/b', 'ner'\np(task, model=m)('text')", YES),
        ("from transformers import pipeline\npipeline('ner', 'a/b')", YES),
        ("pipeline('ner', model='a/b')", YES),  # without the import: executability sees that
        ("pipeline('ner', model='a/b-large')", VALUES),
        ("pipeline('ner', model='a')", VALUES),  # no part of the name
        ("pipeline('ner')", NAMES),
        ("pipeline()\npipeline('x', 'y')\npipeline('ner', 'a/b')", YES),  # the nearest counts
        ("from transformers import my_pipeline\nmy_pipeline('ner', model='a/b')", NO),
        ('print(\'pipeline("ner", model="a/b")\')', NO),
        ("# pipeline('ner', model='a/b')", NO),
        ("pipeline('ner', model='a/b'", NO),
        ("", NO),
    ],
)
def test_match(code, expected):
    """Imports, names, order, places and further arguments do not matter; name and values do, whole."""
    wanted = wanted_call("pipeline('ner', model='a/b')")
    match = hub_match(code, wanted)
    assert (match.name, match.argument_names, match.argument_values) == expected


def test_module_names_as_rows_write_them():
    """`hub` is tensorflow_hub; a method of another class is another callable."""
    wanted = wanted_call("hub.KerasLayer('https://tfhub.dev/x/1')")
    code = "import tensorflow_hub as {0}\nlayer = {0}.KerasLayer(handle='https://tfhub.dev/x/1', trainable=True)"
    assert hub_match(code.format("th"), wanted).argument_values
    assert hub_match(code.format("hub"), wanted).argument_values
    assert not hub_match("import other as hub\nhub.KerasLayer('https://tfhub.dev/x/1')", wanted).name
    wanted = wanted_call("AutoModel.from_pretrained('a')")
    assert not hub_match("from transformers import BertModel\nBertModel.from_pretrained('a')", wanted).name


def test_hallucinated():
    """A program that calls none of the rows; rows that are no call are counted."""
    catalog = HubCatalog(["pipeline('ner', model='a/b')", "AutoModel.from_pretrained('c')", "./run.sh"])
    assert catalog.n_unreadable == 1
    assert not catalog.hallucinated("from transformers import AutoModel\nm = AutoModel.from_pretrained('c')")
    assert not catalog.hallucinated("import x\nx.f()\npipeline('ner', 'a/b')")
    assert catalog.hallucinated("AutoModel.from_pretrained('d')")
    assert catalog.hallucinated("AutoTokenizer.from_pretrained('c')")
    assert catalog.hallucinated("")
    assert catalog.hallucinated("pipeline('ner', model='a/b'") is None


ROWS = [
    {"domain": "Text", "api_call": "pipeline('ner', model='a/b')", "description": "Finds names of\npeople"},
    {"domain": "Text", "api_call": 'pipeline("ner",  model="a/b")', "description": "The same call, later"},
    {"domain": "Images", "api_call": "model = load('whales')", "description": "Counts whales in pictures"},
    {"domain": "Text", "api_call": "./run.sh --x", "description": "No Python"},
]
NER = "from transformers import pipeline\np = pipeline('ner', model='{}')\nprint(p('Ann'))"


@pytest.fixture
def catalog(tmp_path) -> Catalog:
    path = tmp_path / "docs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return as_catalog(read_docs(path)[0])


def test_docs_as_a_catalog(catalog):
    """One api for each call in one spelling, with the first row's docs; it survives its JSON; found and shown whole."""
    assert [api.id for api in catalog.apis] == ["./run.sh --x", "load('whales')", "pipeline('ner', model='a/b')"]
    assert catalog == Catalog.from_json(catalog.to_json())
    assert [api.id for api in Retriever(catalog).search("How many whales are there?", 1)] == ["load('whales')"]
    shown = render(catalog.resolve("pipeline('ner', model='a/b')"), catalog)
    assert json.loads(shown) == ROWS[0]
    assert "\n" not in shown
    assert api_id("f(1); g(2)") == "f(1); g(2)"


@pytest.mark.parametrize(
    ("code", "answers"),
    [
        (NER.format("a/b"), {"parses": "yes", "names_bound": "yes", "api_exists": "yes"}),
        (NER.format("a/c"), {"parses": "yes", "names_bound": "yes", "api_exists": "no"}),
        ("pipeline('ner', model='a/b')", {"parses": "yes", "names_bound": "no", "api_exists": "yes"}),
        ("def (", {"parses": "no"}),
    ],
)
def test_what_can_be_checked(catalog, code, answers):
    """Whether a documented call is made; what needs signatures is unscored, never no."""
    found = {verdict.criterion: verdict.answer for verdict in check(code, catalog, "Find 'Ann'", "")}
    for name in ("arguments_bind", "values_allowed", "grounded"):
        assert found[name] == "unscored"
    assert {name: answer for name, answer in found.items() if name in answers} == answers
    assert found["covers"] == ("yes" if "Ann" in code else "unscored" if "def" in code else "no")


@pytest.mark.parametrize(
    ("code", "api", "expected"),
    [
        (NER.format("a/b"), "pipeline('ner', model='a/b')", [False, True, True, True, True]),
        (NER.format("a/c"), "pipeline('ner', model='a/b')", [True, False, False, True, True]),
        (NER.format("a/b"), "load('whales')", [False, False, False, False, False]),
        (NER.format("a/b"), "load('sharks')", [False, None, False, False, False]),  # no row has it
        (NER.format("a/b"), "./run.sh --x", [False, True, None, None, None]),  # no call; the domain is right
        ("def (", "load('whales')", [None, False, False, False, False]),
    ],
)
def test_measured(catalog, code, api, expected):
    """Hallucinated, Gorilla's decision on the domain of the task's row, and the three levels of the right call."""
    found = DocumentedMetrics(catalog).of(code, Task("t/0", "Do it", (api,)))
    names = ("hallucinated_api", "gorilla_ast", "exact_api", "api_name", "api_argument_names")
    assert [found.get(name) for name in names] == expected
