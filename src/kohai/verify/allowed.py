"""Whether an argument's value is one that its parameter's annotation allows; unknown values and annotations pass."""

from __future__ import annotations

import ast

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import NONE, UNKNOWN, Type, options_of, parse_type, referred
from kohai.code import written
from kohai.records import Parameter
from kohai.verify.arguments import bind
from kohai.verify.reading import Reading

_SCALARS = frozenset({"str", "int", "float", "bool", "bytes", "date", "datetime", "Decimal", "None"})
_CONTAINERS = frozenset({"list", "tuple", "dict", "set", "frozenset"})
_WIDER = {  # what else each annotation takes
    "float": {"int", "bool"},
    "int": {"bool"},
    "complex": {"int", "float", "bool"},
    "date": {"datetime"},
    "Decimal": {"int"},
}
_ELEMENTS = _CONTAINERS - {"dict"} | {"Sequence", "Iterable", "Collection"}


def wrong_values(reading: Reading, catalog: Catalog) -> list[str]:
    """Evidence for each argument whose value its annotation surely rules out."""
    problems = []
    for call in reading.calls:
        if f"{call.api.id}()" in catalog.open:
            continue
        for parameter, value in bind(call).pairs:
            wanted = parse_type(parameter.annotation, catalog.package)
            if _is_none_default(parameter, value, reading) or not _is_wrong(value, wanted, reading, catalog):
                continue
            shown = written(value)[:40]
            needed = _described(wanted, catalog)
            problems.append(f"line {value.lineno}: {call.name}: {parameter.name} must be {needed}, not {shown}")
    return problems


_PROTOCOLS = frozenset({"typing.Protocol", "typing_extensions.Protocol"})


def _is_wrong(value: ast.expr, wanted: Type, reading: Reading, catalog: Catalog) -> bool:
    given = reading.types.get(value, UNKNOWN)
    if isinstance(value, ast.Tuple | ast.List | ast.Set) and any(
        _holds(option, value) for option in options_of(wanted)
    ):
        inner = [option.args[0] for option in options_of(wanted) if option.name in _ELEMENTS and option.args]
        return bool(inner) and any(
            all(_is_wrong(part, kind, reading, catalog) for kind in inner) for part in value.elts
        )
    return all(_excludes(kind, option, value, catalog) for kind in options_of(given) for option in options_of(wanted))


def _excludes(given: Type, wanted: Type, value: ast.expr, catalog: Catalog) -> bool:
    """True where a value of type `given` is surely none of type `wanted`."""
    if UNKNOWN in (given, wanted):
        return False
    if wanted.name == "Literal":
        return isinstance(value, ast.Constant) and repr(value.value) not in {option.name for option in wanted.args}
    asked = catalog.get(wanted.name)
    target = referred(given)
    if asked is not None and asked.kind in ("class", "enum"):
        if wanted.name in catalog.open or any(base in _PROTOCOLS for base in values.ancestors(catalog, wanted.name)):
            return False  # what a protocol asks for may be had without its name
        if target is not None:
            return True  # a module, class or function itself
        return given.name in _SCALARS | _CONTAINERS or (
            catalog.get(given.name) is not None and not _may_be(given.name, wanted.name, catalog)
        )
    if wanted.name not in _SCALARS | _CONTAINERS:
        return False
    if target is not None:
        is_plain = catalog.get(target) is not None and f"{target}()" not in catalog.open  # else perhaps a property
        return target in catalog.modules or is_plain
    if catalog.get(given.name) is not None:
        return _is_plain(given.name, catalog)
    if given.name not in _SCALARS | _CONTAINERS or given.name == wanted.name:
        return False
    return given.name not in _WIDER.get(wanted.name, set())


def _may_be(given: str, wanted: str, catalog: Catalog) -> bool:
    """True where an instance of class `given`, or of a subclass of it, is one of class `wanted`."""
    if wanted in values.ancestors(catalog, given):
        return True
    return any(_may_be(below, wanted, catalog) for below in catalog.subclasses.get(given, ()))


def _is_plain(class_id: str, catalog: Catalog) -> bool:
    """True for a class that is surely no subclass of a builtin."""
    outside = [name for name in values.ancestors(catalog, class_id) if catalog.get(name) is None]
    is_open = any(name in catalog.open for name in values.ancestors(catalog, class_id))
    return not is_open and all(name in ("object", "enum.Enum", "abc.ABC", "typing.Generic") for name in outside)


def _is_none_default(parameter: Parameter, value: ast.expr, reading: Reading) -> bool:
    return parameter.default == "None" and reading.types.get(value) == NONE


def _holds(option: Type, value: ast.expr) -> bool:
    """True where a container's annotation fits the literal's own type."""
    return option.name in _ELEMENTS and option.name in (
        type(value).__name__.lower(), "Sequence", "Iterable", "Collection"
    )  # fmt: skip


def _described(wanted: Type, catalog: Catalog) -> str:
    parts = []
    for option in options_of(wanted):
        api = catalog.get(option.name)
        if api is not None and api.kind == "enum":
            parts.append(f"a {api.id.rpartition('.')[2]} ({', '.join(api.members)})")
        elif option.name == "Literal":
            parts.append("one of " + ", ".join(item.name for item in option.args))
        else:
            parts.append("None" if option == NONE else option.name.rpartition(".")[2])
    return " or ".join(parts)
