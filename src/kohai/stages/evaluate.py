"""evaluate: every arm answers the same test tasks greedily, and every answer is run.

Arms: base, sft, best_of_n (of n samples of the SFT model that pass RL's static gates the reward model's favourite; of
all where none does), rejection_sft, dpo, rl_execution, rlaif, rlaif_best_of_n (as best_of_n, of the policy), and those
whose answers were made elsewhere. The reference code, run in the same box, is the ceiling. An arm's answers are kept as
they are made, whatever the other arms are: a killed run repeats one batch or one choice at most, and one more arm costs
that arm alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.catalog import Catalog
from kohai.code import extract_code
from kohai.config import Config
from kohai.metrics import api_match, effect_match, hallucinated_api
from kohai.metrics.codebleu import codebleu
from kohai.metrics.documented import DocumentedMetrics
from kohai.metrics.rouge import rouge
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.generate import generate
from kohai.models.reward import Read, RewardModel, findings_of, parts
from kohai.models.rollouts import passes_gates
from kohai.records import Evaluation, Execution, Task
from kohai.sandbox import of_run
from kohai.sandbox.of_run import execute
from kohai.tasks.apibench import answer_code, read_answers
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace, digest_json, digest_of_base, digest_path

ADAPTERS = {
    "base": None,
    "sft": ("sft", "adapter"),
    "rejection_sft": ("rejection_sft", "adapter"),
    "dpo": ("dpo", "adapter"),
    "rl_execution": ("rl_execution", "policy"),
    "rlaif": ("rl", "policy"),
}

BEST_OF = {"best_of_n": "sft", "rlaif_best_of_n": "rlaif"}  # arms that are the reward model's choice, and of what

CallsMetrics = Callable[[str, Task], Mapping[str, bool | None]]


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    outcomes, fixtures = of_run.depends(config, workspace)
    settings = {
        "evaluate": config.evaluate.model_dump(mode="json", exclude={"resamples"}),
        "gates": config.rl.gates,
        "sample": drawn_by(config),
        "outcomes": outcomes,
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [workspace.path("prepare", "catalog.json"), fixtures]
    inputs += [
        workspace.path("prepare", kind, f"{split}.jsonl")
        for kind in ("prompts", "tasks")
        for split in config.tasks.test_splits
    ]
    folders = {where for arm in config.evaluate.arms if (where := ADAPTERS[BEST_OF.get(arm, arm)]) is not None}
    last = workspace.of_round(config.rounds)
    inputs += [last.path(*where) for where in sorted(folders)]
    inputs += [config.evaluate.answers[name] for name in sorted(config.evaluate.answers)]
    of_rounds = {judging_round(config, workspace, arm) for arm in config.evaluate.arms if arm in BEST_OF}
    for one in sorted(of_rounds, key=lambda one: one.round):
        inputs += parts(one)
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes one Evaluation per arm and task.

    Returns:
        Tasks per split and arms.
    """
    prompts = {p.task_id: p for p in workspace.prompts(*config.tasks.test_splits)}
    tasks = {split: workspace.read_records(Task, f"prepare/tasks/{split}.jsonl") for split in config.tasks.test_splits}
    wanted = [(split, task) for split, found in tasks.items() for task in found]
    base = load_base(config.model)
    codes: dict[str, list[str]] = {}
    for arm in config.evaluate.arms:
        codes[arm] = arm_codes(config, workspace, base, arm, [prompts[task.id].text for _, task in wanted], wanted)
    catalog = Catalog.from_json(workspace.path("prepare", "catalog.json").read_text(encoding="utf-8"))
    of_calls = calls_metrics(catalog)
    evaluations = []
    for name, found in codes.items():
        evaluations += evaluated(config, workspace, of_calls, name, wanted, found)
    n_others = {}
    for name, path in config.evaluate.answers.items():
        given = answered_elsewhere(path, wanted)
        n_others[name] = len(given)
        answered, programs = [(split, task) for split, task, _ in given], [program for _, _, program in given]
        evaluations += evaluated(config, workspace, of_calls, name, answered, programs)
    known = [(split, task) for split, task in wanted if task.reference is not None]
    references = evaluated(config, workspace, of_calls, "reference", known, [task.reference or "" for _, task in known])
    workspace.write_records("evaluate/evaluations.jsonl", evaluations)
    workspace.write_records("evaluate/references.jsonl", references)
    return {
        "tasks": {split: len(found) for split, found in tasks.items()},
        "arms": list(config.evaluate.arms),
        "answered_elsewhere": n_others,
    }


