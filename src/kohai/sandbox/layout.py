"""What a sandbox lays out on disk for its workers, and what it tells each at its start."""

from __future__ import annotations

import itertools
import os
import py_compile
import shutil
import sys
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

CHILD = ("worker", "keeper", "services", "frames", "own", "kernel", "program", "tree", "asgi", "http", "hub", "web")
CHILD_FILES = (*(f"child/{name}" for name in CHILD), "state", "sample_files")  # what a worker runs
PROCESSES = 64  # of one program
KEPT_PROCESSES = 8  # the worker's own, which count as the program's user's
SERVER_THREADS = 32  # of one service, which count too
FILES = 256  # open ones
START_SECONDS = 300.0
HUB_PORT = 8123
CERTIFICATES, WEB_KEY = "certificates.pem", "web.pem"  # who vouches for the web sites that stand in; their key
HUB = "/hub"  # where the file tree shows the replicas
OWN_FOLDERS = {"fixtures": "fixtures", "child": "kohai"}  # and what the file tree calls them
ETC = {
    "passwd": "user:x:{user}:{user}:user:/box:/bin/sh\n",
    "group": "user:x:{user}:\n",
    "hosts": "127.0.0.1 localhost {web}\n::1 localhost\n",
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
    "HF_ENDPOINT": f"http://127.0.0.1:{HUB_PORT}",
}


def limits_of(image: Image, config: SandboxConfig) -> dict[str, float]:
    """The image's own limits, where the configuration names none."""
    return {name: value for name, value in image.limits.items() if name not in config.model_fields_set}


class Layout:
    """A folder of the host that holds a sandbox's files; `remove` it at the end. `hub`: a folder of replicas."""

    def __init__(self, image: Image, config: SandboxConfig, state: str | None, hub: Path | None = None) -> None:
        self._image = image
        self._config = config.model_copy(update=limits_of(image, config))
        self._state = state
        self._hub = hub and hub.absolute()
        self._kept = KEPT_PROCESSES + SERVER_THREADS * (len(image.services) + bool(hub) + 2 * bool(image.web))
        self._suffix = ".pyc" if image.python == sys.version_info[:2] else ".py"  # what its interpreter can load
        self._numbers = itertools.count()
        self.folder = Path(tempfile.mkdtemp(prefix="kohai-box-"))
        self.folder.chmod(0o711)
        self.fixtures = scratch.Fixtures(self.folder / "fixtures", state, NOBODY if is_root() else None)
        self._packages: tuple[Package, ...] = ()

    def prepare(self) -> None:
        """Writes what every worker needs."""
        for name in CHILD_FILES:
            source = Path(__file__).parent / f"{name}.py"
            target = self.folder / "child" / "kohai" / "sandbox" / f"{name}{self._suffix}"
            if self._suffix == ".pyc":
                py_compile.compile(str(source), cfile=str(target), doraise=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        for name, text in ETC.items():
            path = self.folder / "etc" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.format(user=os.getuid() or NOBODY, web=" ".join(self._image.web)))
        if self._image.web:
            import trustme  # what it stands on takes a moment to import

            authority = trustme.CA()
            authority.cert_pem.write_to_path(self.folder / "etc" / CERTIFICATES)
            authority.issue_cert(*self._image.web).private_key_and_cert_chain_pem.write_to_path(
                self.folder / "etc" / WEB_KEY
            )
        for place in ("root", "fixtures/.room"):
            (self.folder / place).mkdir(parents=True)
        self._packages = tuple(
            packages.prepare(path, self.folder / "packages" / str(place), self._image.interpreter)
            for place, path in enumerate(self._image.paths)
        )

    def start(self, layers: Layers, level: int, services: bool = True) -> Worker:
        """A worker under these layers, with so many groups of the image's modules (with all of them its warm-up, too),
        and with its services where there are namespaces.

        Raises:
            WorkerError: it did not become ready.
        """
        folder = self.folder / f"worker{next(self._numbers)}"
        folder.mkdir()
        child = self.folder / "child" / "kohai" / "sandbox" / "child" / f"worker{self._suffix}"
        environment = ENVIRONMENT | dict(self._image.environment)
        if layers.spaces:
            environment |= {"HOME": "/box", "TMPDIR": "/tmp"}  # noqa: S108
            if self._image.web:
                environment |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), f"/etc/{CERTIFICATES}")
        command = [str(self._image.interpreter), *self._image.flags, str(child)]
        return Worker(command, environment, self._setup(layers, level, services), folder, START_SECONDS)

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
            "memory_bytes": int(config.memory_mb) << 20,
            "file_bytes": int(config.file_mb) << 20,
            "disk_bytes": int(config.disk_mb) << 20,
            "inodes": int(config.files),
            "output_bytes": int(config.output_kb) << 10,
            "files": FILES,
            "processes": PROCESSES + self._kept if layers.counts_are_own else 0,
        }

    def _services(self) -> list[dict[str, Any]]:
        files = self._image.files
        fixture = f"/fixtures/{self.fixtures.ready(files)[0].name}" if files else ""
        found: list[dict[str, Any]] = [
            {"kind": "asgi", "name": service.name, "app": service.app, "port": service.port, "fixture": fixture}
            for service in self._image.services
        ]
        if self._hub is not None:
            found.append({"kind": "hub", "name": "hub", "folder": HUB, "port": HUB_PORT, "fixture": ""})
        if self._image.web:
            key = {"key": f"/etc/{WEB_KEY}"}
            found += [{"kind": "web", "name": "web", "port": port, "fixture": ""} | key for port in (80, 443)]
        return found

    def _setup(self, layers: Layers, level: int, services: bool) -> dict[str, Any]:
        image = self._image
        modules, warmup = image.start(level)
        shown = [(str(folder), str(folder)) for folder in image.folders]
        shown += [(str(package.source), package.inside) for package in self._packages]
        shown += [(str(self._hub), HUB)] if self._hub and layers.spaces else []
        names = [*ETC, *((CERTIFICATES, WEB_KEY) if image.web else ())]
        etc = [(str(self.folder / "etc" / name), f"/etc/{name}") for name in names]
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
            "preload": modules,
            "warmup": warmup,
            "services": self._services() if services and layers.spaces else [],
            "state": self._state or "",
            "limits": self.limits(layers),
        }

    def remove(self) -> None:
        """Removes the folder."""
        scratch.remove(self.folder)
