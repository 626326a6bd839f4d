"""The reward model: the head's numbers, what it reads, and its file."""

from pathlib import Path

import pytest
import torch
from tiny_models import tiny_base

from kohai.config import RewardModelConfig
from kohai.errors import DataError
from kohai.models.packing import pack
from kohai.models.reward import (
    RewardHead,
    load_head,
    read_by_reward_model,
    reward_group,
    rewards,
    save_head,
    score_group,
)

CODES = ["print(1)", "", "import math\nprint(math.pi)"]


def trained_head(size):
    """A head with random weights, as if it had been trained."""
    head = RewardHead(size)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        head.linear.weight.normal_()
        head.linear.bias.fill_(0.5)
    return head


def test_head():
    """Weights 1, -2, bias 0.5: hidden (3, 1) gives 1.5, (0, 0) 0.5; with mean 0.5 and deviation 2: 0.5 and 0."""
    head = RewardHead(2)
    hidden = torch.tensor([[3.0, 1.0], [0.0, 0.0]])
    assert head(hidden).tolist() == [0.0, 0.0]
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, -2.0]]))
        head.linear.bias.fill_(0.5)
    assert head(hidden).tolist() == [1.5, 0.5]
    head.mean.fill_(0.5)
    head.deviation.fill_(2.0)
    assert head(hidden).tolist() == [0.5, 0.0]
    assert head(hidden.bfloat16()).dtype == torch.float32


def test_scores_of_a_group():
    """Each program's reward is the head's of the last token's hidden state, its stop token's, computed on its own."""
    base = tiny_base()
    head = trained_head(32)
    found = score_group(base, base.model, head, "Say hi", CODES)
    prompt, answers = reward_group(base, "Say hi", CODES)
    assert [answer[-1] for answer in answers] == [base.tokenizer.eos_token_id] * 3
    for reward, answer in zip(found, answers, strict=True):
        with torch.no_grad():
            hidden = base.model.base_model(torch.tensor([[*prompt, *answer]])).last_hidden_state[0, -1]
            assert reward == pytest.approx(float(head(hidden)), abs=1e-4)
    assert len({round(reward, 3) for reward in found}) == 3


def test_gradients_reach_the_head():
    """Rewards of a packed row are a function of the head's weights."""
    base = tiny_base()
    head = RewardHead(32)
    row = rewards(base.model, head, pack([reward_group(base, "Say hi", CODES)]))
    (row[0] - row[1]).backward()
    assert head.linear.weight.grad is not None
    assert head.linear.weight.grad.abs().sum() > 0


def test_what_it_reads():
    """The instruction alone, or the policy's whole prompt with the docs."""
    assert read_by_reward_model(RewardModelConfig(docs=False), "Do it.", "Docs.\n\nDo it.") == "Do it."
    assert read_by_reward_model(RewardModelConfig(docs=True), "Do it.", "Docs.\n\nDo it.") == "Docs.\n\nDo it."


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The file of a saved head."""
    head = trained_head(32)
    head.mean.fill_(0.25)
    head.deviation.fill_(4.0)
    save_head(head, tmp_path / "reward_model" / "head.safetensors")
    return tmp_path / "reward_model" / "head.safetensors"


def test_save_and_load(saved):
    """Weights, mean and deviation come back; nothing else is written."""
    head = load_head(tiny_base(), saved)
    assert torch.equal(head.linear.weight, trained_head(32).linear.weight)
    assert (head.linear.bias.item(), head.mean.item(), head.deviation.item()) == (0.5, 0.25, 4.0)
    assert not head.training
    assert [path.name for path in saved.parent.iterdir()] == ["head.safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "of another size"])
def test_damaged_head(saved, damage):
    """Each is one clear error that names the file and what to do."""
    if damage == "truncated":
        saved.write_bytes(saved.read_bytes()[:-20])
    elif damage == "empty":
        saved.write_bytes(b"")
    elif damage == "missing":
        saved.unlink()
    else:
        save_head(RewardHead(7), saved)
    with pytest.raises(
        DataError, match=r"head\.safetensors: the reward head does not load .*delete its stage's folder"
    ):
        load_head(tiny_base(), saved)
