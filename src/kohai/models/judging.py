"""The judges that a run's configuration names, as a panel: the local ones on one base, the endpoints by their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kohai.catalog import Catalog
from kohai.config import Config
from kohai.judge import EndpointJudge, Member, Panel
from kohai.judge.panel import Answerer
from kohai.judge.reliability import Reliability
from kohai.ledger import Ledger
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.reviewer import Calibration, Contrast, Reviewer
from kohai.models.yes_no import YesNo
from kohai.records import from_dict
from kohai.workspace import Workspace

REVIEWS = "reviews.json"  # in a stage's folder: what the reviewer scored there
REVIEWER = "judges/reviewer"
CALIBRATION = "judges/calibration.json"
RELIABILITY = "judges/reliability.json"
EXAM = "judges/exam.jsonl"


@contextmanager
def panel_of_run(config: Config, workspace: Workspace) -> Iterator[Panel]:
    """The panel, each judge with what the judge bench found of it."""
    settings = config.feedback
    found = {
        name: {c: r if settings.bench.switch_off else replace(r, is_off=False) for c, r in by_criterion.items()}
        for name, by_criterion in reliabilities(workspace).items()
    }
    with judges_of_run(config, workspace) as judges:
        members = {
            name: Member(judge, voice(config, name), found.get(name, {}))  # one without a measure is taken at its word
            for name, judge in judges.items()
        }
        dear = members.pop(settings.escalate_to) if settings.escalate_to is not None else None
        yield Panel(tuple(members.values()), settings.pooling, dear)


@contextmanager
def judges_of_run(config: Config, workspace: Workspace) -> Iterator[dict[str, Answerer]]:
    """All judges by name, the one for escalation too."""
    names = _names(config)
    with endpoints_of_run(config, workspace) as endpoints:
        judges: dict[str, Answerer] = {}
        base = load_base(config.model) if set(names) - set(endpoints) else None
        model = base.model if base is not None else None
        if base is not None and "reviewer" in names:
            model = adapters.load(base, base.model, "reviewer", workspace.path(REVIEWER))
        for name in names:
            if name in endpoints:
                judges[name] = endpoints[name]
            elif base is not None:
                judges[name] = _local(name, config, workspace, base, model)
        yield judges


@contextmanager
def endpoints_of_run(config: Config, workspace: Workspace) -> Iterator[dict[str, EndpointJudge]]:
    """Those of the judges that are asked over the network, by name."""
    endpoints = config.feedback.endpoints
    with Ledger(workspace.path("ledger.sqlite")) as ledger:
        yield {name: EndpointJudge(name, endpoints[name], ledger) for name in _names(config) if name in endpoints}


def _names(config: Config) -> list[str]:
    dear = config.feedback.escalate_to
    return [*config.feedback.judges, *([dear] if dear is not None else [])]


def keep_reviews(workspace: Workspace, stage: str, judges: Iterable[Answerer]) -> None:
    """Writes what the reviewer, if it is among the judges, scored in a stage: by task and program."""
    for reviewer in (judge for judge in judges if isinstance(judge, Reviewer)):
        workspace.write_json(f"{stage}/{REVIEWS}", reviewer.scores)


def answers_depend_on(config: Config) -> dict[str, Any]:
    """What the judges' answers depend on: not how fast they are asked, nor what they may cost, nor what they weigh."""
    settings = config.feedback
    endpoint = {"base_url", "model", "one_each", "logprobs", "max_tokens"}
    return {
        "judges": settings.judges,
        "escalate_to": settings.escalate_to,
        "endpoints": {
            name: found.model_dump(mode="json", include=endpoint) for name, found in settings.endpoints.items()
        },
        "reviewer": settings.reviewer.model_dump(mode="json", exclude={"weight"}),
        "bench": settings.bench.model_dump(mode="json", exclude={"switch_off"}),
    }


def voice(config: Config, name: str) -> float:
    """A judge's weight in the panel."""
    settings = config.feedback
    local = {"reviewer": settings.reviewer.weight, "yes_no": settings.yes_no.weight}
    return settings.endpoints[name].weight if name in settings.endpoints else local[name]


def reliabilities(workspace: Workspace) -> Mapping[str, Mapping[str, Reliability]]:
    """By judge and criterion, what the judge bench found; empty where nothing was examined."""
    if not workspace.path(RELIABILITY).exists():
        return {}
    data = workspace.read_json(RELIABILITY)
    return {
        name: {criterion: from_dict(Reliability, values, RELIABILITY) for criterion, values in by_criterion.items()}
        for name, by_criterion in data.items()
    }


def _local(name: str, config: Config, workspace: Workspace, base: Base, model: object) -> Answerer:
    if name == "yes_no":
        return YesNo(base, model)
    values = {name: value for name, value in workspace.read_json(CALIBRATION).items() if name != "threshold"}
    calibration = from_dict(Calibration, values, CALIBRATION)
    return Reviewer(base, model, calibration, config.feedback.reviewer.min_auc, contrast_of_run(config, workspace))


def contrast_of_run(config: Config, workspace: Workspace) -> Contrast | None:
    """What the reviewer tells in place of a program's own score, where the configuration asks for it."""
    n = config.feedback.reviewer.n_mutants
    if n == 0:
        return None
    return Contrast(Catalog.from_json(workspace.path("prepare", "catalog.json").read_text(encoding="utf-8")), n)
