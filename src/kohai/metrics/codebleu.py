"""CodeBLEU for Python (Ren et al. 2020, arXiv 2009.10297): n-grams, n-grams with keywords weighed, syntax, data flow.

`compat=True` equals the package codebleu 0.7.0 to 1e-9 wherever that one gives the same twice (its data flow depends on
PYTHONHASHSEED; ours keeps the program's order), deeply nested programs aside: theirs have no data flow where
Python's recursion limit ends its reading, which hangs on how deep the caller stands; ours have one. Without it, what
follows is mended:

1. A data flow that matches nothing counts 0, not 1: an empty answer scores 0, not 0.25. Where the reference has none,
   the part is left out and the others weigh a third each.
2. Tokens are Python's, not what stands between blanks: an identical one-line call scores 1, not 0.56.
3. Orders of n-grams that the reference is too short for are left out: `x = 1` against itself scores 1, not 0.76.
4. The penalty for a short answer in the weighted part goes by the reference's length; there it always was 2.
5. A sub-tree counts as often as both have it (the paper's clipped count), not as often as the reference has it.
6. Columns are counted in bytes throughout: letters beyond ASCII no longer shift names.
7. Comments and docstrings are no part of the n-grams either.

As published stay: weights of 1/4, keywords five times as heavy, smoothing by 0.1, names and literals unseen by the
syntax part, variables numbered over the whole program, and that no part but the n-grams minds what an answer has too
much.
"""

from __future__ import annotations

import io
import math
import re
import tokenize
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kohai.metrics import python_tree

_ORDERS = 4
_KEYWORDS = frozenset(
    "False None True and as assert async await break class continue def del elif else except finally for from global "
    "if import in is lambda nonlocal not or pass raise return try while with yield match case type".split()
)
_LIGHT = 0.2
_SMOOTH = 0.1
_MAY_BE_CUT = re.compile(r"""#|\\|\f|\'{3}|"{3}|^\s*[A-Za-z]{0,2}['"]""", re.MULTILINE)  # other cuts are blanks alone
_CACHED = 4096  # texts
_TREES = 16  # those of an answer and a reference, which both ways of counting read


@dataclass(frozen=True, slots=True)
class CodeBleu:
    """The score and its four parts, each in [0, 1]; a data flow of None: no reference has one."""

    codebleu: float
    ngram: float
    weighted_ngram: float
    syntax: float
    dataflow: float | None


def codebleu(prediction: str, reference: str, *, compat: bool = False) -> CodeBleu:
    """The score of a pair.

    Raises:
        ValueError: the reference holds no code, so that there is nothing to compare with (not with `compat`).
    """
    return corpus_codebleu([(prediction, reference)], compat=compat)


def corpus_codebleu(pairs: Iterable[tuple[str, str]], *, compat: bool = False) -> CodeBleu:
    """The score of (prediction, reference) pairs as one corpus: counts are added up, then divided; long programs weigh
    more. It is not the mean of the pairs' scores.

    Raises:
        ValueError: no pair, or (not with `compat`) no reference holds code.
    """
    counts = [_counts(_side(prediction, compat), _side(reference, compat), compat) for prediction, reference in pairs]
    if not counts or not (compat or any(found.ngram.length for found in counts)):
        raise ValueError("no reference holds code: there is nothing to compare with")
    ngram = _bleu([found.ngram for found in counts])
    weighted = _bleu([found.weighted for found in counts])
    syntax = _share([found.syntax for found in counts]) or 0.0
    dataflow = _share([found.dataflow for found in counts])
    if compat:
        dataflow = dataflow or 0.0
        return CodeBleu((ngram + weighted + syntax + (dataflow or 1.0)) / 4, ngram, weighted, syntax, dataflow)
    parts = [ngram, weighted, syntax, *([] if dataflow is None else [dataflow])]
    return CodeBleu(sum(parts) / len(parts), ngram, weighted, syntax, dataflow)


def forget() -> None:
    """Lets go of what is kept of texts that were compared."""
    _side.cache_clear()
    _bare.cache_clear()


