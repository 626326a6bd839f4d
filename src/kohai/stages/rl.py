"""rl: reinforcement learning on practice tasks against the reward model (`models/rl.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kohai.config import Config
from kohai.models import rl
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    return rl.depends(config, workspace)


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapter `policy`; see `kohai.models.rl.train`."""
    return rl.train(config, workspace, "rl")
