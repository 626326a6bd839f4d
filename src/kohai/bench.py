"""Benchmarks: each is a file of benchmarks/ that measures Kohai against a peer on the same machine.

A benchmark file has a one-line docstring and `run() -> list[Row]`. It measures both sides interleaved in one process,
or starts both in turn, so that a busy machine slows both alike. What is printed has one shape for all:

    {"bench", "machine", "commit", "rows": [{"name", "ours", "peer", "ratio" or "value", "unit", "goal", "holds"}]}
"""

from __future__ import annotations

import ast
import importlib.util
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kohai import machine
from kohai.errors import ConfigError, InternalError
from kohai.sandbox import Program, Sandbox

FOLDER = Path("benchmarks")


@dataclass(frozen=True)
class Row:
    """One measured line.

    `ratio` is ours by peer's where there is a peer, `value` the number itself where there is none; `goal` says in words
    what is wanted of it and `holds` whether that is so (None: no goal).
    """

    name: str
    unit: str
    ours: float | None = None
    peer: float | None = None
    ratio: float | None = None
    value: float | None = None
    goal: str = ""
    holds: bool | None = None


def programs_per_second(box: Sandbox, programs: Sequence[Program]) -> float:
    """How fast a sandbox runs programs that all end well."""
    started = time.perf_counter()
    kinds = {outcome.kind for outcome in box.execute(programs)}
    seconds = time.perf_counter() - started
    if kinds != {"ok"}:
        raise InternalError(f"programs of the benchmark ended with {', '.join(sorted(kinds))}")
    return len(programs) / seconds


def titles(folder: Path = FOLDER) -> dict[str, str]:
    """Each benchmark's name and the first line of its docstring."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem] = doc.partition("\n")[0]
    return found


def run(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Runs one benchmark; the result as JSON values.

    Raises:
        ConfigError: no such benchmark.
        InternalError: the file gives no rows.
    """
    path = folder / f"{name}.py"
    if not path.is_file():
        known = ", ".join(titles(folder)) or "none: start kohai from the checkout's folder"
        raise ConfigError(f"no benchmark {name!r} in {folder}/; known: {known}")
    rows = load(path, f"kohai_bench_{name}").run()
    if not rows:
        raise InternalError(f"{path}: run() gave no rows")
    return {
        "bench": name,
        "machine": machine.describe(),
        "commit": machine.commit(),
        "rows": [{key: value for key, value in asdict(row).items() if _is_told(key, value)} for row in rows],
    }


def load(path: Path, name: str) -> Any:
    """The module of a file that is no part of a package."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InternalError(f"{path} can't be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_text(result: Mapping[str, Any]) -> str:
    """A result for people."""
    described = result["machine"]
    lines = [
        f"{result['bench']} on {described['cpu']}, {described['cores']} cores, commit {result['commit'] or 'unknown'}"
    ]
    for row in result["rows"]:
        parts = [f"  {row['name']}:"]
        if row["ours"] is not None:
            parts.append(f"ours {row['ours']:.4g} {row['unit']}")
        if row["peer"] is not None:
            parts.append(f"peer {row['peer']:.4g} {row['unit']}")
        if "ratio" in row:
            parts.append(f"ratio {row['ratio']:.3g}")
        if "value" in row:
            parts.append(f"{row['value']:.4g} {row['unit']}")
        if row["goal"]:
            parts.append(f"(goal: {row['goal']}: {'holds' if row['holds'] else 'does not hold'})")
        lines.append(" ".join(parts))
    return "\n".join(lines)


def _is_told(key: str, value: Any) -> bool:
    """A row has `ratio` or `value`, whichever was measured; the other keys are always there."""
    return value is not None or key not in ("ratio", "value")
