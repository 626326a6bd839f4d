"""An api as a prompt shows it: signature, imports, what it does, what it gives. Short: prompt tokens cost everything.

items.enroll(room: Room, *, sku: str, label: str, unit: Unit) -> Item
from stockroom import items; from stockroom.items import Unit (EACH, CARTON, PALLET)
Add a new item to the catalogue. Item: sku, label, unit
"""

from __future__ import annotations

import re

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import NONE, UNKNOWN, Type, options_of, parse_type
from kohai.records import Api

_SENTENCE = re.compile(r"(?<=[a-z0-9)\]\"'`])[.!?](?=\s+[A-Z`])")


def render(api: Api, catalog: Catalog) -> str:
    """The short doc of one api."""
    head, imports = _call(api, catalog)
    for enum in _enums(api, catalog):
        module, name = (
            enum.id.rpartition(".")[::2] if _home(enum.id, catalog) is None else _home(enum.id, catalog) or ("", "")
        )
        imports.append(f"from {module} import {name} ({', '.join(enum.members)})")
    about = first_sentence(api.summary)
    given = _given(api, catalog)
    lines = [head, "; ".join(imports), " ".join(part for part in (about, given) if part)]
    return "\n  ".join(line for line in lines if line)


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence, with it."""
    sentence = _SENTENCE.split(text, maxsplit=1)[0].strip()
    return sentence if not sentence or sentence[-1] in ".!?" else sentence + "."


def import_path(api_id: str, catalog: Catalog) -> tuple[str, str]:
    """How to import a function or class and how code then names it: ("from stockroom import items", "items.enroll")."""
    home = _home(api_id, catalog)
    if home is not None:
        return f"from {home[0]} import {home[1]}", home[1]
    module, _, name = api_id.rpartition(".")
    api = catalog.get(api_id)
    parent, _, short = module.rpartition(".")
    if api is not None and api.kind != "function":
        return f"from {module} import {name}", name
    return f"from {parent} import {short}", f"{short}.{name}"


def _home(api_id: str, catalog: Catalog) -> tuple[str, str] | None:
    """The package's root and the name there, where the root defines or re-exports it."""
    module, _, name = api_id.rpartition(".")
    if module == catalog.package:
        return module, name
    at_root = [path for path, target in catalog.aliases.items() if target == api_id and path.count(".") == 1]
    public = [path for path in at_root if not path.rpartition(".")[2].startswith("_")]
    return (catalog.package, public[0].rpartition(".")[2]) if public else None


def _call(api: Api, catalog: Catalog) -> tuple[str, list[str]]:
    """The first line, and the imports it needs."""
    arguments, _, returns = api.signature.rpartition(" -> ") if " -> " in api.signature else (api.signature, "", "")
    if api.kind == "method":
        name, imports = _method_name(api, catalog)
    else:
        statement, name = import_path(api.id, catalog)
        imports = [statement]
    kind = values.call(catalog, Type("@", (Type(api.id),)))
    entered = values.enter(catalog, kind)
    is_async = kind.name == "Coroutine"
    if entered != UNKNOWN or _is_manager(kind, catalog):
        shown = entered if entered != UNKNOWN else kind
        word = "async with" if kind.name == "AbstractAsyncContextManager" else "with"
        return f"{word} {name}{arguments} as {variable(shown.name)}", imports
    prefix = "await " if is_async else ""
    return f"{prefix}{name}{arguments}" + (f" -> {returns}" if returns else ""), imports


def _method_name(api: Api, catalog: Catalog) -> tuple[str, list[str]]:
    owner, _, name = api.id.rpartition(".")
    statement, owner_name = import_path(owner, catalog)
    if api.id in catalog.on_class:
        return f"{owner_name}.{name}", [statement]
    source = _source_of(owner, catalog)
    held = variable(owner)
    if source is None:
        return f"{held}.{name}", [f"{statement}; {held} = {owner_name}(...)"]
    if source.kind == "method":
        way = (
            _method_name(source, catalog)[0]
            if source.id in catalog.on_class
            else f"{variable(source.id.rpartition('.')[0])}.{source.id.rpartition('.')[2]}"
        )
        needed = [statement] if source.id in catalog.on_class else []
    else:
        needed, way = [import_path(source.id, catalog)[0]], import_path(source.id, catalog)[1]
    kind = values.call(catalog, Type("@", (Type(source.id),)))
    with_block = values.enter(catalog, kind) != UNKNOWN
    got = f"with {way}(...) as {held}" if with_block else f"{held} = {way}(...)"
    return f"{held}.{name}", [*needed, got]


def _source_of(class_id: str, catalog: Catalog) -> Api | None:
    """The function (or method of another class, or class method) that gives an instance, functions first."""
    found = []
    for api in catalog.apis:
        if api.kind not in ("function", "method") or (
            api.id.startswith(class_id + ".") and api.id not in catalog.on_class
        ):
            continue
        kind = parse_type(api.returns, catalog.package)
        kind = (
            kind.args[-1]
            if kind.name in ("Coroutine", "AbstractContextManager", "AbstractAsyncContextManager") and kind.args
            else kind
        )
        if any(option.name == class_id for option in options_of(kind)):
            found.append(api)
    return min(found, key=lambda api: (api.kind != "function", len(api.parameters), api.id), default=None)


def _enums(api: Api, catalog: Catalog) -> list[Api]:
    found: dict[str, Api] = {}
    for item in api.parameters:
        for option in _parts(parse_type(item.annotation, catalog.package)):
            enum = catalog.get(option.name)
            if enum is not None and enum.kind == "enum":
                found[enum.id] = enum
    return list(found.values())


def _given(api: Api, catalog: Catalog) -> str:
    """The public attributes (and, of what is entered, methods) of the class that a call gives."""
    kind = Type(api.id) if api.kind == "class" else parse_type(api.returns, catalog.package)
    for part in _parts(kind):
        cls = catalog.get(part.name)
        if cls is None or part == NONE or cls.kind != "class":
            continue
        names = [member.partition(":")[0] for member in cls.members]
        if api.kind != "class":
            names += [
                f"{name}()"
                for name in catalog.children.get(cls.id, ())
                if _is_public_method(f"{cls.id}.{name}", catalog)
            ]
        if names:
            return f"{cls.id.rpartition('.')[2]}: {', '.join(names)}"
    return ""


def variable(class_id: str) -> str:
    """A name for an instance: the last word of the class's name."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", class_id.rpartition(".")[2])
    return words[-1].lower() if words else "value"


def _is_public_method(dotted: str, catalog: Catalog) -> bool:
    api = catalog.get(dotted)
    return api is not None and api.kind == "method" and not dotted.rpartition(".")[2].startswith("_")


def _is_manager(kind: Type, catalog: Catalog) -> bool:
    return kind.name in ("AbstractContextManager", "AbstractAsyncContextManager") or (
        catalog.get(kind.name) is not None and catalog.get(f"{kind.name}.__enter__") is not None
    )


def _parts(kind: Type) -> list[Type]:
    """The types an annotation is made of, containers opened."""
    inner = [part for option in options_of(kind) for arg in option.args for part in _parts(arg)]
    return [*options_of(kind), *inner]
