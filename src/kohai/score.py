"""Scores stored completions against their tasks: no model is asked, and nothing runs unless executability is wanted.

    score_files(tasks, completions, catalog, ["exact_api", "rouge", "codebleu"])

Tasks are Kohai's own or a published file of APIBench. A metric that cannot be told of a completion is unscored, with
the reason, and counted; it is never 0.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from kohai import metrics, progress, records
from kohai.catalog import Catalog, calls, read_package
from kohai.code import extract_code, parse
from kohai.config import SandboxConfig
from kohai.errors import ConfigError
from kohai.metrics import codebleu, gorilla_ast, rouge
from kohai.metrics.documented import DocumentedMetrics
from kohai.records import Execution, Task
from kohai.sandbox import Program, Sandbox
from kohai.sandbox.image import Image, importable, open_image
from kohai.tasks import apibench, load_tasks
from kohai.workspace import Workspace

Value = bool | float | str | None
Subject = TypeVar("Subject")
GROUPS = {
    "exact_api": ("exact_api", "api_name", "api_argument_names"),
    "hallucinated_api": ("hallucinated_api",),
    "gorilla_ast": ("gorilla_ast",),
    "rouge": ("rouge_1", "rouge_2", "rouge_l"),
    "codebleu": ("codebleu",),
    "codebleu_compat": ("codebleu_compat",),
    "executability": ("executability", "effect_match"),
}
_OF_GROUP = {name: group for group, names in GROUPS.items() for name in names}
_NO_CALL = "the task's api_call is not a Python call"


@dataclass(frozen=True, slots=True)
class Item:
    """A completion beside what is known of its task; `code` is the program in its text."""

    row: int
    text: str
    code: str
    reference: str | None
    own: Task | None = None
    published: apibench.ApiBenchTask | None = None


@dataclass(slots=True)
class Scored:
    """A completion's values by metric, and why some are missing."""

    row: int
    values: dict[str, Value] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """As JSON values."""
        return {"row": self.row, **self.values, **({"unscored": self.unscored} if self.unscored else {})}


class Unscored(Exception):  # noqa: N818 - an answer, not an error
    """A metric has no value; the text says why."""


def score_files(
    tasks: Path,
    completions: Path | None,
    catalog: Path | None,
    names: Sequence[str],
    *,
    out: Path | None = None,
    mode: gorilla_ast.Mode | None = None,
    image: str | None = None,
    state: str | None = None,
) -> dict[str, Any]:
    """Scores a file of completions, JSON Lines of `row` (the task, from 0) and `text`, or the references themselves.

    Args:
        tasks: Kohai's task file, or a published file of APIBench.
        completions: The file; None = the tasks' reference code, the ceiling.
        catalog: A package's folder, a run's `catalog.json`, or APIBench's api docs; for the metrics that ask for one.
        names: Metrics, by the names of `GROUPS` or of what they give.
        out: Where to write one line a completion, in order, whole or not at all.
        mode: Of `gorilla_ast`; None = told from the catalog.
        image: For `executability`: the environment to run programs in.
        state: For `effect_match`: the file that holds the final state.

    Returns:
        `tasks`, `completions`, `tasks_without` (a completion), `problems` (irregular records), and by metric `{value,
        low, high, n, unscored}`: Wilson intervals for yes and no, bootstrap for shares, both over tasks where some have
        several completions; CodeBLEU's `corpus` beside its mean, Gorilla's `counts`.

    Raises:
        ConfigError: an unknown metric, one that lacks the catalog or the image, or an image that lacks the package.
        DataError: a bad line, by file and line.
    """
    wanted = _wanted(names)
    items, problems, n_tasks = _items(tasks, completions)
    scorers = _scorers(wanted, catalog, mode)
    scored = [Scored(item.row) for item in items]
    for item, found in zip(items, scored, strict=True):
        for group, scorer in scorers.items():
            _enter(found, GROUPS[group], scorer, item)
    executions = _executions(items, tasks, catalog, image, state) if "executability" in wanted else []
    for item, found, execution in zip(items, scored, executions, strict=False):
        _enter(found, ("executability",), _ran, execution)
        _enter(found, ("effect_match",), _effect, (item, execution))
    if out is not None:
        lines = "".join(json.dumps(found.line(), ensure_ascii=False) + "\n" for found in scored)
        Workspace(out.parent).write_text(out.name, lines)
    return {
        "tasks": n_tasks,
        "completions": len(items),
        "tasks_without": n_tasks - len({item.row for item in items}),
        "problems": problems,
        "metrics": {name: _summary(name, scored, items) for group in wanted for name in GROUPS[group]},
        **({"kinds": dict(Counter(e.kind for e in executions).most_common())} if executions else {}),
    }


