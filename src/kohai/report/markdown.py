"""The table as Markdown, to paste into an issue or a README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kohai.report import words
from kohai.report.page import splits
from kohai.report.tables import METRICS


def render(report: Mapping[str, Any]) -> str:
    """report.md of a gathered report."""
    parts = [f"# {report['run']}", f"Does the code run? {words.headline(report)}"]
    for split in splits(report):
        parts.append(f"## {words.split(split).capitalize()}")
        parts.append(table(*arms_table(report, split)))
        if differences := differences_table(report, split):
            parts.append("Paired differences, in points:")
            parts.append(table(*differences))
            parts += [text for text in [words.shown(report, split)] if text]
    facts = [f"seed {words.scalar(report['seed'])}", f"commit {words.scalar(report['commit'])}"]
    facts += [words.seconds(report["seconds"]), f"peak {words.size(report['peak_memory_bytes'])}"]
    facts += [f"{machine['cpu']}, {machine['cores']} cores" for machine in report["machines"]]
    parts.append(f"Intervals of 95 %. {', '.join(facts)}.")
    return "\n\n".join(parts) + "\n"


def arms_table(report: Mapping[str, Any], split: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows: one arm a row, the ceiling last."""
    head = ["arm", *(words.METRIC_LABELS[metric] for metric in METRICS), "n", "environment"]
    rows = []
    for arm, by_split in {**report["arms"], "reference": report["reference"]}.items():
        if split not in by_split:
            continue
        entry = by_split[split]
        cells = [words.interval(entry.get(metric)) for metric in METRICS]
        rows.append([words.arm(arm), *cells, _numbers(entry), words.percent(entry.get("environment_share"))])
    return head, rows


def differences_table(report: Mapping[str, Any], split: str) -> tuple[list[str], list[list[str]]] | None:
    """Head and rows: one pair of arms a row; None where there is none."""
    rows = []
    for pair, by_split in report["paired"].items():
        if split in by_split:
            entry = by_split[split]
            cells = [words.difference(entry.get(metric)) for metric in METRICS]
            rows.append([words.pair(pair), *cells, _numbers(entry)])
    head = ["difference", *(words.METRIC_LABELS[metric] for metric in METRICS), "n"]
    return (head, rows) if rows else None


def _numbers(entry: Mapping[str, Any]) -> str:
    """Of how many tasks the numbers are; from the fewest to the most where they are of different ones."""
    known = sorted({entry[metric]["n"] for metric in METRICS if metric in entry})
    return "–".join(map(str, dict.fromkeys([*known[:1], *known[-1:]]))) or words.ABSENT


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; text in cells can't break out of it."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
