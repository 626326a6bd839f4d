"""Checkpoints: a loop that is stopped and restored goes on as if it had not been."""

from pathlib import Path

import pytest
import torch

from kohai.errors import DataError
from kohai.models.checkpoint import Checkpoint


class Loop:
    """A head, a list of weights and their optimiser, learning something; and plain containers."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.head = torch.nn.Linear(3, 1)
        self.weights = [torch.nn.Parameter(torch.randn(3)), torch.nn.Parameter(torch.randn(3))]
        self.optimizer = torch.optim.AdamW([{"params": self.weights}, {"params": self.head.parameters()}], lr=0.1)
        self.numbers = {"kl_coef": 0.1, "probes": {"0": {"n": 2, "values": [0.5, None]}}}
        self.state = {
            "weights": self.weights,
            "head": self.head,
            "optimizer": self.optimizer,
            "numbers": self.numbers,
        }

    def step(self, number: int) -> None:
        """One update, another one for each number."""
        inputs = torch.full((3,), float(number + 1))
        (self.head(inputs * self.weights[0]) - self.weights[1].sum()).square().sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.numbers["kl_coef"] *= 1.1

    def values(self) -> list[torch.Tensor]:
        """Copies of all weights."""
        return [value.detach().clone() for value in (*self.weights, *self.head.parameters())]


def test_stopped_and_restored(tmp_path):
    """Three steps, saved, restored into a fresh loop, three more: bit by bit what six steps give."""
    checkpoint = Checkpoint(tmp_path / "rl" / "checkpoint.pt")
    unbroken, stopped, fresh = Loop(1), Loop(1), Loop(2)
    for number in range(6):
        unbroken.step(number)
    for number in range(3):
        stopped.step(number)
    checkpoint.save(3, stopped.state)
    stopped.step(99)  # what happens after the saving does not reach the file
    first = checkpoint.restore(fresh.state)
    assert first == 3
    for number in range(first, 6):
        fresh.step(number)
    assert all(torch.equal(a, b) for a, b in zip(fresh.values(), unbroken.values(), strict=True))
    assert fresh.numbers == unbroken.numbers
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["checkpoint.pt"]


def test_nothing_saved(tmp_path):
    """No file: step 0, nothing is touched; removing it again is fine."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    loop = Loop(1)
    before = loop.values()
    assert checkpoint.restore(loop.state) == 0
    assert all(torch.equal(a, b) for a, b in zip(loop.values(), before, strict=True))
    checkpoint.remove()


def test_removed(tmp_path):
    """After `remove` the loop starts anew."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    checkpoint.save(3, Loop(1).state)
    checkpoint.remove()
    assert checkpoint.restore(Loop(1).state) == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated(tmp_path, share):
    """A file that was cut is one clear error with its name and what to do."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    checkpoint.save(3, Loop(1).state)
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"checkpoint\.pt: the checkpoint does not load .*; delete it and run again$"):
        checkpoint.restore(Loop(1).state)


def test_a_failed_save_keeps_the_old_one(tmp_path: Path):
    """What cannot be saved leaves the last checkpoint whole and nothing beside it."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    checkpoint.save(3, Loop(1).state)
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        checkpoint.save(4, {"numbers": {"not to be saved": lambda: None}})
    assert checkpoint.restore(Loop(1).state) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
