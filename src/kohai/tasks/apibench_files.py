"""The published files of APIBench: which there are, whether they are here and whole, and how to get them.

They are the Gorilla project's (Apache-2.0), at one commit; each is known by its git blob id, so that a copy that was
cut, changed or chosen from is told from the published one.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kohai import records
from kohai.errors import DataError, EndpointError
from kohai.tasks import apibench
from kohai.workspace import writing

COMMIT = "6ea57973c7a6097fd7c5915698c54c17c5b1b6c8"
SOURCE = f"https://raw.githubusercontent.com/ShishirPatil/gorilla/{COMMIT}/"
_ANSWERS = "gorilla/eval/eval-data/responses/huggingface/response_huggingface_Gorilla_{}.jsonl"
_SECONDS = 60.0
DOCS: dict[apibench.Part, str] = {
    "huggingface": "huggingface_api.jsonl",
    "torchhub": "torchhub_api.jsonl",
    "tensorhub": "tensorflowhub_api.jsonl",
}

State = Literal["whole", "other", "missing"]


@dataclass(frozen=True, slots=True)
class Published:
    """A published file: its name in a user's folder, its path at the source, its git blob id."""

    name: str
    path: str
    blob: str


FILES = (
    Published("huggingface_api.jsonl", "data/api/huggingface_api.jsonl", "0735a2216778c76df46e01f91ddac5e329b5c5e9"),
    Published("torchhub_api.jsonl", "data/api/torchhub_api.jsonl", "a4bf421f18b1fad3afe7196a350b24e0058770b2"),
    Published(
        "tensorflowhub_api.jsonl", "data/api/tensorflowhub_api.jsonl", "12c7a43baf5be0dd7590bc938d019734642a8a2c"
    ),
    *(
        Published(f"{name}.json", f"data/apibench/{name}.json", blob)
        for name, blob in {
            "huggingface_train": "1416879c69acbd5db06cdf7f59240ae0c06e0bf5",
            "huggingface_eval": "65a4ecb74739c61af93877b3bd37e31a43ebfd91",
            "torchhub_train": "0cc469122d788c193568ee339211130ccd1453c7",
            "torchhub_eval": "2a93f10f6b9646183093b90ceaf0f28ea744c10f",
            "tensorflow_train": "542019d3de34729d895bf0c11eda11f8093a03b4",
            "tensorflow_eval": "b87b6c4fc1689f0ba3dee8ee9f38c8bf09327f5b",
        }.items()
    ),
    *(
        Published(f"gorilla_7b_responses/huggingface_{kind}.jsonl", _ANSWERS.format(kind), blob)
        for kind, blob in {
            "FT_0_shot": "598bd2590ad617c5c34550eec2f6bee1a293c0c1",
            "FT_bm25": "76c8c59811db75c2f090f231fa8759056c4efe00",
            "FT_oracle": "de5b48f4fb7d0fd636e4cef0d34cd5406377ad29",
            "RT_oracle": "7bb1e0c849796d36ff2b99f1aa69522543020932",
        }.items()
    ),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds of a file; `problems` are its irregular records."""

    name: str
    state: State
    records: int = 0
    problems: tuple[apibench.Problem, ...] = ()


def examine(folder: Path) -> list[Found]:
    """Every published file, and every other file of the same kind in the folder, read.

    Raises:
        DataError: the folder has none of them, or a file is broken beyond its irregular records.
    """
    names = [file.name for file in FILES]
    others = sorted(path.name for path in folder.glob("*.json*") if path.name not in names)
    found = [_examined(folder / file.name, file.name, file.blob) for file in FILES]
    found += [_examined(folder / name, name, None) for name in others]
    if all(file.state == "missing" for file in found):
        raise DataError(f"{folder}: none of APIBench's files is there; --download fetches them")
    return found


def download(folder: Path, source: str = SOURCE, on_file: Callable[[str], None] | None = None) -> list[str]:
    """Fetches what is missing, each file whole or not at all; the names of what was fetched.

    Raises:
        EndpointError: the source cannot be reached, or lacks a file.
        DataError: a fetched file is not the published one.
    """
    fetched = []
    for file in FILES:
        target = folder / file.name
        if target.exists():
            continue
        try:
            with urllib.request.urlopen(source + file.path, timeout=_SECONDS) as reply:  # noqa: S310 - https by default
                data = reply.read()
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise EndpointError(f"{source}{file.path}: cannot be fetched ({error}); what arrived is kept") from None
        if blob_id(data) != file.blob:
            raise DataError(f"{source}{file.path}: not the published file (git blob {blob_id(data)}); nothing was kept")
        with writing(target) as temporary:
            temporary.write_bytes(data)
        fetched.append(file.name)
        if on_file is not None:
            on_file(file.name)
    return fetched


def blob_id(data: bytes) -> str:
    """The id that git gives a file's content: SHA-1 of `blob`, its length, and it."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _examined(path: Path, name: str, blob: str | None) -> Found:
    if not path.is_file():
        return Found(name, "missing")
    state: State = "whole" if blob is not None and blob_id(path.read_bytes()) == blob else "other"
    if apibench.is_apibench(path):
        tasks, problems = apibench.read_tasks(path)
        unknown = _without_row(path, tasks) if tasks else []
        return Found(name, state, len(tasks), tuple(sorted([*problems, *unknown], key=lambda problem: problem.line)))
    if "responses" in name:
        lines = records.read_text(path, "check its rights").split("\n")
        return Found(name, state, sum(1 for _ in records.json_lines(lines, str(path))))
    docs, problems = apibench.read_docs(path)
    return Found(name, state, len(docs), tuple(problems))


def _without_row(path: Path, tasks: list[apibench.ApiBenchTask]) -> list[apibench.Problem]:
    """Tasks whose api no row of the docs beside them has; none where the docs are not there."""
    docs = path.with_name(DOCS[tasks[0].part])
    if not docs.is_file():
        return []
    return [
        apibench.Problem(str(path), task.row + 1, f"no row of {docs.name} has its call: {task.api_call[:60]}")
        for task in apibench.without_row(tasks, apibench.read_docs(docs)[0])
    ]


def as_text(found: list[Found]) -> str:
    """A file a line, and why its records are irregular."""
    lines = []
    for file in found:
        if file.state == "missing":
            lines.append(f"{file.name}: missing")
            continue
        state = "as published" if file.state == "whole" else "not the published file: other rows, or changed"
        lines.append(f"{file.name}: {file.records} records, {state}")
        lines += [f"  {problem.file}:{problem.line}: {problem.reason}" for problem in file.problems]
    return "\n".join(lines)
