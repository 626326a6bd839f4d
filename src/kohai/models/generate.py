"""Decoding: n completions a prompt, each prompt computed once, finished rows dropped, adapter merged.

transformers' `generate` computes a prompt once per completion, decodes every row until the longest ends, copies the
key/value cache at each step, and repeats key heads for each query head. Here prompts are prefilled packed (no padding),
their keys and values are kept once and shared by their completions (by eight of them at most), whose own lie behind
them, so that one product attends for all. Leaves out beam search and refilling a batch while it runs.

Each completion draws from its own random stream (seed, task, index): it does not depend on what it was batched with,
up to rounding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from kohai.models.attention import Cache, attending
from kohai.models.base import Base
from kohai.models.packing import pack, reading_tokens, rows
from kohai.models.scoring import hidden_states

BLOCK = 256  # of the vocabulary, in drawing a token
WIDEST = 8  # completions that share a prompt's keys and values; what they mask grows with the square
SHRINK_AT = 0.8  # rows are compacted when this share of them is left


@dataclass(frozen=True)
class Sampled:
    """One completion: its tokens (the stop token included where it `finished`), and what the model gives each of them.

    `logprobs` are those of the model's own distribution, at whatever temperature the tokens were drawn. `likeliest`
    are, where asked for, the tokens that it gives most at each place, with theirs.
    """

    ids: list[int]
    logprobs: list[float]
    finished: bool
    likeliest: list[list[tuple[int, float]]] = field(default_factory=list)


def generate(
    base: Base,
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    n: int = 1,
    temperature: float = 0.0,
    max_new_tokens: int,
    batch_tokens: int,
    seed: int = 0,
    keys: Sequence[str] | None = None,
    greedy_first: bool = False,
    n_likeliest: int = 0,
    on_done: Callable[[int], None] | None = None,
    memory: Path | None = None,
    stop: Callable[[], bool] | None = None,
) -> list[list[Sampled]]:
    """Draws n completions of each prompt, in order.

    Args:
        base: The base (tokenizer, stop tokens).
        model: A plain causal model, from `adapters.merged`.
        prompts: Token ids.
        n: Completions a prompt.
        temperature: 0 = the likeliest token.
        max_new_tokens: Length limit of a completion.
        batch_tokens: Prompt plus completion tokens held at a time.
        seed: Of the random streams.
        keys: Names of the prompts' random streams; their positions by default.
        greedy_first: The first of the n completions takes the likeliest tokens, whatever the temperature.
        n_likeliest: So many of the likeliest tokens are told at each place.
        on_done: Called with the number of prompts that are done.
        memory: A file that remembers each batch as it is done: with the same arguments a killed run repeats one batch
            at most. The caller's, to remove once the results are safe, or the arguments are others.
        stop: Asked after each token; from its first yes on completions stay as they are.
    """
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    results: list[list[Sampled]] = [[] for _ in prompts]
    remembered = {} if memory is None else _remembered(memory)
    done = 0
    for batch in _batches(order, prompts, n, max_new_tokens, batch_tokens):
        sampled = remembered.get(tuple(batch))
        if sampled is None:
            streams = [_stream(seed, keys[i] if keys else str(i), j, max_new_tokens) for i in batch for j in range(n)]
            first = 0.0 if greedy_first else temperature
            temperatures = torch.tensor([first, *[temperature] * (n - 1)] * len(batch), device=base.device)
            asked = [prompts[i] for i in batch]
            sampled = _decode(base, model, asked, n, temperatures, max_new_tokens, streams, n_likeliest, stop)
            if memory is not None:
                _remember(memory, batch, sampled)
        for place, i in enumerate(batch):
            results[i] = sampled[place * n : (place + 1) * n]
        done += len(batch)
        if on_done is not None:
            on_done(done)
    return results


def _remembered(memory: Path) -> dict[tuple[int, ...], list[Sampled]]:
    """The batches of a killed run, by their prompts' places; half a line, which the kill left, is cut off."""
    if not memory.exists():
        return {}
    text = memory.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        memory.write_bytes(whole)
    lines = map(json.loads, whole.splitlines())
    return {tuple(line["batch"]): [Sampled(**one) for one in line["sampled"]] for line in lines}


