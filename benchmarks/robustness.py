"""What wrong preferences do to executability: flipped labels, a judge that likes length; one reward model and five.

Takes a finished run (KOHAI_ROBUSTNESS_RUN, runs/demo), copies what comes before the reward model for each setting to
runs/robustness/, and runs the rest there; settings that are done are not done again. Draws each arm's gain over SFT by
setting, runs/robustness/ARM_METRIC.svg. KOHAI_ROBUSTNESS_RL=0 leaves RL out: best of n alone, a minute a setting; with
RL it is five to fifteen.
"""

import os
import shutil
from pathlib import Path

from kohai import pipeline
from kohai.bench import Row
from kohai.config import Config, load_config
from kohai.errors import UserError
from kohai.report import gather
from kohai.report.charts import Row as Bar
from kohai.report.charts import alone, interval_chart
from kohai.workspace import Workspace

RUN = Path(os.environ.get("KOHAI_ROBUSTNESS_RUN", "runs/demo"))
WITH_RL = os.environ.get("KOHAI_ROBUSTNESS_RL", "1") != "0"
FOLDER = Path("runs/robustness")
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
    rows = []
    bars: dict[tuple[str, str], list[Bar]] = {(arm, metric): [] for arm in ARMS for metric in METRICS}
    for noise, override in NOISE.items():
        for model, more in MODELS.items():
            overrides = [*([override] if override else []), *more]
            name = "-".join([model, *(part.partition(".")[2].replace("=", "-") for part in [override] if part)])
            rows += measured(f"{noise}, {model}", FOLDER / name, overrides, bars)
    for (arm, metric), found in bars.items():
        chart = interval_chart(f"{arm} less SFT, {metric}, in points", found, differences=True)
        (FOLDER / f"{arm}_{metric}.svg").write_text(alone(chart), encoding="utf-8")
    return rows


def measured(title: str, folder: Path, overrides: list[str], bars: dict[tuple[str, str], list[Bar]]) -> list[Row]:
    """One setting's rows; its differences from SFT go to `bars`."""
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
    report = gather(Workspace(folder))
    split = Path(config.tasks.test[0]).stem
    rows = []
    accuracy = report["stages"]["reward_model"]["pair_accuracy"]
    if accuracy is not None:
        rows.append(Row(f"{title}: held-out pairs in order, n = {accuracy['n']}", "share", value=accuracy["value"]))
    for (arm, metric), drawn in bars.items():
        gap = report["paired"].get(f"{arm}-sft", {}).get(split, {}).get(metric)
        if gap is not None:
            told = f"less SFT [{gap['low']:+.3f}, {gap['high']:+.3f}], n = {gap['n']}"
            rows.append(Row(f"{title}: {arm} {metric} {told}", "share", value=gap["difference"]))
            drawn.append(
                Bar(title, gap["difference"], gap["low"], gap["high"], "accent" if "five" in title else "series")
            )
    return rows
