"""The final table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kohai.report import words
from kohai.report.markdown import arms_table, differences_table
from kohai.report.page import splits

PLAIN_WIDTH = 110  # where there is no terminal to ask


def show(report: Mapping[str, Any], page: Path, file: Any = None) -> None:
    """Prints the headline, a table a split, and where the page is."""
    console = Console(file=file, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    for split in splits(report):
        console.print(_table(words.split(split), *arms_table(report, split)))
        if differences := differences_table(report, split):
            console.print(_table("paired, in points", *differences))
            if shown := words.shown(report, split):
                console.print(shown)
    console.print(Text(f"Does the code run? {words.headline(report)}", style="bold"))
    took = f"{words.seconds(report['seconds'])}, peak memory {words.size(report['peak_memory_bytes'])}"
    console.print(f"{took}. Report: {page}", soft_wrap=True)


def show_bench(report: Mapping[str, Any], page: Path, file: Any = None) -> None:
    """Prints what the judge bench measured, a table a judge and criterion."""
    console = Console(file=file, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    found = report["judge_bench"] or {"judges": {}}
    for judge, by_criterion in found["judges"].items():
        for criterion, marks in by_criterion.items():
            console.print(_table(f"{judge}, {criterion}", ["measure", "value"], list(map(list, words.marks(marks)))))
            if marks["reliability"] and marks["reliability"]["is_off"]:
                console.print(f"{judge} is switched off on {criterion}: it cannot be told from chance.")
    if not any(found["judges"].values()):
        console.print("Nothing was examined: no task with a reference is left for it (tasks.probe, feedback.bench).")
    console.print(f"Report: {page}", soft_wrap=True)


def _table(title: str, head: list[str], rows: list[list[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=place == 0)
    for row in rows:
        table.add_row(*row)
    return table