@dataclass(frozen=True, slots=True)
class _Side:
    """What is compared of a text."""

    grams: tuple[Counter[Any], ...]  # by order: words, then hashes of two, three and four
    n_tokens: int
    subtrees: Counter[int]
    flow: Counter[tuple[str, str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class _Overlap:
    """Matches and totals by order, and the lengths that the penalty for shortness compares."""

    matches: tuple[float, ...]
    totals: tuple[float, ...]  # 0: the order is left out
    n_said: int
    length: int


@dataclass(frozen=True, slots=True)
class _Counts:
    ngram: _Overlap
    weighted: _Overlap
    syntax: tuple[int, int]
    dataflow: tuple[int, int]


@lru_cache(_CACHED)
def _side(text: str, compat: bool) -> _Side:
    if compat:
        words, code = text.split(), _without_comments(text.strip())
        source = code.encode("utf-8", "replace")
        tree = _bare(source)
        if tree.n_comments:
            tree = python_tree.parse(source)
        flow = python_tree.data_flow(tree, _published_texts(code, tree), compat=True)
    else:
        source = text.encode("utf-8", "replace")
        tree = _bare(source)
        texts = [source[token.start : token.end].decode("utf-8", "replace") for token in tree.tokens]
        words = list(filter(None, texts))
        flow = python_tree.data_flow(tree, texts)
    longer = (zip(*(words[i:] for i in range(n)), strict=False) for n in range(2, _ORDERS + 1))
    grams: tuple[Counter[Any], ...] = (Counter(words), *(Counter(map(hash, found)) for found in longer))
    return _Side(grams, len(words), Counter(tree.subtrees), Counter(flow))


@lru_cache(_TREES)
def _bare(source: bytes) -> python_tree.Tree:
    return python_tree.parse(source, without_comments=True)


def _counts(said: _Side, wanted: _Side, compat: bool) -> _Counts:
    asked = [compat or bool(grams) for grams in wanted.grams]  # orders that are not left out
    ngram = _Overlap(
        tuple(float(_common(ours, theirs)) for ours, theirs in zip(said.grams, wanted.grams, strict=True)),
        tuple(is_asked * max(1.0, float(ours.total())) for ours, is_asked in zip(said.grams, asked, strict=True)),
        said.n_tokens,
        wanted.n_tokens,
    )
    weights = {word: 1.0 if word in _KEYWORDS else _LIGHT for word in wanted.grams[0]}
    words = sum(min(count, said.grams[0][word]) * weights[word] for word, count in wanted.grams[0].items())
    all_words = sum(count * weights[word] for word, count in wanted.grams[0].items())
    weighted = _Overlap(
        (words, *ngram.matches[1:]),
        tuple(
            is_asked * max(1.0 if compat or n else 0.0, all_words if n == 0 else float(theirs.total()))
            for n, (theirs, is_asked) in enumerate(zip(wanted.grams, asked, strict=True))
        ),
        said.n_tokens,
        2 if compat else wanted.n_tokens,
    )
    alike = (
        sum(count for tree, count in wanted.subtrees.items() if tree in said.subtrees)
        if compat
        else _common(said.subtrees, wanted.subtrees)
    )
    syntax = (alike, wanted.subtrees.total())
    return _Counts(ngram, weighted, syntax, (_common(said.flow, wanted.flow), wanted.flow.total()))


def _bleu(found: Sequence[_Overlap]) -> float:
    """Geometric mean of the orders' shares times the penalty for shortness (Papineni et al. 2002)."""
    matches = [math.fsum(column) for column in zip(*(overlap.matches for overlap in found), strict=True)]
    totals = [math.fsum(column) for column in zip(*(overlap.totals for overlap in found), strict=True)]
    if not matches[0]:
        return 0.0
    shares = [(m or _SMOOTH) / total for m, total in zip(matches, totals, strict=True) if total]
    n_said, length = sum(overlap.n_said for overlap in found), sum(overlap.length for overlap in found)
    penalty = 1.0 if n_said > length else math.exp(1 - length / n_said)
    return penalty * math.exp(math.fsum(map(math.log, shares)) / len(shares))


def _share(found: Sequence[tuple[int, int]]) -> float | None:
    total = sum(total for _, total in found)
    return sum(part for part, _ in found) / total if total else None


def _common(a: Counter[Any], b: Counter[Any]) -> int:
    few, many = (a, b) if len(a) <= len(b) else (b, a)
    found = 0
    for item, count in few.items():
        other = many.get(item)
        if other:
            found += count if count < other else other
    return found


def _published_texts(code: str, tree: python_tree.Tree) -> list[str]:
    """The tokens' texts as codebleu cuts them: columns in bytes taken for letters, the ends of lines left out."""
    if code.isascii():
        return [code[token.start : token.end].replace("\n", "") for token in tree.tokens]
    source, lines = code.encode("utf-8", "replace"), code.split("\n")
    starts = [0, *(place + 1 for place, byte in enumerate(source) if byte == 10)]
    texts = []
    for token in tree.tokens:
        row, last = bisect_right(starts, token.start) - 1, bisect_right(starts, token.end) - 1
        column, end = token.start - starts[row], token.end - starts[last]
        if row == last:
            texts.append(lines[row][column:end])
        else:
            texts.append("".join([lines[row][column:], *lines[row + 1 : last], lines[last][:end]]))
    return texts


def _without_comments(source: str) -> str:
    """As codebleu cuts them: comments, and texts that begin a line; a source that cannot be cut stays as it is."""
    if not _MAY_BE_CUT.search(source):
        return source
    pieces: list[str] = []
    before, last_line, last_column = tokenize.INDENT, -1, 0
    try:
        for kind, text, (line, column), (end_line, end_column), _ in tokenize.generate_tokens(
            io.StringIO(source).readline
        ):
            if line > last_line:
                last_column = 0
            pieces.append(" " * (column - last_column))
            is_docstring = kind == tokenize.STRING and (before in (tokenize.INDENT, tokenize.NEWLINE) or column == 0)
            if kind != tokenize.COMMENT and not is_docstring:
                pieces.append(text)
            before, last_line, last_column = kind, end_line, end_column
    except (tokenize.TokenError, SyntaxError, UnicodeError, ValueError, RecursionError):
        return source
    return "\n".join(line for line in "".join(pieces).split("\n") if line.strip())
