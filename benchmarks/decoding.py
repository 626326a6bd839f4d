"""Tokens per second of n completions a prompt: Kohai's decoder against the `generate` of transformers, same model."""

import statistics
import time

import torch

from kohai.bench import Row
from kohai.config import ModelConfig
from kohai.models.base import Base, load_base
from kohai.models.generate import generate

ROUNDS = 3
PROMPT_TOKENS = 290  # the mean of the demo
NEW_TOKENS = 32
SHAPES = ((1, 1), (2, 6), (4, 6))  # prompts, completions of each
GOAL = 2.0


def run() -> list[Row]:
    """Medians over interleaved rounds; prefill included, no row stops early, so both make the same number of tokens."""
    base = load_base(ModelConfig())
    base = Base(base.model, base.tokenizer, base.dtype, base.device, stop_ids=())
    rows = []
    for n_prompts, n in SHAPES:
        generator = torch.Generator().manual_seed(0)
        vocabulary = base.model.config.vocab_size
        prompts = torch.randint(vocabulary, (n_prompts, PROMPT_TOKENS), generator=generator).to(base.device)
        ours: list[float] = []
        peer: list[float] = []
        for place in range(ROUNDS + 1):
            for decode, speeds in ((_ours, ours), (_peer, peer)):
                started = time.perf_counter()
                decode(base, prompts, n)
                if place:
                    speeds.append(n_prompts * n * NEW_TOKENS / (time.perf_counter() - started))
        ratio = statistics.median(ours) / statistics.median(peer)
        rows.append(
            Row(
                f"{n_prompts} prompts x {n}",
                "tokens/s",
                ours=statistics.median(ours),
                peer=statistics.median(peer),
                ratio=ratio,
                goal=f"ratio of {GOAL:g} where prompts are shared" if n > 1 else "",
                holds=ratio >= GOAL if n > 1 else None,
            )
        )
    return rows


def _ours(base: Base, prompts: torch.Tensor, n: int) -> None:
    generate(
        base, base.model, prompts.tolist(), n=n, temperature=1.0, max_new_tokens=NEW_TOKENS, batch_tokens=1_000_000
    )


def _peer(base: Base, prompts: torch.Tensor, n: int) -> None:
    base.model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=True,
        top_k=0,
        num_return_sequences=n,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        pad_token_id=0,
    )
