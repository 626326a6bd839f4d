"""Metrics: Gorilla's AST against a plain port of its scripts, ROUGE and CodeBLEU against the packages, in one process.

Needs APIBench's files (APIBENCH_DIR) and the peers, which no environment of Kohai holds: `make peers` puts them into
.peers. Both sides see the same texts in turn, pair by pair; a reference that recurs is read once by ours.
"""

import importlib
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kohai.bench import Row, load
from kohai.catalog import calls
from kohai.errors import DataError, ToolError
from kohai.metrics import codebleu, gorilla_ast, rouge
from kohai.tasks import apibench

FOLDER = Path(os.environ.get("APIBENCH_DIR", "../shared/apibench"))
PEERS = Path(os.environ.get("KOHAI_PEERS", ".peers"))
KINDS = ("RT_oracle", "FT_0_shot", "FT_bm25", "FT_oracle")
N_ALL = 911  # completions of the last row


def run() -> list[Row]:
    """All rows; about a minute."""
    if not (FOLDER / "huggingface_api.jsonl").is_file():
        raise DataError(f"{FOLDER}: no APIBench there; APIBENCH_DIR names the folder of its files")
    tasks, _ = apibench.read_tasks(FOLDER / "huggingface_eval_dev.jsonl")
    docs, _ = apibench.read_docs(FOLDER / "huggingface_api.jsonl")
    answers = {
        kind: apibench.read_answers(FOLDER / "gorilla_7b_responses" / f"huggingface_{kind}_dev.jsonl", len(tasks))
        for kind in KINDS
    }
    pairs = [
        (apibench.answer_code(answer.text), code)
        for found in zip(*answers.values(), strict=True)
        for answer in found
        if (code := tasks[answer.row].code)
    ]
    return [*gorilla(tasks, docs, answers), rouge_row(pairs), codebleu_row(pairs), *everything(tasks, docs, answers)]


def gorilla(
    tasks: Sequence[apibench.ApiBenchTask], docs: Sequence[apibench.ApiDoc], answers: dict[str, list[apibench.Answer]]
) -> list[Row]:
    """Answers that are well-formed calls, and what the 7B model said."""
    port = load(Path("tests/gorilla_port.py"), "gorilla_port").Port(
        [(d.api_call, d.domain) for d in docs], "huggingface"
    )
    ours = gorilla_ast.GorillaAst([gorilla_ast.ApiRow(d.api_call, d.domain) for d in docs], "huggingface")
    sets = {"well-formed (the tasks' own calls)": [(task.api_call, task.domain) for task in tasks]}
    sets |= {kind: [(a.text, tasks[a.row].domain) for a in found] for kind, found in answers.items()}
    rows = []
    for name, cases in sets.items():
        mine, theirs, n_equal = interleaved(ours.decide, port.decide, cases)
        if n_equal != len(cases):
            raise ToolError(f"{len(cases) - n_equal} decisions of {name} differ from the port's")
        goal = "25x, decisions equal" if name.startswith("well") else "decisions equal"
        holds = mine * 25 <= theirs if name.startswith("well") else True
        rows.append(rate(f"Gorilla AST, {name}", len(cases), mine, theirs, goal, holds))
    return rows


def rouge_row(pairs: Sequence[tuple[str, str]]) -> Row:
    """Code against code, three measures a pair."""
    scorer = peer("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)

    def ours(said: str, wanted: str) -> list[float]:
        found = rouge.rouge(said, wanted)
        return [found.rouge_1.f1, found.rouge_2.f1, found.rouge_l.f1]

    def theirs(said: str, wanted: str) -> list[float]:
        return [found.fmeasure for found in scorer.score(wanted, said).values()]

    mine, other, n_equal = interleaved(ours, theirs, pairs)
    holds = mine * 20 <= other and n_equal == len(pairs)
    return rate("ROUGE", len(pairs), mine, other, f"20x, equal ({n_equal} of {len(pairs)} are)", holds)


def codebleu_row(pairs: Sequence[tuple[str, str]]) -> Row:
    """As published; pairs whose published score hangs on PYTHONHASHSEED may differ, and are counted."""
    logging.disable(logging.WARNING)
    calc = peer("codebleu").calc_codebleu

    def ours(said: str, wanted: str) -> float:
        return round(codebleu.codebleu(said, wanted, compat=True).codebleu, 9)

    def theirs(said: str, wanted: str) -> float:
        return round(calc([wanted], [said], "python")["codebleu"], 9)

    mine, other, n_equal = interleaved(ours, theirs, pairs)
    goal = f"3x (equal to 1e-9: {n_equal} of {len(pairs)}; the others' data flow depends on the hash seed)"
    return rate("CodeBLEU", len(pairs), mine, other, goal, mine * 3 <= other)


def everything(
    tasks: Sequence[apibench.ApiBenchTask], docs: Sequence[apibench.ApiDoc], answers: dict[str, list[apibench.Answer]]
) -> list[Row]:
    """Every metric but execution, from texts to values, nothing remembered; and CodeBLEU as published by itself."""
    wanted = [answer for found in answers.values() for answer in found][:N_ALL]
    codebleu.forget()
    rouge.forget()
    published = 0.0
    started = time.perf_counter()
    ast = gorilla_ast.GorillaAst([gorilla_ast.ApiRow(d.api_call, d.domain) for d in docs])
    hub = calls.HubCatalog(doc.api_call for doc in docs)
    for answer in wanted:
        task = tasks[answer.row]
        program = apibench.answer_code(answer.text)
        ast.decide(answer.text, task.domain)
        hub.hallucinated(program)
        if (call := calls.wanted_call(task.api_call)) is not None:
            calls.hub_match(program, call)
        if task.code:
            rouge.rouge(program, task.code)
            with suppress(ValueError):  # a reference that holds no code
                codebleu.codebleu(program, task.code)
            between = time.perf_counter()
            codebleu.codebleu(program, task.code, compat=True)
            published += time.perf_counter() - between
    seconds = time.perf_counter() - started
    name = f"all metrics but execution on {len(wanted)} completions"
    return [
        Row(name, "s", value=seconds, goal="under 2 s", holds=seconds < 2),
        Row("of these CodeBLEU as published, after the mended", "s", value=published),
    ]


def interleaved(
    ours: Callable[..., Any], theirs: Callable[..., Any], cases: Sequence[tuple[Any, ...]]
) -> tuple[float, float, int]:
    """Seconds of each over the cases, taken in turn, and how many results are equal."""
    mine = other = 0.0
    n_equal = 0
    for case in cases:
        started = time.perf_counter()
        found = ours(*case)
        between = time.perf_counter()
        wanted = theirs(*case)
        ended = time.perf_counter()
        mine, other = mine + between - started, other + ended - between
        n_equal += found == wanted
    return mine, other, n_equal


def rate(name: str, n: int, mine: float, theirs: float, goal: str, holds: bool) -> Row:
    """A row of texts a second."""
    return Row(name, "texts/s", n / mine, n / theirs, theirs / mine, goal=goal, holds=holds)


def peer(name: str) -> Any:
    """A peer's module."""
    if str(PEERS) not in sys.path:
        sys.path.append(str(PEERS))
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ToolError(f"{name} is not installed ({error}); `make peers` puts it into {PEERS}") from None
