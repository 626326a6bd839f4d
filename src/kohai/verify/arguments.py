"""Whether a call's arguments bind to its signature, by the rules of `inspect.Signature.bind`."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from kohai.catalog.catalog import Catalog
from kohai.records import Parameter
from kohai.verify.reading import PackageCall, Reading


@dataclass(frozen=True)
class Bound:
    """Each argument with the parameter that takes it, and what went wrong."""

    pairs: tuple[tuple[Parameter, ast.expr], ...]
    problems: tuple[str, ...]


def binding_problems(reading: Reading, catalog: Catalog) -> list[str]:
    """Evidence for every argument that does not bind; callables whose parameters are not all known are passed over."""
    problems = []
    for call in reading.calls:
        if f"{call.api.id}()" not in catalog.open:
            problems += [f"line {call.node.lineno}: {call.name} {problem}" for problem in bind(call).problems]
    return problems


def bind(call: PackageCall) -> Bound:
    """Binds a call's arguments to its api's parameters."""
    parameters = call.api.parameters
    by_position = [item for item in parameters if item.kind in ("positional_only", "positional_or_keyword")]
    by_keyword = {item.name: item for item in parameters if item.kind in ("positional_or_keyword", "keyword_only")}
    rest = next((item for item in parameters if item.kind == "var_positional"), None)
    rest_keywords = next((item for item in parameters if item.kind == "var_keyword"), None)
    pairs: list[tuple[Parameter, ast.expr]] = []
    problems: list[str] = []
    plain = _before_star(call.node.args)
    for number, argument in enumerate(plain):
        if number < len(by_position):
            pairs.append((by_position[number], argument))
        elif rest is not None:
            pairs.append((rest, argument))
    if len(plain) > len(by_position) and rest is None:
        problems.append(_too_many(len(plain), by_position, parameters))
    taken = {item.name for item, _ in pairs}
    for keyword in call.node.keywords:
        if keyword.arg is None:
            continue
        if keyword.arg in by_keyword:
            if keyword.arg in taken:
                problems.append(f"gets {keyword.arg!r} twice")
            taken.add(keyword.arg)
            pairs.append((by_keyword[keyword.arg], keyword.value))
        elif rest_keywords is not None:
            pairs.append((rest_keywords, keyword.value))
        else:
            problems.append(f"has no parameter {keyword.arg!r}; it has {_names(parameters)}")
    hidden = len(plain) < len(call.node.args) or any(keyword.arg is None for keyword in call.node.keywords)
    missing = [item.name for item in parameters if item.is_required and item.name not in taken]
    if missing and not hidden:
        problems.append(f"lacks {', '.join(map(repr, missing))}")
    return Bound(tuple(pairs), tuple(problems))


def _before_star(arguments: list[ast.expr]) -> list[ast.expr]:
    """The positional arguments up to the first `*sequence`, whose length is not known."""
    for number, argument in enumerate(arguments):
        if isinstance(argument, ast.Starred):
            return arguments[:number]
    return arguments


def _too_many(given: int, by_position: list[Parameter], parameters: tuple[Parameter, ...]) -> str:
    named = [item.name for item in parameters if item.kind == "keyword_only"]
    hint = f"; {', '.join(named)} by keyword" if named else ""
    return f"takes {len(by_position)} positional argument(s), {given} given{hint}"


def _names(parameters: tuple[Parameter, ...]) -> str:
    return ", ".join(item.name for item in parameters) or "none"
