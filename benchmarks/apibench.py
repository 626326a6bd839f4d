"""Whose fault it is where gold code fails: APIBench's HuggingFace answers in the image hub, with replicas, inputs."""

import json
import os
import re
from collections import Counter
from pathlib import Path

from kohai.bench import Row
from kohai.config import SandboxConfig
from kohai.records import Execution
from kohai.sandbox import Program, Sandbox
from kohai.tasks import apibench

FOLDER = Path(os.environ.get("APIBENCH_DIR", "../shared/apibench"))
COUNT = int(os.environ.get("KOHAI_APIBENCH", "1000000"))
ROWS, CATALOGUE = "huggingface_eval_dev.jsonl", "huggingface_api.jsonl"
GOAL = 0.2
OUT = os.environ.get("KOHAI_APIBENCH_OUT", "")


def run() -> list[Row]:
    """The share of gold programs that the environment kept from running, why, and what the programs did wrong."""
    codes = gold(FOLDER / ROWS)[:COUNT]
    config = SandboxConfig(
        image="hub", other_image="hub5", catalogue=FOLDER / CATALOGUE, offer_inputs=True, cold_share=0.0
    )
    with Sandbox(config) as box:
        outcomes = box.execute([Program(code) for code in codes])
    if OUT:
        told = zip(codes, outcomes, strict=True)
        Path(OUT).write_text("".join(json.dumps({"code": code} | shown(outcome)) + "\n" for code, outcome in told))
    blames = Counter(outcome.blame for outcome in outcomes)
    share = blames["environment"] / len(outcomes)
    rows = [
        Row("gold programs kept by the environment", "share", value=share, goal=f"under {GOAL}", holds=share < GOAL)
    ]
    decided = blames["none"] + blames["program"]
    rows.append(
        Row(
            "gold programs that run, of those at whose end nobody else is to blame",
            "share",
            value=blames["none"] / decided,
        )
    )
    for (blame, kind), count in sorted(Counter((o.blame, o.kind) for o in outcomes).items()):
        rows.append(Row(f"{blame}: {kind}", "programs", value=float(count)))
    for cause, count in Counter(cause_of(o) for o in outcomes if o.blame == "environment").most_common():
        rows.append(Row(f"cause: {cause}", "programs", value=float(count)))
    return rows


def gold(path: Path) -> list[str]:
    """The code of each answer; an answer without code is left out."""
    return [task.code for task in apibench.read_tasks(path)[0] if task.code]


def shown(outcome: Execution) -> dict[str, object]:
    keys = ("blame", "kind", "evidence", "exception", "line", "stderr", "wall_ms", "cpu_ms", "requests")
    return {key: getattr(outcome, key) for key in keys}


def cause_of(outcome: Execution) -> str:
    """The kind, and what was missing."""
    name = re.search(r"No module named '([\w.]+)'|404|424|'(\S+?)'", outcome.evidence)
    missing = [line.split()[1] for line in outcome.requests if line.endswith(" 424")]
    if outcome.kind == "missing_weights" and missing:
        return (
            f"missing_weights {missing[0].split('/resolve/')[0].removeprefix('/api/models').partition('/revision/')[0]}"
        )
    return f"{outcome.kind} {(name.group(1) or name.group(2) or '') if name else outcome.evidence[:60]}"
