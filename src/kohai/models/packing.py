"""Prompts with their completions, laid into one row; no padding but a little filler at its end.

A *group* is a prompt and its completions; in the row each completion sees its prompt and itself, nothing else, so a
prompt shared by n completions is computed once. Several groups may share a row. Used for training, scoring, and
(groups without completions) prefill alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

BLOCK = 32  # sizes are rounded up to it: oneDNN makes code for each size that it meets, and keeps it

Group = tuple[Sequence[int], Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Span:
    """A group's part of a row: `start`, then the prompt's tokens, then its completions'.

    mask: (n_completions, n_prompt + n_completions), both filled up, True where a completion's token sees a token of the
    group; None where there are no completions. A prompt's token sees those before it.
    """

    start: int
    n_prompt: int
    n_completions: int
    mask: torch.Tensor | None


@dataclass(frozen=True)
class Packed:
    """A row of T tokens that holds G groups with S completions of altogether C tokens, and behind them filler.

    ids, positions: (1, T). groups: where each group lies and what its tokens see.
    predictors: (C,) index of the position that predicts each completion token. targets: (C,) those tokens.
    segments: (C,) which completion (0..S-1) a token belongs to. lasts: (S,) index of each completion's last token.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    groups: tuple[Span, ...]
    predictors: torch.Tensor
    targets: torch.Tensor
    segments: torch.Tensor
    lasts: torch.Tensor

    @property
    def n_segments(self) -> int:
        """Number of completions, S."""
        return len(self.lasts)


def pack(groups: Sequence[Group], device: torch.device | str = "cpu") -> Packed:
    """One row of all `groups`. Every prompt and completion has at least one token."""
    ids: list[int] = []
    positions: list[int] = []
    segments: list[int] = []
    predictors: list[int] = []
    targets: list[int] = []
    lasts: list[int] = []
    spans: list[Span] = []
    for prompt, completions in groups:
        start, end = len(ids), len(ids) + len(prompt)
        ids += prompt
        positions += range(len(prompt))
        for completion in completions:
            first = len(ids)
            predictors += [end - 1, *range(first, first + len(completion) - 1)]
            targets += completion
            positions += range(len(prompt), len(prompt) + len(completion))
            segments += [len(lasts)] * len(completion)
            ids += completion
            lasts.append(len(ids) - 1)
        mask = _mask(len(prompt), completions).to(device) if completions else None
        spans.append(Span(start, len(prompt), len(ids) - end, mask))
    filler = [0] * (filled(len(ids)) - len(ids))
    return Packed(
        ids=torch.tensor([ids + filler], device=device),
        positions=torch.tensor([positions + filler], device=device),
        groups=tuple(spans),
        predictors=torch.tensor(predictors, dtype=torch.long, device=device),
        targets=torch.tensor(targets, dtype=torch.long, device=device),
        segments=torch.tensor(segments, dtype=torch.long, device=device),
        lasts=torch.tensor(lasts, dtype=torch.long, device=device),
    )


def filled(size: int) -> int:
    """The size rounded up."""
    return -(-size // BLOCK) * BLOCK


def fill_up(values: torch.Tensor) -> torch.Tensor:
    """(..., T, D) with zeros behind T, as many as round it up."""
    size = values.shape[-2]
    return functional.pad(values, (0, 0, 0, filled(size) - size))


def _mask(n_prompt: int, completions: Sequence[Sequence[int]]) -> torch.Tensor:
    """What the completions' tokens see: the whole prompt, and of their own completion what came before. Nobody sees
    filler, which sees the prompt: a softmax over nothing is not a number.
    """
    segment = torch.repeat_interleave(torch.tensor([len(completion) for completion in completions]))
    size, order = len(segment), torch.arange(len(segment))
    mask = torch.zeros((filled(size), filled(n_prompt + size)), dtype=torch.bool)
    mask[:, :n_prompt] = True
    mask[:size, n_prompt : n_prompt + size] = (segment[:, None] == segment) & (order <= order[:, None])
    return mask


def reading_tokens(device: torch.device) -> int:
    """Tokens of a row that is only read: few on a CPU, which in bfloat16 reads small rows faster (docs/log.md)."""
    return 512 if device.type == "cpu" else 2048


def rows(groups: Sequence[Group], max_tokens: int) -> Iterator[list[int]]:
    """Indices of `groups`, in order, cut so that each row has at most `max_tokens` (or one group)."""
    row: list[int] = []
    total = 0
    for index, (prompt, completions) in enumerate(groups):
        size = len(prompt) + sum(map(len, completions))
        if row and total + size > max_tokens:
            yield row
            row, total = [], 0
        row.append(index)
        total += size
    if row:
        yield row
