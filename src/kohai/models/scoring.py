"""What a model says of given completions: log-probabilities, entropies, hidden states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft.helpers import disable_input_dtype_casting

from kohai.models.attention import attending
from kohai.models.packing import Packed, fill_up


@dataclass(frozen=True)
class TokenScores:
    """Of the C completion tokens of a packed row: log-probability, entropy (both (C,)), and hidden state (C, E)."""

    logprobs: torch.Tensor
    entropies: torch.Tensor
    hidden: torch.Tensor


def token_scores(model: Any, packed: Packed) -> TokenScores:
    """Scores of the completion tokens; logits are made for those tokens only."""
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = hidden_states(plain, packed)[packed.predictors]
    logits = plain.get_output_embeddings()(fill_up(hidden))[: len(hidden)].float()
    normaliser = logits.logsumexp(-1)
    logprobs = logits.gather(-1, packed.targets[:, None]).squeeze(-1) - normaliser
    with torch.no_grad():
        entropies = normaliser - (logits.softmax(-1) * logits).sum(-1)
    return TokenScores(logprobs, entropies, hidden)


def hidden_states(plain: Any, packed: Packed, **kwargs: Any) -> torch.Tensor:
    """(T, E): the last layer's hidden states of a packed row. `kwargs` go on to the attention."""
    with attending(plain) as mask, _one_precision(plain):
        output = plain.base_model(
            input_ids=packed.ids,
            position_ids=packed.positions,
            attention_mask=mask,
            use_cache=False,
            kohai_row=packed,
            **kwargs,
        )
    return output.last_hidden_state[0].to(plain.dtype)  # CUDA's autocast leaves a last layer norm's output in float32


@contextmanager
def _one_precision(plain: Any) -> Iterator[None]:
    """Adapters, whose weights are float32, multiply in the base's precision; by themselves they would turn their inputs
    into float32, which costs a tenth of a training step in bfloat16.
    """
    if plain.dtype == torch.float32:
        yield
        return
    with torch.autocast(plain.device.type, plain.dtype), disable_input_dtype_casting(plain):
        yield


def per_segment(values: torch.Tensor, packed: Packed) -> torch.Tensor:
    """(S,): values of completion tokens (C,) summed within each completion."""
    return values.new_zeros(packed.n_segments).index_add(0, packed.segments, values)


def padded(values: torch.Tensor, packed: Packed) -> tuple[torch.Tensor, torch.Tensor]:
    """(S, T) values of completion tokens, one row a completion, zero on padding; and the mask."""
    lengths = torch.bincount(packed.segments, minlength=packed.n_segments)
    longest = int(lengths.max())
    starts = lengths.cumsum(0) - lengths
    column = torch.arange(len(packed.segments), device=values.device) - starts[packed.segments]
    out = values.new_zeros((packed.n_segments, longest))
    mask = torch.arange(longest, device=values.device)[None, :] < lengths[:, None]
    return out.index_put((packed.segments, column), values), mask
