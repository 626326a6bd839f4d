"""prepare: read the package or the docs, load the tasks, write the prompts.

A package is read statically, never imported. Each prompt holds the docs of the apis that retrieval finds for its
instruction; only a demo task's prompt is sure to hold those its reference calls, so that SFT never learns to call what
the docs do not show. `prompt.docs` has it otherwise. Subsets of the splits are the same for every seed.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.catalog import Catalog, Retriever, read_package, render
from kohai.config import Config
from kohai.errors import ConfigError, DataError
from kohai.metrics.comparisons import detectable_rise
from kohai.models.base import Base, fetch, is_local, load_base
from kohai.records import Api, Prompt, Task
from kohai.sandbox.of_run import FIXTURES
from kohai.tasks import Demonstrations, build_prompt_text, load_tasks
from kohai.tasks.apibench import as_catalog, read_docs
from kohai.workspace import Workspace, digest_path

SUBSET_SEED = 0


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:  # noqa: ARG001
    """Settings and inputs of this stage."""
    tasks = config.tasks
    files = {tasks.folder / name for name in (tasks.demo, tasks.practice, tasks.probe, *tasks.test)}
    settings = {
        "package": config.package.model_dump(mode="json"),
        "tasks": tasks.model_dump(mode="json"),
        "prompt": config.prompt.model_dump(mode="json"),
        "model": config.model.name,
        "n_calibration": config.feedback.reviewer.n_calibration,
        "n_bench": config.feedback.bench.n_tasks,
    }
    fixtures = {tasks.folder / task.fixture for file in files for task in load_tasks(file) if task.fixture is not None}
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
    base = load_base(config.model)
    builder = PromptBuilder(config, base, catalog, splits["demo"])
    prompts: list[Prompt] = []
    with progress.bar("prepare", sum(map(len, splits.values())), unit="prompts") as bar:
        for split, tasks in splits.items():
            for number, task in enumerate(tasks):
                prompts.append(builder.build(task, split, may_show=split != "demo" or number % 2 == 0))
                bar.advance()
    refuse_too_long(config, base, max(prompt.n_tokens for prompt in prompts))
    for split, tasks in splits.items():
        workspace.write_records(f"prepare/tasks/{split}.jsonl", tasks)
        workspace.write_records(f"prepare/prompts/{split}.jsonl", [p for p in prompts if p.split == split])
    copy_fixtures(config.tasks.folder, [task for tasks in splits.values() for task in tasks], workspace)
    workspace.write_text("prepare/catalog.json", catalog.to_json())
    workspace.write_json("prepare/docs.json", builder.docs)
    return {
        "apis": len(catalog.apis),
        "tasks": {split: len(tasks) for split, tasks in splits.items()},
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
    """The apis of the package, or those that the docs name."""
    package = config.package
    if package.path is not None:
        return read_package(package.path, package.names)
    return as_catalog(read_docs(package.docs or Path())[0])


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
    """The tasks of each split; practice without references, whatever its file holds."""
    settings = config.tasks
    practice = [replace(t, reference=None, effect=None) for t in load_tasks(settings.folder / settings.practice)]
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


def refuse_too_long(config: Config, base: Base, longest: int) -> None:
    """One error where a prompt and what may follow it are more than the model has positions for.

    Raises:
        DataError: they are.
    """
    new = max(config.sample.max_new_tokens, config.rl.sampling.max_new_tokens)
    if longest + new > base.n_positions:
        raise DataError(
            f"model {config.model.name}: the longest prompt has {longest} tokens, a completion up to {new}, and the "
            f"model {base.n_positions} positions; lower prompt.max_tokens or the two max_new_tokens"
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
