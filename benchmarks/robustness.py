"""What wrong preferences do to executability: flipped labels, a judge that likes length; one reward model and five.

Takes a finished run (KOHAI_ROBUSTNESS_RUN, runs/demo), copies what comes before the reward model for each setting to
RUN-robustness/, and runs the rest there with the run's own configuration; settings that are done are not done again.
Draws each arm's gain over SFT by setting, RUN-robustness/ARM_METRIC.svg. KOHAI_ROBUSTNESS_RL=0 leaves RL out: best of n
alone, a minute a setting; with RL it is five to fifteen. KOHAI_ROBUSTNESS_NOISE chooses among the settings, by their
names with commas between.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from kohai import pipeline
from kohai.bench import Row
from kohai.config import Config, load_config
from kohai.errors import UserError
from kohai.report import gather
from kohai.report.charts import Point, alone, interval_chart, line_chart
from kohai.report.charts import Row as Bar
from kohai.report.page import splits
from kohai.workspace import Workspace

RUN = Path(os.environ.get("KOHAI_ROBUSTNESS_RUN", "runs/demo"))
WITH_RL = os.environ.get("KOHAI_ROBUSTNESS_RL", "1") != "0"
FOLDER = Path(f"{RUN}-robustness")
NOISE = {
    "as judged": "",
    "10 % flipped": "reward_model.flipped=0.1",
    "25 % flipped": "reward_model.flipped=0.25",
    "40 % flipped": "reward_model.flipped=0.4",
    "a judge that likes length": "reward_model.length_bias=0.2",  # of a score between 0 and 1, for each doubling
}
MODELS = {"one": [], "five": ["reward_model.members=5", "reward_model.risk=1"]}
KEPT = ("prepare", "sft", "judges", "sample", "feedback", "ledger.sqlite", "answers/sft.json")
METRICS = ("executability", "effect_match")
ARMS = ["best_of_n", *(["rlaif"] if WITH_RL else [])]


def run() -> list[Row]:
    """By setting and model: each arm's metrics on the first test split, and the pairs that the model has in order."""
    if Workspace(RUN).manifest("feedback") is None:
        raise UserError(f"{RUN} has no feedback yet: run `make demo`, or name a run in KOHAI_ROBUSTNESS_RUN")
    reports = {}
    for noise, override in chosen().items():
        setting = override.partition(".")[2].replace("=", "-")
        for model, more in MODELS.items():
            overrides = [*([override] if override else []), *more]
            folder = FOLDER / (f"{model}-{setting}" if setting else model)
            reports[f"{noise}, {model}"] = finished(folder, overrides)
    draw(reports)
    return [row for title, report in reports.items() for row in rows_of(title, report)]


def chosen() -> dict[str, str]:
    """The settings that are wanted."""
    names = os.environ.get("KOHAI_ROBUSTNESS_NOISE")
    wanted = list(NOISE) if names is None else names.split(",")
    if unknown := set(wanted) - NOISE.keys():
        raise UserError(f"KOHAI_ROBUSTNESS_NOISE: {', '.join(sorted(unknown))} is none of {', '.join(NOISE)}")
    return {name: NOISE[name] for name in wanted}


def finished(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """One setting's report."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for part in KEPT:
            place = folder / part
            place.parent.mkdir(parents=True, exist_ok=True)
            if (RUN / part).is_dir():
                shutil.copytree(RUN / part, place)
            elif (RUN / part).exists():
                shutil.copyfile(RUN / part, place)
    fixed = [f"run={folder}", f"evaluate.arms={['sft', *ARMS]}", "reward_model.n_hacked=0"]
    config: Config = load_config(RUN / "config.yaml", [*fixed, *overrides])
    stages = ["reward_model", *(["rl"] if WITH_RL else []), "evaluate", "report"]
    pipeline.run(config, stages)
    return gather(Workspace(folder))


def rows_of(title: str, report: dict[str, Any]) -> list[Row]:
    """How many pairs its reward model has in order, and each arm's difference from SFT."""
    rows = []
    accuracy = report["stages"]["reward_model"]["pair_accuracy"]
    if accuracy is not None:
        rows.append(Row(f"{title}: held-out pairs in order, n = {accuracy['n']}", "share", value=accuracy["value"]))
    for arm in ARMS:
        for metric in METRICS:
            if (gap := gain(report, arm, metric)) is not None:
                told = f"less SFT [{gap['low']:+.3f}, {gap['high']:+.3f}], n = {gap['n']}"
                rows.append(Row(f"{title}: {arm} {metric} {told}", "share", value=gap["difference"]))
    return rows


def draw(reports: dict[str, dict[str, Any]]) -> None:
    """A chart an arm and metric: the differences from SFT, by setting; and by model a curve over the share flipped."""
    for arm in ARMS:
        for metric in METRICS:
            bars = [
                Bar(title, gap["difference"], gap["low"], gap["high"])
                for title, report in reports.items()
                if (gap := gain(report, arm, metric)) is not None
            ]
            chart = interval_chart(f"{arm} less SFT, {metric}, in points", bars, differences=True)
            Workspace(FOLDER).write_text(f"{arm}_{metric}.svg", alone(chart))
            for model in MODELS:
                points = [
                    Point(100 * share, 100 * gap["difference"], 100 * gap["low"], 100 * gap["high"])
                    for noise, override in NOISE.items()
                    if (share := flipped(override)) is not None and f"{noise}, {model}" in reports
                    if (gap := gain(reports[f"{noise}, {model}"], arm, metric)) is not None
                ]
                if len(points) > 1:
                    title = f"{arm} less SFT, {metric}, in points: reward models {model}"
                    curve = line_chart(title, points, "per cent of the labels turned round")
                    Workspace(FOLDER).write_text(f"{arm}_{metric}_{model}.svg", alone(curve))


def flipped(override: str) -> float | None:
    """The share of labels that a setting turns round; None for another kind of noise."""
    name, _, share = override.partition("=")
    return 0.0 if not override else float(share) if name == "reward_model.flipped" else None


def gain(report: dict[str, Any], arm: str, metric: str) -> dict[str, Any] | None:
    """The arm's difference from SFT on the first test split; None where nothing was scored."""
    found: dict[str, Any] | None = report["paired"].get(f"{arm}-sft", {}).get(splits(report)[0], {}).get(metric)
    return found
