"""How long `kohai --help` takes, against `python -c pass` in the same environment."""

import statistics
import subprocess
import sys
import time

from kohai.bench import Row

ROUNDS = 11
GOAL_SECONDS = 0.3


def run() -> list[Row]:
    """Medians over interleaved rounds, after one of each to warm the disk cache."""
    ours, peer = [], []
    for place in range(ROUNDS + 1):
        for command, seconds in ((["-m", "kohai", "--help"], ours), (["-c", "pass"], peer)):
            taken = _seconds([sys.executable, *command])
            if place:
                seconds.append(taken)
    help_seconds, bare_seconds = statistics.median(ours), statistics.median(peer)
    return [
        Row(
            "kohai --help",
            "s",
            ours=help_seconds,
            peer=bare_seconds,
            ratio=help_seconds / bare_seconds,
            goal=f"under {GOAL_SECONDS} s",
            holds=help_seconds < GOAL_SECONDS,
        )
    ]


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
