"""prepare: read the package or the docs, load the tasks, write the prompts.

A package is read statically, never imported. Each prompt holds the docs of the apis that retrieval finds for its
instruction; only a demo task's prompt is sure to hold those its reference calls, so that SFT never learns to call what
the docs do not show. `prompt.docs` has it otherwise. Subsets of the splits are the same for every seed.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.catalog import Catalog, Retriever, read_package, render
from kohai.config import Config
from kohai.errors import ConfigError, DataError, WorkspaceError
from kohai.metrics.api_match import api_calls
from kohai.metrics.comparisons import detectable_rise
from kohai.models.base import Base, fetch, is_local, load_base
from kohai.models.tuning import answer_ids
from kohai.records import Api, Effect, Execution, Prompt, Task
from kohai.sandbox import of_run
from kohai.sandbox.image import importable
from kohai.sandbox.of_run import FIXTURES
from kohai.tasks import Demonstrations, build_prompt_text, load_tasks
from kohai.tasks.apibench import as_catalog, read_docs
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace, digest_path

SUBSET_SEED = 0
N_TRIED = 32  # demo references that are run
MAX_ACCUSED = 0.05  # share of the demo references that a check may say no of without a word


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:  # noqa: ARG001
    """Settings and inputs of this stage."""
    tasks = config.tasks
    files = {tasks.folder / name for name in (tasks.demo, tasks.practice, tasks.probe, *tasks.test)}
    settings = {
        "package": config.package.model_dump(mode="json"),
        "tasks": tasks.model_dump(mode="json"),
        "prompt": config.prompt.model_dump(mode="json"),
        "model": [config.model.name, config.model.chat],
        "max_new_tokens": max(config.sample.max_new_tokens, config.rl.sampling.max_new_tokens),
        "n_calibration": config.feedback.reviewer.n_calibration,
        "n_bench": config.feedback.bench.n_tasks,
    }
    for file in sorted(files):
        if not file.is_file():
            raise WorkspaceError(
                f"{file} does not exist; check the path in the configuration: tasks.demo, tasks.practice, tasks.probe "
                "and tasks.test name the files in tasks.folder (tasks.test: [test.jsonl] where one is all)"
            )
    fixtures = {tasks.folder / task.fixture for file in files for task in load_tasks(file) if task.fixture is not None}
    if config.package.path is not None and config.package.path.is_dir():
        settings["outcomes"] = of_run.settings(config)
    return settings, [config.package.path or config.package.docs or Path(), *sorted(files), *sorted(fixtures)]


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes catalog, tasks, fixtures and prompts.

    Returns:
        Counts, retrieval recall, what rise above a rate of a half the test tasks can show, and how many docs were cut.

    Raises:
        DataError: the package or a task file is not what it should be; names place and field.
    """
    if config.model.name != "tiny-random" and is_local(config.model):
        fetch(config.model)
    catalog = read_catalog(config)
    splits = load_splits(config)
    if config.package.path is not None:
        splits = with_apis(splits, catalog)
    splits["practice"] = [replace(task, reference=None, effect=None) for task in splits["practice"]]
    tell_of_few(config, splits)
    base = load_base(config.model)
    builder = PromptBuilder(config, base, catalog, splits["demo"])
    prompts: list[Prompt] = []
    with progress.bar("prepare", sum(map(len, splits.values())), unit="prompts") as bar:
        for split, tasks in splits.items():
            for number, task in enumerate(tasks):
                prompts.append(builder.build(task, split, may_show=split != "demo" or number % 2 == 0))
                bar.advance()
    answers = {task.id: len(answer_ids(base, task.reference)) for task in splits["demo"] if task.reference is not None}
    refuse_too_long(config, base, prompts, answers)
    tell_of_cut(config, answers)
    copy_fixtures(config.tasks.folder, [task for tasks in splits.values() for task in tasks], workspace)
    if config.package.path is not None:
        for split in ("probe", *config.tasks.test_splits):
            splits[split] = with_effects(config, workspace, splits[split])
    for split, tasks in splits.items():
        workspace.write_records(f"prepare/tasks/{split}.jsonl", tasks)
        workspace.write_records(f"prepare/prompts/{split}.jsonl", [p for p in prompts if p.split == split])
    workspace.write_text("prepare/catalog.json", catalog.to_json())
    workspace.write_json("prepare/docs.json", builder.docs)
    tried = {} if config.package.path is None else {"references": try_references(config, workspace, splits["demo"])}
    return {
        "apis": len(catalog.apis),
        "tasks": {split: len(tasks) for split, tasks in splits.items()},
        **tried,
        "retrieval_recall": {split: recall(tasks, prompts) for split, tasks in splits.items()},
        "detectable_rise": {split: detectable(len(splits[split])) for split in config.tasks.test_splits},
        "prompt_tokens_mean": round(sum(p.n_tokens for p in prompts) / len(prompts), 1),
        "docs_cut": sum(p.n_dropped for p in prompts),
        "prompts_cut": sum(p.n_dropped > 0 for p in prompts),
        "prompts_with_demonstrations": {
            s: sum(p.split == s and bool(p.demonstrations) for p in prompts) for s in splits
        },
    }


