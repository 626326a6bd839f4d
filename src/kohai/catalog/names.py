"""Names in a package: where each is defined, which path is public; annotations with names resolved."""

from __future__ import annotations

import ast
from typing import Any

import griffe


class Names:
    """The modules of a package, its aliases followed to their ends, and the id of everything defined in it.

    A thing's id is the path of its definition; where only a private module defines it, the shortest public re-export.
    """

    def __init__(self, package: Any) -> None:
        self.package = package.name
        self.modules = {module.path: module for module in _modules(package)}
        raw = {member.path: member.target_path for module in self.modules.values() for member in _aliases(module)}
        ends = {path: self._end(path, raw) for path in raw}
        self._renamed = self._public_paths(ends)
        self.aliases = {path: self.rename(target) for path, target in ends.items() if self.rename(target) != path}
        self.aliases.update({old: new for old, new in self._renamed.items() if old != new})

    def rename(self, path: str) -> str:
        """The id of what is defined at `path` (or inside it)."""
        head, tail = path, ""
        while head:
            if head in self._renamed:
                return self._renamed[head] + tail
            head, _, last = head.rpartition(".")
            tail = f".{last}{tail}"
        return path

    def is_public(self, path: str) -> bool:
        """True where no part is private and every module's `__all__` on the way, if any, lists it."""
        parts = path.split(".")
        if any(part.startswith("_") for part in parts[1:]):
            return False
        for end in range(1, len(parts)):
            module = self.modules.get(".".join(parts[:end]))
            is_submodule = ".".join(parts[: end + 1]) in self.modules
            if module is not None and not is_submodule and not _exports(module, parts[end]):
                return False
        return True

    def listed(self, api_id: str) -> list[str]:
        """The paths under which a module's `__all__` lists it."""
        paths = [path.rpartition(".") for path, target in self.aliases.items() if target == api_id]
        modules = [(self.modules.get(parent), name) for parent, _, name in paths]
        return [
            f"{module.path}.{name}" for module, name in modules if module and module.exports and _exports(module, name)
        ]

    def has_unread_star(self, module: Any) -> bool:
        """True where the module takes names from outside the package by `import *`."""
        return any(
            member.is_alias and (name.endswith("*") or member.wildcard) for name, member in module.members.items()
        )

    def bases(self, cls: Any) -> tuple[str, ...]:
        """The ids (or dotted names outside the package) of a class's bases, without type arguments."""
        found = []
        for base in cls.bases:
            expression = base.left if isinstance(base, griffe.ExprSubscript) else base
            path = expression if isinstance(expression, str) else expression.canonical_path
            found.append(self.rename(self.aliases.get(path, path)))
        return tuple(found)

    def annotation(self, annotation: Any, scope: Any) -> str:
        """An annotation's source with the package's names as ids; names from outside stay as they are written."""
        if annotation is None:
            return ""
        try:
            tree = ast.parse(str(annotation), mode="eval")
        except SyntaxError:
            return ""
        return ast.unparse(_Resolve(self, scope).visit(tree))

    def lookup(self, name: str, scope: Any) -> str | None:
        """The id of a name that an annotation in `scope` uses, where the package defines it (and it is no function)."""
        first = name.partition(".")[0]
        while scope.is_class and (own := scope.members.get(first)) is not None and not own.is_alias and own.is_function:
            scope = scope.parent  # a method of that name is no type
        try:
            path = scope.resolve(first)
        except griffe.GriffeError:
            return None
        path = ".".join([path, *name.split(".")[1:]])
        if not path.startswith(self.package + ".") or "[" in path:  # a type parameter's has brackets
            return None
        path = self.aliases.get(path, path)
        return self.rename(path) if path.startswith(self.package + ".") and not self._is_function(path) else None

    def _is_function(self, path: str) -> bool:
        module = self.modules.get(path.rpartition(".")[0])
        member = module.members.get(path.rpartition(".")[2]) if module is not None else None
        return member is not None and not member.is_alias and member.is_function

    def _end(self, path: str, raw: dict[str, str]) -> str:
        for _ in range(64):
            if path in raw:
                path = raw[path]
                continue
            parent, _, name = path.rpartition(".")
            if parent not in raw:
                break
            path = f"{raw[parent]}.{name}"
        return path

    def _public_paths(self, ends: dict[str, str]) -> dict[str, str]:
        """New ids for what is defined in private modules and re-exported from public ones."""
        better: dict[str, str] = {}
        for path, target in sorted(ends.items(), key=lambda item: (item[0].count("."), item[0])):
            inside = target not in self.modules and target.rpartition(".")[0] in self.modules
            if inside and target not in better and not self.is_public(target) and self.is_public(path):
                better[target] = path
        return better


class _Resolve(ast.NodeTransformer):
    """Names of an annotation to ids; `Self` to the class; quoted annotations unquoted, `Literal`'s strings kept."""

    def __init__(self, names: Names, scope: Any) -> None:
        self.names = names
        self.scope = scope

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._replace(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._replace(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, str):
            return node
        try:
            inner: ast.expr = self.visit(ast.parse(node.value, mode="eval").body)
        except SyntaxError:
            return node
        return inner

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if ast.unparse(node.value).rpartition(".")[2] == "Literal":
            return node
        self.generic_visit(node)
        return node

    def _replace(self, node: ast.expr) -> ast.expr:
        text = ast.unparse(node)
        if text.rpartition(".")[2] == "Self" and self.scope.is_class:
            return _expression(self.names.rename(self.scope.path))
        found = self.names.lookup(text, self.scope)
        return _expression(found) if found else node


def _expression(dotted: str) -> ast.expr:
    return ast.parse(dotted, mode="eval").body


def _modules(module: Any) -> list[Any]:
    inside = [child for child in module.members.values() if not child.is_alias and child.is_module]
    return [module, *(deeper for child in inside for deeper in _modules(child))]


def _aliases(module: Any) -> list[Any]:
    return [member for name, member in module.members.items() if member.is_alias and not name.endswith("*")]


def _exports(module: Any, name: str) -> bool:
    if module.exports is None:
        return True
    return name in {str(item) if isinstance(item, str) else item.name for item in module.exports}
