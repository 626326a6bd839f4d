"""Which completions of a practice task are worth keeping where its first ones fail."""

from pathlib import Path

from tiny_models import tiny_base

from kohai.catalog import read_package
from kohai.models.generate import Sampled
from kohai.records import Task
from kohai.stages.sample import passing
from kohai.verify.of_run import RunChecks

STOCKROOM = Path(__file__).parent.parent / "examples" / "stockroom" / "src" / "stockroom"
RIGHT = """from stockroom import moves, open_room
from stockroom.moves import Purpose

with open_room() as room:
    moves.hold(room, sku="ST-475", quantity=15, purpose=Purpose.REPAIR)
"""


def test_what_no_static_gate_stops():
    """It ended, calls what exists as it exists, with the instruction's values; the same program counts once."""
    base = tiny_base()
    task = Task("t", "Hold 15 pieces of ST-475 for a repair.")
    checks = RunChecks(read_package(STOCKROOM, ()), {"t": ""})
    answers = [
        RIGHT.replace("hold", "grab"),
        RIGHT,
        RIGHT,
        RIGHT.replace("15", "51"),
        RIGHT.replace("room,", "room,  "),
    ]
    group = [Sampled(base.tokenizer.encode(text), [], finished=True) for text in answers]
    cut = [Sampled(one.ids, [], finished=False) for one in group]
    gates = ["parses", "names_bound", "api_exists", "arguments_bind", "values_allowed", "grounded", "runs"]
    assert passing(base, checks, gates, task, [*cut, *group]) == [group[1], group[4]]
    assert passing(base, checks, ["parses"], task, group) == [group[0], group[1], group[3], group[4]]
    assert passing(base, checks, gates, task, cut) == []
