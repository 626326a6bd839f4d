"""Sandboxes of a chosen tier, where this machine gives it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kohai.config import SandboxConfig
from kohai.sandbox import Sandbox, image, sandbox
from kohai.sandbox.layers import Layers

LAYERS = {
    "T2": Layers(spaces=True, landlock=True, seccomp=True),
    "T1": Layers(landlock=True, seccomp=True),
    "T0": Layers(),
}


@contextmanager
def sandbox_of(tier: str, config: SandboxConfig, **options: Any) -> Iterator[Sandbox]:
    """A sandbox of that tier; the test is skipped where the machine does not give it."""
    wanted = LAYERS[tier]

    def only(works: Callable[[Layers], bool]) -> Layers:
        if tier != "T0" and not works(wanted):
            pytest.skip(f"this machine does not give {tier}")
        return wanted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "probe", only)
        if os.getuid() == 0 and tier != "T2":
            patch.setattr(image, "interpreter", lambda _spec: readable_python())
        found = Sandbox(config, **options)
        found.describe()
    with found:
        yield found


def skip_where_programs_cannot_read(folder: Path) -> None:
    """Where we are root without namespaces, programs are nobody, and pytest's folders are for their owner alone."""
    with Sandbox(SandboxConfig(unsafe=True)) as found:
        told = found.describe()
    if told["runs as"] == "nobody" and not told["namespaces"]:
        pytest.skip(f"programs run as nobody here, who cannot read {folder}")


def readable_python() -> Path:
    """An interpreter that any user may read: where we are root, programs are not."""
    for name in ("python3.11", "python3.12", "python3.13", "python3.14", "python3"):
        for folder in ("/usr/local/bin", "/usr/bin"):
            path = Path(folder, name)
            if path.exists() and not str(path.resolve()).startswith("/root/"):
                return path
    pytest.skip("no interpreter here that nobody can read")
