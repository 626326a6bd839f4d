"""Training curves: JSON Lines in the run's folder, and the trackers named in `report_to`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from kohai.errors import ToolError
from kohai.workspace import writing


class Tracker:
    """Appends one line a step to `metrics.jsonl` in `folder`; a step that is logged again replaces what came after it.

    `report_to` names trackers of accelerate (tensorboard, trackio, wandb, mlflow), each an optional package.
    """

    def __init__(self, folder: Path, run_name: str, report_to: Sequence[str] = ()) -> None:
        self.path = folder / "metrics.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self._sinks = [_sink(name, run_name, folder) for name in report_to]

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one step's numbers."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] < step]
        kept.append(json.dumps({"step": step, **values}))
        with writing(self.path) as temporary:  # a kill in the middle must not lose the earlier steps
            temporary.write_text("\n".join(kept) + "\n", encoding="utf-8")
        for sink in self._sinks:
            sink.log(dict(values), step=step)

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sink in self._sinks:
            sink.finish()


def _sink(name: str, run_name: str, folder: Path) -> Any:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    kind = LOGGER_TYPE_TO_CLASS[name]
    try:
        if kind.requires_logging_directory:
            sink = kind(run_name, logging_dir=str(folder / "trackers"))
        else:
            sink = kind(run_name)
        sink.start()
    except ImportError as error:
        raise ToolError(f"report_to: {name} is not installed ({error}); pip install 'kohai[{name}]'") from None
    return sink
