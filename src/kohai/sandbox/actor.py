"""An actor of a Ray cluster: what runs on the nodes for `cluster.py`."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from kohai.config import SandboxConfig
from kohai.errors import KohaiError, ToolError
from kohai.records import Execution
from kohai.sandbox import image, scratch
from kohai.sandbox.layers import Layers
from kohai.sandbox.parcel import Setup, unpack
from kohai.sandbox.sandbox import Program, Sandbox

FOLDER = "kohai-actor-"
NEW_SECONDS = 60.0  # a folder so young may not be locked yet


class Runner:
    """An actor. Errors that the user can mend are returned, not raised: Ray would bury them in a trace."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._folder, self._lock = own_folder()
        self._fixtures: dict[str, Path] = {}
        self._box: Sandbox | None = None

    def open(self) -> Layers | KohaiError:
        """Makes the sandbox; what is in force in it."""
        try:
            self._box = self._made()
            told = self._box.describe()
        except (KohaiError, OSError) as error:
            kind = type(error) if isinstance(error, KohaiError) else ToolError
            return kind(f"Ray node {socket.gethostname()}: {error}")
        return Layers(*(bool(told[name]) for name in ("namespaces", "landlock", "seccomp")))

    def run(
        self, programs: Sequence[tuple[Program, str | None]], fixtures: Mapping[str, Any]
    ) -> list[Execution] | KohaiError:
        """Runs programs; `fixtures` refers to the content of each that they name by its digest."""
        assert self._box is not None
        for digest, packed in fixtures.items():
            if digest not in self._fixtures:
                import ray

                self._fixtures[digest] = unpack(ray.get(packed), self._folder / "fixtures" / digest)
        ready = [replace(program, fixture=self._fixtures.get(digest or "")) for program, digest in programs]
        try:
            return self._box.execute(ready)
        except KohaiError as error:
            return error

    def close(self) -> None:
        """Ends its worker and removes what it wrote."""
        if self._box is not None:
            self._box.close()
        scratch.remove(self._folder)
        self._lock.close()

    def _made(self) -> Sandbox:
        setup = self._setup
        tempfile.tempdir = str(self._folder)  # of this process: the sandbox's folder is found with the actor's
        given = unpack(setup.files, self._folder / "given")
        values = setup.config.model_dump()
        config = SandboxConfig.model_validate(values | {key: str(given / values[key]) for key in setup.moved})
        paths = [
            unpack(packed, self._folder / "packages" / str(place)) / name
            for place, (name, packed) in enumerate(setup.packages)
        ]
        try:
            box = Sandbox(config, paths, setup.state)
        except ToolError:
            for name in filter(None, (config.image, config.other_image)):
                build_once(name, config.images)
            box = Sandbox(config, paths, setup.state)
        if box.image.digest != setup.digest:
            box.close()
            raise ToolError(
                f"its image {box.image.name} is not the driver's: the interpreters (here {box.image.interpreter}) must "
                "be of one version"
            )
        return box


def own_folder() -> tuple[Path, IO[str]]:
    """A new folder and the lock that says it is in use, after those of actors that were killed are removed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{FOLDER}*/.lock"):
        with suppress(OSError), lock.open() as handle:
            if lock.parent.lstat().st_uid == os.getuid() and time.time() - lock.stat().st_mtime > NEW_SECONDS:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                scratch.remove(lock.parent)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    folder.chmod(0o711)
    held = (folder / ".lock").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    return folder, held


def build_once(name: str, built: Path) -> None:
    """Builds an image; the actors of a node wait for one another."""
    built.mkdir(parents=True, exist_ok=True)
    with (built / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        image.build(name, built)
