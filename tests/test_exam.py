"""What judges are examined on, and the truth about it: stockroom's references and what is made of them, run."""

import random
from collections import Counter
from pathlib import Path

import pytest

from kohai.catalog import read_package
from kohai.config import JudgeBenchConfig, SandboxConfig
from kohai.judge import Case, Criterion
from kohai.judge.exam import exam, truth
from kohai.records import Completion, Execution, Task, Verdict
from kohai.sandbox import Program, Sandbox
from kohai.tasks import load_tasks

STOCKROOM = Path("examples/stockroom")
DOES_TASK = Criterion("does_task", "?", ("llm",))


@pytest.fixture(scope="module")
def items():
    """Eight development tasks, examined as the default says."""
    catalog = read_package(STOCKROOM / "src/stockroom")
    tasks = load_tasks(STOCKROOM / "tasks/dev.jsonl")[:8]
    return exam(tasks, catalog, ["does_task"], JudgeBenchConfig(), random.Random(7))


def case(item_or_code, execution, static=()):
    return Case(Task("t", "?"), Completion("t", 0, "", item_or_code), "", execution, static)


def test_what_it_holds(items):
    """A reference a task, eight mutants, three rewrites, two injections of a mutant; each knows what it is made of."""
    assert Counter(item.kind for item in items) == {"reference": 8, "mutant": 64, "rewrite": 24, "injection": 16}
    for item in items:
        origin = items[item.made_from] if item.made_from is not None else None
        wanted = {"reference": None, "mutant": "reference", "rewrite": "reference", "injection": "mutant"}[item.kind]
        assert (origin.kind if origin else None) == wanted
        assert origin is None or origin.task == item.task
    assert len({item.operator for item in items if item.kind == "injection"}) == 16
    assert len({item.operator for item in items if item.kind == "mutant"}) >= 20


def test_the_same_seed_gives_the_same_exam(items):
    """And another seed another one."""
    catalog = read_package(STOCKROOM / "src/stockroom")
    tasks = load_tasks(STOCKROOM / "tasks/dev.jsonl")[:8]
    assert exam(tasks, catalog, ["does_task"], JudgeBenchConfig(), random.Random(7)) == items
    assert exam(tasks[:1], catalog, ["does_task"], JudgeBenchConfig(), random.Random(8)) != items[: len(items) // 8]


def test_truth_by_execution(items):
    """References and rewrites are right; most mutants are wrong; an injection is as wrong as its mutant."""
    with Sandbox(SandboxConfig(image="stockroom"), (STOCKROOM / "src/stockroom",), "stockroom.db") as sandbox:
        outcomes = sandbox.execute([Program.of_task(item.code, item.task, STOCKROOM / "tasks") for item in items])
    found, reference = [], outcomes[0]
    for item, outcome in zip(items, outcomes, strict=True):
        reference = outcome if item.kind == "reference" else reference
        found.append(truth(DOES_TASK, case(item.code, outcome), reference))
    by_kind = {
        kind: [t for item, t in zip(items, found, strict=True) if item.kind == kind]
        for kind in ("reference", "rewrite", "mutant")
    }
    assert by_kind["reference"] == [True] * 8
    assert by_kind["rewrite"] == [True] * 24
    assert by_kind["mutant"].count(False) >= 0.8 * 64
    for item, is_right in zip(items, found, strict=True):
        if item.kind == "injection" and found[item.made_from] is False:
            assert is_right is False


def test_truth_in_words():
    """Of the effect, of execution and of static checks; what nobody but a judge could tell is None."""
    ran = Execution("ok", "none", stdout="1  \n\n", state="s")
    same = Execution("ok", "none", stdout="1", state="s")
    other = Execution("ok", "none", stdout="1", state="t")
    failed, blameless = Execution("wrong_type", "program"), Execution("no_network", "environment")
    assert [truth(DOES_TASK, case("", e), ran) for e in (same, other, failed, blameless)] == [True, False, False, None]
    assert truth(DOES_TASK, case("", same), failed) is None
    runs = Criterion("runs", "?", ("execution", "llm"))
    assert [truth(runs, case("", e), ran) for e in (same, failed, blameless)] == [True, False, None]
    static = [Verdict("parses", "no", "static"), Verdict("grounded", "unscored", "static")]
    asked = [Criterion(name, "?", ("static", "llm")) for name in ("parses", "grounded", "tidy")]
    assert [truth(criterion, case("", same, static), ran) for criterion in asked] == [False, None, None]
