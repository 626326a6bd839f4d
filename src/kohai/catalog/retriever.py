"""Finds what is like an instruction by BM25 (bm25s): the apis that it needs, and texts in general."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import bm25s
import numpy as np

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.instances import source_of
from kohai.catalog.types import UNKNOWN, options_of, parse_type
from kohai.records import Api

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TAIL = re.compile(
    r"^\s*(Raises|Returns|Yields|Examples?|Notes?|References)\s*:?\s*$|^\s*:(raises|returns?|rtype)\b", re.M
)
_STOP = frozenset(
    _WORD.findall(
        "a an the of to in on for with by from as at is are be it its that this and or so each all any which who what "
        "when where into out up one i me my we us our you your please"
    )
)


class Index:
    """BM25 over texts that are lists of words."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._size = len(texts)
        self._index = bm25s.BM25()
        if texts:
            self._index.index([list(words) for words in texts], show_progress=False)

    def ranked(self, words: Sequence[str]) -> list[int]:
        """The texts' places, the most relevant first; ties in their order."""
        known = [word for word in words if word in getattr(self._index, "vocab_dict", {})]
        scores = self._index.get_scores(known) if known else np.zeros(self._size)
        return [int(place) for place in np.argsort(-np.asarray(scores), kind="stable")]


class Retriever:
    """Searches a catalog; candidates are the apis worth calling: functions, methods, classes to construct."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.candidates = tuple(
            api for api in catalog.apis if is_callable(api, self._produced, self._consumed, catalog)
        )
        self._index = Index([_document(api, catalog) for api in self.candidates])

    def search(self, instruction: str, k: int) -> list[Api]:
        """The k most relevant apis, best first; ties in the order of ids."""
        return [self.candidates[place] for place in self._index.ranked(tokens(instruction))[:k]]

    @cached_property
    def _produced(self) -> frozenset[str]:
        """Classes that some function of the package gives."""
        found = (
            name
            for api in self.catalog.apis
            if api.kind in ("function", "method")
            for name in _ids(api.returns, self.catalog)
        )
        return frozenset(found)

    @cached_property
    def _consumed(self) -> frozenset[str]:
        """Classes that some function of the package takes."""
        annotations = (item.annotation for api in self.catalog.apis for item in api.parameters)
        return frozenset(name for text in annotations for name in _ids(text, self.catalog))


def is_callable(api: Api, produced: frozenset[str], consumed: frozenset[str], catalog: Catalog) -> bool:
    """True where a program would call it: no enum, exception, or class that only comes as a result."""
    if api.kind in ("function", "method", "call"):
        return True
    if api.kind != "class" or api.id in produced:
        return False
    methods = [name for name in catalog.children.get(api.id, ()) if catalog.get(f"{api.id}.{name}")]
    return api.id in consumed or "__enter__" in methods or any(not name.startswith("_") for name in methods)


def tokens(text: str) -> list[str]:
    """Lower-case word stems; identifiers are split at underscores and capitals."""
    words = (word.lower() for word in _WORD.findall(text.replace("'s", "")))
    return [_stem(word) for word in words if word not in _STOP]


def _stem(word: str) -> str:
    """Plural, -ing and -ed off, and a final e, so that `orders`, `ordered` and `ordering` meet."""
    for ending, put in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)] + put
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _document(api: Api, catalog: Catalog) -> list[str]:
    """The words of an api: its names twice, its doc, its arguments, its companions' summaries; of a call its docs."""
    if api.kind == "call":
        return tokens(api.doc)
    tail = _TAIL.search(api.doc)
    about = api.doc[: tail.start()] if tail else api.doc
    arguments = " ".join(f"{item.name} {item.annotation.rpartition('.')[2]}" for item in api.parameters)
    enums = [catalog.get(name) for item in api.parameters for name in sorted(_ids(item.annotation, catalog))]
    members = " ".join(member for enum in enums if enum and enum.kind == "enum" for member in enum.members)
    names = " ".join(api.id.split(".")[1:])
    return tokens(f"{names} {names} {api.summary} {about} {arguments} {members} {_companions(api, catalog)}")


def _companions(api: Api, catalog: Catalog) -> str:
    """What is used together: methods with the block that they need, and the block with them."""
    if api.kind == "method" and api.id not in catalog.on_class:
        source = source_of(api.id.rpartition(".")[0], catalog)
        is_block = source is not None and values.enter(catalog, parse_type(source.returns, catalog.package)) != UNKNOWN
        return source.summary if source and is_block else ""
    entered = values.enter(catalog, parse_type(api.returns, catalog.package)).name
    given = [entered] if source_of(entered, catalog) == api else []
    inside = [catalog.get(f"{name}.{child}") for name in given for child in catalog.children.get(name, ())]
    return " ".join(method.summary for method in inside if method and method.kind == "method")


def _ids(annotation: str, catalog: Catalog) -> set[str]:
    """The package's classes that an annotation names, at any depth."""
    waiting, found = [parse_type(annotation, catalog.package)], set()
    while waiting:
        kind = waiting.pop()
        found.add(kind.name)
        waiting.extend(kind.args if kind.name != "|" else options_of(kind))
    return {name for name in found if catalog.get(name)}
