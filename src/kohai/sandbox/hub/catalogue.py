"""Which public models there are: read from APIBench's file, a listing of a hub, or a plain list of names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from kohai.errors import DataError
from kohai.records import read_text
from kohai.sandbox.hub import apibench
from kohai.sandbox.hub.aliases import canonical

BUILDABLE = ("transformers", "diffusers", "sentence-transformers", "sklearn")
NAME = re.compile(r"(?!\.)[\w.-]{1,96}(?:/(?!\.)[\w.-]{1,96})?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A public model.

    Attributes:
        id: the name it has today, `owner/name`.
        library: what loads it.
        task: by the hub's name for it; empty = not known.
        calls: how its documentation loads it; the first one tells its class.
        model_type: its family by transformers' name; empty = told from its name.
        revisions: names and prefixes of commits that programs may ask for, beside `main`.
        files: names of files that its documentation reads from it.
        why: why it cannot be replicated; empty = it may be tried.
    """

    id: str
    library: str = "transformers"
    task: str = ""
    calls: tuple[str, ...] = ()
    model_type: str = ""
    revisions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    why: str = ""

    @property
    def lacks(self) -> tuple[str, ...]:
        """Files that it is known not to have, whether it is replicated or not."""
        return ("config.json",) if self.library in apibench.WITHOUT_CONFIG else ()


def shipped() -> Path:
    """The catalogue that comes with Kohai."""
    return Path(str(resources.files("kohai") / "images" / "hub_catalogue.jsonl"))


def read_catalogue(path: Path) -> list[Entry]:
    """The models of a catalogue, each once, in the order of the file.

    A JSON list or JSON Lines of objects with `id` or `modelId` (and `pipeline_tag` or `task`, `library_name` or
    `library`, `model_type`, `sha` or `revisions`) is a listing; with `api_call`, APIBench; else each line is a name.
    Rows of APIBench that name no repository are left out.

    Raises:
        DataError: names file, line and field.
    """
    text = read_text(path, "give the path of a catalogue")
    entries = list(_merged(_entries(text, path)))
    if not entries:
        raise DataError(f"{path}: no model in it; expected a list of names, a hub's listing, or APIBench's file")
    return entries


def _entries(text: str, path: Path) -> Iterator[Entry]:
    start = text.lstrip()[:1]
    if start == "[":
        rows = _parsed(text, str(path))
        for place, row in enumerate(rows):
            yield _of_row(row, f"{path}: item {place + 1}")
        return
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{number}"
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if start == "{":
            row = _parsed(line, where)
            if not isinstance(row, dict):
                raise DataError(f"{where}: expected an object, found {type(row).__name__}")
            if "api_call" in row:
                if (entry := _of_apibench(row, where)) is not None:
                    yield entry
            else:
                yield _of_row(row, where)
        else:
            yield _of_row({"id": line.strip()}, where)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error})") from None


def _of_row(row: Any, where: str) -> Entry:
    if isinstance(row, str):
        row = {"id": row}
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected an object or a name, found {type(row).__name__}")
    field = "id" if "id" in row else "modelId"
    name = _checked(row.get(field), field, where)
    values = {"task": row.get("task", row.get("pipeline_tag")), "library": row.get("library", row.get("library_name"))}
    for key, value in (*values.items(), ("model_type", row.get("model_type")), ("sha", row.get("sha"))):
        if value is not None and not isinstance(value, str):
            raise DataError(f"{where}: field {key!r}: expected text, found {value!r}")
    revisions = row.get("revisions", [])
    if not isinstance(revisions, list) or not all(isinstance(revision, str) for revision in revisions):
        raise DataError(f"{where}: field 'revisions': expected a list of text, found {revisions!r}")
    call = row.get("call", "")
    entry = Entry(
        canonical(name),
        library=values["library"] or apibench.library_of(name, ""),
        task=values["task"] or "",
        calls=(call,) if call else (),
        model_type=row.get("model_type") or "",
        revisions=(*revisions, *([row["sha"]] if row.get("sha") else [])),
    )
    return _judged(entry)


def _of_apibench(row: Mapping[str, Any], where: str) -> Entry | None:
    for field in ("api_name", "api_call"):
        if not isinstance(row.get(field), str):
            raise DataError(f"{where}: field {field!r}: expected text, found {row.get(field)!r}")
    name = apibench.name_of(row)
    if name is None:
        return None
    _checked(name, "api_call", where)
    library = apibench.library_of(name, row["api_call"])
    task = apibench.task_of(row, name)
    return _judged(Entry(canonical(name), library, task, calls=(row["api_call"],), files=apibench.files_of(row)))


def _checked(name: Any, field: str, where: str) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DataError(f"{where}: field {field!r}: expected the name of a repository (owner/name), found {name!r}")
    return name


def _judged(entry: Entry) -> Entry:
    if entry.library in BUILDABLE:
        return entry
    return replace(entry, why=f"needs {entry.library}; no replicas are made for it")


def _merged(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Each model once; what several rows say of it is put together, the first one leads."""
    found: dict[str, Entry] = {}
    for entry in entries:
        known = found.get(entry.id)
        if known is None:
            found[entry.id] = entry
            continue
        lead = entry if known.why and not entry.why else known
        found[entry.id] = replace(
            lead,
            task=lead.task or entry.task,
            calls=tuple(dict.fromkeys((*known.calls, *entry.calls))),
            model_type=known.model_type or entry.model_type,
            revisions=tuple(dict.fromkeys((*known.revisions, *entry.revisions))),
            files=tuple(dict.fromkeys((*known.files, *entry.files))),
        )
    yield from found.values()
