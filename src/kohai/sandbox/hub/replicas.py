"""Replicas on disk: built when they are wanted, whole or absent.

<folder>/index.json                  {"models": {id: {"task", "library", "revisions", "tags", "lacks", "why"}},
                                      "aliases": {old name: id}}
<folder>/repos/<id>/<files>          a replica; there exactly when it is built
<folder>/records/<owner>--<name>.json   how building it went, failures too
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from kohai.errors import DataError
from kohai.sandbox.hub.aliases import LEGACY, canonical
from kohai.sandbox.hub.catalogue import Entry, read_catalogue
from kohai.sandbox.hub.process import CODE, Builder
from kohai.sandbox.image import Image
from kohai.workspace import digest_path

TIMEOUT_SECONDS = 120.0
PROCESSES = 2
Builders = queue.LifoQueue[Builder]
Done = Callable[[int], None]


class Built(NamedTuple):
    """How building one replica went; `why` it is not there, and the `seconds` it took (0 = it was there before)."""

    id: str
    built: bool
    why: str
    seconds: float


class Replicas:
    """The replicas of a folder, for one image.

    Args:
        folder: where they lie; made if need be.
        image: whose interpreter builds them.
        endpoint: a hub to take configurations and tokenizers from; empty = guess them.
    """

    def __init__(self, folder: Path, image: Image, endpoint: str = "") -> None:
        self.folder = folder
        self._image = image
        self._endpoint = endpoint
        self._entries: dict[str, Entry] = {}
        self._idle: Builders = queue.LifoQueue()
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _close, self._idle)

    @classmethod
    def open(cls, image: Image, images: Path, catalogue: Path | None = None, endpoint: str = "") -> Replicas:
        """The replicas of an image's catalogue, or of another one, with its index written.

        Args:
            image: opened.
            images: the folder that built images lie in.
            catalogue: replaces the image's.
            endpoint: as above.

        Raises:
            DataError: there is no catalogue, or it is none.
        """
        path = catalogue or image.catalogue
        if path is None:
            raise DataError(f"the image {image.name} has no catalogue; name one with sandbox.catalogue or --catalog")
        entries = read_catalogue(path)
        replicas = cls(default_folder(image, images, path, endpoint), image, endpoint)
        replicas.prepare(entries)
        return replicas

    def close(self) -> None:
        """Ends its builders; the replicas stay."""
        self._finalizer()

    def prepare(self, entries: Iterable[Entry]) -> None:
        """Says which models there are, and writes the index."""
        self._entries = {entry.id: entry for entry in entries}
        self._write_index()

    def path(self, name: str) -> Path:
        """Where a replica lies once it is built; an old name will do."""
        return self.folder / "repos" / canonical(name)

    def record(self, name: str) -> dict[str, Any] | None:
        """How building it went; None where nobody tried."""
        path = self._record_path(canonical(name))
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def build(self, names: Sequence[str], on_done: Done | None = None, again: bool = False) -> list[Built]:
        """Builds those that are not there, several at a time; how each went, in the order asked.

        One that failed before is not tried again, unless `again`. Two processes may build the same one: the first to
        finish is kept.

        Args:
            names: of models of the catalogue.
            on_done: called with the number that are done, in the caller's thread.
            again: tries the failed ones once more.

        Raises:
            ToolError: the image's interpreter cannot be started.
        """
        wanted = list(dict.fromkeys(canonical(name) for name in names))
        found: dict[str, Built] = {}
        with ThreadPoolExecutor(max_workers=min(PROCESSES, os.cpu_count() or 1)) as pool:
            futures = [pool.submit(self._build_one, name, again) for name in wanted]
            try:
                for count, future in enumerate(as_completed(futures), 1):
                    built = future.result()
                    found[built.id] = built
                    if on_done is not None:
                        on_done(count)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        if any(built.seconds for built in found.values()):
            self._write_index()
        return [found[canonical(name)] for name in names]

    def _build_one(self, name: str, again: bool) -> Built:
        if self.path(name).is_dir():
            return Built(name, True, "", 0.0)
        entry = self._entries.get(name)
        if entry is None:
            return Built(name, False, "not in the catalogue", 0.0)
        if entry.why:
            return Built(name, False, entry.why, 0.0)
        known = self.record(name)
        if known is not None and not known["built"] and not again:
            return Built(name, False, known["why"], 0.0)
        try:
            builder = self._idle.get_nowait()
        except queue.Empty:
            builder = Builder(self._image)
        try:
            return self._made(entry, builder)
        finally:
            self._idle.put(builder)

    def _made(self, entry: Entry, builder: Builder) -> Built:
        target = self.path(entry.id)
        target.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)).absolute()
        started = time.monotonic()
        request = {
            "id": entry.id,
            "library": entry.library,
            "task": entry.task,
            "calls": list(entry.calls),
            "model_type": entry.model_type,
            "files": list(entry.files),
            "folder": str(place),
            "endpoint": self._endpoint,
        }
        try:
            answer = builder.ask(request, TIMEOUT_SECONDS)
            if answer["built"]:
                _publish(place, target)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        seconds = time.monotonic() - started
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        record = answer | {"seconds": round(seconds, 3), "bytes": size}
        _write(self._record_path(entry.id), json.dumps(record, ensure_ascii=False))
        return Built(entry.id, answer["built"], answer["why"], seconds)

    def _record_path(self, name: str) -> Path:
        return self.folder / "records" / f"{name.replace('/', '--')}.json"

    def _write_index(self) -> None:
        models = {}
        for entry in self._entries.values():
            record = self.record(entry.id) or {}
            models[entry.id] = {
                "task": entry.task,
                "library": entry.library,
                "revisions": list(entry.revisions),
                "tags": [entry.library, *([entry.task] if entry.task else [])],
                "lacks": list(entry.lacks),
                "why": entry.why or record.get("why", ""),
            }
        aliases = {old: name for old, name in LEGACY.items() if name in models}
        with self._lock:
            text = json.dumps({"models": models, "aliases": aliases}, indent=1, ensure_ascii=False)
            _write(self.folder / "index.json", text)


def default_folder(image: Image, images: Path, catalogue: Path, endpoint: str = "") -> Path:
    """Where an image's replicas lie: another place for another environment, catalogue, hub or builder."""
    code = [digest_path(path) for path in sorted(CODE.glob("*.py"))]
    parts = [image.recipe, digest_path(catalogue), endpoint, *code]
    return images / f"hub-{image.name}-{hashlib.sha256(''.join(parts).encode()).hexdigest()[:12]}"


def _publish(place: Path, target: Path) -> None:
    """Gives a whole replica its name, unless another process was first."""
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    try:
        place.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    place.write_text(text, encoding="utf-8")
    place.replace(path)


def _close(idle: Builders) -> None:
    while not idle.empty():
        idle.get_nowait().close()
