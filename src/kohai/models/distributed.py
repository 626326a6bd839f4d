"""Several processes that train one policy together, as `torchrun` starts them: by default one, and nothing is sent.

Each draws, runs and scores a part of a step's completions and computes a part of its gradient; sums are the same in
all, so all take the same step. The first one leads: it alone writes, and the stages that are not trained together are
its own.
Leaves out sharding of the base: each process holds all of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from kohai import machine

PATIENCE = timedelta(days=7)  # the others wait through the leader's own stages
Item = TypeVar("Item")
Found = TypeVar("Found")
Key = TypeVar("Key")


@contextmanager
def together() -> Iterator[None]:
    """Joins the processes that torchrun started, by gloo on CPUs and NCCL between GPUs."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def alone() -> Iterator[None]:
    """Hides torchrun's variables from a library that would train with all processes: what it does is this one's own."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def count() -> int:
    """Processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """This one's number, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def leads() -> bool:
    """True in the process that writes."""
    return rank() == 0


def local_rank() -> int:
    """Its number on this machine: which GPU is its own."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def threads() -> int:
    """CPU threads for each of the processes on this machine."""
    return max(1, machine.cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def mine(items: Sequence[Item]) -> Sequence[Item]:
    """This process's part: every so many-th."""
    return items[rank() :: count()]


def spread(function: Callable[[Sequence[Item]], Sequence[Found]], items: Sequence[Item]) -> list[Found]:
    """`function` of all items, one result an item, in order; each process does its part and all get all of it."""
    found = list(function(mine(items)))
    if count() == 1:
        return found
    parts: list[Any] = [None] * count()
    distributed.all_gather_object(parts, found)
    return [parts[place % count()][place // count()] for place in range(len(items))]


def from_leader(function: Callable[[], Found]) -> Found:
    """What the leader's call gives, in all processes; the others do not call."""
    box = [function() if leads() else None]
    if count() > 1:
        distributed.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]  # the leader's is there


def sum_gradients(weights: Iterable[torch.nn.Parameter]) -> None:
    """Adds up what each process computed; a weight that one has no gradient of counts as 0 there."""
    if count() == 1:
        return
    weights = list(weights)
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    flat = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
    distributed.all_reduce(flat)
    for weight, part in zip(weights, flat.split([weight.numel() for weight in weights]), strict=True):
        weight.grad = part.view_as(weight)


def sum_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Adds up numbers by their names."""
    if count() == 1:
        return dict(numbers)
    parts: list[Any] = [None] * count()
    distributed.all_gather_object(parts, dict(numbers))
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0.0) for part in parts) for name in names}


def union(found: Mapping[Key, Found]) -> dict[Key, Found]:
    """The entries of all processes, of which no two have the same key."""
    if count() == 1:
        return dict(found)
    parts: list[Any] = [None] * count()
    distributed.all_gather_object(parts, dict(found))
    return {key: value for part in parts for key, value in part.items()}
