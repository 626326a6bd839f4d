"""What a program's imports bind, and which of them lead nowhere."""

from __future__ import annotations

import ast
import sys

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import UNKNOWN, Type, reference
from kohai.verify import nearest


def import_types(node: ast.Import | ast.ImportFrom, catalog: Catalog) -> tuple[dict[str, Type], list[str]]:
    """The names that an import binds with their types, and evidence of what does not exist."""
    return _plain(node, catalog) if isinstance(node, ast.Import) else _from(node, catalog)


def _plain(node: ast.Import, catalog: Catalog) -> tuple[dict[str, Type], list[str]]:
    bound, problems = {}, []
    for alias in node.names:
        root = alias.name.split(".")[0]
        exists, problem = _module(alias.name, catalog, node.lineno)
        if problem:
            problems.append(problem)
        dotted = alias.name if alias.asname else root
        bound[alias.asname or root] = reference(exists) if exists and alias.asname else UNKNOWN
        if root == catalog.package and not alias.asname:
            bound[root] = reference(dotted)
    return bound, problems


def _from(node: ast.ImportFrom, catalog: Catalog) -> tuple[dict[str, Type], list[str]]:
    names = [(alias.asname or alias.name, alias.name) for alias in node.names]
    if node.level:
        text = "." * node.level + (node.module or "")
        return dict.fromkeys((name for name, _ in names), UNKNOWN), [
            f"line {node.lineno}: from {text}: a program has no package around it; import from {catalog.package}"
        ]
    module, problem = _module(node.module or "", catalog, node.lineno)
    if module is None:
        return dict.fromkeys((name for name, _ in names), UNKNOWN), [problem] if problem else []
    bound, problems = {}, []
    for name, wanted in names:
        if wanted == "*":
            for child in catalog.children.get(module, ()):
                if not child.startswith("_"):
                    bound[child] = values.attribute(catalog, reference(module), child) or UNKNOWN
            continue
        kind = values.attribute(catalog, reference(module), wanted)
        if kind is None:
            near = nearest.close(wanted, catalog.children.get(module, ()))
            elsewhere = nearest.elsewhere(catalog, wanted)
            problems.append(f"line {node.lineno}: {module} has no {wanted!r}{elsewhere or near}")
        bound[name] = kind or UNKNOWN
    return bound, problems


def _module(dotted: str, catalog: Catalog, line: int) -> tuple[str | None, str]:
    """The package's module of that name (None: it is another's), and evidence where there is none."""
    root = dotted.split(".")[0]
    if root != catalog.package:
        if root in sys.stdlib_module_names or root in catalog.importable:
            return None, ""
        others = ", what the image has," if catalog.importable else ""
        return None, f"line {line}: no module {root!r}; there are {catalog.package}{others} and the standard library"
    found = catalog.aliases.get(dotted, dotted)
    if found in catalog.modules:
        return found, ""
    parent, _, last = dotted.rpartition(".")
    if parent in catalog.open:
        return None, ""
    inside = [name.rpartition(".")[2] for name in catalog.modules if name.rpartition(".")[0] == parent]
    return None, f"line {line}: no module {dotted!r}{nearest.close(last, inside)}"
