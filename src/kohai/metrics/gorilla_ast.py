"""Gorilla's "AST accuracy" (Patil et al. 2023, arXiv 2305.15334), decision by decision as its scripts count it.

Kept so that numbers compare; it does not mean what its name says. "Correct" is an answer whose call matches a row of
the catalog of the right *domain*, whichever api that is; the function's name is not enforced (where no part of the
answer begins with it, the last part looked at stands in), arguments are looked for as parts of the text, rows without
arguments never match, and the reference calls themselves score 0.953 on HuggingFace. Beside it, `hub_match` says
whether it is the right call. Decisions on broken text depend on the grammar: tree-sitter-python is pinned.

Where the scripts would stop there is an outcome: a row whose arguments they cannot read (IndexError) is left out and
counted (`n_unreadable`); no answer (None) is an empty one; a half surrogate pair is read as `?`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import tree_sitter
import tree_sitter_python

Mode = Literal["huggingface", "torchhub", "tensorhub"]
Decision = Literal["correct", "wrong", "hallucination", "uncounted"]
_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
_SIGNS = ("(", ")", ",")
_GRAM = 4
_STEP = 4  # every fourth gram of a text is looked up, so a row stands under four neighbours


@dataclass(frozen=True, slots=True)
class ApiRow:
    """A row of a catalog as far as the metric looks at it."""

    api_call: str
    domain: str


def mode_of(rows: Sequence[ApiRow]) -> Mode:
    """Which script a catalog belongs to, told from its calls."""
    torch = sum("torch.hub.load" in row.api_call for row in rows)
    tensor = sum("hub.load" in row.api_call or "hub.KerasLayer" in row.api_call for row in rows) - torch
    if 2 * torch > len(rows):
        return "torchhub"
    return "tensorhub" if 2 * tensor > len(rows) else "huggingface"


class GorillaAst:
    """The metric on one catalog; its index is made once: rows by a few letters of their longest argument, so that an
    answer is compared with few of them.
    """

    def __init__(self, rows: Sequence[ApiRow], mode: Mode | None = None) -> None:
        self.mode: Mode = mode_of(rows) if mode is None else mode
        self.n_unreadable = 0
        self._rows = rows
        self._arguments: dict[int, list[str]] = {}  # of the rows that can match
        self._names: dict[int, bytes] = {}
        for number, row in enumerate(rows):
            try:
                found = _asked(row.api_call, self.mode)
            except IndexError:
                self.n_unreadable += 1
                continue
            if found is not None and found[1]:
                self._names[number], self._arguments[number] = found
        self._by_gram: dict[str, list[int]] = defaultdict(list)
        self._always: list[int] = []  # rows whose arguments are all too short for neighbouring grams
        self._enter_grams()
        self._longest_name = max(map(len, self._names.values()), default=0)

    def decide(self, answer: str | None, domain: str) -> Decision:
        """What the script counts an answer to a task of that domain as; `uncounted`: neither right nor wrong nor
        hallucinated, though in the denominator (TorchHub's answers without an `api_call`).
        """
        call = called(answer or "", self.mode)
        if call is None:
            return "uncounted"
        row = self.match(call)
        if row is None:
            return "hallucination"
        return "correct" if self._rows[row].domain == domain else "wrong"

    def match(self, call: str) -> int | None:
        """The first row that a call matches, None for none."""
        source = call.encode("utf-8", "replace")
        parts, last = _parts(source, self._longest_name)
        texts: dict[int, str] = {}
        best = len(self._rows)
        for number in self._near(source.decode()):
            if number < best:
                node = parts.get(self._names[number], last)
                text = texts.get(node.id)
                if text is None:
                    text = texts[node.id] = _decoded(source[node.start_byte : node.end_byte])
                if all(argument in text for argument in self._arguments[number]):
                    best = number
        return best if best < len(self._rows) else None

    def _near(self, text: str) -> Iterator[int]:
        """Rows that a text may hold the arguments of."""
        yield from self._always
        for gram in self._by_gram.keys() & {text[i : i + _GRAM] for i in range(0, len(text) - _GRAM + 1, _STEP)}:
            yield from self._by_gram[gram]

    def _enter_grams(self) -> None:
        """Each row under the rarest neighbouring grams of its longest argument: wherever a text holds the argument, one
        of the neighbours begins at a place that `_near` looks at.
        """
        longest = {number: max(arguments, key=len) for number, arguments in self._arguments.items()}
        grams = {n: [text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)] for n, text in longest.items()}
        counts = Counter(gram for found in grams.values() for gram in set(found))
        for number, found in grams.items():
            neighbours = [found[i : i + _STEP] for i in range(len(found) - _STEP + 1)]
            if not neighbours:
                self._always.append(number)
                continue
            for gram in set(min(neighbours, key=lambda some: sum(counts[gram] for gram in some))):
                self._by_gram[gram].append(number)


def called(answer: str, mode: Mode) -> str | None:
    """The call that the script cuts out of an answer; None where it counts none."""
    head, mark, rest = answer.partition("api_call")
    if not mark:
        return None if mode == "torchhub" else head
    piece = rest.split("api_call", 1)[0].split("api_provider", 1)[0]
    start = max(0, piece.find(":"))
    end = piece.rfind(")") if ")" in piece else -2
    return piece[start + 2 : end + 1]


def _asked(api_call: str, mode: Mode) -> tuple[bytes, list[str]] | None:
    """The name and the arguments that a row asks for; None for a row without parts.

    Raises:
        IndexError: as the script.
    """
    root = _PARSER.parse(api_call.encode("utf-8", "replace")).root_node
    first = root.children[0].children[0]
    if not first.child_count:
        return None
    arguments = []
    for child in first.children[1].children:
        text = _decoded(child.text)
        if _is_unpacked(text, mode):
            arguments.append(_decoded(child.children[2].text))
        elif mode != "torchhub" and text not in _SIGNS:
            arguments.append(text)
    return first.children[0].text or b"", [argument.lstrip("'").rstrip("'") for argument in arguments]


def _is_unpacked(text: str, mode: Mode) -> bool:
    """Of such an argument the value alone is asked for."""
    words = {
        "huggingface": ("=",),
        "tensorhub": ("model=", "model ="),
        "torchhub": ("repo_or_dir", "model"),
    }[mode]
    return any(word in text for word in words)


def _parts(source: bytes, longest_name: int) -> tuple[dict[bytes, tree_sitter.Node], tree_sitter.Node]:
    """By the text of its first child, the first part that the script looks at; and the last one of all.

    Longer texts than the longest name are left out: `a.a.a...` has one as long as itself at every dot.
    """
    found: dict[bytes, tree_sitter.Node] = {}
    last = _PARSER.parse(source).root_node
    waiting = [last]
    while waiting:
        last = waiting.pop()
        children = last.children
        if not children:
            break  # an empty text: the root alone
        start, end = children[0].byte_range
        if end - start <= longest_name:
            found.setdefault(source[start:end], last)
        waiting += [child for child in children if child.child_count]
    return found, last


def _decoded(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
