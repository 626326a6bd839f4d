"""The report page: one self-contained HTML file. All text of a run is data and is escaped by the template."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kohai.report import words
from kohai.report.charts import Point, Row, alone, interval_chart, line_chart
from kohai.report.tables import LIKENESS, METRICS

# Curve, key, title, in percent.
CURVES = (
    ("sft", "loss", "SFT: loss", False),
    ("rl", "reward", "RL: reward of what was drawn", False),
    ("rl", "kl", "RL: KL to the reference, per completion", False),
    ("rl", "length", "RL: tokens per completion drawn", False),
    ("rl", "entropy", "RL: entropy", False),
    ("rl", "gated_share", "RL: share of what was drawn that the gates stop", True),
    ("rl", "unscored", "RL: completions that the environment kept from running", False),
    ("probe", "executability", "Probe set: executability", True),
    ("probe", "effect_match", "Probe set: effect match", True),
    ("probe", "reward", "Probe set: reward", False),
    ("reward_model", "loss", "Reward model: loss", False),
    ("rejection_sft", "loss", "Rejection SFT: loss", False),
    ("dpo", "loss", "DPO: loss", False),
    ("rl", "server_gap", "RL: the server's log-probabilities, mean distance from the policy's", False),
    ("rl_execution", "gated_share", "RL on execution: share that did not run or did not end", True),
    ("reviewer", "loss", "Reviewer: loss", False),
)


def render(report: Mapping[str, Any]) -> str:
    """The page of a gathered report."""
    source = resources.files("kohai.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"words": words, "METRICS": METRICS, "LIKENESS": LIKENESS}
    template = environment.from_string(source)
    return template.render(
        report=report,
        headline=words.headline(report),
        splits=splits(report),
        overview=list(overview(report).values()),
        pairs=list(report["paired"]),
        likeness=[
            m for m in LIKENESS if any(m in e for by_split in report["arms"].values() for e in by_split.values())
        ],
        lists=lists(report["tasks"]),
        curves=curves(report["curves"]),
        config=yaml.safe_dump(report["config"], sort_keys=False, allow_unicode=True),
    )


def splits(report: Mapping[str, Any]) -> list[str]:
    """The evaluated splits, in the order of the evaluations."""
    found = [name for by_split in report["arms"].values() for name in by_split] + list(report["reference"])
    return list(dict.fromkeys(found))


def overview(report: Mapping[str, Any]) -> dict[str, tuple[str, Markup]]:
    """Executability and effect match of every arm on the first split, and the paired differences (of several runs those
    over all, where there are any): title and chart.
    """
    charts = {}
    over_all = [pair for pair in report["paired"] if pair.startswith("all runs: ")]
    for split in splits(report)[:1]:
        for metric in ("executability", "effect_match"):
            rows = []
            everything = {**report["arms"], "reference": report["reference"]}
            for arm, by_split in everything.items():
                entry = by_split.get(split, {}).get(metric)
                if entry is not None:
                    tone = {"rlaif": "accent", "reference": "quiet"}.get(arm.rpartition(": ")[2], "series")
                    rows.append(Row(words.arm(arm), entry["value"], entry["low"], entry["high"], tone))
            title = f"{words.METRIC_LABELS[metric]}, {words.split(split)}"
            if chart := interval_chart(title, rows):
                charts[metric] = (title, chart)
            gaps = [
                Row(
                    words.pair(pair),
                    gap["difference"],
                    gap["low"],
                    gap["high"],
                    "accent" if "rlaif" in pair else "series",
                )
                for pair in over_all or report["paired"]
                if (gap := report["paired"][pair].get(split, {}).get(metric)) is not None
            ]
            title = f"{title}: paired differences, in points"
            if chart := interval_chart(title, gaps, differences=True):
                charts[f"{metric}_differences"] = (title, chart)
    return charts


def figures(report: Mapping[str, Any]) -> dict[str, str]:
    """The same as files, by metric."""
    return {metric: alone(chart) for metric, (_, chart) in overview(report).items()}


def curves(logs: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """The training curves that the run has, each with its title."""
    charts = []
    for log, key, title, in_percent in CURVES:
        points = [point for line in logs.get(log, ()) if (point := _point(line, key)) is not None]
        if chart := line_chart(title, points, percent=in_percent):
            charts.append((title, chart))
    return charts


def lists(tasks: Mapping[str, Any]) -> dict[str, list[tuple[str, str, list[str]]]]:
    """By split, the tasks behind each number: the number's place on the page, what it counts, the tasks' ids."""
    found: dict[str, list[tuple[str, str, list[str]]]] = {}
    for split, of_split in tasks.items():
        by_place: dict[str, tuple[str, list[str]]] = {}
        for task_id, entry in of_split.items():
            for arm, side in entry["arms"].items():
                answers = {metric: side["metrics"].get(metric) for metric in METRICS}
                answers = {
                    metric: {True: "yes", False: "no"}.get(answer, "unscored") for metric, answer in answers.items()
                }
                for what, answer in (*answers.items(), ("outcome", side["kind"])):
                    title = f"{words.arm(arm)}, {words.METRIC_LABELS.get(what, what)}: {answer}"
                    place = words.anchor(split, arm, what, answer)
                    by_place.setdefault(place, (title, []))[1].append(task_id)
        found[split] = sorted((place, title, ids) for place, (title, ids) in by_place.items())
    return found


def _point(line: Mapping[str, Any], key: str) -> Point | None:
    value = line.get(key)
    if isinstance(value, Mapping):
        if value.get("value") is None:
            return None
        return Point(line["step"], value["value"], value.get("low"), value.get("high"))
    return None if value is None or "step" not in line else Point(line["step"], value)
