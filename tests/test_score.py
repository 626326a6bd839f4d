"""`kohai score`: stored completions against their tasks."""

import json

import pytest
from typer.testing import CliRunner

from kohai import baseline, cli
from kohai.catalog import Catalog, read_package
from kohai.errors import ConfigError, DataError
from kohai.metrics import wilson
from kohai.metrics.documented import DocumentedMetrics
from kohai.records import Execution
from kohai.sandbox.hub import read_catalogue
from kohai.score import GROUPS, score_files
from kohai.tasks import load_tasks
from kohai.tasks.apibench import as_catalog, read_docs

PACKAGE = {
    "__init__.py": '"""Boats."""\nfrom harbour.berths import dock\n',
    "berths.py": '"""Berths."""\ndef dock(name: str, *, nights: int = 1) -> str:\n    """Docks."""\n    return name\n',
}
GOOD = "import harbour\nprint(harbour.dock('Ann', nights=3))"


@pytest.fixture
def files(tmp_path):
    """A package, three tasks (the last without a reference), and their completions."""
    package = tmp_path / "harbour"
    package.mkdir()
    for name, text in PACKAGE.items():
        (package / name).write_text(text)
    tasks = [
        {
            "id": "a",
            "instruction": "Dock Ann for 3 nights.",
            "reference": GOOD,
            "effect": {"state": "", "stdout": "Ann"},
        },
        {"id": "b", "instruction": "Dock Bo.", "reference": "import harbour\nharbour.dock('Bo')"},
        {"id": "c", "instruction": "Dock Cy."},
    ]
    completions = [
        {"row": 0, "text": f"Here:\n```python\n{GOOD}\n```"},
        {"row": 1, "text": "import harbour\nharbour.dock('Bob')"},
        {"row": 2, "text": "import harbour\nharbour.moor('Cy')"},
        {"row": 0, "text": "import harbour\nharbour.dock("},
    ]
    for name, rows in (("tasks.jsonl", tasks), ("completions.jsonl", completions)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def score(files, *names, **settings):
    return score_files(files / "tasks.jsonl", files / "completions.jsonl", files / "harbour", names, **settings)


def test_a_package(files):
    """By hand: of three completions with a reference one is exact, two call the right api; the fourth names none."""
    found = score(files, "exact_api", "hallucinated_api", "rouge_l", "codebleu", out=files / "out" / "scores.jsonl")
    assert (found["tasks"], found["completions"], found["tasks_without"], found["problems"]) == (3, 4, 0, [])
    values = {name: (entry["value"], entry["n"], entry["unscored"]) for name, entry in found["metrics"].items()}
    assert values["exact_api"] == (pytest.approx(1 / 3), 3, 1)
    assert values["api_name"] == (pytest.approx(2 / 3), 3, 1)
    assert values["hallucinated_api"] == (pytest.approx(1 / 3), 3, 1)
    assert found["metrics"]["exact_api"]["reasons"] == {"the task has no reference code": 1}
    assert 0 < found["metrics"]["codebleu"]["corpus"] < 1
    lines = [json.loads(line) for line in (files / "out" / "scores.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == [0, 1, 2, 0]
    assert (lines[0]["exact_api"], lines[0]["rouge_l"], lines[0]["codebleu"]) == (True, 1, 1)
    assert lines[2]["exact_api"] is None
    assert lines[2]["unscored"]["codebleu"] == "the task has no reference code"
    assert lines[3]["hallucinated_api"] is None


def test_executability(files):
    """Programs run in the sandbox beside the package; what it states no effect for is unscored."""
    found = score(files, "executability", image="plain")
    entry = found["metrics"]["executability"]
    assert (entry["value"], entry["n"]) == (0.5, 4)
    assert found["kinds"] == {"ok": 2, "unknown_attribute": 1, "syntax_error": 1}
    assert found["metrics"]["effect_match"]["unscored"] == 2


def test_a_reference_without_a_known_call(files):
    """Nothing to compare with is unscored, with its reason: not 100 %."""
    task = {"id": "d", "instruction": "Print.", "reference": "print(1)"}
    (files / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    (files / "completions.jsonl").write_text(json.dumps({"row": 0, "text": "print(2)"}) + "\n")
    entry = score(files, "exact_api")["metrics"]["exact_api"]
    assert entry == {"n": 0, "unscored": 1, "reasons": {"the reference calls no api of the catalog": 1}}


def test_a_package_that_is_not_in_the_image(files):
    """A run's catalog names its package, and brings none: nobody is blamed that it cannot be imported."""
    (files / "catalog.json").write_text(read_package(files / "harbour").to_json())
    given = files / "tasks.jsonl", files / "completions.jsonl", files / "catalog.json"
    with pytest.raises(ConfigError, match="no program can import harbour in the image plain; give the package's"):
        score_files(*given, ["executability"], image="plain")
    assert score_files(*given, ["exact_api"])["metrics"]["exact_api"]["n"] == 3


def test_several_completions_of_a_task(files):
    """Of one task four right and of another four wrong ones: two tasks, not eight, tell how sure the half is."""
    texts = [(0, GOOD)] * 4 + [(1, GOOD)] * 4
    lines = [json.dumps({"row": row, "text": text}) for row, text in texts]
    (files / "completions.jsonl").write_text("\n".join(lines))
    found = score(files, "exact_api", "rouge_l")["metrics"]
    assert (found["exact_api"]["value"], found["exact_api"]["n"]) == (0.5, 8)
    assert (found["exact_api"]["low"], found["exact_api"]["high"]) == pytest.approx((0.0546, 0.9454), abs=1e-4)
    assert found["rouge_l"]["high"] == 1  # a resample of the first task alone
    (files / "completions.jsonl").write_text("\n".join([lines[0], lines[4]]))
    entry = score(files, "exact_api")["metrics"]["exact_api"]
    assert (entry["low"], entry["high"]) == (wilson(1, 2).low, wilson(1, 2).high)


DOCS = [("pipeline('ner', model='a/b')", "D"), ("pipeline('ner', model='c/d')", "E")]


@pytest.fixture
def documented(tmp_path):
    """Documented calls, as docs and as a run's catalog; two tasks that ask for the first, and an answer to each."""
    docs = [{"api_call": call, "domain": domain, "api_name": call} for call, domain in DOCS]
    tasks = [{"id": f"t/{n}", "instruction": f"Do {n}.", "apis": [DOCS[0][0]], "reference": "x = 1"} for n in (0, 1)]
    answers = [{"row": n, "text": f"from transformers import pipeline\np = {DOCS[n][0]}"} for n in (0, 1)]
    for name, rows in (("docs.jsonl", docs), ("tasks.jsonl", tasks), ("completions.jsonl", answers)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "catalog.json").write_text(as_catalog(read_docs(tmp_path / "docs.jsonl")[0]).to_json())
    return tmp_path


def test_a_run_on_docs(documented):
    """Its catalog has documented calls and no package: tasks are measured as `evaluate` does, by the call they ask
    for.
    """
    files = [documented / name for name in ("tasks.jsonl", "completions.jsonl", "catalog.json")]
    out = documented / "scores.jsonl"
    found = score_files(*files, ["exact_api", "hallucinated_api", "gorilla_ast"], out=out)["metrics"]
    assert found["gorilla_ast"]["counts"] == {"correct": 1, "wrong": 1}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    measured = DocumentedMetrics(Catalog.from_json(files[2].read_text()))
    texts = [json.loads(line)["text"] for line in files[1].read_text().splitlines()]
    for line, text, task in zip(lines, texts, load_tasks(files[0]), strict=True):
        line["gorilla_ast"] = line["gorilla_ast"] == "correct"
        assert {name: value for name, value in line.items() if name != "row"} == measured.of(text, task)
    assert [line["exact_api"] for line in lines] == [True, False]
    published = {
        "code": f"###Instruction: Do it.\n###Output: <<<domain>>>: D\n<<<api_call>>>: {DOCS[0][0]}\n"
        "<<<api_provider>>>: P\n<<<explanation>>>: E\n<<<code>>>: x = 1",
        "api_call": DOCS[0][0],
        "provider": "Hugging Face Transformers",
        "api_data": {"domain": "D"},
    }
    files[0].write_text(json.dumps(published) + "\n" + json.dumps(published | {"api_call": "./run.sh"}) + "\n")
    found = score_files(*files, ["exact_api", "gorilla_ast"])["metrics"]
    assert (found["exact_api"]["value"], found["exact_api"]["n"]) == (1, 1)
    assert found["exact_api"]["reasons"] == {"the task's api_call is not a Python call": 1}
    assert found["gorilla_ast"]["reasons"] == {"no row of the docs has the task's call": 1}


@pytest.mark.parametrize("catalog", ["docs.jsonl", "catalog.json"])
def test_programs_of_docs_find_their_models(documented, monkeypatch, catalog):
    """Where the catalog is api docs, the stand-in hub has their models and inputs are offered, whosever the tasks are;
    an image without a hub gets none.
    """
    opened = []

    class Recorder:
        """Runs nothing; keeps what it is asked to be."""

        def __init__(self, config, paths, state):
            names = [entry.id for entry in read_catalogue(config.catalogue)] if config.catalogue else None
            opened.append((names, config.offer_inputs))

        def __enter__(self):
            return self

        def __exit__(self, *details):
            pass

        def execute(self, programs, on_done):
            return [Execution("ok", "none") for _ in programs]

    monkeypatch.setattr("kohai.score.Sandbox", Recorder)
    (documented / "models.txt").write_text("x/y\n")
    (documented / "own.yaml").write_text("name: own\ncatalogue: models.txt\n")
    for image in (str(documented / "own.yaml"), "plain"):
        score_files(
            documented / "tasks.jsonl",
            documented / "completions.jsonl",
            documented / catalog,
            ["executability"],
            image=image,
        )
    assert opened == [(["a/b", "c/d"], True), (None, True)]


def test_published_answers(apibench, tmp_path):
    """Gorilla's own decisions of a published file, one line an answer, as words."""
    answers = apibench / "gorilla_7b_responses" / "huggingface_RT_oracle_dev.jsonl"
    out = tmp_path / "scores.jsonl"
    found = score_files(
        apibench / "huggingface_eval_dev.jsonl",
        answers,
        apibench / "huggingface_api.jsonl",
        ["gorilla_ast", "exact_api"],
        out=out,
    )
    assert found["metrics"]["gorilla_ast"]["counts"] == {"correct": 503, "hallucination": 41, "wrong": 26}
    assert found["metrics"]["exact_api"]["n"] == 562
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    rows = [json.loads(line)["row"] for line in answers.read_text().splitlines()]
    assert [line["row"] for line in lines] == rows
    assert {line["gorilla_ast"] for line in lines} == {"correct", "wrong", "hallucination"}


def test_mistakes(files):
    """An unknown metric, a metric that lacks something, a bad line: one clear error."""
    with pytest.raises(ConfigError, match="no metric 'blue'; known: "):
        score(files, "blue")
    with pytest.raises(ConfigError, match="needs --image"):
        score(files, "executability")
    with pytest.raises(ConfigError, match="api docs of APIBench"):
        score(files, "gorilla_ast")
    with pytest.raises(DataError, match=r"nothing\.json: cannot be read"):
        score_files(files / "tasks.jsonl", files / "completions.jsonl", files / "nothing.json", ["exact_api"])
    (files / "odd.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"odd\.json: not UTF-8 text"):
        score_files(files / "tasks.jsonl", files / "completions.jsonl", files / "odd.json", ["exact_api"])
    with pytest.raises(ConfigError, match="needs --catalog"):
        score_files(files / "tasks.jsonl", files / "completions.jsonl", None, ["exact_api"])
    (files / "completions.jsonl").write_text('{"row": 0, "text": "x"}\n{"row": 9, "text": "x"}\n')
    with pytest.raises(DataError, match=r"completions\.jsonl:2: field 'row': 9 is not a task; there are 3"):
        score(files, "rouge")


def test_the_command(files):
    """A line a metric to read, or JSON; every name of a group gives the group."""
    options = ["--tasks", str(files / "tasks.jsonl"), "--completions", str(files / "completions.jsonl")]
    options += ["--catalog", str(files / "harbour"), "--metrics", "api_name, rouge"]
    done = CliRunner().invoke(cli.app, ["score", *options])
    assert done.exit_code == 0, done.output
    assert "4 completions of 3 tasks" in done.output
    assert "the task has no reference code (1)" in done.output
    done = CliRunner().invoke(cli.app, ["score", *options, "--json"])
    assert set(json.loads(done.output)["metrics"]) == {*GROUPS["exact_api"], *GROUPS["rouge"]}
    done = CliRunner().invoke(cli.app, ["score", *options, "--gorilla-mode", "x"])
    assert isinstance(done.exception, ConfigError)


def test_references_are_the_ceiling(files):
    """Without completions the tasks' own code is scored: exact, and like itself."""
    found = score_files(files / "tasks.jsonl", None, files / "harbour", ["exact_api", "codebleu"])
    assert (found["completions"], found["tasks_without"]) == (2, 1)
    assert found["metrics"]["exact_api"]["value"] == 1
    assert found["metrics"]["codebleu"]["corpus"] == 1


def test_the_7b_model(apibench, tmp_path):
    """`kohai baseline gorilla-7b`: the references and each file of answers (here to the first 40 tasks); a folder that
    lacks some is told.
    """
    kinds = ("FT_0_shot", "RT_oracle")
    few = {"huggingface_api.jsonl": None, "huggingface_eval_dev.jsonl": 40}
    few |= {f"gorilla_7b_responses/huggingface_{kind}_dev.jsonl": 39 for kind in kinds}
    for name, n in few.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("".join((apibench / name).read_text().splitlines(keepends=True)[:n]))
    found = json.loads(
        CliRunner().invoke(cli.app, ["baseline", "gorilla-7b", "--from", str(tmp_path), "--json"]).output
    )
    references = "references of huggingface_eval_dev.jsonl"
    assert list(found) == [references, *(f"huggingface_{kind}_dev" for kind in kinds)]
    assert found[references]["metrics"]["codebleu"]["value"] == pytest.approx(1)
    assert sum(found["huggingface_FT_0_shot_dev"]["metrics"]["gorilla_ast"]["counts"].values()) == 39
    [line] = [line for line in baseline.as_text(found).splitlines() if line.startswith("huggingface_RT_oracle_dev ")]
    share = found["huggingface_RT_oracle_dev"]["metrics"]["gorilla_ast"]["value"]
    assert line.split()[1:3] == ["39", f"{share * 100:.1f}"]
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(cli.app, ["baseline", "gorilla-7b", "--from", str(tmp_path / "empty")])
    assert isinstance(done.exception, DataError)
