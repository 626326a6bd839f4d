"""Programs per second in the sandbox, against a cold interpreter for each, and against bare fork of a warm one."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kohai.bench import Row
from kohai.config import SandboxConfig
from kohai.sandbox import Program, Sandbox

WIDTH = 2  # at a time, ours and the peer's
ROUNDS = 3
TRIVIAL = "print(1)"
COLD_GOAL = 2.0
FORK_GOAL, CACHE_GOAL = 0.6, 5000.0
FORK = """
import json, os, sys, time
preload, code, count = json.loads(sys.argv[1])
for name in preload:
    __import__(name)
code = compile(code, "<program>", "exec")
null = os.open(os.devnull, os.O_WRONLY)
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
for _ in range(count):
    child = os.fork()
    if not child:
        os.dup2(null, 1)
        exec(code, {"__name__": "__main__"})
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
print(time.perf_counter() - started, flush=True)
"""


def run() -> list[Row]:
    """Medians over rounds in which both sides take turns."""
    with Sandbox(SandboxConfig(processes=WIDTH)) as box:
        return [*compared(box, "trivial", TRIVIAL, 400, 60, COLD_GOAL), cached()]


def compared(box: Sandbox, name: str, code: str, count: int, cold_count: int, goal: float) -> list[Row]:
    """A program's rate against the cold interpreter's and bare fork's."""
    box.execute([Program(code)] * 2 * WIDTH)
    ours, cold, fork = [], [], []
    for _ in range(ROUNDS):
        ours.append(rate(box, [Program(code)] * count))
        cold.append(cold_rate(box, code, cold_count))
        fork.append(fork_rate(box, code, count))
    mine, theirs, bare = (statistics.median(rates) for rates in (ours, cold, fork))
    return [
        against_peer(f"{name}, against a cold interpreter", mine, theirs, goal),
        against_peer(f"{name}, against bare fork", mine, bare, FORK_GOAL),
    ]


def against_peer(name: str, ours: float, peer: float, goal: float) -> Row:
    ratio = ours / peer
    return Row(name, "programs/s", ours=ours, peer=peer, ratio=ratio, goal=f"at least {goal:g}", holds=ratio >= goal)


def rate(box: Sandbox, programs: list[Program]) -> float:
    started = time.perf_counter()
    outcomes = box.execute(programs)
    seconds = time.perf_counter() - started
    assert {outcome.kind for outcome in outcomes} == {"ok"}, outcomes[0]
    return len(programs) / seconds


def cold_rate(box: Sandbox, code: str, count: int) -> float:
    command = [str(box.image.interpreter), *box.image.flags, "-c", code]  # as lean as ours

    def one(_: int) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    started = time.perf_counter()
    with ThreadPoolExecutor(WIDTH) as pool:
        list(pool.map(one, range(count)))
    return count / (time.perf_counter() - started)


def fork_rate(box: Sandbox, code: str, count: int) -> float:
    """As many processes as we have workers, each with the same modules, that do nothing but fork."""
    setting = json.dumps([list(box.image.preload), code, count // WIDTH])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [str(box.image.interpreter), *box.image.flags, "-c", FORK, setting]
    warm = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(WIDTH)
    ]
    for process in warm:
        assert process.stdout.readline() == "ready\n"
    for process in warm:
        process.stdin.write("go\n")
        process.stdin.flush()
    seconds = [float(process.communicate()[0]) for process in warm]
    return WIDTH * (count // WIDTH) / max(seconds)


def cached_box(folder: Path) -> Sandbox:
    return Sandbox(SandboxConfig(processes=WIDTH, cache=folder / "outcomes.sqlite"))


def cached() -> Row:
    """Outcomes that are known already, read back."""
    programs = [Program(f"print({n})") for n in range(500)]
    with tempfile.TemporaryDirectory() as folder, cached_box(Path(folder)) as box:
        box.execute(programs)
        value = statistics.median(rate(box, programs * 10) for _ in range(ROUNDS))
    return Row("cached outcomes", "programs/s", value=value, goal=f"at least {CACHE_GOAL:g}", holds=value >= CACHE_GOAL)