def _wanted(names: Sequence[str]) -> list[str]:
    known = {*GROUPS, *_OF_GROUP}
    for name in names:
        if name not in known:
            raise ConfigError(f"no metric {name!r}; known: {', '.join(sorted(known))}")
    return list(dict.fromkeys(_OF_GROUP.get(name, name) for name in names))


def _items(tasks: Path, completions: Path | None) -> tuple[list[Item], list[dict[str, Any]], int]:
    if apibench.is_apibench(tasks):
        published, problems = apibench.read_tasks(tasks)
        answers = (
            [apibench.Answer(task.row, _as_answer(task)) for task in published if task.code]
            if completions is None
            else apibench.read_answers(completions, len(published))
        )
        items = [
            Item(a.row, a.text, apibench.answer_code(a.text), published[a.row].code, published=published[a.row])
            for a in answers
        ]
        return items, [records.to_dict(problem) for problem in problems], len(published)
    own = load_tasks(tasks)
    answers = (
        [apibench.Answer(row, task.reference) for row, task in enumerate(own) if task.reference]
        if completions is None
        else apibench.read_answers(completions, len(own))
    )
    items = [Item(a.row, a.text, extract_code(a.text), own[a.row].reference, own=own[a.row]) for a in answers]
    return items, [], len(own)


def _as_answer(task: apibench.ApiBenchTask) -> str:
    """A published task's own answer, in the shape of one."""
    return f"<<<api_call>>>: {task.api_call}\n<<<api_provider>>>:\n<<<code>>>: {task.code}"


Scorer = Callable[[Item], Mapping[str, Value]]


def _scorers(wanted: Sequence[str], path: Path | None, mode: gorilla_ast.Mode | None) -> dict[str, Scorer]:
    """What gives each group's values."""
    needy = [group for group in wanted if group in ("exact_api", "hallucinated_api", "gorilla_ast")]
    if needy and path is None:
        raise ConfigError(f"{', '.join(needy)}: needs --catalog")
    found: dict[str, Scorer] = {"rouge": _rouge, "codebleu": _codebleu, "codebleu_compat": _codebleu_compat}
    if needy and path is not None:
        catalog = _catalog(path)
        if isinstance(catalog, Catalog) and catalog.documented is not None:
            found |= _documented(DocumentedMetrics(catalog, mode))
        elif isinstance(catalog, Catalog):
            found |= {"exact_api": _exact_of(catalog), "hallucinated_api": _hallucinated_of(catalog)}
            if "gorilla_ast" in needy:
                raise ConfigError("gorilla_ast: needs the api docs of APIBench as --catalog, not a package")
        else:
            rows = [gorilla_ast.ApiRow(doc.api_call, doc.domain) for doc in catalog]
            hub = calls.HubCatalog(doc.api_call for doc in catalog)
            metric = gorilla_ast.GorillaAst(rows, mode)
            found |= {
                "exact_api": _exact_hub,
                "hallucinated_api": lambda item: _hallucinated(hub.hallucinated(_program(item))),
                "gorilla_ast": lambda item: {"gorilla_ast": metric.decide(item.text, _published(item).domain)},
            }
    return {group: found[group] for group in wanted if group in found}


def _catalog(path: Path) -> Catalog | list[apibench.ApiDoc]:
    if path.is_dir():
        return read_package(path)
    if path.suffix == ".json" and not _is_lines(path):
        return Catalog.from_json(records.read_text(path, "give a package's folder or a catalog"), str(path))
    return apibench.read_docs(path)[0]


