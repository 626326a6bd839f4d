"""Execution of a run's programs, each from its task's fixture."""

from __future__ import annotations

from collections.abc import Sequence

from kohai import progress
from kohai.config import Config
from kohai.records import Execution, Task
from kohai.sandbox.sandbox import Program, Sandbox
from kohai.workspace import Workspace


def execute(
    config: Config, workspace: Workspace, programs: Sequence[tuple[str, Task]], label: str | None = "execute"
) -> list[Execution]:
    """Runs programs in one sandbox, in order; `label` names the progress bar, None draws none."""
    folder = workspace.path("prepare")
    wanted = [Program.of_task(code, task, folder) for code, task in programs]
    packages = (config.package.path,) if config.package.path is not None else ()
    with Sandbox(config.sandbox, packages, config.tasks.state) as sandbox:
        if label is None:
            return sandbox.execute(wanted)
        with progress.bar(label, len(wanted), unit="programs") as bar:
            return sandbox.execute(wanted, lambda done: bar.advance(done - bar.done))
