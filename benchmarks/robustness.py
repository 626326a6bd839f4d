"""What wrong preferences do to executability: flipped labels, a judge that likes length; one reward model and five.

Takes a finished run (KOHAI_ROBUSTNESS_RUN, runs/demo), copies what comes before the reward model for each setting to
runs/robustness/, and runs the rest there; settings that are done are not done again. KOHAI_ROBUSTNESS_RL=0 leaves RL
out: best of n alone, in a minute a setting, with RL in a quarter of an hour.
"""

import os
import shutil
from pathlib import Path

from kohai import pipeline
from kohai.bench import Row
from kohai.config import Config, load_config
from kohai.errors import UserError
from kohai.report import gather
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


def run() -> list[Row]:
    """By setting and model: each arm's metrics on the first test split, and the pairs that the model has in order."""
    if Workspace(RUN).manifest("feedback") is None:
        raise UserError(f"{RUN} has no feedback yet: run `make demo`, or name a run in KOHAI_ROBUSTNESS_RUN")
    rows = []
    for noise, override in NOISE.items():
        for model, more in MODELS.items():
            overrides = [*([override] if override else []), *more]
            name = "-".join([model, *(part.split(".")[-1].replace("=", "-") for part in [override] if part)])
            rows += measured(f"{noise}, {model}", FOLDER / name, overrides)
    return rows


def measured(title: str, folder: Path, overrides: list[str]) -> list[Row]:
    """One setting's rows."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for part in KEPT:
            place = folder / part
            place.parent.mkdir(parents=True, exist_ok=True)
            if (RUN / part).is_dir():
                shutil.copytree(RUN / part, place)
            elif (RUN / part).exists():
                shutil.copyfile(RUN / part, place)
    arms = ["sft", "best_of_n", *(["rlaif"] if WITH_RL else [])]
    fixed = [f"run={folder}", f"evaluate.arms={arms}", "reward_model.n_hacked=0"]
    config: Config = load_config(RUN / "config.yaml", [*fixed, *overrides])
    stages = ["reward_model", *(["rl"] if WITH_RL else []), "evaluate", "report"]
    pipeline.run(config, stages)
    report = gather.gather(Workspace(folder))
    split = Path(config.tasks.test[0]).stem
    rows = []
    accuracy = report["stages"]["reward_model"]["pair_accuracy"]
    if accuracy is not None:
        rows.append(Row(f"{title}: held-out pairs in order, n = {accuracy['n']}", "share", value=accuracy["value"]))
    for arm in arms[1:]:
        for metric in METRICS:
            found = report["arms"][arm][split].get(metric)
            if found is not None:
                told = f"[{found['low']:.3f}, {found['high']:.3f}], n = {found['n']}"
                ours, peer = found["value"], report["arms"]["sft"][split][metric]["value"]
                rows.append(Row(f"{title}: {arm} {metric} {told}", "share (peer: sft)", ours=ours, peer=peer))
    return rows
