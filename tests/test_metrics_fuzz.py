"""Any text as a completion has a score or a named reason, never a crash; scores lie within [0, 1]."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kohai.catalog import read_package
from kohai.catalog.calls import HubCatalog, hub_match, wanted_call
from kohai.metrics import api_match, hallucinated_api, python_tree
from kohai.metrics.codebleu import codebleu
from kohai.metrics.gorilla_ast import ApiRow, GorillaAst
from kohai.metrics.rouge import rouge
from kohai.score import GROUPS, score_files

PIECES = [
    "import harbour", "from harbour import dock as d", "harbour.dock('Ann', nights=3)", "pipeline('ner', model='a/b')",
    "x = ", "(", ")", "[", "]", "{", "}", "'", '"', "\n", "    ", ":", "=", ",", ".", "*", "**", "#", "\\", "f'{x}'",
    "lambda x: x", "for i in x:", "if x:", "else:", "def f(a, b=1):", "class A:", "with x as y:", "<<<code>>>:",
    "<<<api_call>>>:", "```python\n", "'code': '", "\\n", "é", "日本", "\0", "\ud800", "async ", "await ", "yield ",
    "match x:", "case 1:", "global x", ":=", "print(",
]  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
REFERENCE = "import harbour\nboat = harbour.dock('Ann', nights=3)\nprint(boat)"
FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package") / "harbour"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""B."""\ndef dock(name: str, *, nights: int = 1) -> str:\n    """Docks."""\n')
    return read_package(folder)


def holds_code(text):
    """Whether anything but comments and texts that stand alone is in it."""
    return bool(python_tree.parse(text.encode("utf-8", "replace"), without_comments=True).tokens)


@FUZZ
@given(TEXTS)
def test_texts_against_a_reference(text):
    """Identical text scores 1 where it has a token; empty text 0."""
    for compat in (False, True):
        found = codebleu(text, REFERENCE, compat=compat)
        parts = (found.codebleu, found.ngram, found.weighted_ngram, found.syntax, found.dataflow or 0.0)
        assert all(0 <= part <= 1 for part in parts)
    found = rouge(text, REFERENCE)
    assert all(0 <= part <= 1 for overlap in found for part in overlap)
    if holds_code(text):
        assert codebleu(text, text).codebleu == pytest.approx(1)
    else:
        with pytest.raises(ValueError, match="no reference holds code"):
            codebleu(text, text)


@FUZZ
@given(TEXTS)
def test_calls_in_any_text(catalog, text):
    """Levels hold one another; a text that is no program is told apart."""
    wanted = wanted_call("pipeline('ner', model='a/b')")
    for match in (api_match(text, REFERENCE, catalog), hub_match(text, wanted)):
        assert match.name >= match.argument_names >= match.argument_values
    assert hallucinated_api(text, catalog) in (True, False, None)
    assert HubCatalog(["pipeline('ner', model='a/b')", text]).hallucinated(text) in (True, False, None)
    metric = GorillaAst([ApiRow("pipeline('ner', model='a/b')", "d"), ApiRow(text, "e")], "huggingface")
    assert metric.decide(text, "d") in ("correct", "wrong", "hallucination")


@settings(FUZZ, max_examples=25)
@given(st.lists(TEXTS.filter(lambda text: "\ud800" not in text), min_size=1, max_size=5))
def test_score_of_any_texts(tmp_path_factory, texts):
    """The command's function gives a line a completion, each metric a value or a reason."""
    folder = tmp_path_factory.mktemp("score")
    (folder / "tasks.jsonl").write_text(json.dumps({"id": "a", "instruction": "Dock.", "reference": REFERENCE}) + "\n")
    lines = (json.dumps({"row": 0, "text": text}) + "\n" for text in texts)
    (folder / "completions.jsonl").write_text("".join(lines))
    package = folder / "harbour"
    package.mkdir()
    (package / "__init__.py").write_text(
        '"""B."""\ndef dock(name: str, *, nights: int = 1) -> str:\n    """Docks."""\n'
    )
    names = ["exact_api", "hallucinated_api", "rouge", "codebleu", "codebleu_compat"]
    found = score_files(folder / "tasks.jsonl", folder / "completions.jsonl", package, names, out=folder / "out.jsonl")
    assert found["completions"] == len(texts)
    for line in (folder / "out.jsonl").read_text().splitlines():
        scored = json.loads(line)
        for name in (name for group in names for name in GROUPS[group]):
            assert (scored[name] is None) == (name in scored.get("unscored", {}))