def read_catalog(config: Config) -> Catalog:
    """The apis of the package, and what else programs may import; or the apis that the docs name."""
    package = config.package
    if package.path is not None:
        return replace(read_package(package.path, package.names), importable=importable(of_run.image(config)))
    return as_catalog(read_docs(package.docs or Path())[0])


def with_apis(splits: Mapping[str, Sequence[Task]], catalog: Catalog) -> dict[str, list[Task]]:
    """The tasks with their apis by the catalog's ids, those that their references call where they name none; what the
    catalog does not have is told.
    """
    unknown: dict[str, None] = {}

    def known(task: Task) -> Task:
        if not task.apis and task.reference is not None:
            calls = api_calls(task.reference, catalog) or []
            return replace(task, apis=tuple(dict.fromkeys(call.api for call in calls)))
        found = {name: catalog.resolve(name) for name in task.apis}
        unknown.update({f"{name} ({task.id})": None for name, api in found.items() if api is None})
        return replace(task, apis=tuple(dict.fromkeys(api.id if api else name for name, api in found.items())))

    made = {split: [known(task) for task in tasks] for split, tasks in splits.items()}
    if unknown:
        progress.say(
            f"prepare: {len(unknown)} names in `apis` are none of the package's: {', '.join([*unknown][:3])}; docs and "
            "solved tasks are found by those names"
        )
    return made


def with_effects(config: Config, workspace: Workspace, tasks: Sequence[Task]) -> list[Task]:
    """The tasks, each that states no effect with its reference's: what that leaves behind and prints when it is run.

    Raises:
        DataError: a task states a final state, and no database is named whose state it could be.
    """
    has_state = (config.tasks.state or of_run.image(config).state) is not None
    for task in tasks:
        if task.effect is not None and task.effect.state is not None and not has_state:
            raise DataError(
                f"task {task.id}: field 'effect.state': no program leaves a state, as no database is named; set "
                "tasks.state, or null here"
            )
    open_ones = [task for task in tasks if task.effect is None and task.reference is not None]
    programs = [(task.reference or "", task) for task in open_ones]
    executions = of_run.execute(config, workspace, programs, label=None) if programs else []
    found = {t.id: Effect(e.state, e.stdout) for t, e in zip(open_ones, executions, strict=True) if e.ran}
    failed, shown = failures(open_ones, executions)
    if failed:
        progress.say(
            f"prepare: {len(failed)} of {len(open_ones)} references that are to show a task's effect do not run, so it "
            f"stays unknown ({shown})"
        )
    return [replace(task, effect=found.get(task.id, task.effect)) for task in tasks]


