"""Attention as Kohai's rows need it, registered with transformers under one name.

Two layouts. A *packed row* (`models/packing.py`) is attended group by group: nothing is computed for pairs of tokens of
different groups, which a mask over the whole row would compute and throw away. *Decoding* attends over keys and values
of the prompts, kept once and shared by their completions, and over each completion's own.

Without either, transformers' own attention runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from kohai import machine
from kohai.models.packing import Packed, fill_up

BLOCK = 64  # places that a cache grows by; no fewer than its width
QUERIES = 224  # queries of a product; what comes after a product's last query is not computed

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None, float | None], torch.Tensor]


@dataclass
class Cache:
    """Keys and values of P prompts and of the w completions of each, (P, H, T, D) per layer.

    A prompt's tokens lie first, in `longest` places; behind them its completions' tokens step by step, w at a time. So
    one product serves all completions of a prompt; what a completion may not see is masked. T grows with the steps: a
    product over a part of a larger tensor would copy that part each time.
    """

    n_prompts: int
    width: int
    longest: int
    keys: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)
    bias: torch.Tensor = field(default_factory=lambda: torch.empty(0))  # (P, 1, w, 1, T): 0 = seen, else -inf
    filling: list[int] = field(default_factory=list)  # the prompts of the packed row that is computed now
    slots: torch.Tensor | None = None  # (R,): row -> place among P * w; None = row r is at place r
    step: int = 0

    def make_place(self) -> None:
        """For the step's tokens; each is seen by its own completion from now on."""
        own = torch.arange(self.width, device=self.bias.device)
        places = self.longest + self.step * self.width + own
        if self.bias.shape[-1] < self.longest + (self.step + 1) * self.width:
            self.bias = functional.pad(self.bias, (0, BLOCK), value=float("-inf"))
        self.bias[:, 0, own, :, places] = 0.0


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
    """A packed row (B = 1): each prompt causally on itself, its completions on it and on themselves, filler on none."""
    attend: Attend = by_products
    if not _products_pay(query):
        attend = _by_torch
        key, value = (one.repeat_interleave(query.shape[1] // one.shape[1], dim=1) for one in (key, value))
    lengths = [group.n_prompt + group.n_completions for group in row.groups]
    filler = query.shape[2] - sum(lengths)
    sizes = [size for group in row.groups for size in (group.n_prompt, group.n_completions) if size]
    *queries, of_filler = query.split([*sizes, filler], dim=2)
    *keys, _ = key.split([*lengths, filler], dim=2)
    *values, _ = value.split([*lengths, filler], dim=2)
    waiting = iter(queries)
    out = []
    for group, k, v in zip(row.groups, keys, values, strict=True):
        n = group.n_prompt
        out.append(_filled_up(attend, next(waiting), k[:, :, :n], v[:, :, :n], None, scaling))
        if group.mask is not None:
            out.append(_filled_up(attend, next(waiting), k, v, group.mask, scaling))
    return torch.cat([*out, torch.zeros_like(of_filler)], dim=2).transpose(1, 2)


def _products_pay(query: torch.Tensor) -> bool:
    """Where attention by products is the faster: in bfloat16 on a CPU, with AMX in training alone (docs/log.md)."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return False
    return query.requires_grad or not _has_amx()


@cache
def _has_amx() -> bool:
    return "amx_bf16" in machine.cpu_features()


def _filled_up(
    attend: Attend,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """(B, heads, T, D) attended with T filled up, causally where there is no mask; without the filler."""
    return attend(fill_up(query), fill_up(key), fill_up(value), mask, scaling)[:, :, : query.shape[2]]


def _by_torch(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:
    """Torch's own; a key head for each query head."""
    return functional.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None, scale=scaling)


def by_products(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:
    """The same as two products and a softmax, in blocks of queries, all query heads of a key head in one.

    In bfloat16 on a CPU without AMX it takes half the time of torch's own (docs/log.md).
    """
    (n, n_heads, length, size), n_keys = query.shape, key.shape[1]
    shape = (n, n_keys, n_heads // n_keys)
    query = query * (size**-0.5 if scaling is None else scaling)
    out = []
    for first in range(0, length, QUERIES):
        block = query[:, :, first : first + QUERIES]
        rows, seen = block.shape[2], key.shape[2] if mask is not None else first + block.shape[2]
        bias = torch.full((rows, seen), float("-inf"), dtype=query.dtype, device=query.device)
        bias = bias.triu_(first + 1) if mask is None else bias.masked_fill_(mask[first : first + rows], 0.0)
        block = block.reshape(n, n_keys, -1, size)
        attended = _attended(block, key[:, :, :seen], value[:, :, :seen], bias, (*shape, rows, seen))
        out.append(attended.view(n, n_heads, rows, size))
    return torch.cat(out, dim=2)


def _attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor, shape: Sequence[int]
) -> torch.Tensor:
    """softmax(query key^T + bias) value; `shape` is that of the products in which the bias fits."""
    weights = query @ key.transpose(2, 3)
    return functional.softmax(weights.view(shape).add_(bias), dim=-1).view_as(weights) @ value


def _attend_cache(
    cache: Cache, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """One new token a row (T = 1) over its prompt and the row's own tokens."""
    n_rows, n_heads, _, size = query.shape
    n_keys = key.shape[1]
    group = n_heads // n_keys
    shape = (cache.n_prompts, cache.width, n_keys)
    at, end = cache.longest + cache.step * cache.width, cache.bias.shape[-1]
    q = query.reshape(n_rows, n_heads, size) * (size**-0.5 if scaling is None else scaling)
    new = torch.cat((q, key[:, :, 0], value[:, :, 0]), dim=1)  # (R, heads + 2 H, D)
    if cache.slots is not None:
        new = new.new_zeros((cache.n_prompts * cache.width, *new.shape[1:])).index_copy_(0, cache.slots, new)
    q, k, v = new.split((n_heads, n_keys, n_keys), dim=1)
    for kept, one in ((cache.keys, k), (cache.values, v)):
        if kept[layer].shape[2] < end:
            kept[layer] = functional.pad(kept[layer], (0, 0, 0, end - kept[layer].shape[2]))
        kept[layer][:, :, at : at + cache.width] = one.view(*shape, size).transpose(1, 2)
    q = q.view(*shape, group, size).transpose(1, 2).reshape(cache.n_prompts, n_keys, cache.width * group, size)
    products = (cache.n_prompts, n_keys, cache.width, group, end)
    out = _attended(q, cache.keys[layer], cache.values[layer], cache.bias, products)
    out = out.view(cache.n_prompts, n_keys, cache.width, group, size).transpose(1, 2).reshape(-1, 1, n_heads, size)
    return out if cache.slots is None else out[cache.slots]


def _keep(cache: Cache, row: Packed, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
    """Copies a packed row's keys and values (1, H, T, D) to their prompts' places."""
    _, n_keys, _, size = key.shape
    if layer not in cache.keys:
        shape = (cache.n_prompts, n_keys, cache.longest, size)
        cache.keys[layer], cache.values[layer] = key.new_zeros(shape), value.new_zeros(shape)
    for prompt, span in zip(cache.filling, row.groups, strict=True):
        end = span.start + span.n_prompt
        cache.keys[layer][prompt, :, : span.n_prompt] = key[0, :, span.start : end]
        cache.values[layer][prompt, :, : span.n_prompt] = value[0, :, span.start : end]


AttentionInterface.register("kohai", _attend)
AttentionMaskInterface.register("kohai", sdpa_mask)
