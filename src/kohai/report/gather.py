"""Reads a run's artifacts and makes report.json of them; its shape is documented in docs/report.md.

Every artifact may be missing (a stage not run yet): what would have come from it is absent, never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import yaml

from kohai.config import ANSWERERS
from kohai.errors import WorkspaceError
from kohai.judge.panel import PANEL
from kohai.records import Evaluation, Feedback, Task
from kohai.report import cases, tables
from kohai.workspace import ROUNDED, Workspace, digest_path

STAGES = (
    "prepare",
    "sft",
    "sample",
    "judges",
    "feedback",
    "reward_model",
    "rejection_sft",
    "dpo",
    "rl_execution",
    "rl",
    "evaluate",
)
CURVES = {
    "sft": "sft/metrics.jsonl",
    "reviewer": "judges/metrics.jsonl",
    "reward_model": "reward_model/metrics.jsonl",
    "rejection_sft": "rejection_sft/metrics.jsonl",
    "dpo": "dpo/metrics.jsonl",
    "rl_execution": "rl_execution/metrics.jsonl",
    "rl": "rl/metrics.jsonl",
    "probe": "rl/probe.jsonl",
}
_COSTS = ("seconds", "peak_memory_bytes", "peak_gpu_memory_bytes")
_RESAMPLES = 2000
Record = TypeVar("Record")


def gather(workspace: Workspace) -> dict[str, Any]:
    """Everything that the report shows, as JSON values.

    Raises:
        WorkspaceError: the folder holds no run, or one of another version of Kohai.
        DataError: an artifact is not what it should be.
    """
    facts = _facts(workspace)
    by_arm = _by_arm(workspace)
    rounds = _rounds(workspace, facts["config"])
    resamples = (facts["config"].get("evaluate") or {}).get("resamples", _RESAMPLES)
    return _report(
        facts,
        by_arm,
        _tasks(workspace, by_arm),
        paired=tables.pairs(by_arm, resamples, facts["config"].get("seed", 0)),
        curves={name: lines for name, path in CURVES.items() if (lines := _curve(rounds, path))},
        feedback=_feedback([f for one in rounds for f in _records(one, Feedback, "feedback/feedback.jsonl")]),
        calibration=_json(workspace, "judges/calibration.json"),
        judge_bench=_json(workspace, "judges/bench.json"),
    )


def compare(workspaces: Sequence[Workspace]) -> dict[str, Any]:
    """Several runs as one report of the same shape: an arm is named `run: arm`, and each run's arm is paired with the
    first run's; where the runs differ by their seed alone, arms that each has are also paired over all. What belongs to
    one run alone (curves, feedback, judges) is absent.

    Raises:
        WorkspaceError, DataError: as `gather`.
    """
    names = _names(workspaces)
    facts = [_facts(workspace) for workspace in workspaces]
    by_run = [_by_arm(workspace) for workspace in workspaces]
    by_arm: tables.ByArm = {}
    tasks: dict[str, Task] = {}
    for name, workspace, found in zip(names, workspaces, by_run, strict=True):
        by_arm |= {f"{name}: {arm}": by_split for arm, by_split in found.items()}
        tasks |= _tasks(workspace, found)
    arms = list(dict.fromkeys(arm for found in by_run for arm in found))
    which = [(f"{name}: {arm}", f"{names[0]}: {arm}") for arm in arms for name in names[1:]]
    last_first = [(f"{names[0]}: {arm}", f"{names[-1]}: {arm}") for arm in reversed(arms)]
    by_name = dict(zip(names, facts, strict=True))
    whole = facts[0] | {
        "run": ", ".join(names),
        "seed": [of_run["seed"] for of_run in facts],
        "commit": _each(of_run["commit"] for of_run in facts),
        "machines": _distinct(machine for of_run in facts for machine in of_run["machines"]),
        "versions": _versions(by_name),
        "reference": {split: found for of_run in reversed(facts) for split, found in of_run["reference"].items()},
        "stages": {},
        "outdated": [f"{name}/{what}" for name, of_run in by_name.items() for what in of_run["outdated"]],
        "costs": {
            name: {key: of_run[key] for key in _COSTS if of_run[key] is not None} for name, of_run in by_name.items()
        },
        **{key: _total(by_name, key, sum if key == "seconds" else max) for key in _COSTS},
        "config": {name: of_run["config"] for name, of_run in by_name.items()},
    }
    paired = tables.pairs(by_arm, _RESAMPLES, 0, which, mark=" less ")
    if are_seeds(facts):
        paired |= tables.pooled(by_run, 0)
    return _report(whole, by_arm, tasks, paired, comparisons=last_first)


def are_seeds(facts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether runs are one another's repetitions: each with a seed of its own, and settings that are the same but for
    what does not change an answer.
    """

    def settings(config: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in config.items() if key not in ("run", "seed", "report_to")}
        return kept | {"evaluate": {**(kept.get("evaluate") or {}), "arms": None, "resamples": None}}

    seeds = {of_run["seed"] for of_run in facts}
    return len(seeds) == len(facts) and all(settings(one["config"]) == settings(facts[0]["config"]) for one in facts)


