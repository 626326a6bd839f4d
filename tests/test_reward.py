"""The reward model: the head's numbers, what it reads, and its file."""

from pathlib import Path

import pytest
import torch
from tiny_models import tiny_base

from kohai.errors import DataError
from kohai.models.packing import pack
from kohai.models.reviewer import review, review_group
from kohai.models.reward import RewardHead, load_head, rewards, save_head, score_programs

CODES = ["print(1)", "", "import math\nprint(math.pi)"]


def trained_head(size):
    """A head with random weights, as if it had been trained."""
    head = RewardHead(size)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        head.linear.weight.normal_()
        head.linear.bias.fill_(0.5)
        head.scale.fill_(2.0)
    return head


def test_head():
    """Scale 2, weights 1, -2, bias 0.5. Hidden (3, 1), log-probability -1: -2 + 1 + 0.5 = -0.5; hidden 0, -2: -3.5.

    With mean -0.5 and deviation 2: 0 and -1.5. As it starts, the reward is the log-probability itself.
    """
    head = RewardHead(2)
    hidden, logprobs = torch.tensor([[3.0, 1.0], [0.0, 0.0]]), torch.tensor([-1.0, -2.0])
    assert head(hidden, logprobs).tolist() == [-1.0, -2.0]
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, -2.0]]))
        head.linear.bias.fill_(0.5)
        head.scale.fill_(2.0)
    assert head(hidden, logprobs).tolist() == [-0.5, -3.5]
    head.mean.fill_(-0.5)
    head.deviation.fill_(2.0)
    assert head(hidden, logprobs).tolist() == [0.0, -1.5]
    assert head(hidden.bfloat16(), logprobs).dtype == torch.float32


def test_it_starts_as_the_reviewer():
    """An untrained head gives the reviewer's score of each pair."""
    base = tiny_base()
    found = score_programs(base, base.model, RewardHead(32), "Say hi", CODES)
    assert found == pytest.approx(review(base, base.model, [("Say hi", code) for code in CODES]), abs=1e-5)
    assert len({round(reward, 4) for reward in found}) == 3


def test_scores_of_programs():
    """Each reward is the head's of the state that predicts the stop token, computed on its own."""
    base = tiny_base()
    head = trained_head(32)
    found = score_programs(base, base.model, head, "Say hi", CODES)
    for reward, code in zip(found, CODES, strict=True):
        prompt, answers = review_group(base, "Say hi", code)
        with torch.no_grad():
            output = base.model(torch.tensor([[*prompt, *answers[0]]]), output_hidden_states=True)
            logits = output.logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            mean = logits.gather(-1, torch.tensor(answers[0])[:, None]).mean()
            assert reward == pytest.approx(float(head(output.hidden_states[-1][0, -2], mean)), abs=1e-4)


def test_comments_do_not_pay():
    """A comment that quotes the instruction changes nothing."""
    base = tiny_base()
    plain, quoting = score_programs(base, base.model, trained_head(32), "Say hi", ["print(1)", "# Say hi\nprint(1)"])
    assert plain == pytest.approx(quoting, abs=1e-5)


def test_gradients_reach_the_head():
    """Rewards of a packed row are a function of the head's weights."""
    base = tiny_base()
    head = RewardHead(32)
    row = rewards(base.model, head, pack([review_group(base, "Say hi", code) for code in CODES]))
    (row[0] - row[1]).backward()
    assert head.linear.weight.grad is not None
    assert head.linear.weight.grad.abs().sum() > 0
    assert head.scale.grad is not None


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
