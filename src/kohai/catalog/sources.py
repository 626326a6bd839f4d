"""The package's files as syntax trees: proof that each parses, and what griffe does not keep of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kohai.errors import DataError

_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


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


@dataclass
class Assigned:
    """What a class's methods do to its instances: the names that they assign, those whose value is surely not the
    parameter that `__init__` was given (assigned more than once, or the parameter bound anew), and whether they set
    attributes by a name that is computed.
    """

    names: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    is_dynamic: bool = False


def assigned(trees: dict[Path, ast.Module], path: Path) -> dict[str, Assigned]:
    """For each class, by dotted path, what its methods assign to their first parameter."""
    found: dict[str, Assigned] = {}
    for module, tree in _by_module(trees, path):
        for dotted, node in _classes(tree, module):
            one = found.setdefault(dotted, Assigned())
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                    for name in _assigned(method):
                        (one.unsure if name in one.names else one.names).add(name)
                    if method.name == "__init__":
                        one.unsure |= {n.id for n in ast.walk(method) if isinstance(n, ast.Name) and _is_store(n)}
                    one.is_dynamic |= any(map(_sets_by_name, ast.walk(method)))
    return found


def bound_names(trees: dict[Path, ast.Module], path: Path) -> dict[str, set[str]]:
    """For each module and class, by dotted path, the names that its body binds by assignments of every form."""
    found: dict[str, set[str]] = {}
    for module, tree in _by_module(trees, path):
        for dotted, node in [(module, tree), *_classes(tree, module)]:
            found.setdefault(dotted, set()).update(_bound(node))
    return found


def is_partly_unread(path: Path) -> bool:
    """True where the folder has modules that are no Python files, or folders of Python that are no packages."""
    folders = {file.parent for file in path.rglob("*.py")}
    compiled = (".so", ".pyd", ".pyx")
    return any(not (folder / "__init__.py").exists() for folder in folders) or any(
        file.suffix in compiled for file in path.rglob("*")
    )


def _by_module(trees: dict[Path, ast.Module], path: Path) -> Iterator[tuple[str, ast.Module]]:
    for file, tree in trees.items():
        parts = (path.name, *file.relative_to(path).with_suffix("").parts)
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), tree


def _bound(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | _COMPREHENSIONS):
            continue
        if isinstance(child, ast.Name) and _is_store(child):
            yield child.id
        yield from _bound(child)


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _sets_by_name(node: ast.AST) -> bool:
    """`setattr(...)`, `object.__setattr__(...)`, `self.__dict__`, `vars(...)`."""
    match node:
        case ast.Call(func=ast.Name(id="setattr" | "vars")):
            return True
        case ast.Attribute(attr="__setattr__" | "__dict__"):
            return True
    return False


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
