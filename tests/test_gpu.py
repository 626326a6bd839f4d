"""On a GPU: the numbers are those of the CPU, and the whole pipeline runs there. `pytest -m gpu` where there is one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import ARCHITECTURES, move, tiny_base

from kohai.config import LoraConfig, RlConfig
from kohai.models import adapters
from kohai.models.base import Base
from kohai.models.checkpoint import Checkpoint
from kohai.models.generate import generate
from kohai.models.packing import pack
from kohai.models.ppo import Rollout, ValueHead, row_loss
from kohai.models.scoring import token_scores

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU"),
]
ROOT = Path(__file__).parent.parent
MANY_STOPS = tuple(range(0, 300, 12))
PROMPTS = [[40, 41, 42, 43, 44], [50], [60, 61, 62], [70 + i for i in range(90)]]
GROUPS = [(prompt, [[10, 11, 12], [13], [14, 15, 16, 17]]) for prompt in PROMPTS]


def on_gpu(base: Base, dtype: torch.dtype = torch.float32) -> Base:
    """The same base there."""
    device = torch.device("cuda", 0)
    return replace(base, model=base.model.to(device=device, dtype=dtype), device=device, dtype=dtype)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_decoding(architecture):
    """The same tokens, and log-probabilities within 1e-3: greedy, drawn, nine completions a prompt, uneven ends."""
    for n, temperature in ((1, 0.0), (3, 0.7), (9, 0.7)):
        found = []
        for base in (tiny_base(architecture, MANY_STOPS), on_gpu(tiny_base(architecture, MANY_STOPS))):
            drawn = generate(
                base, base.model, PROMPTS, n=n, temperature=temperature, max_new_tokens=24, batch_tokens=10_000, seed=3
            )
            found.append([one for group in drawn for one in group])
        same = [here.ids == there.ids for here, there in zip(*found, strict=True)]
        assert sum(same) >= 0.95 * len(same)  # a draw at the edge of two tokens may fall the other way
        for here, there in zip(*found, strict=True):
            if here.ids == there.ids:
                torch.testing.assert_close(torch.tensor(there.logprobs), torch.tensor(here.logprobs), rtol=0, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_in_bfloat16_what_is_drawn_is_what_is_scored(architecture):
    """Decoding and the packed pass of training round differently: a hundredth of a nat a token, here up to 0.1."""
    base = on_gpu(tiny_base(architecture, MANY_STOPS), torch.bfloat16)
    drawn = generate(base, base.model, PROMPTS, n=3, temperature=1.0, max_new_tokens=24, batch_tokens=10_000, seed=1)
    packed = pack([(p, [one.ids for one in group]) for p, group in zip(PROMPTS, drawn, strict=True)], base.device)
    with torch.no_grad():
        scored = token_scores(base.model, packed).logprobs
    told = torch.tensor([value for group in drawn for one in group for value in one.logprobs], device=base.device)
    assert float((scored - told).abs().mean()) < 0.1


@pytest.mark.parametrize("estimator", ["gae", "grpo"])
def test_the_loss_and_its_gradient(estimator):
    """PPO's loss of packed tasks and the adapter's gradient, within 1e-3 of the CPU's."""
    found = []
    for base in (tiny_base(), on_gpu(tiny_base())):
        torch.manual_seed(0)
        model = adapters.add(base, base.model, "policy", LoraConfig(r=4, alpha=8.0))
        weights = adapters.parameters(model, "policy")
        move(model, 0, 0.05)
        model.to(base.device)
        adapters.activate(model, "policy", trainable=True)
        head = ValueHead(32, 0).to(base.device)
        rollouts = [
            Rollout(str(number), prompt, ids, [[-2.0] * len(one) for one in ids], [[-2.1] * len(one) for one in ids],
                    torch.tensor([1.0, 0.0, -1.0]))
            for number, (prompt, ids) in enumerate(GROUPS)
        ]  # fmt: skip
        loss, numbers = row_loss(model, head, rollouts, RlConfig(estimator=estimator), 0.1, 1.0, base.device)
        loss.backward()
        found.append((loss.item(), numbers, [weight.grad.cpu() for weight in weights]))
    (here, numbers, gradients), (there, numbers_there, gradients_there) = found
    assert there == pytest.approx(here, abs=1e-3)
    assert numbers_there == pytest.approx(numbers, abs=1e-2)
    for one, other in zip(gradients, gradients_there, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-2, atol=1e-3)
    assert any(float(one.abs().max()) > 1e-3 for one in gradients)


def test_a_checkpoint_goes_on_elsewhere(tmp_path):
    """Written with weights and Adam's state on the GPU, restored into weights on the CPU, and the other way round."""
    for first, second in (("cuda", "cpu"), ("cpu", "cuda")):
        weight = torch.nn.Parameter(torch.arange(4.0, device=first))
        optimizer = torch.optim.AdamW([weight], lr=0.1)
        weight.square().sum().backward()
        optimizer.step()
        checkpoint = Checkpoint(tmp_path / f"{first}.pt")
        checkpoint.save(5, {"weights": [weight], "optimizer": optimizer})
        other = torch.nn.Parameter(torch.zeros(4, device=second))
        restored = torch.optim.AdamW([other], lr=0.1)
        assert checkpoint.restore({"weights": [other], "optimizer": restored}) == 5
        for parameter, stepper in ((weight, optimizer), (other, restored)):
            stepper.zero_grad()
            parameter.square().sum().backward()
            stepper.step()
        torch.testing.assert_close(other.detach().cpu(), weight.detach().cpu())


@pytest.mark.timeout(600)
def test_the_pipeline(tmp_path):
    """The smoke configuration in bfloat16 with all arms, from a command to its report, which tells the GPU's memory."""
    command = [sys.executable, "-m", "kohai", "run", "configs/smoke.yaml", "--set", f"run={tmp_path / 'run'}"]
    done = subprocess.run(
        [*command, "--set", "model.device=cuda"], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text(encoding="utf-8"))
    assert len(report["arms"]) == 8
    assert report["peak_gpu_memory_bytes"] > 0
    assert report["costs"]["rl"]["peak_gpu_memory_bytes"] > 0
    assert "peak_gpu_memory_bytes" not in report["costs"]["prepare"]
    assert "of the GPU" in (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