def failures(tasks: Sequence[Task], executions: Sequence[Execution]) -> tuple[dict[str, str], str]:
    """Why the references of some tasks did not run, by task, and the first three in a line."""
    found = {t.id: f"{e.kind}: {e.evidence}" for t, e in zip(tasks, executions, strict=True) if not e.ran}
    return found, "; ".join(f"{name}: {why}" for name, why in [*found.items()][:3])


def try_references(config: Config, workspace: Workspace, demo: Sequence[Task]) -> dict[str, Any]:
    """What becomes of the demo references: an image without what they need, or a check that does not fit them, shows
    here, and not after an hour of training.

    Returns:
        How many were run, how many ran, which did not, and of how many of all each check says no.

    Raises:
        DataError: none of them runs.
    """
    checks = RunChecks.of(workspace)
    tried = list(demo[:N_TRIED])
    executions = of_run.execute(config, workspace, [(task.reference or "", task) for task in tried], label=None)
    failed, shown = failures(tried, executions)
    if tried and len(failed) == len(tried):
        raise DataError(
            f"none of the first {len(tried)} demo references runs in the image {config.sandbox.image} ({shown}); they "
            f"have the package {checks.catalog.package} from package.path, what else they need from sandbox.image "
            "(docs/sandbox.md, Images), and the database of a SQL fixture by tasks.state"
        )
    if failed:
        progress.say(f"prepare: {len(failed)} of the first {len(tried)} demo references do not run ({shown})")
    accused: dict[str, list[str]] = {}
    for task in demo:
        for verdict in checks.check(task.reference or "", task):
            if verdict.answer == "no":
                accused.setdefault(verdict.criterion, []).append(f"{task.id}: {verdict.evidence}")
    if sum("calls nothing of the package" in found for found in accused.get("api_exists", [])) == len(demo):
        progress.say(
            f"prepare: no demo reference calls the package {checks.catalog.package}: package.path "
            f"({config.package.path}) is to be its folder, by the name by which programs import it"
        )
    for criterion, found in sorted(accused.items()):
        if len(found) > MAX_ACCUSED * len(demo):
            progress.say(
                f"prepare: the check `{criterion}` says no of {len(found)} of {len(demo)} demo references "
                f"({found[0]}); where it is wrong, leave it out of rl.gates and of the rubric"
            )
    return {
        "tried": len(tried),
        "ran": len(tried) - len(failed),
        "failed": failed,
        "accused": {criterion: len(found) for criterion, found in sorted(accused.items())},
    }


class PromptBuilder:
    """Makes prompts; `docs` are those that they show, by api."""

    def __init__(self, config: Config, base: Base, catalog: Catalog, demo: Sequence[Task]) -> None:
        self.docs: dict[str, str] = {}
        self._config = config
        self._base = base
        self._retriever = Retriever(catalog)
        self._demonstrations = Demonstrations(demo)

    def build(self, task: Task, split: str = "", may_show: bool = True) -> Prompt:
        """The prompt with as much as the token budget allows: the least alike demonstrations are cut, then the least
        relevant docs. There are no demonstrations where it may not show any.
        """
        settings = self._config.prompt
        found = docs_of(split, task, self._retriever, self._config)
        for api in found:
            self.docs.setdefault(api.id, render(api, self._retriever.catalog))
        count = settings.demonstrations if may_show else 0
        alike = self._demonstrations.like(task, [api.id for api in found], count) if count else []
        sizes = [(len(found), shown) for shown in range(len(alike), 0, -1)]
        sizes += [(n_docs, 0) for n_docs in range(len(found), -1, -1)]
        for n_docs, n_shown in sizes:
            apis, shown = tuple(api.id for api in found[:n_docs]), alike[:n_shown]
            docs = [self.docs[api] for api in apis]
            text = build_prompt_text(task.instruction, docs, settings.system, settings.layout, shown)
            n_tokens = len(self._base.render(text))
            if n_tokens <= settings.max_tokens:
                names = tuple(one.id for one in shown)
                return Prompt(task.id, split, text, apis, n_tokens, len(found) - n_docs, names)
        raise DataError(
            f"task {task.id}: its instruction alone takes {n_tokens} tokens; raise prompt.max_tokens "
            f"({settings.max_tokens}) or shorten it"
        )


