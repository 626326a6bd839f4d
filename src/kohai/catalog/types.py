"""Annotations as small trees: what a value is, as far as a package's source says so.

Leaves out what cannot be read off an annotation (type variables, protocols of other packages): that is `UNKNOWN`, and
nothing is ever concluded from it.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass

_ALIASES = {
    "List": "list",
    "Dict": "dict",
    "Tuple": "tuple",
    "Set": "set",
    "FrozenSet": "frozenset",
    "Text": "str",
    "Union": "|",
    "ContextManager": "AbstractContextManager",
    "AsyncContextManager": "AbstractAsyncContextManager",
}
_WRAPPERS = frozenset({"Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly", "InitVar"})


@dataclass(frozen=True, slots=True)
class Type:
    """What a value is.

    `name` is a dotted id of the package, a bare name of the standard library (`str`, `list`, `date`), `None`, `?`
    (unknown), `|` (one of `args`), `@` (the thing itself whose dotted id is `args[0].name`: a module, class or
    function), or `Literal` with the reprs of its values as `args`.
    """

    name: str
    args: tuple[Type, ...] = ()


UNKNOWN = Type("?")
NONE = Type("None")


def reference(dotted: str) -> Type:
    """The module, class or function itself, not an instance of it."""
    return Type("@", (Type(dotted),))


def referred(kind: Type) -> str | None:
    """The dotted id of what a value refers to, or None where it is no such thing."""
    return kind.args[0].name if kind.name == "@" else None


def union(options: list[Type]) -> Type:
    """One of several; unknown where one of them is."""
    flat: list[Type] = []
    for option in options:
        for part in option.args if option.name == "|" else (option,):
            if part not in flat:
                flat.append(part)
    if not flat or UNKNOWN in flat:
        return UNKNOWN
    return flat[0] if len(flat) == 1 else Type("|", tuple(flat))


def options_of(kind: Type) -> tuple[Type, ...]:
    """The alternatives of a union; a type alone otherwise."""
    return kind.args if kind.name == "|" else (kind,)


@functools.lru_cache(maxsize=4096)
def parse_type(text: str, package: str) -> Type:
    """The type that an annotation's source (its names resolved) stands for."""
    if not text:
        return UNKNOWN
    try:
        return _read(ast.parse(text, mode="eval").body, package)
    except (SyntaxError, ValueError, RecursionError):
        return UNKNOWN


def _read(node: ast.expr, package: str) -> Type:
    match node:
        case ast.Constant(value=None):
            return NONE
        case ast.Constant(value=str(text)):
            return parse_type(text, package)
        case ast.Constant(value=value) if value is ...:
            return Type("...")
        case ast.Name() | ast.Attribute():
            return Type(_name(node, package))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return union([_read(left, package), _read(right, package)])
        case ast.Subscript(value=value, slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return _subscript(_name(value, package), parts, package)
        case ast.List():
            return Type("[]")
    return UNKNOWN


def _subscript(name: str, parts: list[ast.expr], package: str) -> Type:
    if name == "Literal":
        return Type("Literal", tuple(Type(ast.unparse(part)) for part in parts))
    if name in _WRAPPERS:
        return _read(parts[0], package)
    args = tuple(_read(part, package) for part in parts)
    if name == "|":
        return union(list(args))
    if name == "Optional":
        return union([*args, NONE])
    if name in ("type", "Type"):
        return reference(args[0].name) if args[0].name.startswith(package + ".") else UNKNOWN
    return Type(name, args)


def _name(node: ast.expr, package: str) -> str:
    """A dotted id of the package as it is; of anything else the last part, as the standard library's is read."""
    text = ast.unparse(node)
    if text.startswith(package + "."):
        return text
    last = text.rpartition(".")[2]
    return "?" if last in ("Any", "Self") else _ALIASES.get(last, last)