def arm_codes(
    config: Config, workspace: Workspace, base: Base, arm: str, texts: Sequence[str], wanted: Sequence[tuple[str, Task]]
) -> list[str]:
    """One program per test task."""
    if arm in BEST_OF:
        drawn = answers(config, workspace, base, BEST_OF[arm], texts, wanted)
        judging = judging_round(config, workspace, arm)
        return favourites(config, judging, base, arm, wanted, [group[1:] for group in drawn])
    return [group[0] for group in answers(config, workspace, base, arm, texts, wanted)]


def answers(
    config: Config, workspace: Workspace, base: Base, arm: str, texts: Sequence[str], wanted: Sequence[tuple[str, Task]]
) -> list[list[str]]:
    """An arm's programs for each task: the greedy one, and after it n_best samples where a best of n is wanted.

    Made once, then read back while the weights, the settings, the tasks and their prompts are the same.
    """
    where = ADAPTERS[arm]
    folder = None if where is None else workspace.of_round(config.rounds).path(*where)
    settings = config.sample
    n_samples = config.evaluate.n_best if arm in {BEST_OF.get(wanted_arm) for wanted_arm in config.evaluate.arms} else 0
    keys = [task.id for _, task in wanted]
    proof: dict[str, Any] = {
        "adapter": None if folder is None else digest_path(folder),
        "settings": [config.seed, config.model.model_dump(mode="json"), drawn_by(config), n_samples],
        "tasks": keys,
        "prompts": digest_json(list(texts)),
    }
    if not config.model.is_ours:
        proof["base"] = digest_of_base(config.model.name)

    memory = workspace.path("evaluate", f"{arm}-batches.jsonl")

    def draw() -> list[list[str]]:
        model = base.model if folder is None else adapters.load(base, base.model, arm, folder)
        merged = adapters.merged(model, None if folder is None else arm)
        with progress.bar(f"evaluate {arm}", len(texts), unit="tasks") as bar, merged as plain:
            drawn = generate(
                base,
                plain,
                [base.render(text) for text in texts],
                n=1 + n_samples,
                temperature=settings.temperature,
                greedy_first=True,
                max_new_tokens=settings.max_new_tokens,
                batch_tokens=settings.batch_tokens,
                seed=config.seed,
                keys=keys,
                on_done=lambda done: bar.advance(done - bar.done),
                memory=memory,
            )
        if folder is not None:
            model.unload()
            base.model.requires_grad_(False)
        return [[extract_code(base.decode(sampled.ids)) for sampled in group] for group in drawn]

    found = kept(workspace, arm, proof, draw)
    memory.unlink(missing_ok=True)
    return found


def drawn_by(config: Config) -> dict[str, Any]:
    """What of `sample` an arm's answers hang on."""
    return config.sample.model_dump(mode="json", exclude={"n", "n_more"})


def kept(workspace: Workspace, arm: str, proof: dict[str, Any], make: Callable[[], list[Any]]) -> list[Any]:
    """What an arm answered, made once: read back where the proof, what it hangs on, is the same."""
    name = f"answers/{arm}.json"
    if workspace.path(name).exists():
        found = workspace.read_json(name)
        if found["proof"] == proof:
            return list(found["codes"])
    codes = make()
    workspace.write_json(name, {"proof": proof, "codes": codes})
    return codes


def answered_elsewhere(path: Path, wanted: Sequence[tuple[str, Task]]) -> list[tuple[str, Task, str]]:
    """Split, task and program of each test task that a file of answers has one for."""
    given = {f"/{answer.row}": answer_code(answer.text) for answer in read_answers(path, sys.maxsize)}
    ends = {task.id: "/" + task.id.rpartition("/")[2] for _, task in wanted}
    return [(split, task, given[ends[task.id]]) for split, task in wanted if ends[task.id] in given]