def _remember(memory: Path, batch: Sequence[int], sampled: Sequence[Sampled]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    with memory.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"batch": list(batch), "sampled": [asdict(one) for one in sampled]}) + "\n")


def _batches(
    order: Sequence[int], prompts: Sequence[Sequence[int]], n: int, max_new_tokens: int, batch_tokens: int
) -> list[list[int]]:
    batches: list[list[int]] = []
    total = 0
    for i in order:
        size = -(-n // WIDEST) * len(prompts[i]) + n * max_new_tokens
        if not batches or total + size > batch_tokens:
            batches.append([])
            total = 0
        batches[-1].append(i)
        total += size
    return batches


def _stream(seed: int, key: str, index: int, length: int) -> torch.Tensor:
    """(length,) uniform numbers that depend on nothing but the arguments."""
    generator = torch.Generator().manual_seed(seed_of(f"{seed}/{key}/{index}"))
    return torch.rand(length, generator=generator)


def seed_of(name: str) -> int:
    """The seed of a named random stream, below 2^56."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


@torch.inference_mode()
def _decode(
    base: Base,
    model: Any,
    prompts: list[Sequence[int]],
    n: int,
    temperatures: torch.Tensor,
    max_new: int,
    streams: list[torch.Tensor],
    n_likeliest: int,
    stop: Callable[[], bool] | None,
) -> list[Sampled]:
    """Decodes n rows a prompt side by side, each at its temperature (R,); rows leave the batch when they end."""
    backbone, head = model.base_model, model.get_output_embeddings()
    parts = -(-n // WIDEST)
    cache = Cache(n_prompts=len(prompts), width=-(-n // parts), longest=max(map(len, prompts)))
    last = _prefill(base, model, prompts, cache)
    n_rows = len(prompts) * n
    if parts > 1:
        _widen(cache, parts, n)
    lengths = torch.tensor([len(p) for p in prompts], device=base.device).repeat_interleave(n)
    uniform = torch.stack(streams).to(base.device)
    stops = torch.tensor(base.stop_ids, device=base.device)
    alive = torch.arange(n_rows, device=base.device)  # original row of each row in the batch
    ids = torch.full((n_rows, max_new), -1, dtype=torch.long, device=base.device)
    logprobs = torch.zeros((n_rows, max_new), device=base.device)
    ended = torch.zeros(n_rows, dtype=torch.bool, device=base.device)
    likeliest: list[list[list[tuple[int, float]]]] = [[] for _ in range(n_rows)]
    hidden = last.repeat_interleave(n, dim=0)  # (R, E)
    for step in range(max_new):
        logits = head(hidden).float()
        if n_likeliest:
            top = logits.log_softmax(-1).topk(min(n_likeliest, logits.shape[-1]))
            for row, *found in zip(alive.tolist(), top.indices.tolist(), top.values.tolist(), strict=True):
                likeliest[row].append(list(zip(*found, strict=True)))
        token, logprob = _draw(logits, temperatures[alive], uniform[alive, step])
        ids[alive, step], logprobs[alive, step] = token, logprob
        stopped = torch.isin(token, stops)
        ended[alive[stopped]] = True
        if step + 1 == max_new or bool(ended[alive].all()) or (stop is not None and stop()):
            break
        going = ~ended[alive]
        if int(going.sum()) <= SHRINK_AT * len(alive):
            _shrink(cache, going)
            alive, token = alive[going], token[going]
        cache.make_place()
        with attending(backbone) as mask:
            hidden = backbone(
                input_ids=token[:, None],
                position_ids=(lengths[alive] + step)[:, None],
                attention_mask=mask,
                use_cache=False,
                kohai_cache=cache,
            ).last_hidden_state[:, 0]
        cache.step += 1
    return [
        _sampled(ids[row].tolist(), logprobs[row].tolist(), bool(ended[row]), likeliest[row], base)
        for row in range(n_rows)
    ]


def _sampled(
    ids: list[int], logprobs: list[float], ended: bool, likeliest: list[list[tuple[int, float]]], base: Base
) -> Sampled:
    """Cut after the first stop token: a row that ended may have been decoded further before it left the batch."""
    length = next((i + 1 for i, token in enumerate(ids) if token in base.stop_ids), len(ids))
    length = min(length, next((i for i, token in enumerate(ids) if token < 0), len(ids)))
    return Sampled(ids[:length], logprobs[:length], ended, likeliest[:length])


def _draw(logits: torch.Tensor, temperatures: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A token a row (R, V), and its log-probability at temperature 1.

    It is the inverse of the cumulative distribution at `uniform` (R,), at the row's temperature (R,). The sum runs over
    blocks of the vocabulary first, then inside the block that `uniform` falls into. The logits are overwritten.
    """
    is_greedy = temperatures == 0.0
    top, likeliest = logits.max(-1)
    logits.sub_(top[:, None])
    token = likeliest
    if not bool(is_greedy.all()):
        weights = (logits / torch.where(is_greedy, 1.0, temperatures)[:, None]).exp_()
        if missing := -logits.shape[-1] % BLOCK:
            weights = functional.pad(weights, (0, missing))
        blocks = weights.view(len(weights), -1, BLOCK)
        cumulative = blocks.sum(-1).cumsum(-1)
        wanted = (uniform * cumulative[:, -1])[:, None]
        block = torch.searchsorted(cumulative, wanted).clamp(max=cumulative.shape[-1] - 1)  # (R, 1)
        before = functional.pad(cumulative, (1, 0)).gather(-1, block)
        inside = blocks.gather(1, block[:, :, None].expand(-1, -1, BLOCK))[:, 0].cumsum(-1)
        place = torch.searchsorted(inside, wanted - before).clamp(max=BLOCK - 1)
        drawn = (block * BLOCK + place).squeeze(-1).clamp(max=logits.shape[-1] - 1)
        token = torch.where(is_greedy, likeliest, drawn)
    chosen = logits.gather(-1, token[:, None]).squeeze(-1)
    return token, chosen - logits.exp_().sum(-1).log_()


def _prefill(base: Base, model: Any, prompts: list[Sequence[int]], cache: Cache) -> torch.Tensor:
    """Fills the prompts' keys and values; returns the hidden state of each prompt's last token, (P, E)."""
    last = []
    for row in rows([(prompt, ()) for prompt in prompts], reading_tokens(base.device)):
        packed = pack([(prompts[i], ()) for i in row], base.device)
        cache.filling = row
        hidden = hidden_states(model, packed, kohai_cache=cache)
        last += [hidden[span.start + span.n_prompt - 1] for span in packed.groups]
    shape = (len(prompts), 1, cache.width, 1, cache.longest)
    cache.bias = torch.full(shape, float("-inf"), dtype=base.dtype, device=base.device)
    for i, prompt in enumerate(prompts):
        cache.bias[i, ..., : len(prompt)] = 0.0
    return torch.stack(last)


def _widen(cache: Cache, parts: int, n: int) -> None:
    """Copies each prompt's keys and values for the parts that its n completions are in."""
    slots = torch.arange(cache.n_prompts * parts * cache.width, device=cache.bias.device)
    cache.slots = slots.view(cache.n_prompts, -1)[:, :n].reshape(-1)
    _take(cache, torch.arange(cache.n_prompts, device=cache.bias.device).repeat_interleave(parts))


def _shrink(cache: Cache, going: torch.Tensor) -> None:
    """Drops rows that ended, and prompts none of whose rows go on."""
    slots = torch.arange(len(going), device=going.device) if cache.slots is None else cache.slots
    slots = slots[going]
    kept, renumbered = (slots // cache.width).unique(return_inverse=True)
    slots = renumbered * cache.width + slots % cache.width
    cache.slots = None if len(slots) == len(kept) * cache.width else slots
    if len(kept) < cache.n_prompts:
        _take(cache, kept)


def _take(cache: Cache, prompts: torch.Tensor) -> None:
    """Puts these prompts, by their places, in place of all."""
    for kept in (cache.keys, cache.values):
        for layer in kept:
            kept[layer] = kept[layer][prompts]
    cache.bias = cache.bias[prompts]
    cache.n_prompts = len(prompts)