def _report(
    facts: Mapping[str, Any],
    by_arm: tables.ByArm,
    tasks: Mapping[str, Task],
    paired: Mapping[str, Any],
    *,
    curves: Mapping[str, Any] | None = None,
    feedback: Mapping[str, Any] | None = None,
    calibration: Any = None,
    judge_bench: Any = None,
    comparisons: Sequence[tuple[str, str]] = cases.COMPARISONS,
) -> dict[str, Any]:
    """The report's shape, of one run or of several; what belongs to one run alone may be absent."""
    report: dict[str, Any] = _finite(
        {
            **facts,
            "arms": {arm: {split: tables.describe(rows) for split, rows in by.items()} for arm, by in by_arm.items()},
            "paired": paired,
            "curves": curves or {},
            "feedback": feedback,
            "calibration": calibration,
            "judge_bench": judge_bench,
            "side_by_side": cases.choose(by_arm, tasks, comparisons),
            "tasks": tables.by_task(by_arm, tasks),
        }
    )
    return report


def _facts(workspace: Workspace) -> dict[str, Any]:
    """What ran, with what, what it cost, and what the reference code itself scores.

    Raises:
        WorkspaceError: the folder holds no run, or one of another version of Kohai.
    """
    if not workspace.root.is_dir():
        raise WorkspaceError(f"{workspace.root} does not exist; `kohai run CONFIG` makes it")
    config = _config(workspace)
    later = [one.folder_of(stage) for one in _rounds(workspace, config)[1:] for stage in ROUNDED]
    manifests = {stage: found for stage in [*STAGES, *later] if (found := workspace.manifest(stage)) is not None}
    if not manifests and not config:
        raise WorkspaceError(f"{workspace.root} holds no run; name the folder that `kohai run CONFIG` made")
    references = tables.group(_records(workspace, Evaluation, "evaluate/references.jsonl"))
    return {
        "run": str(workspace.root),
        "seed": config.get("seed"),
        "commit": _each(manifest.get("commit") for manifest in manifests.values()),
        "machines": _distinct(manifest["machine"] for manifest in manifests.values() if "machine" in manifest),
        "versions": _versions(manifests),
        "reference": {split: tables.describe(rows) for split, rows in references.get("reference", {}).items()},
        "stages": {stage: manifest["report"] for stage, manifest in manifests.items()},
        "costs": {stage: _cost(manifest) for stage, manifest in manifests.items()},
        "outdated": _outdated(workspace, manifests.get("evaluate", {})),
        "seconds": _total(manifests, "seconds", sum),
        "peak_memory_bytes": _total(manifests, "peak_memory_bytes", max),
        "peak_gpu_memory_bytes": _total(manifests, "peak_gpu_memory_bytes", max),
        "config": config,
    }


def _each(commits: Iterable[str | None]) -> str | None:
    """Each of the commits once, in order."""
    return ", ".join(dict.fromkeys(part for commit in commits if commit for part in commit.split(", "))) or None