def prompt_for(config: Config, workspace: Workspace, instruction: str) -> str:
    """What a run's models are to read for an instruction that is in no task file.

    Raises:
        WorkspaceError: the run is not prepared. DataError: the instruction is empty or too long. ConfigError: the
            configuration takes docs from what a task names.
    """
    if not instruction.strip():
        raise DataError("the instruction is empty; say what the program is to do")
    if config.prompt.docs == "oracle":
        raise ConfigError(
            "prompt.docs: an instruction of yours names no apis, so `oracle` has no docs; set `retrieved`"
        )
    demo = workspace.read_records(Task, "prepare/tasks/demo.jsonl")
    catalog = Catalog.from_json(workspace.path("prepare", "catalog.json").read_text(encoding="utf-8"))
    return PromptBuilder(config, load_base(config.model), catalog, demo).build(Task("yours", instruction)).text


def docs_of(split: str, task: Task, retriever: Retriever, config: Config) -> list[Api]:
    """The apis whose docs the task's prompt is to show."""
    catalog, k = retriever.catalog, config.prompt.k
    if config.prompt.docs == "none":
        return []
    if config.prompt.docs == "oracle":
        return with_needed([], task, catalog, len(task.apis))
    found = retriever.search(task.instruction, k)
    return with_needed(found, task, catalog, k) if split == "demo" else found


def load_splits(config: Config) -> dict[str, list[Task]]:
    """The tasks of each split."""
    settings = config.tasks
    practice = load_tasks(settings.folder / settings.practice)
    watched = load_tasks(settings.folder / settings.probe)
    probe = subset(watched, settings.n_probe)
    rest = [task for task in watched if task not in probe and task.reference is not None]
    calibration = subset(rest, config.feedback.reviewer.n_calibration)
    splits = {
        "demo": subset(load_tasks(settings.folder / settings.demo), settings.n_demo),
        "practice": subset(practice, settings.n_practice),
        "probe": probe,
        "calibration": calibration,
        "bench": subset([task for task in rest if task not in calibration], config.feedback.bench.n_tasks),
    }
    for number, (split, name) in enumerate(zip(settings.test_splits, settings.test, strict=True)):
        count = settings.n_test[number] if settings.n_test else None
        splits[split] = subset(load_tasks(settings.folder / name), count)
    for task in splits["demo"]:
        if task.reference is None:
            raise DataError(
                f"{settings.folder / settings.demo}: task {task.id}: field 'reference' is missing; SFT learns from it"
            )
    owners: dict[str, str] = {}
    for split, tasks in splits.items():
        for task in tasks:
            if owners.setdefault(task.id, split) != split:
                raise DataError(
                    f"{settings.folder}: task {task.id} is in {owners[task.id]} and in {split}; ids are unique"
                )
    return splits


def tell_of_few(config: Config, splits: dict[str, list[Task]]) -> None:
    """Says so where the file of the probe set has fewer tasks with references than the judges want beside it."""
    settings = config.feedback
    wanted = {"calibration": settings.reviewer.n_calibration, "bench": settings.bench.n_tasks}
    if "reviewer" not in settings.judges:
        del wanted["calibration"]
    few = [f"{len(splits[name])} of {n} for the {name}" for name, n in wanted.items() if len(splits[name]) < n]
    if few:
        progress.say(
            f"prepare: {config.tasks.folder / config.tasks.probe} has, beside the probe set, tasks with references for "
            f"no more than {' and '.join(few)} of the judges; the fewer, the less is known of them"
        )
    if "calibration" in wanted and not splits["calibration"]:
        progress.say(
            "prepare: so the reviewer is calibrated on demo references, which it learned from; give more tasks there, "
            "or a lower tasks.n_probe"
        )


