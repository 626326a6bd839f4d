"""Every request can be worded in many ways, and its wordings hold no leftover of the machinery."""

from __future__ import annotations

import inspect
import random
import re

from task_builder.phrasing import Segment, body, instruct
from task_builder.pools import make_pools
from task_builder.seeds import make_fixture
from task_builder.steps import counts, items, moves, orders, receipts, reports, shipments, suppliers, users
from task_builder.world import Step, World

AREAS = (counts, items, moves, orders, receipts, reports, shipments, suppliers, users)


def steps(seed: int) -> dict[str, Step]:
    """Each area's steps, made once from one world."""
    pools = make_pools(7)
    world = World(random.Random(seed), make_fixture(7, "amber", pools), pools["test"])
    made = {}
    for area in AREAS:
        for name, make in inspect.getmembers(area, inspect.isfunction):
            if make.__module__ == area.__name__ and make.__annotations__.get("return") == "Step":
                made[name] = make(world)
    return made


def test_six_wordings_for_each_request() -> None:
    """Requests, statements and questions are six or more, before alternatives inside them are counted."""
    for name, step in steps(1).items():
        questions = {question for each in step.prints for question in each.questions}
        assert len({*step.asks, *step.says, *questions}) >= 6, name


def test_no_leftovers() -> None:
    """No slot, bracket or OUT is left in 20 instructions for each step, and its program has a line to run."""
    rng = random.Random(2)
    for name, step in steps(3).items():
        for _ in range(20):
            segment = Segment(step, rng.choice(step.prints))
            text = instruct(rng, [segment])
            assert not re.search(r"[\[\]{}|]|OUT|\.\.|None", text), (name, text)
            assert body([segment])
