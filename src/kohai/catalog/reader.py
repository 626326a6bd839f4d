"""Reads a Python package into a catalog: statically, with griffe; nothing of the package is imported or executed.

Covered: modules, re-exports, functions, classes with inheritance, class and static methods, properties, dataclasses and
named tuples, enums, context managers by class or decorator, async functions. Where a decorator, a foreign base class or
a metaclass may change what the source shows, the catalog says `open` and nobody is accused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import griffe

from kohai.catalog import apis, sources
from kohai.catalog.catalog import Catalog
from kohai.catalog.names import Names
from kohai.errors import DataError
from kohai.records import Api


def read_package(path: Path, names: Sequence[str] = ()) -> Catalog:
    """The catalog of the package in folder `path`; `names` keeps only these modules' apis public (dotted; empty = all).

    Raises:
        DataError: no package there, a file that does not parse (names file and line), or an unknown module in `names`.
    """
    path = path.resolve()
    if not path.is_dir() or not any(path.rglob("*.py")):
        raise DataError(f"{path}: no Python package (a folder with .py files); check package.path")
    trees = sources.read_trees(path)
    loader = griffe.GriffeLoader(search_paths=[path.parent], allow_inspection=False)
    try:
        package = loader.load(path.name, try_relative_path=False)
        loader.resolve_aliases(implicit=True, external=False)
    except (griffe.GriffeError, ImportError) as error:
        raise DataError(f"{path}: cannot be read as a package ({error})") from None
    reader = _Reader(package, sources.assigned(trees, path), sources.bound_names(trees, path))
    reader.read()
    if sources.is_partly_unread(path):
        reader.open.add(path.name)
    return reader.catalog(names)


class _Reader:
    """Collects what the package's modules hold."""

    def __init__(self, package: Any, assigned: dict[str, sources.Assigned], bound: dict[str, set[str]]) -> None:
        self.package = package
        self.assigned = assigned
        self.bound = bound
        self.names = Names(package)
        self.apis: dict[str, Api] = {}
        self.attributes: dict[str, str] = {}
        self.open: set[str] = set()
        self.on_class: set[str] = set()

    def read(self) -> None:
        for module in self.names.modules.values():
            bound = self.bound.get(module.path, set())
            if {"__getattr__"} & {*module.members, *bound} or self.names.has_unread_star(module):
                self.open.add(module.path)
            for name in sorted(bound - set(module.members)):  # a tuple's parts, a loop's name
                self.attributes[self.names.rename(f"{module.path}.{name}")] = ""
            for member in module.members.values():
                if not member.is_alias and not member.is_module:
                    self._member(member)

    def _member(self, member: Any) -> None:
        path = self.names.rename(member.path)
        if member.is_function:
            self._function(member, path)
        elif member.is_class:
            self._class(member, path)
        else:
            self.attributes[path] = self.names.annotation(getattr(member, "annotation", None), member.parent)

    def _function(self, function: Any, path: str) -> None:
        self.apis[path] = apis.function_api(function, path, self.names)
        if not apis.keeps_signature(function):
            self.open.add(path + "()")
        if function.parent.is_class and apis.is_on_class(function):
            self.on_class.add(path)

    def _class(self, cls: Any, path: str) -> None:
        base_ids = self.names.bases(cls)
        assigned = self.assigned.get(cls.path, sources.Assigned())
        parameters, is_known = apis.class_parameters(cls, base_ids, self.names)
        if not is_known:
            self.open.add(path + "()")
        if apis.is_reshaped(cls, self.names):
            self.open.update((path, path + "()"))
        kind = apis.class_kind(cls, self.names)
        for name, member in cls.members.items():
            if member.is_alias:
                self.attributes[f"{path}.{name}"] = ""
            elif kind == "enum" and apis.is_enum_member(member):
                self.attributes[f"{path}.{name}"] = path
            else:
                self._member(member)
                if member.is_attribute and member.annotation is None:
                    known = apis.annotation_from_parameter(member, cls, self.names, assigned.unsure)
                    self.attributes[f"{path}.{name}"] = known
        if "__getattr__" in cls.members or "__getattribute__" in cls.members or assigned.is_dynamic:
            self.open.add(path)
        if kind == "enum":
            self.open.add(path + "()")
        for name in sorted(self.bound.get(cls.path, set()) - set(cls.members)):
            self.attributes[f"{path}.{name}"] = ""
        for name in sorted(assigned.names):
            if f"{path}.{name}" not in self.apis:
                self.attributes.setdefault(f"{path}.{name}", "")
        self.apis[path] = apis.class_api(cls, path, kind, base_ids, parameters, self._shown(cls, kind))

    def _shown(self, cls: Any, kind: str) -> tuple[str, ...]:
        """Enum members, or public attributes with their types, inherited ones first."""
        lines: dict[str, str] = {}
        for owner in reversed(apis.lineage(cls)):
            for name, member in owner.members.items():
                if name.startswith("_") or member.is_alias or not member.is_attribute:
                    continue
                if kind == "enum" and owner is cls and apis.is_enum_member(member):
                    lines[name] = name
                elif kind != "enum":
                    annotation = self.attributes.get(f"{self.names.rename(owner.path)}.{name}", "")
                    lines[name] = f"{name}: {annotation}" if annotation else name
        return tuple(lines.values())

    def catalog(self, wanted: Sequence[str]) -> Catalog:
        modules = frozenset(self.names.modules)
        for name in wanted:
            if name not in modules:
                raise DataError(f"package.names: no module {name!r}; the package has {', '.join(sorted(modules))}")
        public = dict(self._public(wanted))
        ordered = sorted(self.apis.values(), key=lambda api: api.id)
        return Catalog(
            package=self.package.name,
            apis=tuple(api for api in ordered if api.id in public),
            hidden=tuple(api for api in ordered if api.id not in public),
            modules=modules,
            aliases=self.names.aliases,
            attributes=self.attributes,
            open=frozenset(self.open),
            on_class=frozenset(self.on_class),
        )

    def _public(self, wanted: Sequence[str]) -> Iterator[tuple[str, Api]]:
        for api_id, api in self.apis.items():
            paths = [api_id, *self.names.listed(api_id)]
            inside = not wanted or any(path.startswith(f"{name}.") for path in paths for name in wanted)
            if inside and self.names.is_public(api_id):
                yield api_id, api
