"""Execution of a run's programs, each from its task's fixture, and what their outcomes depend on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.config import Config
from kohai.records import Execution, Task
from kohai.sandbox.image import open_image
from kohai.sandbox.layout import limits_of
from kohai.sandbox.sandbox import Program, Sandbox
from kohai.workspace import Workspace

FIXTURES = "prepare/fixtures.json"  # digests of what the run's tasks start from


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], Path]:
    """What outcomes depend on beside the programs and their tasks: settings, the image with all that is in it, and the
    digests of the fixtures.
    """
    image = open_image(config.sandbox.image, config.sandbox.images, packages(config))
    settings = {
        "sandbox": config.sandbox.model_dump(mode="json"),
        "limits": limits_of(image, config.sandbox),
        "image": image.digest,
        "state": config.tasks.state,
    }
    return settings, workspace.path(FIXTURES)


def packages(config: Config) -> tuple[Path, ...]:
    """What programs may import beside what the image has."""
    return (config.package.path,) if config.package.path is not None else ()


def execute(
    config: Config, workspace: Workspace, programs: Sequence[tuple[str, Task]], label: str | None = "execute"
) -> list[Execution]:
    """Runs programs in one sandbox, in order; `label` names the progress bar, None draws none."""
    folder = workspace.path("prepare")
    wanted = [Program.of_task(code, task, folder) for code, task in programs]
    with Sandbox(config.sandbox, packages(config), config.tasks.state) as sandbox:
        if label is None:
            return sandbox.execute(wanted)
        with progress.bar(label, len(wanted), unit="programs") as bar:
            return sandbox.execute(wanted, lambda done: bar.advance(done - bar.done))
