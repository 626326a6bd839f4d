"""The package's files as syntax trees: proof that each parses, and the attributes that methods assign to `self`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from kohai.errors import DataError


def read_trees(path: Path) -> dict[Path, ast.Module]:
    """The tree of every file of the package.

    Raises:
        DataError: a file that does not parse; names file and line.
    """
    trees = {}
    for file in sorted(path.rglob("*.py")):
        try:
            trees[file] = ast.parse(file.read_bytes(), filename=str(file))
        except SyntaxError as error:
            raise DataError(f"{file}:{error.lineno or 1}: not Python ({error.msg}); mend the package first") from None
        except ValueError as error:
            raise DataError(f"{file}:1: not Python ({error}); mend the package first") from None
    return trees


def assigned_names(trees: dict[Path, ast.Module], path: Path) -> dict[str, set[str]]:
    """For each class, by dotted path, the names that any of its methods assigns to its first parameter."""
    found: dict[str, set[str]] = {}
    for file, tree in trees.items():
        parts = (path.name, *file.relative_to(path).with_suffix("").parts)
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for dotted, node in _classes(tree, module):
            names = found.setdefault(dotted, set())
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                    names.update(_assigned(method))
    return found


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            dotted = f"{prefix}.{child.name}"
            yield dotted, child
            yield from _classes(child, dotted)
        elif isinstance(child, ast.If | ast.Try):
            yield from _classes(child, prefix)


def _assigned(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    parameters = [*method.args.posonlyargs, *method.args.args]
    if not parameters:
        return
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), ctx=ast.Store()) if owner == parameters[0].arg:
                yield node.attr
