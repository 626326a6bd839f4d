"""A run's folder: artifacts are whole or absent, a finished stage is proved by its manifest.

    RUN/config.yaml            the resolved configuration
    RUN/STAGE/progress.json    written first: what the half-made stage is a half of
    RUN/STAGE/...              a stage's artifacts, each written to a temporary name and renamed
    RUN/STAGE/manifest.json    written last: digests of settings and inputs, report, versions, commit, cost
    RUN/STAGE_2/...            the same of a stage in the second round, and so on

A stage whose manifest matches its configuration and inputs is skipped; a killed run goes on where it stopped. Leaves
out locking between machines: one run folder belongs to one process (a lock file says so).
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kohai import machine, records
from kohai.errors import InternalError, KohaiError, WorkspaceError
from kohai.records import Prompt

PROMPT_LAYOUT = 2  # rises with a change of the prompts that bases but the default are given
FORMAT = 4
ROUNDED = ("sample", "feedback", "reward_model", "rl")  # the stages that each round does again
FULL_BYTES = 1 << 20  # with less than this, a library's unclear error is taken for a full disk
Record = TypeVar("Record")


@dataclass(frozen=True)
class Workspace:
    """One run's folder in one of its rounds; see the module's docstring for its layout.

    The names of artifacts are the same in each round: from the second on, those of `ROUNDED` lie in folders of its own.
    """

    root: Path
    round: int = 1

    def path(self, *parts: str) -> Path:
        """A path inside the run's folder."""
        stage, *rest = "/".join(parts).split("/", 1)
        return self.root.joinpath(self.folder_of(stage), *rest)

    def folder_of(self, stage: str) -> str:
        """The name of a stage's folder."""
        return f"{stage}_{self.round}" if self.round > 1 and stage in ROUNDED else stage

    def of_round(self, number: int) -> Workspace:
        """The same run in another round."""
        return Workspace(self.root, number)

    @property
    def rounds(self) -> list[Workspace]:
        """All rounds up to this one."""
        return [self.of_round(number) for number in range(1, self.round + 1)]

    @property
    def newest_policy(self) -> Path:
        """The adapter that this round samples from and RL goes on from: the last round's policy, at first SFT's."""
        return self.of_round(self.round - 1).path("rl", "policy") if self.round > 1 else self.path("sft", "adapter")

    def write_text(self, name: str, text: str) -> Path:
        """Writes a whole file or none; its folder is made."""
        path = self.path(name)
        with writing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # half a surrogate pair is data too
        return path

    def write_json(self, name: str, value: Any) -> Path:
        """As `write_text`, for JSON values."""
        return self.write_text(name, json.dumps(value, ensure_ascii=False, indent=1) + "\n")

    def write_records(self, name: str, items: Iterable[Any]) -> Path:
        """As `write_text`, for records, one a line."""
        return self.write_text(name, "".join(records.to_json(item) + "\n" for item in items))

    def read_json(self, name: str) -> Any:
        """A JSON artifact.

        Raises:
            WorkspaceError: it is not there, or it is not JSON.
        """
        try:
            return json.loads(self._read(name))
        except ValueError as error:
            raise WorkspaceError(f"{self.path(name)}: not JSON ({error}); {self._remedy(name)}") from None

    def read_records(self, kind: type[Record], name: str) -> list[Record]:
        """The records of an artifact."""
        return records.read_lines(kind, self._read(name).split("\n"), str(self.path(name)))

    def prompts(self, *splits: str) -> list[Prompt]:
        """The prompts of some splits, or of all, in the order of their tasks."""
        found = splits or [path.stem for path in sorted(self.path("prepare", "prompts").glob("*.jsonl"))]
        return [prompt for split in found for prompt in self.read_records(Prompt, f"prepare/prompts/{split}.jsonl")]

    def _read(self, name: str) -> str:
        path = self.path(name)
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            stage = name.split("/")[0].replace("_", "-")
            raise WorkspaceError(
                f"{path} is not there yet; `kohai {stage} CONFIG` or `kohai run CONFIG` makes it"
            ) from None

    def _remedy(self, name: str) -> str:
        return f"delete {self.path(name.split('/')[0])} and run the same command again"

    def manifest(self, stage: str) -> dict[str, Any] | None:
        """A finished stage's manifest, or None."""
        path = self.path(stage, "manifest.json")
        if not path.exists():
            return None
        manifest = self.read_json(f"{stage}/manifest.json")
        made_by = manifest.get("format") if isinstance(manifest, dict) else None
        if made_by != FORMAT:
            raise WorkspaceError(
                f"{path}: made by another version of Kohai (format {made_by}, this one writes {FORMAT}); "
                f"use a new run folder, or delete {self.root}"
            )
        found: dict[str, Any] = manifest
        return found

    def is_as_read(self, stage: str, path: Path) -> bool:
        """Whether an artifact is, to the byte, the one that a finished stage read."""
        inputs = (self.manifest(stage) or {}).get("inputs", {})
        return path.exists() and inputs.get(str(path.relative_to(self.root))) == digest_path(path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run's folder for this process, and clears it of what a killed process had half written.

        Raises:
            WorkspaceError: another process holds it, or it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / ".lock").open("w")
        except OSError as error:
            raise WorkspaceError(f"{self.root}: cannot be written ({error.strerror})") from None
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise WorkspaceError(
                    f"{self.root} is in use by another process; wait for it or choose another run"
                ) from None
            for left in self.root.rglob(".*.part"):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            yield


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` (file or folder), renamed to it on clean exit, removed on error.

    Raises:
        WorkspaceError: no space left, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir():
            if path.exists():
                _remove(path)
            temporary.rename(path)
        else:
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
    except Exception as error:
        if _says_disk_is_full(error, path):
            raise _disk_is_full(path) from None
        if (
            isinstance(error, OSError)
            and (at := error.filename)
            and (path.is_relative_to(at) or str(temporary) == str(at))
        ):
            raise WorkspaceError(f"{path}: cannot be written ({error.strerror})") from None
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()


def _remove(folder: Path) -> None:
    """Takes a folder away at once, so that a kill leaves no part of it, and then deletes it."""
    if folder.is_symlink():
        folder.unlink()
        return
    stale = folder.with_name(f".{folder.name}.old.part")
    if stale.exists():
        shutil.rmtree(stale)
    folder.rename(stale)
    shutil.rmtree(stale)


def _says_disk_is_full(error: Exception, path: Path) -> bool:
    """True where no space was left; libraries hide the system's error behind their own, or lose it."""
    if isinstance(error, KohaiError):
        return False
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if any(f"(os error {number})" in str(error) for number in (errno.ENOSPC, errno.EDQUOT)):  # safetensors
        return True
    return path.parent.exists() and shutil.disk_usage(path.parent).free < FULL_BYTES  # torch


def _disk_is_full(path: Path) -> WorkspaceError:
    return WorkspaceError(f"{path}: no space left on the disk; free some and run the same command again")


def run_stage(
    workspace: Workspace,
    stage: str,
    settings: Mapping[str, Any],
    inputs: Iterable[Path],
    work: Callable[[], dict[str, Any]],
) -> tuple[dict[str, Any], bool]:
    """Does `work` unless a manifest shows that it was done with the same settings and inputs.

    Returns:
        The manifest, and whether the stage was skipped.

    Raises:
        WorkspaceError: an input is missing, or no space is left.
    """
    wanted = {
        "format": FORMAT,
        "stage": stage,
        "settings": digest_json(settings),
        "inputs": _digests(workspace, inputs),
    }
    done = workspace.manifest(stage)
    if done is not None and all(done.get(key) == value for key, value in wanted.items()):
        return done, True
    manifest_path = workspace.path(stage, "manifest.json")
    manifest_path.unlink(missing_ok=True)
    progress_path = workspace.path(stage, "progress.json")
    if progress_path.exists() and json.loads(progress_path.read_text(encoding="utf-8")) != wanted:
        _remove(workspace.path(stage))  # half of a stage with other settings or inputs
    workspace.write_json(f"{stage}/progress.json", wanted)
    commit = machine.commit()  # somebody may commit meanwhile
    started = time.monotonic()
    if (gpu := used_gpu()) is not None:
        gpu.reset_peak_memory_stats()
    try:
        report = work()
    except Exception as error:
        if _says_disk_is_full(error, progress_path):
            raise _disk_is_full(workspace.path(stage)) from None
        raise
    manifest = wanted | {
        "report": report,
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory_bytes": peak_memory_bytes(),
        "versions": versions(),
        "machine": machine.describe(),
        "commit": commit,
    }
    if (gpu := used_gpu()) is not None:
        manifest["peak_gpu_memory_bytes"] = gpu.max_memory_allocated()
    workspace.write_json(f"{stage}/manifest.json", manifest)
    return manifest, False


def peak_memory_bytes() -> int:
    """The largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def used_gpu() -> Any:
    """torch.cuda where this process computes on a GPU, else None; torch is not loaded for it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def versions() -> dict[str, str]:
    """Versions of what a number depends on."""
    names = ("kohai", "torch", "transformers", "peft", "trl")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def digest_of_base(name: str) -> str:
    """Of a base that is a folder its files' (once in a process), else its name; and how prompts of it are laid out."""
    return f"{PROMPT_LAYOUT}/{digest_path(Path(name)) if Path(name).is_dir() else name}"


def digest_json(value: Any) -> str:
    """SHA-256 of JSON values, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def digest_path(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names; compiled Python is left out."""
    total = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(str(file.relative_to(path)).encode() + b"\0" + digest_path(file).encode())
        return total.hexdigest()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _digests(workspace: Workspace, inputs: Iterable[Path]) -> dict[str, str]:
    digests = {}
    for path in inputs:
        inside = path.is_relative_to(workspace.root)
        if not path.exists():
            raise WorkspaceError(f"{path} does not exist; {_hint(workspace, path)}")
        name = str(path.relative_to(workspace.root)) if inside else str(path)
        if name in digests:
            raise InternalError(f"input {name} is named twice")
        digests[name] = digest_path(path)
    return digests


def _hint(workspace: Workspace, path: Path) -> str:
    if not path.is_relative_to(workspace.root):
        return "check the path in the configuration"
    stage = workspace.root / path.relative_to(workspace.root).parts[0]
    if (stage / "manifest.json").exists():
        return f"it was taken out of a finished stage: delete {stage} and run the same command again"
    return "an earlier stage makes it: `kohai run CONFIG`"
