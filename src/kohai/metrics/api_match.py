"""Whether a program calls the same apis with the same arguments as the reference: compared by text, never run.

Every call that the catalog knows becomes one line: the api's id, its receiver, and its arguments by parameter name.
Literals stand for themselves, enum members for their id, variables for where they come from (`catalog/origins.py`); an
argument that is its default, by its source or as the same member or constant, is as good as left out. The lines are
compared as a multiset: order, names, imports and all that is not a call of the package do not matter.

Leaves out: loops against their unrolled form, what a program's own functions are given, equal values computed in
different ways. Such programs may be right and still not match; `effect_match` is the metric for that.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from kohai import code as code_of
from kohai.catalog import Catalog, values
from kohai.catalog.calls import ApiMatch
from kohai.catalog.origins import Origins, read_calls
from kohai.records import Api
from kohai.verify import check


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call: the api's id, and by parameter name where each argument comes from."""

    api: str
    arguments: tuple[tuple[str, str], ...]

    @property
    def line(self) -> str:
        """As text."""
        return f"{self.api}({', '.join(f'{name}={value}' for name, value in self.arguments)})"

    @property
    def names(self) -> tuple[str, ...]:
        """The api and the names of its arguments."""
        return (self.api, *(name for name, _ in self.arguments))


def exact_api(code: str, reference: str, catalog: Catalog) -> bool | None:
    """True where the calls of the catalog's apis are the same, arguments included; None as `api_match`."""
    match = api_match(code, reference, catalog)
    return None if match is None else match.argument_values


def api_match(code: str, reference: str, catalog: Catalog) -> ApiMatch | None:
    """How far the calls of the catalog's apis are the same, not at all where the code does not parse; None where the
    reference has no such call, so that there is nothing to compare with.
    """
    called, wanted = api_calls(code, catalog), api_calls(reference, catalog)
    if not wanted:
        return None
    if called is None:
        return ApiMatch(name=False, argument_names=False, argument_values=False)
    return ApiMatch(
        name=Counter(call.api for call in called) == Counter(call.api for call in wanted),
        argument_names=Counter(call.names for call in called) == Counter(call.names for call in wanted),
        argument_values=Counter(called) == Counter(wanted),
    )


def hallucinated_api(code: str, catalog: Catalog) -> bool | None:
    """Whether a program names what the package does not have, or calls nothing of it; None where it does not parse."""
    verdict = next(found for found in check(code, catalog, "", "") if found.criterion == "api_exists")
    return {"yes": False, "no": True}.get(verdict.answer)


def api_calls(code: str, catalog: Catalog) -> list[ApiCall] | None:
    """The calls of the catalog's apis, in evaluation order; None where the code does not parse."""
    found: list[ApiCall] = []

    def on_call(reader: Origins, node: ast.Call) -> ast.expr | None:
        api = catalog.resolve_call(code_of.dotted(node.func, reader.names))
        if api is None or api.kind == "enum":
            return None
        arguments = _arguments(reader, node, api, catalog)
        if api.kind == "method" and isinstance(node.func, ast.Attribute):
            arguments["self"] = reader.text(node.func.value)
        call = ApiCall(api.id, tuple(sorted(arguments.items())))
        found.append(call)
        return ast.Name(call.line, ast.Load())

    def member(dotted: str, name: str) -> str | None:
        api = catalog.resolve_call(dotted.rpartition(".")[0])
        is_member = api is not None and api.kind == "enum" and name in {m.partition(":")[0] for m in api.members}
        return f"{api.id}.{name}" if api is not None and is_member else None

    return found if read_calls(code, on_call, member) else None


def _arguments(reader: Origins, node: ast.Call, api: Api, catalog: Catalog) -> dict[str, str]:
    """The call's arguments by parameter name, those that equal the default left out."""
    positional = [p.name for p in api.parameters if p.kind in ("positional_only", "positional_or_keyword")]
    found: dict[str, str] = {}
    for place, argument in enumerate(node.args):
        starred = isinstance(argument, ast.Starred) or place >= len(positional)
        found[f"*{place}" if starred else positional[place]] = reader.text(argument)
    for keyword in node.keywords:
        found[keyword.arg or "**"] = reader.text(keyword.value)
    defaults = {p.name: p.default for p in api.parameters if p.default is not None}
    return {
        name: value
        for name, value in found.items()
        if name not in defaults or not _is_default(value, defaults[name], api, catalog)
    }


def _is_default(value: str, source: str, api: Api, catalog: Catalog) -> bool:
    """Whether a value is what a default's source says: in so many words, or as the same member or constant."""
    tree = code_of.parse(source)
    if value == (ast.unparse(tree).strip() if tree else source):
        return True
    given = _defined(value, catalog)
    return given is not None and given in {_defined(f"{scope}.{source}", catalog) for scope in _scopes(api, catalog)}


def _scopes(api: Api, catalog: Catalog) -> Iterator[str]:
    """The classes and modules whose names an api's defaults may use: where it, or what it inherits from, is defined,
    under every path that leads there (an id may hide a private module).
    """
    owners = values.ancestors(catalog, api.id)
    for path in (*owners, *(path for path, target in catalog.aliases.items() if target in owners)):
        for scope in _outwards(path):
            yield scope
            if scope in catalog.modules:
                break


def _defined(dotted: str, catalog: Catalog) -> str | None:
    """Where the package defines the member or constant that a dotted path reaches; None where it reaches none."""
    for _ in range(32):  # aliases of aliases end; a circle among them must too
        if dotted in catalog.attributes:
            return dotted
        head = next((path for path in _outwards(dotted) if path in catalog.aliases), None)
        if head is None:
            return None
        dotted = catalog.aliases[head] + dotted.removeprefix(head)
    return None


def _outwards(dotted: str) -> Iterator[str]:
    """A dotted path, and what it lies in, innermost first."""
    while dotted:
        yield dotted
        dotted = dotted.rpartition(".")[0]
