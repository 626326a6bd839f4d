"""What a sandbox lays out on disk for its workers, and what it tells each at its start."""

from __future__ import annotations

import itertools
import os
import py_compile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kohai.config import SandboxConfig
from kohai.sandbox import packages, scratch
from kohai.sandbox.image import Image
from kohai.sandbox.layers import FIRST_USER, NOBODY, Layers, is_root
from kohai.sandbox.packages import Package
from kohai.sandbox.worker import Worker

CHILD_FILES = ("child/worker", "child/kernel", "child/program", "child/tree", "state")  # what a worker runs
PROCESSES = 64  # of one program
KEPT_PROCESSES = 8  # the worker's own, which count as the program's user's
FILES = 256  # open ones
START_SECONDS = 300.0
OWN_FOLDERS = {"fixtures": "fixtures", "child": "kohai"}  # and what the file tree calls them
ETC = {
    "passwd": "user:x:{user}:{user}:user:/box:/bin/sh\n",
    "group": "user:x:{user}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "USER": "user",
    "LOGNAME": "user",
    "PYTHONHASHSEED": "0",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    "OMP_NUM_THREADS": "1",  # a pool of threads does not live through a fork
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",  # nor does CUDA
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


class Layout:
    """A folder of the host that holds a sandbox's files; `remove` it at the end."""

    def __init__(self, image: Image, config: SandboxConfig, state: str | None) -> None:
        self._image = image
        self._config = config
        self._state = state
        self._numbers = itertools.count()
        self.folder = Path(tempfile.mkdtemp(prefix="kohai-box-"))
        self.folder.chmod(0o711)
        self.fixtures = scratch.Fixtures(self.folder / "fixtures", state, NOBODY if is_root() else None)
        self._packages: tuple[Package, ...] = ()

    def prepare(self) -> None:
        """Writes what every worker needs."""
        for name in CHILD_FILES:
            compiled = self.folder / "child" / "kohai" / "sandbox" / f"{name}.pyc"
            source = Path(__file__).parent / f"{name}.py"
            py_compile.compile(str(source), cfile=str(compiled), doraise=True)
        for name, text in ETC.items():
            path = self.folder / "etc" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.format(user=os.getuid() or NOBODY))
        for place in ("root", "fixtures/.room"):
            (self.folder / place).mkdir(parents=True)
        self._packages = tuple(
            packages.prepare(path, self.folder / "packages" / str(place), self._image.interpreter)
            for place, path in enumerate(self._image.paths)
        )

    def start(self, layers: Layers, preload: bool = True) -> Worker:
        """A worker under these layers.

        Raises:
            WorkerError: it did not become ready.
        """
        folder = self.folder / f"worker{next(self._numbers)}"
        folder.mkdir()
        child = self.folder / "child" / "kohai" / "sandbox" / "child" / "worker.pyc"
        environment = ENVIRONMENT | dict(self._image.environment)
        if layers.spaces:
            environment |= {"HOME": "/box", "TMPDIR": "/tmp"}  # noqa: S108
        command = [str(self._image.interpreter), *self._image.flags, str(child)]
        return Worker(command, environment, self._setup(layers, preload), folder, START_SECONDS)

    def home(self) -> Path:
        """A new folder for one program, where it has no file tree of its own."""
        path = self.folder / f"run{next(self._numbers)}"
        path.mkdir(mode=0o711)
        return path

    def trusted(self, layers: Layers) -> tuple[str, ...]:
        """Folders of files that are not the program's."""
        return (*map(str, self._image.folders), *(package.seen_at(layers.spaces) for package in self._packages))

    def limits(self, layers: Layers, changed: Mapping[str, float] | None = None) -> dict[str, int | float]:
        """A program's limits, as the worker takes them; `changed` are its own, by the names of `SandboxConfig`."""
        config = self._config.model_copy(update=dict(changed or {}))
        return {
            "cpu_seconds": max(1, -(-int(config.cpu_seconds * 1000) // 1000)),
            "wall_seconds": config.wall_seconds,
            "memory_bytes": config.memory_mb << 20,
            "file_bytes": config.file_mb << 20,
            "disk_bytes": config.disk_mb << 20,
            "inodes": config.files,
            "output_bytes": config.output_kb << 10,
            "files": FILES,
            "processes": PROCESSES + KEPT_PROCESSES if layers.counts_are_own else 0,
        }

    def _setup(self, layers: Layers, preload: bool) -> dict[str, Any]:
        image = self._image
        shown = [(str(folder), str(folder)) for folder in image.folders]
        shown += [(str(package.source), package.inside) for package in self._packages]
        etc = [(str(self.folder / "etc" / name), f"/etc/{name}") for name in ETC]
        return {
            "is_root": is_root(),
            "spaces": layers.spaces,
            "landlock": layers.landlock,
            "seccomp": layers.seccomp,
            "nobody": NOBODY if layers.spaces else FIRST_USER + next(self._numbers),
            "root": str(self.folder / "root"),
            "visible": [
                *shown,
                *etc,
                *((str(self.folder / name), f"/{inside}") for name, inside in OWN_FOLDERS.items()),
            ],
            "read": [source for source, _ in shown],
            "paths": [package.search(layers.spaces) for package in self._packages],
            "preload": list(image.preload) if preload else [],
            "warmup": image.warmup if preload else "",
            "state": self._state or "",
            "limits": self.limits(layers),
        }

    def remove(self) -> None:
        """Removes the folder."""
        scratch.remove(self.folder)