def _distinct(machines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each of the machines once, in order."""
    found: list[dict[str, Any]] = []
    for machine in machines:
        if machine not in found:
            found.append(machine)
    return found


def _outdated(workspace: Workspace, manifest: Mapping[str, Any]) -> list[str]:
    """What the evaluation was of and is another since: weights, and whatever else of the run it read."""
    inputs = {name: workspace.path(name) for name in manifest.get("inputs", {})}
    return [name for name, path in inputs.items() if path.exists() and digest_path(path) != manifest["inputs"][name]]


def _rounds(workspace: Workspace, config: Mapping[str, Any]) -> list[Workspace]:
    count = config.get("rounds", 1)
    return workspace.of_round(count if isinstance(count, int) else 1).rounds


def _by_arm(workspace: Workspace) -> tables.ByArm:
    return tables.group(_records(workspace, Evaluation, "evaluate/evaluations.jsonl"))


def _names(workspaces: Sequence[Workspace]) -> list[str]:
    """The folders' own names; their whole paths where two are alike."""
    names = [workspace.root.name for workspace in workspaces]
    return names if len(set(names)) == len(names) else [str(workspace.root) for workspace in workspaces]


def _config(workspace: Workspace) -> dict[str, Any]:
    path = workspace.path("config.yaml")
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found if isinstance(found, dict) else {}


def _records(workspace: Workspace, kind: type[Record], name: str) -> list[Record]:
    return workspace.read_records(kind, name) if workspace.path(name).exists() else []


def _json(workspace: Workspace, name: str) -> Any:
    return workspace.read_json(name) if workspace.path(name).exists() else None


def _lines(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """A log of JSON lines; a last line that was cut when the process was killed is left out."""
    path = workspace.path(name)
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


def _curve(rounds: Sequence[Workspace], name: str) -> list[dict[str, Any]]:
    """A log's lines; where a stage comes again in each round, one after the other, steps counted on."""
    found: list[dict[str, Any]] = []
    for one in rounds if name.split("/")[0] in ROUNDED else rounds[:1]:
        before = found[-1]["step"] if found else 0
        found += [line | {"step": before + line["step"]} for line in _lines(one, name)]
    return found


def _tasks(workspace: Workspace, by_arm: tables.ByArm) -> dict[str, Task]:
    splits = sorted({split for by_split in by_arm.values() for split in by_split})
    return {task.id: task for split in splits for task in _records(workspace, Task, f"prepare/tasks/{split}.jsonl")}


def _feedback(feedback: list[Feedback]) -> dict[str, Any] | None:
    """Per criterion how many verdicts are yes, no and unscored, a panel's in place of its judges', people's aside; how
    many completions got a score, and the mean of those.
    """
    if not feedback:
        return None
    criteria: dict[str, dict[str, int]] = {}
    for item in feedback:
        together = {verdict.criterion for verdict in item.verdicts if verdict.answerer == PANEL}
        for verdict in item.verdicts:
            is_judges = verdict.answerer not in (*ANSWERERS, PANEL)
            if verdict.answerer == "human" or (is_judges and verdict.criterion in together):
                continue
            counts = criteria.setdefault(verdict.criterion, {"yes": 0, "no": 0, "unscored": 0})
            counts[verdict.answer] += 1
    scores = [item.score for item in feedback if item.score is not None]
    summary: dict[str, Any] = {"completions": len(feedback), "scored": len(scores), "criteria": criteria}
    if scores:
        summary["mean_score"] = sum(scores) / len(scores)
    return summary


def _versions(manifests: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The versions that the stages ran with; where two stages differ, both, so that nobody is misled."""
    found: dict[str, list[str]] = {}
    for manifest in manifests.values():
        for name, version in manifest.get("versions", {}).items():
            if version not in found.setdefault(name, []):
                found[name].append(version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def _cost(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: manifest[key] for key in _COSTS if key in manifest}


def _total(manifests: Mapping[str, Mapping[str, Any]], key: str, fold: Any) -> Any:
    values = [manifest[key] for manifest in manifests.values() if manifest.get(key) is not None]
    return fold(values) if values else None


def _finite(value: Any) -> Any:
    """JSON has no NaN: a number that is not finite is absent (null)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
