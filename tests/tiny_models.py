"""Tiny random models of four architectures, as bases, and a training that stops: what the tests of the models layer
run on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers

from kohai.config import ModelConfig
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.tracking import Tracker

ARCHITECTURES = ("llama", "gpt2", "qwen2", "qwen3")


def tiny_base(architecture: str = "llama", stop_ids: Sequence[int] = (0, 2)) -> Base:
    """A two-layer model over bytes with weights large enough that its distributions are not flat."""
    base = load_base(ModelConfig(name="tiny-random", device="cpu", dtype="float32", threads=1))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = _MODELS[architecture]().eval().requires_grad_(False)
    return replace(base, model=model, stop_ids=tuple(stop_ids))


def _llama() -> transformers.PreTrainedModel:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**_SHAPE, num_key_value_heads=2))


def _gpt2() -> transformers.PreTrainedModel:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=4096, initializer_range=0.3, **_QUIET
        )
    )


def _qwen2() -> transformers.PreTrainedModel:
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**_SHAPE, num_key_value_heads=4))


def _qwen3() -> transformers.PreTrainedModel:
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**_SHAPE, num_key_value_heads=1, head_dim=16))


_QUIET = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "tie_word_embeddings": False}
_SHAPE = _QUIET | {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 4096,
    "initializer_range": 0.3,
}
_MODELS = {"llama": _llama, "gpt2": _gpt2, "qwen2": _qwen2, "qwen3": _qwen3}


def move(model: Any, seed: int, size: float = 0.2) -> None:
    """Gives the adapter `policy` other weights, normal with this deviation, wherever they lie."""
    generator = torch.Generator().manual_seed(seed)
    for weight in adapters.parameters(model, "policy"):
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * size)


class Stops(Tracker):
    """Raises once the update `last` is logged."""

    last = 0

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Then stops, if it was the last."""
        super().log(step, numbers)
        if step == self.last:
            raise KeyboardInterrupt


def plain_logits(base: Base, ids: Sequence[int]) -> torch.Tensor:
    """(T, V): the logits of one sequence by a forward pass of its own."""
    with torch.no_grad():
        logits: torch.Tensor = base.model(torch.tensor([list(ids)])).logits[0]
    return logits


def plain_logprobs(base: Base, prompt: Sequence[int], completion: Sequence[int]) -> torch.Tensor:
    """(T,): the log-probability of each token of a completion by a forward pass of its own."""
    logits = plain_logits(base, [*prompt, *completion])[len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(list(completion))[:, None]).squeeze(-1)
