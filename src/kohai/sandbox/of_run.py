"""Execution of a run's programs, each from its task's fixture, and what their outcomes depend on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.config import Config
from kohai.records import Execution, Task
from kohai.sandbox.image import Image, open_image
from kohai.sandbox.layout import limits_of
from kohai.sandbox.sandbox import Program, Sandbox
from kohai.workspace import Workspace

FIXTURES = "prepare/fixtures.json"  # digests of what the run's tasks start from
ELSEWHERE = {"processes", "engine", "ray_address", "images", "cache"}  # how fast and where; a run may go on with others


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], Path]:
    """What outcomes depend on beside the programs and their tasks: settings, and a file with the fixtures' digests."""
    return settings(config), workspace.path(FIXTURES)


def settings(config: Config) -> dict[str, Any]:
    """How programs are run; the image's digest stands for all that is in it."""
    opened = image(config)
    return {
        "sandbox": config.sandbox.model_dump(mode="json", exclude=ELSEWHERE),
        "limits": limits_of(opened, config.sandbox),
        "image": opened.digest,
        "state": config.tasks.state,
    }


def image(config: Config) -> Image:
    """What programs run in.

    Raises:
        DataError: it is not an image, or a path of it is not there.
        ToolError: it is not built.
    """
    return open_image(config.sandbox.image, config.sandbox.images, packages(config))


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
