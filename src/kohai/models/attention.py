"""Attention as Kohai's rows need it, registered with transformers under one name.

Two layouts. A *packed row* (`models/packing.py`) is attended group by group: nothing is computed for pairs of tokens of
different groups, which a mask over the whole row would compute and throw away. *Decoding* attends over keys and values
of the prompts, kept once and shared by their completions, and over each completion's own.

Without either, transformers' own attention runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from kohai.models.packing import Packed


@dataclass
class Cache:
    """Keys and values of P prompts (P, H, L, D per layer) and of R rows' own tokens (R, H, N, D per layer)."""

    prompt_keys: dict[int, torch.Tensor] = field(default_factory=dict)
    prompt_values: dict[int, torch.Tensor] = field(default_factory=dict)
    keys: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)
    filling: list[int] = field(default_factory=list)  # the prompts of the packed row that is computed now
    bias: torch.Tensor | None = None  # (P, 1, 1, L): 0 on a prompt's tokens, -inf on padding
    slots: torch.Tensor | None = None  # (R,): row -> place among P * width
    width: int = 1
    n_prompts: int = 0
    longest: int = 0
    n_new: int = 0
    step: int = 0


@contextmanager
def attending(model: Any) -> Iterator[torch.Tensor]:
    """The model attends by `_attend` inside the block; gives the mask to call it with (the layout decides)."""
    kept = model.config._attn_implementation
    model.config._attn_implementation = "kohai"
    try:
        yield torch.zeros((1, 1, 1, 1), dtype=model.dtype, device=model.device)
    finally:
        model.config._attn_implementation = kept


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    kohai_row: Packed | None = None,
    kohai_cache: Cache | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Query: (B, heads, T, D); key, value: (B, H, T, D) with H dividing heads. Returns (B, T, heads, D)."""
    if kohai_row is not None:
        if kohai_cache is not None:
            _keep(kohai_cache, kohai_row, module.layer_idx, key, value)
        return _attend_row(kohai_row, query, key, value, scaling), None
    if kohai_cache is not None:
        return _attend_cache(kohai_cache, module.layer_idx, query, key, value, scaling), None
    return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)


def _attend_row(
    row: Packed, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """A packed row (B = 1): each prompt causally on itself, its completions on it and on themselves."""
    repeats = query.shape[1] // key.shape[1]
    sizes = [size for group in row.groups for size in (group.n_prompt, group.n_completions) if size]
    queries = iter(query.split(sizes, dim=2))
    lengths = [group.n_prompt + group.n_completions for group in row.groups]
    keys = key.repeat_interleave(repeats, dim=1).split(lengths, dim=2)
    values = value.repeat_interleave(repeats, dim=1).split(lengths, dim=2)
    out = []
    for group, k, v in zip(row.groups, keys, values, strict=True):
        n = group.n_prompt
        of_prompt = functional.scaled_dot_product_attention(
            next(queries), k[:, :, :n], v[:, :, :n], is_causal=True, scale=scaling
        )
        out.append(of_prompt)
        if group.mask is not None:
            out.append(functional.scaled_dot_product_attention(next(queries), k, v, group.mask, scale=scaling))
    return torch.cat(out, dim=2).transpose(1, 2)


def _attend_cache(
    cache: Cache, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """One new token a row (T = 1) over the shared prompts and the row's own tokens."""
    n_rows, n_heads, _, size = query.shape
    n_keys = key.shape[1]
    if layer not in cache.keys:
        cache.keys[layer] = key.new_empty((n_rows, n_keys, cache.n_new, size))
        cache.values[layer] = value.new_empty((n_rows, n_keys, cache.n_new, size))
    own_keys, own_values = cache.keys[layer], cache.values[layer]
    own_keys[:, :, cache.step] = key[:, :, 0]
    own_values[:, :, cache.step] = value[:, :, 0]
    assert cache.slots is not None
    assert cache.bias is not None
    shared = cache.n_prompts * cache.width
    group = n_heads // n_keys
    q = query.reshape(n_rows, n_keys, group, size) * (size**-0.5 if scaling is None else scaling)
    by_prompt = q.new_zeros((shared, n_keys, group, size)).index_copy(0, cache.slots, q)
    by_prompt = by_prompt.view(cache.n_prompts, cache.width, n_keys, group, size).transpose(1, 2)
    by_prompt = by_prompt.reshape(cache.n_prompts, n_keys, cache.width * group, size)
    far = by_prompt @ cache.prompt_keys[layer].transpose(2, 3) + cache.bias  # (P, H, width * group, L)
    far = far.view(cache.n_prompts, n_keys, cache.width, group, -1).transpose(1, 2)
    far = far.reshape(shared, n_keys, group, -1)[cache.slots]
    near = q @ own_keys[:, :, : cache.step + 1].transpose(2, 3)  # (R, H, group, step + 1)
    weights = functional.softmax(torch.cat((far, near), dim=-1), dim=-1)
    near_weights = weights[..., cache.longest :]
    far_weights = weights.new_zeros((shared, n_keys, group, cache.longest))
    far_weights = far_weights.index_copy(0, cache.slots, weights[..., : cache.longest].contiguous())
    far_weights = far_weights.view(cache.n_prompts, cache.width, n_keys, group, -1).transpose(1, 2)
    out = far_weights.reshape(cache.n_prompts, n_keys, cache.width * group, -1) @ cache.prompt_values[layer]
    out = out.view(cache.n_prompts, n_keys, cache.width, group, size).transpose(1, 2)
    out = out.reshape(shared, n_keys, group, size)[cache.slots] + near_weights @ own_values[:, :, : cache.step + 1]
    return out.reshape(n_rows, 1, n_heads, size)


def _keep(cache: Cache, row: Packed, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
    """Copies a packed row's keys and values (1, H, T, D) to their prompts' places."""
    _, n_keys, _, size = key.shape
    if layer not in cache.prompt_keys:
        shape = (cache.n_prompts, n_keys, cache.longest, size)
        cache.prompt_keys[layer], cache.prompt_values[layer] = key.new_zeros(shape), value.new_zeros(shape)
    for prompt, span in zip(cache.filling, row.groups, strict=True):
        end = span.start + span.n_prompt
        cache.prompt_keys[layer][prompt, :, : span.n_prompt] = key[0, :, span.start : end]
        cache.prompt_values[layer][prompt, :, : span.n_prompt] = value[0, :, span.start : end]


AttentionInterface.register("kohai", _attend)
AttentionMaskInterface.register("kohai", sdpa_mask)
