"""What this machine offers Kohai, in a block that one can paste into a bug report. No name, path or key is in it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kohai import machine
from kohai.workspace import versions

PACKAGES = ("accelerate", "bm25s", "datasets", "griffe", "jinja2", "pydantic", "typer")


def examine() -> dict[str, Any]:
    """Versions, machine, sandbox level and torch's view of it, as JSON values."""
    found = versions()
    for name in PACKAGES:
        if importlib.util.find_spec(name) is not None:
            found[name] = importlib.metadata.version(name)
    described = machine.describe()
    described.pop("python")
    return {
        "commit": machine.commit(),
        "versions": found,
        **described,
        "free_memory_bytes": machine.free_memory_bytes(),
        "free_disk_bytes": machine.free_disk_bytes(Path.cwd()),
        "torch": torch_view(),
        "sandbox": sandbox_level(),
        "bubblewrap": bubblewrap(),
    }


def as_text(found: Mapping[str, Any]) -> str:
    """The block to paste."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = {
        "commit": found["commit"] or "not a checkout",
        "versions": versions,
        "system": found["system"],
        "cpu": f"{found['cpu']}, {found['cores']} cores",
        "features": ", ".join(found["features"]) or "unknown",
        "memory": f"{_gib(found['memory_bytes'])}, {_gib(found['free_memory_bytes'])} free",
        "disk": f"{_gib(found['free_disk_bytes'])} free here",
        "gpu": "; ".join(found["gpu"]) or "none",
        "torch": ", ".join(f"{name}: {_word(value)}" for name, value in found["torch"].items()),
        "sandbox": ", ".join(f"{name}: {_word(value)}" for name, value in found["sandbox"].items()),
        "bubblewrap": found["bubblewrap"] or "none",
    }
    width = max(map(len, lines))
    return "```\n" + "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items()) + "\n```"


def torch_view() -> dict[str, Any]:
    """What torch sees: threads, whether CUDA is usable, and whether bfloat16 is computed by the hardware."""
    if importlib.util.find_spec("torch") is None:
        return {"installed": False}
    torch = importlib.import_module("torch")
    cuda = bool(torch.cuda.is_available())
    features = machine.cpu_features()
    on_cpu = any(name in features for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return {
        "threads": torch.get_num_threads(),
        "cuda": cuda,
        "bfloat16": bool(torch.cuda.is_bf16_supported()) if cuda else on_cpu,
    }


def sandbox_level() -> dict[str, Any]:
    """How untrusted programs are confined on this machine: what the sandbox tried out and found in force."""
    from kohai.config import SandboxConfig
    from kohai.sandbox import Sandbox

    with Sandbox(SandboxConfig(unsafe=True)) as sandbox:
        return dict(sandbox.describe())


def bubblewrap() -> str | None:
    """The version of bubblewrap, or None where it is not installed."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or path


def _gib(value: int | None) -> str:
    return "unknown" if value is None else f"{value / 2**30:.1f} GiB"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
