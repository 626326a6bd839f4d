"""The report of a run: a page, its JSON and a Markdown table, made of the run's artifacts alone.

    write(workspace)    RUN/report/index.html, report.json, report.md, and figures/METRIC.svg
    compare(runs, out)  the same of several runs side by side
    show(folder)        the final table of a written report on the terminal, and where the page is
    show_bench(...)     the judge bench's tables instead

Leaves out training and running: what a stage has not made is shown as absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohai.report.gather import compare as gather_all
from kohai.report.gather import gather
from kohai.workspace import Workspace, writing

__all__ = ["ReportPaths", "compare", "gather", "show", "show_bench", "write"]


@dataclass(frozen=True)
class ReportPaths:
    """Where a report was written."""

    page: Path
    data: Path
    table: Path


def write(workspace: Workspace, out: Path | None = None) -> ReportPaths:
    """Writes the files into `out` (default: RUN/report), each whole or not at all.

    Raises:
        WorkspaceError: the folder holds no run, or there is no space left.
        DataError: an artifact is not what it should be.
    """
    return _write(gather(workspace), workspace.path("report") if out is None else out)


def compare(workspaces: Sequence[Workspace], out: Path) -> ReportPaths:
    """Writes the files about several runs into `out`.

    Raises:
        WorkspaceError, DataError: as `write`.
    """
    return _write(gather_all(workspaces), out)


def _write(report: Mapping[str, Any], folder: Path) -> ReportPaths:
    from kohai.report import markdown, page

    paths = ReportPaths(folder / "index.html", folder / "report.json", folder / "report.md")
    texts = {
        paths.page: page.render(report),
        paths.data: json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False) + "\n",
        paths.table: markdown.render(report),
    }
    texts |= {folder / "figures" / f"{metric}.svg": figure for metric, figure in page.figures(report).items()}
    for path, text in texts.items():
        with writing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # half a surrogate pair
    return paths


def show(folder: Path, file: Any = None) -> None:
    """Prints the table of the report in a folder and the path of its page to `file` (default: stdout)."""
    from kohai.report import terminal

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    terminal.show(report, folder / "index.html", file)


def show_bench(workspace: Workspace, file: Any = None) -> None:
    """Prints the judge bench's tables of a written report and the path of its page."""
    from kohai.report import terminal

    report = workspace.read_json("report/report.json")
    terminal.show_bench(report, workspace.path("report", "index.html"), file)
