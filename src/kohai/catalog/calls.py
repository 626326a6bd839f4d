"""Whether a program calls the api that a row of APIBench names: the same callable, the same identifying arguments.

A row's `api_call` is one expression, such as `AutoModel.from_pretrained('bert-base')`. Of its calls the one that is
evaluated first counts, with all positional arguments and the keywords that say what is loaded (`model`, `repo_id`,
...): parsed, never matched as parts of text, variables replaced by where they come from. The callable's dotted name,
imports resolved, must be the row's or end in it. Further arguments, order and the rest of the program do not matter.

Leaves out: a callable under another path (`transformers.models.bert.BertModel` is not `transformers.BertModel` to
anybody who does not import them), and values that a program computes.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from kohai import code as code_of
from kohai.catalog.origins import Origins, read_calls

# The parameters of callables whose positional arguments programs also give by name.
_PARAMETERS = {
    "pipeline": ("task", "model"),
    "from_pretrained": ("pretrained_model_name_or_path",),
    "torch.hub.load": ("repo_or_dir", "model"),
    "tensorflow_hub.load": ("handle",),
    "KerasLayer": ("handle",),
    "SentenceTransformer": ("model_name_or_path",),
    "load_from_hub": ("repo_id", "filename"),
    "hf_hub_download": ("repo_id", "filename"),
    "hf_hub_url": ("repo_id", "filename"),
}
_IDENTIFYING = frozenset(
    {"model", "task", "source", "model_tag", "model_name", "model_id", "filename", "name", "path"}
    | {parameter for found in _PARAMETERS.values() for parameter in found}
)
_CACHED = 16  # programs: several metrics read one
_KNOWN = 4096  # texts that recur: rows' calls, and the values that are given in calls
_ROOTS = {"hub": "tensorflow_hub", "tf": "tensorflow", "np": "numpy", "pd": "pandas"}  # as rows write them


@dataclass(frozen=True, slots=True)
class ApiMatch:
    """How far a program's calls are the reference's; each level holds the ones before it."""

    name: bool  # the same apis, each as often
    argument_names: bool  # with the same arguments given
    argument_values: bool  # of the same values: the whole of it

    @property
    def metrics(self) -> dict[str, bool]:
        """By the names that they have as metrics."""
        return {
            "exact_api": self.argument_values,
            "api_name": self.name,
            "api_argument_names": self.argument_names,
        }


_NONE = ApiMatch(name=False, argument_names=False, argument_values=False)


@dataclass(frozen=True, slots=True)
class HubCall:
    """A callable's dotted name and its arguments, by parameter name where that is known, else by place."""

    name: str
    arguments: tuple[tuple[str, str], ...]

    def match(self, wanted: HubCall) -> ApiMatch:
        """How far it is the wanted call; it may have further arguments."""
        if not f".{self.name}".endswith(f".{wanted.name}"):
            return _NONE
        given = dict(self.arguments)
        has_names = all(name in given for name, _ in wanted.arguments)
        return ApiMatch(True, has_names, has_names and all(given[name] == value for name, value in wanted.arguments))


@lru_cache(_KNOWN)
def wanted_call(api_call: str) -> HubCall | None:
    """What a row's `api_call` identifies; None where it is not one Python call."""
    calls = hub_calls(api_call.strip().rstrip("."))
    if not calls:
        return None
    first = calls[0]
    identifying = [(name, value) for name, value in first.arguments if name.isdigit() or name in _IDENTIFYING]
    return HubCall(first.name, tuple(identifying))


@lru_cache(_CACHED)
def hub_calls(code: str) -> tuple[HubCall, ...] | None:
    """All calls of a program, arguments replaced by their origins; None where it does not parse."""
    found: list[HubCall] = []

    def on_call(reader: Origins, node: ast.Call) -> ast.expr:
        written = reader.text(node.func)  # what it hangs on is evaluated before its arguments
        name = code_of.dotted(node.func, reader.names)
        root, dot, rest = name.partition(".")
        name = f"{_ROOTS.get(root, root)}{dot}{rest}"
        parameters = _PARAMETERS.get(name, _PARAMETERS.get(name.rpartition(".")[2], ()))
        texts = {
            parameters[place] if place < len(parameters) else str(place): reader.text(argument)
            for place, argument in enumerate(node.args)
        }
        texts |= {keyword.arg or "**": reader.text(keyword.value) for keyword in node.keywords}
        found.append(HubCall(name, tuple((parameter, _value(text)) for parameter, text in texts.items())))
        return ast.Name(
            f"{written}({', '.join(f'{parameter}={text}' for parameter, text in texts.items())})", ast.Load()
        )

    return tuple(found) if read_calls(code, on_call) else None


def hub_match(code: str, wanted: HubCall) -> ApiMatch:
    """How far the call of a program that comes nearest is the wanted one; not at all where it does not parse."""
    found = [call.match(wanted) for call in hub_calls(code) or ()]
    return max(found, key=lambda match: (match.name, match.argument_names, match.argument_values), default=_NONE)


class HubCatalog:
    """The rows of a catalog, to say whether a program calls any of them."""

    def __init__(self, api_calls: Iterable[str]) -> None:
        self.n_unreadable = 0  # rows that are not one Python call
        self._rows: dict[tuple[str, tuple[str, str] | None], list[HubCall]] = defaultdict(list)
        for api_call in api_calls:
            wanted = wanted_call(api_call)
            if wanted is None:
                self.n_unreadable += 1
            else:
                first = wanted.arguments[0] if wanted.arguments else None
                self._rows[_end(wanted), first].append(wanted)

    def has(self, call: HubCall) -> bool:
        """True where it is the call of some row."""
        near = (self._rows.get((_end(call), first), ()) for first in (None, *call.arguments))
        return any(call.match(wanted).argument_values for rows in near for wanted in rows)

    def hallucinated(self, code: str) -> bool | None:
        """Whether no call of the program is that of a row; None where it does not parse."""
        calls = hub_calls(code)
        return None if calls is None else not any(map(self.has, calls))


def _end(call: HubCall) -> str:
    return call.name.rpartition(".")[2]


@lru_cache(_KNOWN)
def _value(text: str) -> str:
    """A text's own signs, of anything else its source without spaces: rows write some names without quotes."""
    try:
        value = ast.literal_eval(text) if "'" in text or '"' in text else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = None
    return value if isinstance(value, str) else text.replace(" ", "")
