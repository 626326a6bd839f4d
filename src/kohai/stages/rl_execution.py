"""rl_execution: the comparison without AI feedback. The same loop, and all that counts is whether a program runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kohai.config import Config
from kohai.models import rl
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    return rl.depends(on_execution(config), workspace)


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapter `policy`; see `kohai.models.rl.train`."""
    return rl.train(on_execution(config), workspace, "rl_execution")


def on_execution(config: Config) -> Config:
    """The same settings, with execution as the only gate and the only reward; bounds of the reward are another's."""
    watched = {name: bounds for name, bounds in config.rl.watched.items() if name != "reward"}
    settings = config.rl.model_copy(
        update={"reward": "execution", "gates": ("runs",), "verifiers": {}, "dropped_band": None, "watched": watched}
    )
    return config.model_copy(update={"rl": settings})
