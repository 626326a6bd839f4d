"""Programs per second on a Ray cluster of two cores on this machine, against the local engine two at a time."""

import statistics

from kohai.bench import Row, programs_per_second
from kohai.config import SandboxConfig
from kohai.sandbox import Program, Sandbox

WIDTH = 2
ROUNDS = 5
TRIVIAL, TRIVIAL_COUNT = "print(1)", 400
HEAVY, HEAVY_COUNT = "print(sum(n * n for n in range(600_000)))", 80
GOAL = 0.8


def run() -> list[Row]:
    """Medians over rounds in which both sides take turns."""
    with (
        Sandbox(SandboxConfig(processes=WIDTH)) as here,
        Sandbox(SandboxConfig(processes=WIDTH, engine="ray")) as there,
    ):
        return [
            compared(here, there, "trivial program", TRIVIAL, TRIVIAL_COUNT),
            compared(here, there, "program that computes for some 50 ms", HEAVY, HEAVY_COUNT),
        ]


def compared(here: Sandbox, there: Sandbox, name: str, code: str, count: int) -> Row:
    """Ours is the cluster's rate, the peer's the local engine's."""
    rates = {}
    for box in (here, there) * (ROUNDS + 1):
        rates.setdefault(box, []).append(programs_per_second(box, [Program(code)] * count))
    local, ray = (statistics.median(rates[box][1:]) for box in (here, there))  # the first round warms up
    ratio = ray / local
    return Row(name, "programs/s", ours=ray, peer=local, ratio=ratio, goal=f"at least {GOAL:g}", holds=ratio >= GOAL)
