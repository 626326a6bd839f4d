"""Evidence about what does not exist: the nearest thing that does."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import NONE, Type, options_of, referred
from kohai.code import written
from kohai.records import Api

_MOST = 8  # names shown


def close(name: str, known: Iterable[str]) -> str:
    """`; nearest: x`, or a few of the known names, or nothing."""
    public = sorted({item for item in known if not item.startswith("_")})
    near = difflib.get_close_matches(name.lower(), [item.lower() for item in public], n=1, cutoff=0.6)
    if near:
        return f"; nearest: {next(item for item in public if item.lower() == near[0])}"
    if not public:
        return ""
    more = ", ..." if len(public) > _MOST else ""
    return f"; it has {', '.join(public[:_MOST])}{more}"


def elsewhere(catalog: Catalog, name: str) -> str:
    """`; it is in pkg.mod`, where another module of the package defines a public api of that name."""
    homes = sorted(api.id.rpartition(".")[0] for api in catalog.apis if api.id.rpartition(".")[2] == name)
    return f"; it is in {homes[0]}" if homes else ""


def missing_attribute(catalog: Catalog, kind: Type, node: ast.Attribute) -> str:
    """Evidence that `kind` has no such attribute."""
    target = referred(kind)
    if target is not None:
        names = _names(catalog, target)
        return f"line {node.lineno}: {target} has no {node.attr!r}{close(node.attr, names)}"
    options = [option for option in options_of(kind) if option != NONE] or [NONE]
    shown = " or ".join(option.name.rpartition(".")[2] for option in options)
    names = [name for option in options for name in _names(catalog, option.name)]
    what = written(node)[:60]
    return f"line {node.lineno}: {what}: {shown} has no {node.attr!r}{close(node.attr, names)}"


def missing_member(enum: Api, node: ast.Subscript) -> str:
    """Evidence that an enum has no such member."""
    return f"line {node.lineno}: {written(node)[:60]}: {enum.id} has {', '.join(enum.members)}"


def _names(catalog: Catalog, dotted: str) -> list[str]:
    if catalog.get(dotted) is None and dotted not in catalog.modules:
        return []
    found = [name for ancestor in values.ancestors(catalog, dotted) for name in catalog.children.get(ancestor, ())]
    if dotted not in catalog.modules:
        return found
    imported = {path for path, target in catalog.aliases.items() if not target.startswith(catalog.package + ".")}
    return [name for name in found if f"{dotted}.{name}" not in imported]
