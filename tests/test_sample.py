"""Which completions of a practice task are worth keeping where its first ones fail."""

from pathlib import Path

import pytest
from tiny_models import tiny_base

from kohai.catalog import read_package
from kohai.config import parse_config
from kohai.errors import ConfigError
from kohai.models.generate import Sampled
from kohai.records import Prompt, Task
from kohai.stages.sample import passing, prompts_of_round
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace

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


@pytest.mark.parametrize(
    ("rounds", "n_sampled", "parts"),
    [(1, None, ["abcde"]), (3, None, ["a", "bc", "de"]), (2, 2, ["ab", "cd"]), (3, 2, ["ab", "cd", "e"])],
)
def test_each_round_takes_the_next_tasks(tmp_path, rounds, n_sampled, parts):
    """All of them together all tasks, where no number is given."""
    workspace = Workspace(tmp_path)
    workspace.write_records("prepare/prompts/practice.jsonl", [Prompt(name, "practice", "Do", ()) for name in "abcde"])
    config = of_rounds(tmp_path, rounds, n_sampled)
    found = [prompts_of_round(config, workspace.of_round(number + 1)) for number in range(rounds)]
    assert ["".join(prompt.task_id for prompt in part) for part in found] == parts


@pytest.mark.parametrize(("rounds", "n_sampled", "why"), [(4, 2, "2 practice"), (6, None, "1 practice")])
def test_rounds_without_tasks_are_refused_in_the_first(tmp_path, rounds, n_sampled, why):
    """Not after hours, in the last one."""
    workspace = Workspace(tmp_path)
    workspace.write_records("prepare/prompts/practice.jsonl", [Prompt(name, "practice", "Do", ()) for name in "abcde"])
    with pytest.raises(ConfigError, match=rf"{why} task\(s\) a round leave none of 5 for round {rounds}"):
        prompts_of_round(of_rounds(tmp_path, rounds, n_sampled), workspace)


def of_rounds(tmp_path, rounds, n_sampled):
    tasks = {"folder": "t", "n_sampled": n_sampled}
    return parse_config({"run": str(tmp_path), "package": {"path": "p"}, "tasks": tasks, "rounds": rounds})
