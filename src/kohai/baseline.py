"""What others' models answered, in the measures that ours are held to: the released answers of the 7B Gorilla model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kohai.errors import DataError
from kohai.report import words
from kohai.score import score_files

TASKS = "huggingface_eval.json"
DEVELOPMENT = ("huggingface_eval_dev.jsonl", "_dev")  # a choice of rows, and how answers to it are named
DOCS = "huggingface_api.jsonl"
ANSWERS = "gorilla_7b_responses"
METRICS = ("gorilla_ast", "exact_api", "hallucinated_api", "rouge", "codebleu", "codebleu_compat")
SHOWN = ("executability", "gorilla_ast", "exact_api", "hallucinated_api", "rouge_l", "codebleu")


def gorilla_7b(folder: Path, image: str | None = None) -> dict[str, Any]:
    """By file of answers in `folder/gorilla_7b_responses`, and of the references, what `kohai.score.score_files` gives.

    Args:
        folder: Holds the HuggingFace part of APIBench (tasks, api docs) and the answers to it.
        image: Where to run the programs; None = they are not run.

    Raises:
        DataError: a file is not there; names it.
    """
    docs = folder / DOCS
    names = [*(["executability"] if image else []), *METRICS]
    found = {}
    answers = sorted((folder / ANSWERS).glob("*.jsonl"))
    for tasks, is_development in ((folder / TASKS, False), (folder / DEVELOPMENT[0], True)):
        files = [path for path in answers if path.stem.endswith(DEVELOPMENT[1]) == is_development]
        if tasks.is_file() and docs.is_file() and files:
            label = f"references of {tasks.name}"
            found[label] = score_files(tasks, None, docs, names, image=image)
            found |= {path.stem: score_files(tasks, path, docs, names, image=image) for path in files}
    if not found:
        raise DataError(
            f"{folder}: expected {TASKS} or {DEVELOPMENT[0]}, {DOCS}, and answers to it in {ANSWERS}/; "
            f"`kohai data apibench --from {folder} --download` fetches them"
        )
    return found


def as_text(found: Mapping[str, Any]) -> str:
    """A table: a file a row, values and intervals in percents."""
    names = [name for name in SHOWN if any(name in summary["metrics"] for summary in found.values())]
    rows = [["answers", "n", *names]]
    for file, summary in found.items():
        rows.append([file, str(summary["completions"]), *(_cell(summary["metrics"].get(name)) for name in names)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cell(entry: Mapping[str, Any] | None) -> str:
    if not entry or "value" not in entry:
        return words.ABSENT
    return f"{entry['value'] * 100:.1f} {words.brackets(entry)}"