def judging_round(config: Config, workspace: Workspace, arm: str) -> Workspace:
    """The round whose reward model chooses: the last one for the last policy's samples, else the first."""
    return workspace.of_round(config.rounds if BEST_OF[arm] == "rlaif" else 1)


def favourites(
    config: Config,
    workspace: Workspace,
    base: Base,
    arm: str,
    wanted: Sequence[tuple[str, Task]],
    groups: Sequence[Sequence[str]],
) -> list[str]:
    """Of each task's samples the one that the reward model likes best, among those that pass RL's static gates; among
    all where none does. It reads only where there is a choice.
    """
    checks = RunChecks.of(workspace)
    proof = {
        "samples": digest_json([groups, [(task.instruction, checks.docs[task.id]) for _, task in wanted]]),
        "read": [digest_path(path) for path in (*parts(workspace), workspace.path("prepare", "catalog.json"))],
        "gates": list(config.rl.gates),
    }

    def choose() -> list[str]:
        reward_model = RewardModel.load(base, base.model, workspace)
        allowed = []
        for group, (_, task) in zip(groups, wanted, strict=True):
            found = {code: checks.check(code, task) for code in group}
            passing = {code: verdicts for code, verdicts in found.items() if passes_gates(verdicts, config.rl.gates)}
            allowed.append(passing or found)
        programs = [
            Read(task.instruction, code, findings_of(verdicts))
            for found, (_, task) in zip(allowed, wanted, strict=True)
            for code, verdicts in found.items()
            if len(found) > 1
        ]
        with progress.bar(f"evaluate {arm}", len(programs) * len(reward_model.names), unit="programs") as bar:
            rewards = iter(reward_model.score(programs, lambda done: bar.advance(done)))
        chosen = []
        for found in allowed:
            scores = {code: next(rewards) if len(found) > 1 else 0.0 for code in found}
            chosen.append(max(scores, key=scores.__getitem__))
        reward_model.model.unload()
        base.model.requires_grad_(False)
        return chosen

    return kept(workspace, arm, proof, choose)


def evaluated(
    config: Config,
    workspace: Workspace,
    of_calls: CallsMetrics,
    arm: str,
    wanted: Sequence[tuple[str, Task]],
    codes: Sequence[str],
) -> list[Evaluation]:
    """Runs an arm's programs and measures them."""
    programs = [(code, task) for code, (_, task) in zip(codes, wanted, strict=True)]
    executions = execute(config, workspace, programs, f"execute {arm}")
    return [
        Evaluation(arm, split, task.id, code, execution, metrics(task, code, execution, of_calls))
        for (split, task), code, execution in zip(wanted, codes, executions, strict=True)
    ]


def calls_metrics(catalog: Catalog) -> CallsMetrics:
    """What measures a program's calls: the reference's, or, where docs are all that is known, the call they name."""
    if catalog.documented is not None:
        return DocumentedMetrics(catalog).of

    def of_package(code: str, task: Task) -> dict[str, bool | None]:
        found = {"hallucinated_api": hallucinated_api(code, catalog)}
        if task.reference is None:
            return found
        match = api_match(code, task.reference, catalog)
        return found if match is None else {**found, **match.metrics}

    return of_package


def metrics(task: Task, code: str, execution: Execution, of_calls: CallsMetrics) -> Mapping[str, bool | float | None]:
    """A program's metrics; None = unscored."""
    found: dict[str, bool | float | None] = {
        "executability": execution.ran,
        "effect_match": None if task.effect is None else effect_match(execution, task.effect),
        **of_calls(code, task),
    }
    if task.reference is None:
        return found
    try:
        likeness = codebleu(code, task.reference).codebleu
    except ValueError:  # the reference holds no code
        likeness = None
    return found | {"rouge_l": rouge(code, task.reference).rouge_l.f1, "codebleu": likeness}
