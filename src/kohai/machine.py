"""What a number was measured on: processor, memory, disk, graphics card, commit. Reads files and asks git; no torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8")
ARM_FEATURES = ("asimd", "bf16", "i8mm", "sve")


def describe() -> dict[str, Any]:
    """The machine as a report names it."""
    return {
        "cpu": cpu_model(),
        "features": cpu_features(),
        "cores": cores(),
        "memory_bytes": memory_bytes(),
        "gpu": gpus(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, or its architecture where the system does not tell."""
    names = _cpuinfo(cpuinfo, "model name")
    return names or platform.processor() or platform.machine()


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Those features of the processor that decide how fast a model computes on it; empty where nothing is known."""
    flags = set((_cpuinfo(cpuinfo, "flags") or _cpuinfo(cpuinfo, "Features")).split())
    return [name for name in (*FEATURES, *ARM_FEATURES) if name in flags]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_memory_bytes(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that is free or can be freed at once; None where the system does not tell."""
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def free_disk_bytes(path: Path) -> int:
    """Free space where `path` lies."""
    return shutil.disk_usage(path).free


def gpus() -> list[str]:
    """Names and memory of NVIDIA cards, as their driver tells; empty where there is none."""
    text = _output(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def commit() -> str | None:
    """The commit of the checkout that this package runs from, `-dirty` where tracked files differ; None elsewhere."""
    folder = Path(__file__).parent
    name = _output(["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"])
    if name is None or _output(["git", "-C", str(folder), "ls-files", "--error-unmatch", __file__]) is None:
        return None
    changed = _output(["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"])
    return name.strip() + ("-dirty" if changed else "")


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _cpuinfo(path: Path, key: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")
