"""Programs from a JSON Lines file, and their outcomes to one: the sandbox for who wants nothing else of Kohai.

A line in: `code`, and where wanted `files` (name: content), `stdin`, `fixtures` (a path, relative to the file),
`limits` (by the names of the configuration's section `sandbox`). A line out: the program's Execution.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from kohai import progress
from kohai.config import LimitName, SandboxConfig, override_section
from kohai.errors import DataError
from kohai.sandbox.sandbox import Program, Sandbox
from kohai.workspace import Workspace

FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "code": str,
    "files": dict,
    "stdin": str,
    "fixtures": str,
    "limits": dict,
}
LIMITS = get_args(LimitName)


def execute_file(
    programs: str,
    out: str,
    image: str,
    overrides: Sequence[str] = (),
    engine: str = "local",
    state: str | None = None,
) -> dict[str, Any]:
    """Runs a file of programs; what is done is remembered, so that a stopped call goes on where it stopped.

    Args:
        programs: the file.
        out: where the outcomes go, whole or not at all.
        image: the environment.
        overrides: `name=value`, for settings of the section `sandbox`; `cache` is a file beside `out` by default.
        engine: where they run: `local` or `ray`.
        state: the file that holds the state, the database of a SQL fixture; None = the image's.

    Returns:
        Counts by blame and kind, the tier, the image's digest.

    Raises:
        DataError: a line that is no program; names file, line and field.
        ConfigError: an override that is none.
    """
    source, target = Path(programs), Path(out)
    wanted = read_programs(source)
    settings = {"image": image, "engine": engine, "cache": str(target.with_name(f"{target.name}.cache.sqlite"))}
    config = override_section(SandboxConfig, settings, overrides)
    with Sandbox(config, state=state) as sandbox, progress.bar("execute", len(wanted), unit="programs") as bar:
        outcomes = sandbox.execute(wanted, lambda done: bar.advance(done - bar.done))
        tier = sandbox.describe()["tier"]
    Workspace(target.parent).write_records(target.name, outcomes)
    return {
        "programs": len(outcomes),
        "blame": dict(Counter(outcome.blame for outcome in outcomes).most_common()),
        "kinds": dict(Counter(outcome.kind for outcome in outcomes).most_common()),
        "cached": sum(outcome.cached for outcome in outcomes),
        "fails_cold": sum(bool(outcome.warm_kind) for outcome in outcomes),
        "tier": tier,
        "image": sandbox.image.digest,
    }


def read_programs(path: Path) -> list[Program]:
    """The programs of a file."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    return [_program(line, f"{path}:{number}", path.parent) for number, line in enumerate(lines, 1) if line.strip()]


def _program(line: str, where: str, folder: Path) -> Program:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error})") from None
    if not isinstance(data, dict) or "code" not in data:
        raise DataError(f"{where}: field 'code' is missing")
    for name, value in data.items():
        if name in FIELDS and not isinstance(value, FIELDS[name]):
            raise DataError(f"{where}: field {name!r}: not what it should be: {value!r}")
    limits = data.get("limits", {})
    for name, value in limits.items():
        if name not in LIMITS or not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise DataError(f"{where}: field 'limits': {name} = {value!r}; known: {', '.join(LIMITS)}, all above 0")
    for name, text in data.get("files", {}).items():
        if not isinstance(text, str) or Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{where}: field 'files': {name!r} is not a name inside the program's folder with a text")
    fixture = folder / data["fixtures"] if data.get("fixtures") else None
    return Program(data["code"], fixture, data.get("stdin", ""), data.get("files", {}), limits)
