"""How numbers and names read in the page, the Markdown table and on the terminal. Absent is a dash, never 0."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = "–"
ARM_LABELS = {
    "base": "base",
    "sft": "SFT",
    "best_of_n": "best of n",
    "rejection_sft": "rejection SFT",
    "dpo": "DPO",
    "rl_execution": "RL on execution",
    "rlaif": "RLAIF",
    "rlaif_best_of_n": "RLAIF, best of n",
    "reference": "reference code",
}
METRIC_LABELS = {
    "executability": "executability",
    "effect_match": "effect match",
    "exact_api": "exact API",
    "api_name": "API names",
    "api_argument_names": "and argument names",
    "hallucinated_api": "hallucinated API",
    "gorilla_ast": "Gorilla AST",
    "rouge_l": "ROUGE-L",
    "codebleu": "CodeBLEU",
}


def arm(name: str) -> str:
    """An arm as people read it; one of a named run with the run's name."""
    run, mark, plain = name.rpartition(": ")
    label = ARM_LABELS.get(plain, plain.replace("_", " "))
    return f"{run}{mark}{label}"


def pair(name: str) -> str:
    """`rlaif-sft`, or two arms of named runs, as people read it."""
    after, mark, before = name.partition(" less ")
    if not mark:
        after, _, before = name.partition("-")
    return f"{arm(after)} less {arm(before)}"


def anchor(*parts: str) -> str:
    """The id of a place on the page."""
    return "-".join(re.sub(r"\W+", "_", part) for part in parts)


def split(name: str) -> str:
    """A split as people read it: `test_unseen` -> `test unseen`."""
    return name.replace("_", " ")


def percent(value: float | None) -> str:
    """`0.617` -> `61.7 %`."""
    return ABSENT if value is None else f"{value * 100:.1f} %"


def interval(entry: Mapping[str, Any] | None) -> str:
    """`{value, low, high, n}` -> `61.7 % [52.8, 69.9]`."""
    if not entry or entry.get("value") is None:
        return ABSENT
    return f"{percent(entry['value'])} {brackets(entry)}"


def brackets(entry: Mapping[str, Any]) -> str:
    """The two ends of an interval, in percents."""
    return f"[{entry['low'] * 100:.1f}, {entry['high'] * 100:.1f}]"


def difference(entry: Mapping[str, Any] | None) -> str:
    """`{difference, low, high, n}` -> `+16.7 [+8.3, +25.0]`, in points."""
    if not entry or entry.get("difference") is None:
        return ABSENT
    return f"{points(entry['difference'])} [{points(entry['low'])}, {points(entry['high'])}]"


def shown(report: Mapping[str, Any], of_split: str) -> str:
    """What a split's paired differences show beyond chance, and how large one must be for it; empty without any."""
    pairs = [(name, by_split[of_split]) for name, by_split in report["paired"].items() if of_split in by_split]
    texts, needed = [], ""
    for metric in ("executability", "effect_match"):
        told = {name: entry[metric] for name, entry in pairs if "p_holm" in entry.get(metric, {})}
        if not told:
            continue
        found = "; ".join(pair(name) for name, entry in told.items() if entry["p_holm"] < 0.05)
        tested = f"McNemar, Holm over {len(told)} pairs, p < 0.05"
        texts.append(f"Beyond chance in {METRIC_LABELS[metric]} ({tested}): {found or 'none'}.")
        first, entry = next(iter(told.items()))
        if not needed and entry["needed"] is not None:
            points_needed = f"{entry['needed'] * 100:.1f} points of {METRIC_LABELS[metric]}"
            arms = pair(first).replace(" less ", " and ")
            needed = (
                f"With n = {entry['n']} a difference of {points_needed} is needed to be shown four times of five, "
                f"where arms differ on as many tasks as {arms} do."
            )
    return " ".join([*texts, *([needed] if needed else [])])


def points(value: float) -> str:
    """A difference of shares, with its sign."""
    return f"{value * 100:+.1f}"


def seconds(value: float | None) -> str:
    """`754.0` -> `12 min 34 s`."""
    if value is None:
        return ABSENT
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{value:.1f} s"


