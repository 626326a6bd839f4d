"""The way of the data: API docs -> tasks -> SFT -> samples -> feedback -> reward model -> RL -> evaluation -> report.

Read this first. Each stage reads artifacts of earlier ones from the run's folder and writes its own; a stage whose
manifest matches its settings and inputs is skipped, so the same command continues a stopped run. With `rounds` above 1
the stages of `ROUNDED` come again, each time from the policy that the round before left.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from kohai import progress, report
from kohai.config import Config, to_yaml
from kohai.errors import ConfigError, UserError
from kohai.judge import load_rubric
from kohai.tasks.apibench import read_answers
from kohai.workspace import ROUNDED, Workspace, digest_of_base, run_stage

STAGES = (
    "prepare",  # read the package statically, load the tasks, write a prompt for each
    "sft",  # fine-tune the base on the demo references
    "sample",  # n completions of practice tasks from the SFT model
    "judges",  # the reviewer is tuned; every judge is examined on programs whose truth is known
    "feedback",  # static checks, execution and the judges answer the rubric about each completion
    "reward_model",  # preferences within a task, Bradley-Terry
    "rejection_sft",  # a baseline: SFT on the best-judged completions
    "dpo",  # a baseline: direct preference optimisation on the same preferences
    "rl_execution",  # a baseline: RL without the feedback
    "rl",  # PPO against the reward model
    "evaluate",  # every arm on the same test tasks, greedy, run
    "report",  # table, page, JSON
)

TOGETHER = ("rl_execution", "rl")  # trained by all processes that torchrun started; the others are the first one's
BASELINES = ("rejection_sft", "dpo", "rl_execution")  # run where `evaluate.arms` names them, on the first round's data


def run(config: Config, stages: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs the stages in order, all of them by default.

    Returns:
        Each stage's report by its folder's name.

    Raises:
        UserError: an unknown stage, or anything that the user can mend; see `kohai.errors`.
    """
    wanted = STAGES if stages is None else tuple(stages)
    for name in wanted:
        if name not in STAGES:
            raise UserError(f"no stage {name!r}; the stages are {', '.join(STAGES)}")
    workspace = Workspace(config.run)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return lead(config, workspace, stages)
    from kohai.models import distributed

    with distributed.together():
        if not distributed.leads():
            progress.mute()
            follow(config, workspace)
            return {}
        reports = lead(config, workspace, stages)
        distributed.from_leader(lambda: None)
        return reports


def follow(config: Config, workspace: Workspace) -> None:
    """One of several processes that is not the first: waits to be called to the stages that all train together."""
    from kohai.models import distributed

    nothing: tuple[str, int] | None = None
    while (called := distributed.from_leader(lambda: nothing)) is not None:
        name, number = called
        importlib.import_module(f"kohai.stages.{name}").run(config, workspace.of_round(number))


def lead(config: Config, workspace: Workspace, stages: Sequence[str] | None) -> dict[str, Any]:
    """Does the stages; see `run`."""
    reports: dict[str, Any] = {}
    if stages is None or "prepare" in stages:
        check_files(config)
    with workspace.lock():
        workspace.write_text("config.yaml", to_yaml(config))
        for name, number in planned(config, stages):
            if stages is None and name in BASELINES and name not in config.evaluate.arms:
                continue
            if number > 1 and workspace.of_round(number - 1).manifest("rl") is None:
                continue  # one stage is asked for, and its round is not there yet
            if name == "report":
                paths = report.write(workspace)
                reports[name] = {"page": str(paths.page), "data": str(paths.data), "table": str(paths.table)}
                continue
            stage = importlib.import_module(f"kohai.stages.{name}")
            in_round = workspace.of_round(number)
            settings, inputs = stage.depends(config, in_round)
            if stages is not None and number > 1 and not all(path.exists() for path in inputs):
                continue  # it was not asked for by number, and what it reads is not made yet
            if not config.model.is_ours:  # a folder may hold another model since
                settings |= {"base": digest_of_base(config.model.name)}
            work = partial(stage.run, config, in_round)
            if name in TOGETHER:
                work = partial(call_all, name, number, work)
            manifest, skipped = run_stage(in_round, name, settings, inputs, work)
            folder = in_round.folder_of(name)
            reports[folder] = manifest["report"]
            progress.say(f"{folder}: {'done before' if skipped else 'done'} ({manifest['seconds']:.0f} s)")
    return reports


def check_files(config: Config) -> None:
    """Hours before a stage reads them: the user's files are there and whole. Of what `prepare` reads it tells itself.

    Raises:
        ConfigError: they are not there; all of them, one a line.
        DataError: one is not what it should be.
    """
    named: dict[str, Path | None] = {
        "sandbox.catalogue": config.sandbox.catalogue,
        "sft.start_from": config.sft.start_from,
        "feedback.rubric": config.feedback.rubric,
        "feedback.labels": config.feedback.labels,
        **{f"evaluate.answers.{name}": path for name, path in config.evaluate.answers.items()},
    }
    missing = [f"{n}: {p.absolute()} does not exist" for n, p in named.items() if p is not None and not p.exists()]
    if missing:
        hint = "; copy configs/rubric.yaml of Kohai's checkout" if not config.feedback.rubric.exists() else ""
        raise ConfigError("\n".join(missing) + hint)
    from kohai.stages import feedback

    load_rubric(config.feedback.rubric)
    feedback.labels_of(config.feedback.labels, {})
    for path in config.evaluate.answers.values():
        read_answers(path, sys.maxsize)


def call_all(name: str, number: int, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Calls the other processes, if there are any, to a stage, and does it with them."""
    from kohai.models import distributed

    distributed.from_leader(lambda: (name, number))
    return work()


def planned(config: Config, stages: Sequence[str] | None) -> list[tuple[str, int]]:
    """Stages and their rounds, in order. Of a stage that is asked for by name, all rounds."""
    later = range(2, config.rounds + 1)
    if stages is not None:
        return [(name, number) for name in stages for number in (1, *(later if name in ROUNDED else ()))]
    end = STAGES.index("rl") + 1
    again = [(name, number) for number in later for name in ROUNDED]
    return [*((name, 1) for name in STAGES[:end]), *again, *((name, 1) for name in STAGES[end:])]


def dry_run(config: Config) -> dict[str, Any]:
    """What judge bench and feedback of the first round would ask of each endpoint, by stage, and what that would use.

    Raises:
        UserError: there are no samples yet.
    """
    workspace = Workspace(config.run)
    if workspace.manifest("sample") is None:
        raise UserError(
            f"{config.run} has no samples yet, so nothing is known of what would be asked; run `kohai sample`"
        )
    from kohai.stages import feedback, judges

    with workspace.lock():
        return {
            "judges": {name: asdict(found) for name, found in judges.estimate(config, workspace).items()},
            "feedback": {name: asdict(found) for name, found in feedback.estimate(config, workspace).items()},
        }


def prompt(config: Config, instruction: str) -> str:
    """What the models of a configuration's run are to read for an instruction of one's own: docs and demonstrations
    are found as for the run's tasks.

    Raises:
        UserError: the run is not prepared, or the instruction is too long.
    """
    from kohai.stages import prepare

    return prepare.prompt_for(config, Workspace(config.run), instruction)


def export_preferences(config: Config, folder: Path) -> int:
    """Writes a run's preferences as a Hugging Face dataset folder for DPO; the number of pairs.

    Raises:
        UserError: the run has none yet, or the folder is there already.
    """
    from kohai.stages import reward_model

    return reward_model.export_preferences(Workspace(config.run, config.rounds), folder)
