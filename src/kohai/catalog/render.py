"""An api as a prompt shows it: signature and what it does, then facts. Short: prompt tokens cost everything.

    items.enroll(room, *, sku: str, label: str, unit: Unit) -> Item: Add a new item to the catalogue.
      from stockroom import items
      from stockroom.items import Unit (EACH, CARTON, PALLET)
      Item: sku, label, unit

Facts are indented lines of their own, so that a prompt of several docs can show each of them once.
"""

from __future__ import annotations

import re

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.instances import source_of
from kohai.catalog.types import UNKNOWN, Type, options_of, parse_type
from kohai.records import Api

_SENTENCE = re.compile(r"(?<=[a-z0-9)\]\"'`])[.!?](?=\s+[A-Z`])")


def render(api: Api, catalog: Catalog) -> str:
    """The short doc of one api; of a call its docs as they are, in one line."""
    if api.kind == "call":
        return " ".join(api.doc.split())
    head, imports = _call(api, catalog)
    for enum in _enums(api, catalog):
        imports.append(f"{import_path(enum.id, catalog)[0]} ({', '.join(enum.members)})")
    head = _short(head, api, catalog)
    summary = first_sentence(api.summary)
    facts = [*imports, _given(api, catalog)]
    return "\n  ".join([f"{head}: {summary}" if summary else head, *filter(None, facts)])


def _short(head: str, api: Api, catalog: Catalog) -> str:
    """The first line without annotations that a name says already: `room: Room` is `room`."""
    for parameter in api.parameters:
        kind = parse_type(parameter.annotation, catalog.package)
        cls = catalog.get(kind.name)
        if cls is not None and cls.kind == "class" and variable(kind.name) == parameter.name:
            head = re.sub(rf"\b{parameter.name}: [A-Za-z_.]+(?=[,)])", parameter.name, head, count=1)
    return head


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
    """How code names a method, and the statements that give it the instance."""
    owner, _, name = api.id.rpartition(".")
    statement, owner_name = import_path(owner, catalog)
    if api.id in catalog.on_class:
        return f"{owner_name}.{name}", [statement]
    held = variable(owner)
    source = source_of(owner, catalog)
    if source is None:
        return f"{held}.{name}", [statement, f"{held} = {owner_name}(...)"]
    if source.kind == "function":
        statement, way = import_path(source.id, catalog)
    elif source.id in catalog.on_class:
        way = _method_name(source, catalog)[0]
    else:
        statement, way = "", ".".join((variable(source.id.rpartition(".")[0]), source.id.rpartition(".")[2]))
    kind = parse_type(source.returns, catalog.package)
    entered = values.enter(catalog, kind) != UNKNOWN
    waits = "await " if kind.name == "Coroutine" else ""
    got = f"with {way}(...) as {held}" if entered else f"{held} = {waits}{way}(...)"
    return f"{held}.{name}", [part for part in (statement, got) if part]


def _enums(api: Api, catalog: Catalog) -> list[Api]:
    found: dict[str, Api] = {}
    for item in api.parameters:
        for option in _parts(parse_type(item.annotation, catalog.package)):
            enum = catalog.get(option.name)
            if enum is not None and enum.kind == "enum":
                found[enum.id] = enum
    return list(found.values())


def _given(api: Api, catalog: Catalog) -> str:
    """The public attributes and methods of the class that a call gives."""
    kind = Type(api.id) if api.kind == "class" else parse_type(api.returns, catalog.package)
    for part in _parts(kind):
        cls = catalog.get(part.name)
        if cls is None or cls.kind != "class":
            continue
        names = [member.partition(":")[0] for member in cls.members]
        methods = [name for name in catalog.children.get(cls.id, ()) if _is_public_method(f"{cls.id}.{name}", catalog)]
        names += [f"{name}()" for name in methods if api.kind != "class"]
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