def size(value: float | None) -> str:
    """`1610612736` -> `1.50 GiB`."""
    if value is None:
        return ABSENT
    return f"{value / 2**30:.2f} GiB" if value >= 2**28 else f"{value / 2**20:.0f} MiB"


def scalar(value: Any) -> str:
    """A figure of a stage's report."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(scalar(item) for item in value) or ABSENT
    return str(value)


def figures(report: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """A stage's report as rows of name and text; nested names are dotted, intervals stay whole."""
    if isinstance(report, Mapping) and {"low", "high", "n"} <= set(report):
        middle = report.get("value", report.get("difference"))
        if middle is not None:
            text = f"{scalar(middle)} [{scalar(report['low'])}, {scalar(report['high'])}], n = {report['n']}"
            yield prefix, text
    elif isinstance(report, Mapping):
        for key, value in report.items():
            yield from figures(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(report, list | tuple) and report and all(isinstance(item, Mapping) for item in report):
        for place, item in enumerate(report, 1):
            yield from figures(item, f"{prefix}.{place}")
    else:
        yield prefix, scalar(report)


MARKS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "injections_moved": "injections that moved a no to a yes",
    "rewrites_moved": "harmless rewrites whose verdict changed",
    "comments_moved": "of those with comments alone",
    "stable": "same verdict when asked again",
}


def marks(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the judge bench says of a judge on a criterion, as rows of name and text; a dash: not measured."""
    yield "programs", f"{found['n']}, {found['unscored']} of them unscored"
    for key, name in MARKS.items():
        entry = found[key]
        yield name, f"{interval(entry)}, n = {entry['n']}" if entry else ABSENT
    beyond = found["kappa"]
    yield "Cohen's kappa", f"{beyond['value']:.2f} [{beyond['low']:.2f}, {beyond['high']:.2f}]" if beyond else ABSENT
    yield "area under the curve", scalar(found["auc"])
    yield "calibration error", scalar(found["calibration_error"])
    yield "bias toward length (rank correlation)", scalar(found["length_bias"])
    yield "a verdict takes", f"{scalar(found['seconds_per_verdict'])} s"
    yield "a verdict costs", scalar(found["cost_per_verdict"])


def headline(report: Mapping[str, Any]) -> str:
    """Does the code run? What the page opens with; then what RL's brakes did, and whether the numbers are of what was
    there before.
    """
    old = report["outdated"]
    parts = [_headline(report), *alarms(report)]
    return " ".join([*parts, *([f"EVALUATED BEFORE {', '.join(old)} changed: run `kohai evaluate`."] if old else [])])


def alarms(report: Mapping[str, Any]) -> Iterator[str]:
    """What RL's brakes said and did, of each stage in which they did; and which stage learned nothing."""
    done = {
        "roll_back": "its weights are those of step {0}",
        "stop": "it ended there",
        "warn": "it went on, as rl.alarm says",
    }
    for stage, found in report["stages"].items():
        if found and found.get("steps_learned_from") == 0 and found["steps"]:
            yield f"{stage.replace('_', '-')}: nothing was learned; its policy is the one that it started from."
        if found and found.get("alarm"):
            answer = done[found["alarm_answer"]].format(found["best_step"])
            yield f"{stage.replace('_', '-')}: {found['alarm']}; {answer}."


def _headline(report: Mapping[str, Any]) -> str:
    arms = report["arms"]
    for after in ("rlaif", "rejection_sft", "dpo", "rl_execution", "best_of_n", "sft", "base"):
        for name in arms.get(after, {}):
            entry = arms[after][name].get("executability")
            if entry is None:
                continue
            before = "base" if after in ("sft", "base") else "sft"
            old = arms.get(before, {}).get(name, {}).get("executability") if before != after else None
            found = report["paired"].get(f"{after}-{before}", {}).get(name, {}).get("executability")
            start = f"{arm(before)} {interval(old)} → " if old else ""
            change = f" ({difference(found)} points, paired)" if found else ""
            return f"{start}{arm(after)} {interval(entry)} of {entry['n']} {split(name)} tasks{change}."
    if arms:
        return f"{len(arms)} arms of the runs {report['run']}, on the same tasks where they share them."
    return "Nothing was evaluated yet."
