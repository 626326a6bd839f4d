"""A training loop's state in one file: weights, optimiser and the step to go on from; whole or absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kohai.errors import DataError
from kohai.workspace import writing


@dataclass(frozen=True)
class Checkpoint:
    """The file at `path`; `state` maps names to modules, optimisers, lists of parameters, or plain containers."""

    path: Path

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Writes the state reached after `step` steps."""
        with writing(self.path) as temporary:
            torch.save({"step": step, **{name: _taken(thing) for name, thing in state.items()}}, temporary)

    def restore(self, state: Mapping[str, Any]) -> int:
        """Puts the saved values into `state`'s things; returns the number of steps done, 0 where nothing was saved."""
        if not self.path.exists():
            return 0
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{self.path}: the checkpoint does not load ({reason}); delete it and run again") from None
        for name, thing in state.items():
            _put(thing, saved[name])
        return int(saved["step"])

    def remove(self) -> None:
        """Deletes the file."""
        self.path.unlink(missing_ok=True)


def _taken(thing: Any) -> Any:
    if hasattr(thing, "state_dict"):
        return thing.state_dict()
    if isinstance(thing, list):
        return [item.detach().clone() for item in thing]
    return thing


def _put(thing: Any, value: Any) -> None:
    if hasattr(thing, "load_state_dict"):
        thing.load_state_dict(value)
    elif isinstance(thing, list):
        with torch.no_grad():
            for to, of in zip(thing, value, strict=True):
                to.copy_(of)
    else:
        thing.clear()
        thing.update(value)