def _is_lines(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return isinstance(json.loads(file.readline()), dict)
    except (OSError, ValueError):
        return False


def _rouge(item: Item) -> Mapping[str, Value]:
    found = rouge.rouge(item.code, _reference(item))
    return {"rouge_1": found.rouge_1.f1, "rouge_2": found.rouge_2.f1, "rouge_l": found.rouge_l.f1}


def _codebleu(item: Item) -> Mapping[str, Value]:
    try:
        return {"codebleu": codebleu.codebleu(item.code, _reference(item)).codebleu}
    except ValueError as error:
        raise Unscored(str(error)) from None


def _codebleu_compat(item: Item) -> Mapping[str, Value]:
    return {"codebleu_compat": codebleu.codebleu(item.code, _reference(item), compat=True).codebleu}


def _exact_of(catalog: Catalog) -> Scorer:
    return lambda item: _matched(
        metrics.api_match(item.code, _reference(item), catalog), "the reference calls no api of the catalog"
    )


def _matched(match: calls.ApiMatch | None, reason: str) -> Mapping[str, Value]:
    if match is None:
        raise Unscored(reason)
    return match.metrics


def _documented(known: DocumentedMetrics) -> dict[str, Scorer]:
    """As `evaluate` measures what a run's tasks ask for; of a published answer Gorilla's decision is on its text."""

    def gorilla(item: Item) -> Mapping[str, Value]:
        decision = known.decide(item.text if item.own is None else f"api_call: {item.code}", _task(item))
        if decision is None:
            raise Unscored("no row of the docs has the task's call")
        return {"gorilla_ast": decision}

    return {
        "exact_api": lambda item: _matched(known.match(_program(item), _task(item)), _NO_CALL),
        "hallucinated_api": lambda item: _hallucinated(known.hallucinated(_program(item))),
        "gorilla_ast": gorilla,
    }


def _task(item: Item) -> Task:
    """The task; of a published one what a run would know of it."""
    if item.own is not None:
        return item.own
    published = _published(item)
    return Task(published.id, published.instruction, (apibench.api_id(published.api_call),))


def _hallucinated_of(catalog: Catalog) -> Scorer:
    return lambda item: _hallucinated(metrics.hallucinated_api(item.code, catalog))


def _hallucinated(found: bool | None) -> Mapping[str, Value]:
    if found is None:
        raise Unscored("the code is not Python, so that it names no api")
    return {"hallucinated_api": found}


def _exact_hub(item: Item) -> Mapping[str, Value]:
    wanted = calls.wanted_call(_published(item).api_call)
    return _matched(None if wanted is None else calls.hub_match(_program(item), wanted), _NO_CALL)


def _program(item: Item) -> str:
    """The program, or, of an answer whose code is not Python, the call that it names."""
    if parse(item.code) is None and item.published is not None:
        return gorilla_ast.called(item.text, "torchhub") or item.code
    return item.code


def _published(item: Item) -> apibench.ApiBenchTask:
    if item.published is None:
        raise Unscored("the task is not one of APIBench")
    return item.published


def _reference(item: Item) -> str:
    if not item.reference:
        raise Unscored("the task has no reference code")
    return item.reference


def _executions(
    items: Sequence[Item], tasks: Path, catalog: Path | None, image: str | None, state: str | None
) -> list[Execution]:
    if image is None:
        raise ConfigError("executability: needs --image, the environment to run programs in")
    programs = [
        Program(item.code) if item.own is None else Program.of_task(item.code, item.own, tasks.parent) for item in items
    ]
    package = (catalog,) if catalog is not None and catalog.is_dir() else ()
    known = _catalog(catalog) if catalog is not None and not package else None
    config = SandboxConfig(image=image)
    opened = open_image(image, config.images, package)
    with TemporaryDirectory() as folder:
        if isinstance(known, Catalog) and known.package:
            _refuse_unimportable(known.package, opened)
        elif known is not None or (items and items[0].published is not None):
            # Programs that load models by name, and name files that nobody has.
            hub = _docs_file(known, catalog, Path(folder)) if opened.catalogue is not None else None
            config = SandboxConfig(image=image, catalogue=hub, offer_inputs=True)
        with (
            Sandbox(config, package, state) as sandbox,
            progress.bar("execute", len(programs), unit="programs") as bar,
        ):
            return sandbox.execute(programs, lambda done: bar.advance(done - bar.done))


def _refuse_unimportable(package: str, image: Image) -> None:
    """Nobody is to blame for a package that is not there."""
    if package not in importable(image) | sys.stdlib_module_names:
        raise ConfigError(
            f"executability: no program can import {package} in the image {image.name}; give the package's folder as "
            "--catalog, or an image that has it as --image"
        )


def _docs_file(known: Catalog | list[apibench.ApiDoc] | None, path: Path | None, folder: Path) -> Path | None:
    """The file of the api docs; of those in a run's catalog, one written into the folder."""
    if not isinstance(known, Catalog):
        return path if known is not None else None
    Workspace(folder).write_text("docs.jsonl", "".join(f"{api.doc}\n" for api in known.apis))
    return folder / "docs.jsonl"


def _ran(execution: Execution) -> Mapping[str, Value]:
    if execution.ran is None:
        raise Unscored(f"{execution.kind}: {execution.blame}")
    return {"executability": execution.ran}


def _effect(case: tuple[Item, Execution]) -> Mapping[str, Value]:
    item, execution = case
    effect = item.own.effect if item.own is not None else None
    found = metrics.effect_match(execution, effect)
    if found is None:
        raise Unscored("the task states no effect" if effect is None else f"{execution.kind}: {execution.blame}")
    return {"effect_match": found}


def _enter(scored: Scored, names: Sequence[str], give: Callable[[Subject], Mapping[str, Value]], of: Subject) -> None:
    try:
        scored.values |= give(of)
    except Unscored as reason:
        scored.values |= dict.fromkeys(names)
        scored.unscored |= dict.fromkeys(names, str(reason))


def _summary(name: str, scored: Sequence[Scored], items: Sequence[Item]) -> dict[str, Any]:
    known = [found for found in scored if found.values.get(name) is not None]
    values = [found.values[name] for found in known]
    entry: dict[str, Any] = {"n": len(values), "unscored": len(scored) - len(values)}
    reasons = Counter(found.unscored[name] for found in scored if name in found.unscored)
    if reasons:
        entry["reasons"] = dict(reasons.most_common())
    if name == "gorilla_ast":
        entry["counts"] = dict(Counter(str(value) for value in values).most_common())
        values = [value == "correct" for value in values]
    if not values:
        return entry
    interval = metrics.interval_of(
        [value for value in values if value is not None and not isinstance(value, str)],
        clusters=[found.row for found in known],
    )
    entry |= {"value": interval.value, "low": interval.low, "high": interval.high}
    if name in ("codebleu", "codebleu_compat"):
        pairs = [
            (item.code, item.reference or "")
            for item, found in zip(items, scored, strict=True)
            if found.values.get(name) is not None
        ]
        entry["corpus"] = codebleu.corpus_codebleu(pairs, compat=name == "codebleu_compat").codebleu
    return entry


def as_text(found: Mapping[str, Any]) -> str:
    """The summary as lines to read."""
    lines = [f"{found['completions']} completions of {found['tasks']} tasks ({found['tasks_without']} tasks have none)"]
    if found["problems"]:
        lines.append(f"{len(found['problems'])} irregular records in the task file; --json lists them")
    for name, entry in found["metrics"].items():
        if "value" not in entry:
            lines.append(f"{name:<20} unscored: {_reasons(entry)}")
            continue
        low, high = entry["low"] * 100, entry["high"] * 100
        text = f"{name:<20} {entry['value'] * 100:5.1f} % [{low:.1f}, {high:.1f}], n = {entry['n']}"
        if "corpus" in entry:
            text += f", corpus {entry['corpus'] * 100:.1f} %"
        if "counts" in entry:
            text += f" ({', '.join(f'{what} {count}' for what, count in entry['counts'].items())})"
        text += f"; {entry['unscored']} unscored: {_reasons(entry)}" if entry["unscored"] else ""
        lines.append(text)
    if "kinds" in found:
        lines.append("outcomes: " + ", ".join(f"{kind} {count}" for kind, count in found["kinds"].items()))
    return "\n".join(lines)


def _reasons(entry: Mapping[str, Any]) -> str:
    return "; ".join(f"{reason} ({count})" for reason, count in entry.get("reasons", {}).items()) or "no completion"
