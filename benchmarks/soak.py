"""100,000 programs through one sandbox: is every outcome there, in order, and do memory and processes stay flat?"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from kohai.bench import Row
from kohai.config import SandboxConfig
from kohai.sandbox import Program, Sandbox

COUNT = int(os.environ.get("KOHAI_SOAK", "100000"))
LOOKS = 20
GROWTH_MB = 32.0


def run() -> list[Row]:
    """Memory and processes are looked at twenty times; growth is from the second look to the highest after it."""
    wrong, memory, processes, files = 0, [], [], []
    with Sandbox(SandboxConfig(processes=2)) as box:
        started = time.perf_counter()
        for number, outcome in enumerate(box.stream(programs())):
            wrong += outcome.kind != "ok" or outcome.stdout != f"{number}\n"
            if number % (COUNT // LOOKS) == 0:
                own = tree()
                memory.append(sum(map(resident_mb, own)))
                processes.append(len(own))
                files.append(len(list(Path("/proc/self/fd").iterdir())))
        seconds = time.perf_counter() - started
        done = number + 1
        left = len(list(box._layout.folder.iterdir()))
    growth = max(memory[2:]) - memory[1]
    return [
        Row("programs", "programs/s", value=done / seconds),
        told("lost, failed or out of order", COUNT - done + wrong, "programs", 0),
        told("memory of all processes, growth", growth, "MB", GROWTH_MB),
        told("processes, growth", max(processes[2:]) - processes[1], "processes", 4),
        told("open files of the service, growth", max(files[2:]) - files[1], "files", 4),
        told("entries of its folder at the end", left, "entries", 64),
    ]


def programs() -> Iterator[Program]:
    for number in range(COUNT):
        yield Program(f"print({number})")


def told(name: str, value: float, unit: str, at_most: float) -> Row:
    return Row(name, unit, value=value, goal=f"at most {at_most:g}", holds=value <= at_most)


def tree() -> list[int]:
    """This process and all below it; a program that happens to run is one of them."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def resident_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon")) / 1024
