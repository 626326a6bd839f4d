"""Prompts with their completions, laid into one row without padding.

A *group* is a prompt and its completions; in the row each completion sees its prompt and itself, nothing else, so a
prompt shared by n completions is computed once. Several groups may share a row. Used for training, scoring, and
(groups without completions) prefill alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

Group = tuple[Sequence[int], Sequence[Sequence[int]]]


@dataclass(frozen=True)
class Packed:
    """A row of T tokens that holds G groups with S completions of altogether C tokens.

    ids, positions: (1, T). mask: (1, 1, T, T), True where row i may see column j.
    predictors: (C,) index of the position that predicts each completion token. targets: (C,) those tokens.
    segments: (C,) which completion (0..S-1) a token belongs to. lasts: (S,) index of each completion's last token.
    prompts: per group, its (start, end) in the row.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    predictors: torch.Tensor
    targets: torch.Tensor
    segments: torch.Tensor
    lasts: torch.Tensor
    prompts: tuple[tuple[int, int], ...]

    @property
    def n_segments(self) -> int:
        """Number of completions, S."""
        return len(self.lasts)


def pack(groups: Sequence[Group], device: torch.device | str = "cpu") -> Packed:
    """One row of all `groups`. Every prompt and completion has at least one token."""
    ids: list[int] = []
    positions: list[int] = []
    prompt_of: list[int] = []  # group of each token
    segment_of: list[int] = []  # completion of each token, -1 in prompts
    predictors: list[int] = []
    targets: list[int] = []
    lasts: list[int] = []
    prompts: list[tuple[int, int]] = []
    for number, (prompt, completions) in enumerate(groups):
        start, end = len(ids), len(ids) + len(prompt)
        prompts.append((start, end))
        ids += prompt
        positions += range(len(prompt))
        segment_of += [-1] * len(prompt)
        for completion in completions:
            first = len(ids)
            predictors += [end - 1, *range(first, first + len(completion) - 1)]
            targets += completion
            positions += range(len(prompt), len(prompt) + len(completion))
            segment_of += [len(lasts)] * len(completion)
            ids += completion
            lasts.append(len(ids) - 1)
        prompt_of += [number] * (len(ids) - start)
    group = torch.tensor(prompt_of)
    segment = torch.tensor(segment_of)
    order = torch.arange(len(ids))
    visible = (segment[None, :] == -1) | (segment[None, :] == segment[:, None])
    mask = (group[None, :] == group[:, None]) & visible & (order[None, :] <= order[:, None])
    return Packed(
        ids=torch.tensor([ids], device=device),
        positions=torch.tensor([positions], device=device),
        mask=mask[None, None].to(device),
        predictors=torch.tensor(predictors, dtype=torch.long, device=device),
        targets=torch.tensor(targets, dtype=torch.long, device=device),
        segments=torch.tensor([s for s in segment_of if s >= 0], dtype=torch.long, device=device),
        lasts=torch.tensor(lasts, dtype=torch.long, device=device),
        prompts=tuple(prompts),
    )


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
