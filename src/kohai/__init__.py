"""Kohai (後輩, the junior): teach a small language model to call your API so that the code runs.

    import kohai

    config = kohai.load_config("configs/demo.yaml", ["seed=8"])
    kohai.run(config)             # all stages, as `kohai run configs/demo.yaml`
    kohai.sft(config)             # one stage, as `kohai sft configs/demo.yaml`

Importing this package imports nothing heavy; each function imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohai.config import Config

__all__ = [
    "Config",
    "compare_runs",
    "dpo",
    "dry_run",
    "evaluate",
    "export_preferences",
    "feedback",
    "judges",
    "load_config",
    "prepare",
    "prompt",
    "rejection_sft",
    "reward_model",
    "rl",
    "rl_execution",
    "run",
    "sample",
    "sft",
    "write_report",
]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a YAML file, with `a.b=c` overrides laid over it; see `kohai.config.load_config`."""
    from kohai import config

    return config.load_config(path, overrides)


def run(config: Config, stages: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the stages (None = all) that are not done yet; each one's report by its name."""
    from kohai import pipeline

    reports: dict[str, Any] = pipeline.run(config, stages)
    return reports


def prepare(config: Config) -> dict[str, Any]:
    """Reads the package, the tasks and the fixtures; builds the prompts."""
    return run(config, ["prepare"])


def prompt(config: Config, instruction: str) -> str:
    """The prompt for an instruction of one's own, as the run's models were taught to read it."""
    from kohai import pipeline

    return pipeline.prompt(config, instruction)


def sft(config: Config) -> dict[str, Any]:
    """Supervised fine-tuning on the demo references."""
    return run(config, ["sft"])


def sample(config: Config) -> dict[str, Any]:
    """Completions of the practice tasks by the SFT model."""
    return run(config, ["sample"])


def judges(config: Config) -> dict[str, Any]:
    """The reviewer, tuned and calibrated, and what the judge bench finds of every judge."""
    return run(config, ["judges"])


def dry_run(config: Config) -> dict[str, Any]:
    """What judge bench and feedback would ask of each endpoint and cost, about and at most; asks nothing."""
    from kohai import pipeline

    found: dict[str, Any] = pipeline.dry_run(config)
    return found


def feedback(config: Config) -> dict[str, Any]:
    """Static checks, executions and the judges answer the rubric on each completion."""
    return run(config, ["feedback"])


def reward_model(config: Config) -> dict[str, Any]:
    """A Bradley-Terry reward model on the preferences that the feedback gives."""
    return run(config, ["reward_model"])


def export_preferences(config: Config, folder: Path) -> int:
    """Writes a run's preferences as a Hugging Face dataset folder, ready for DPO; the number of pairs."""
    from kohai import pipeline

    return pipeline.export_preferences(config, folder)


def rejection_sft(config: Config) -> dict[str, Any]:
    """The comparison beside RL: fine-tuning on the best samples by the same feedback."""
    return run(config, ["rejection_sft"])


def dpo(config: Config) -> dict[str, Any]:
    """A comparison beside RL: direct preference optimisation on the same preferences."""
    return run(config, ["dpo"])


def rl_execution(config: Config) -> dict[str, Any]:
    """A comparison beside RL: the same loop on execution alone, without the feedback."""
    return run(config, ["rl_execution"])


def rl(config: Config) -> dict[str, Any]:
    """PPO against the reward model."""
    return run(config, ["rl"])


def evaluate(config: Config) -> dict[str, Any]:
    """All arms on the test splits, greedy and paired."""
    return run(config, ["evaluate"])


def write_report(config: Config) -> dict[str, Any]:
    """The report page, its JSON and its table; named so because `kohai.report` is the package that writes it."""
    return run(config, ["report"])


def compare_runs(folders: Sequence[Path], to: Path | None) -> Path:
    """The report on the runs in several folders, written to `to`; of a single one to its own folder for None."""
    from kohai import report
    from kohai.workspace import Workspace

    runs = [Workspace(folder) for folder in folders]
    written = report.write(runs[0], to) if len(runs) == 1 else report.compare(runs, to or Path("runs/comparison"))
    return written.page.parent


def __getattr__(name: str) -> Any:
    if name == "Config":
        from kohai.config import Config

        return Config
    raise AttributeError(f"module 'kohai' has no attribute {name!r}")