def subset(tasks: Sequence[Task], count: int | None) -> list[Task]:
    """`count` of the tasks in file order, the same ones in every run; all where count is None."""
    if count is None or count >= len(tasks):
        return list(tasks)
    chosen = sorted(random.Random(SUBSET_SEED).sample(range(len(tasks)), count))
    return [tasks[i] for i in chosen]


def with_needed(found: Sequence[Api], task: Task, catalog: Catalog, k: int) -> list[Api]:
    """What retrieval found, with the apis that the reference calls in place of the least relevant ones."""
    needed = [api for api in map(catalog.resolve, task.apis) if api is not None]
    missing = [api for api in needed if api not in found]
    kept = [api for api in found if api in needed]
    others = [api for api in found if api not in needed][: max(0, k - len(needed))]
    order = {api.id: place for place, api in enumerate(found)}
    return sorted([*kept, *others], key=lambda api: order[api.id]) + missing


def refuse_too_long(config: Config, base: Base, prompts: Sequence[Prompt], answers: Mapping[str, int]) -> None:
    """One error where a prompt and what may follow it are more than the model has positions for; `answers` are the
    references' tokens by task.

    Raises:
        DataError: they are.
    """
    longest = max(prompt.n_tokens for prompt in prompts)
    new = max(config.sample.max_new_tokens, config.rl.sampling.max_new_tokens)
    if longest + new > base.n_positions:
        raise DataError(
            f"model {config.model.name}: the longest prompt has {longest} tokens, a completion up to {new}, and the "
            f"model {base.n_positions} positions; lower prompt.max_tokens or the two max_new_tokens"
        )
    for prompt in prompts:
        if prompt.split == "demo" and prompt.n_tokens + answers.get(prompt.task_id, 0) > base.n_positions:
            raise DataError(
                f"task {prompt.task_id}: the prompt has {prompt.n_tokens} tokens, its reference "
                f"{answers[prompt.task_id]}, and the model {base.n_positions} positions; lower prompt.max_tokens, or "
                "take the reference out"
            )


def tell_of_cut(config: Config, answers: Mapping[str, int]) -> None:
    """Says how many references, by their tokens, are longer than what is drawn: no completion of theirs would end."""
    for name, sampling in (("sample", config.sample), ("rl.sampling", config.rl.sampling)):
        longer = [task_id for task_id, n_tokens in answers.items() if n_tokens > sampling.max_new_tokens]
        if longer:
            progress.say(
                f"prepare: {len(longer)} of {len(answers)} demo references ({longer[0]}, say) are longer than "
                f"{name}.max_new_tokens = {sampling.max_new_tokens}: a completion that is cut there is not learned from"
            )


def detectable(n_tasks: int) -> float | None:
    """The smallest rise above a rate of a half that so many test tasks show four times of five (`detectable_rise`)."""
    rise = detectable_rise(n_tasks, 0.5)
    return None if rise is None else round(rise, 4)


def recall(tasks: Sequence[Task], prompts: Sequence[Prompt]) -> float | None:
    """Share of the tasks' apis whose docs are in their prompt; None where no task names apis."""
    shown = {prompt.task_id: set(prompt.apis) for prompt in prompts}
    hits = [api in shown[task.id] for task in tasks for api in task.apis]
    return round(sum(hits) / len(hits), 4) if hits else None


def copy_fixtures(folder: Path, tasks: Sequence[Task], workspace: Workspace) -> None:
    """Copies the fixtures that the tasks name, so that the run's folder stands alone, and notes their digests."""
    names = sorted({task.fixture for task in tasks if task.fixture is not None})
    for name in names:
        source, target = folder / name, workspace.path("prepare", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    workspace.write_json(FIXTURES, {name: digest_path(folder / name) for name in names})
