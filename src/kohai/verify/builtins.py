"""What calls of Python's builtins give, where it follows from their arguments."""

from __future__ import annotations

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import UNKNOWN, Type, union


def builtin_result(catalog: Catalog, name: str, arguments: list[Type]) -> Type:
    """The result of a builtin, where it follows from its arguments."""
    if name in ("len", "str", "int", "float", "bool", "repr", "input"):
        return Type({"len": "int", "repr": "str", "input": "str"}.get(name, name))
    if not arguments:
        return UNKNOWN
    element = values.element(catalog, arguments[0])
    if name in ("list", "sorted", "reversed", "iter", "set", "tuple"):
        return Type("list" if name in ("list", "sorted") else "Iterator", (element,))
    if name == "enumerate":
        return Type("Iterator", (Type("tuple", (Type("int"), element)),))
    if name == "zip":
        return Type("Iterator", (Type("tuple", tuple(values.element(catalog, kind) for kind in arguments)),))
    if name == "next":
        return union([element, *arguments[1:]])
    return element if name in ("min", "max") and len(arguments) == 1 else UNKNOWN
