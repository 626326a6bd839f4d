"""The report of a run: a page, its JSON and a Markdown table, made of the run's artifacts alone.

    write(workspace)    RUN/report/index.html, report.json, report.md
    show(workspace)     the final table on the terminal, and where the page is
    show_bench(...)     the judge bench's tables instead

Leaves out training and running: what a stage has not made is shown as absent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohai.report.gather import gather
from kohai.workspace import Workspace, writing

__all__ = ["ReportPaths", "gather", "show", "show_bench", "write"]


@dataclass(frozen=True)
class ReportPaths:
    """Where a report was written."""

    page: Path
    data: Path
    table: Path


def write(workspace: Workspace, out: Path | None = None) -> ReportPaths:
    """Writes the three files into `out` (default: RUN/report), each whole or not at all.

    Raises:
        WorkspaceError: the folder holds no run, or there is no space left.
        DataError: an artifact is not what it should be.
    """
    from kohai.report import markdown, page

    report = gather(workspace)
    folder = workspace.path("report") if out is None else out
    paths = ReportPaths(folder / "index.html", folder / "report.json", folder / "report.md")
    texts = {
        paths.page: page.render(report),
        paths.data: json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False) + "\n",
        paths.table: markdown.render(report),
    }
    for path, text in texts.items():
        with writing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def show(workspace: Workspace, file: Any = None) -> None:
    """Prints the table of a written report and the path of its page to `file` (default: stdout)."""
    from kohai.report import terminal

    report = workspace.read_json("report/report.json")
    terminal.show(report, workspace.path("report", "index.html"), file)


def show_bench(workspace: Workspace, file: Any = None) -> None:
    """Prints the judge bench's tables of a written report and the path of its page."""
    from kohai.report import terminal

    report = workspace.read_json("report/report.json")
    terminal.show_bench(report, workspace.path("report", "index.html"), file)
