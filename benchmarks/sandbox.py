"""Programs per second in the sandbox, against a cold interpreter for each, and against bare fork of a warm one."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kohai.bench import Row, programs_per_second
from kohai.config import SandboxConfig
from kohai.errors import ToolError
from kohai.sandbox import Program, Sandbox

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
WIDTH = 2  # at a time, ours and the peer's
ROUNDS = 3
FORK_GOAL, CACHE_GOAL, PIPELINE_GOAL = 0.6, 5000.0, 30.0
TRIVIAL = "print(1)"
PANDAS = "import pandas as pd\nprint(pd.DataFrame({'a': [1, 2]})['a'].sum())"
TORCH = "import torch, transformers\nfrom transformers import pipeline\nprint(torch.ones(2).sum())"
PIPELINE = """
from transformers import pipeline
ask = pipeline("sentiment-analysis", model="distilbert-base-uncased-finetuned-sst-2-english")
print(ask("I love it"))
"""
FORK = """
import json, os, sys, time
preload, warmup, code, count = json.loads(sys.argv[1])
for name in preload:
    __import__(name)
exec(warmup, {"__name__": "__warmup__"})
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
    """Medians over rounds in which all sides take turns."""
    with Sandbox(SandboxConfig(processes=WIDTH, cold_share=0.0)) as box, tempfile.TemporaryDirectory() as folder:
        subprocess.run([box.image.interpreter, "-m", "venv", "--without-pip", folder], check=True)
        lean = [str(box.image.interpreter), *box.image.flags]  # as ours starts: no site-packages at all
        peers = {
            "a cold `python -c`": ([f"{folder}/bin/python"], 2.0),
            "a cold interpreter without `site`": (lean, 0.0),
        }
        rows = [*compared(box, "trivial", TRIVIAL, 400, 60, peers), cached()]
    return rows + hub()


def hub() -> list[Row]:
    """Programs of the image hub; they need `kohai image build hub`."""
    try:
        box = Sandbox(SandboxConfig(image="hub", processes=WIDTH, cold_share=0.0))  # a cold run takes seconds
    except ToolError as error:
        return [Row(f"pandas, torch + transformers, pipeline: not measured: {error}", "programs/s", holds=False)]
    with box:
        cold = "a cold `python -c`"
        command = [str(box.image.interpreter)]
        rows = compared(box, "pandas", PANDAS, 200, 12, {cold: (command, 25.0)})
        rows += compared(box, "torch + transformers", TORCH, 100, 4, {cold: (command, 150.0)})
        box.execute([Program(PIPELINE)] * 2 * WIDTH)
        value = statistics.median(programs_per_second(box, [Program(PIPELINE)] * 60) for _ in range(ROUNDS))
    goal = f"at least {PIPELINE_GOAL:g}"
    return [*rows, Row("sentiment pipeline, warm", "programs/s", value=value, goal=goal, holds=value >= PIPELINE_GOAL)]


def compared(
    box: Sandbox, name: str, code: str, count: int, cold_count: int, peers: dict[str, tuple[list[str], float]]
) -> list[Row]:
    """A program's rate against cold interpreters' and bare fork's."""
    box.execute([Program(code)] * 2 * WIDTH)
    rates: dict[str, list[float]] = {side: [] for side in ("ours", "fork", *peers)}
    for _ in range(ROUNDS):
        rates["ours"].append(programs_per_second(box, [Program(code)] * count))
        rates["fork"].append(fork_rate(box, code, count))
        for peer, (command, _) in peers.items():
            rates[peer].append(cold_rate(command, code, cold_count))
    medians = {side: statistics.median(measured) for side, measured in rates.items()}
    return [
        *(against_peer(f"{name}, against {peer}", medians["ours"], medians[peer], peers[peer][1]) for peer in peers),
        against_peer(f"{name}, against bare fork", medians["ours"], medians["fork"], FORK_GOAL),
    ]


def against_peer(name: str, ours: float, peer: float, goal: float) -> Row:
    ratio = ours / peer
    if not goal:
        return Row(name, "programs/s", ours=ours, peer=peer, ratio=ratio)
    return Row(name, "programs/s", ours=ours, peer=peer, ratio=ratio, goal=f"at least {goal:g}", holds=ratio >= goal)


def cold_rate(interpreter: list[str], code: str, count: int) -> float:
    def one(_: int) -> None:
        subprocess.run(
            [*interpreter, "-c", code], check=True, stdin=subprocess.DEVNULL, capture_output=True, env=ENVIRONMENT
        )

    started = time.perf_counter()
    with ThreadPoolExecutor(WIDTH) as pool:
        list(pool.map(one, range(count)))
    return count / (time.perf_counter() - started)


def fork_rate(box: Sandbox, code: str, count: int) -> float:
    """As many processes as we have workers, each as warm as ours for this code, that do nothing but fork."""
    setting = json.dumps([*box.image.start(box.image.level(code)), code, count // WIDTH])
    command = [str(box.image.interpreter), *box.image.flags, "-c", FORK, setting]
    warm = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
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
        value = statistics.median(programs_per_second(box, programs * 10) for _ in range(ROUNDS))
    return Row("cached outcomes", "programs/s", value=value, goal=f"at least {CACHE_GOAL:g}", holds=value >= CACHE_GOAL)
