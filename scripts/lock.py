"""Writes the lock files from what is installed in this environment.

    .venv/bin/python scripts/lock.py

Each holds `name==version` of the closure of what pyproject.toml asks for: requirements.lock for the run time,
requirements-dev.lock what development adds, requirements-ray.lock and requirements-llama-cpp.lock what the extras add
(where they are installed: they are no part of the environment of `make test`). torch stays out: which build fits
depends on the machine, so the Makefile installs it by itself.
"""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LEFT_OUT = {"torch", "triton"}
HEADER = "# {what}; `make lock` writes this file. torch is installed by the Makefile.\n"


def closure(requirements: Iterable[str]) -> dict[str, str]:
    """Versions of the requirements and of all they need on this machine, by canonical name."""
    found: dict[str, str] = {}
    waiting = [(Requirement(text), "") for text in requirements]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            found[name] = importlib.metadata.version(name)
            needs = importlib.metadata.requires(name) or []
            waiting += [(Requirement(text), wanted) for text in needs]
    return {name: version for name, version in found.items() if name not in LEFT_OUT and not name.startswith("nvidia-")}


def main() -> None:
    """Writes the files."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    run_time = closure(project["project"]["dependencies"])
    development = closure(project["dependency-groups"]["dev"])
    _write("requirements.lock", "What Kohai runs with", run_time)
    _write(
        "requirements-dev.lock",
        "What development adds",
        {name: version for name, version in development.items() if name not in run_time},
    )
    known = run_time | development
    for extra in ("ray", "llama-cpp"):
        path = f"requirements-{extra}.lock"
        try:
            added = closure(project["project"]["optional-dependencies"][extra])
        except importlib.metadata.PackageNotFoundError:
            print(f"{path}: left as it is; the extra `{extra}` is not installed here")
            continue
        _write(
            path,
            f"What the extra {extra} adds",
            {name: version for name, version in added.items() if name not in known},
        )


def _write(path: str, what: str, versions: dict[str, str]) -> None:
    lines = "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))
    Path(path).write_text(HEADER.format(what=what) + lines, encoding="utf-8")


if __name__ == "__main__":
    main()
