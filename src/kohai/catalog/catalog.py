"""A package's names: its public apis, and enough of the rest to say whether a dotted name exists."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kohai import records
from kohai.catalog import values
from kohai.catalog.calls import HubCatalog
from kohai.catalog.types import UNKNOWN, Type, reference, referred
from kohai.errors import DataError
from kohai.records import Api

_STEP = re.compile(r"\.?\w+|\(\)|\[[^\]]*\]")


@dataclass(frozen=True)
class Catalog:
    """What a package offers.

    `apis` are public, ordered by id. `hidden` are the private and special ones (`__enter__`), known so that nobody is
    accused of using what exists. `aliases` leads from other dotted paths to where a thing is defined. `attributes`
    holds every other name (constants, fields, properties, enum members) with its annotation; "" = unknown.
    `open` lists modules and classes whose names, and (with `()` behind) callables whose parameters, are not all known.
    `on_class` lists static and class methods. `importable` names what programs may import beside the package and the
    standard library: what their image has.

    Where docs are all that is known (`package` is empty), each api is a `call`.
    """

    package: str
    apis: tuple[Api, ...]
    hidden: tuple[Api, ...] = ()
    modules: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    open: frozenset[str] = frozenset()
    on_class: frozenset[str] = frozenset()
    importable: frozenset[str] = frozenset()

    @cached_property
    def _by_id(self) -> dict[str, Api]:
        return {api.id: api for api in (*self.hidden, *self.apis)}

    @cached_property
    def documented(self) -> HubCatalog | None:
        """The calls that the docs name, where docs are all that is known; None for a package."""
        return None if self.package else HubCatalog(api.signature for api in self.apis)

    @cached_property
    def children(self) -> dict[str, tuple[str, ...]]:
        """The names directly inside each module and class, in the order of definition; aliases included."""
        inside: dict[str, dict[str, None]] = {}
        for dotted in (*self._by_id, *self.attributes, *self.aliases, *sorted(self.modules)):
            parent, _, name = dotted.rpartition(".")
            inside.setdefault(parent, {})[name] = None
        return {parent: tuple(names) for parent, names in inside.items()}

    @cached_property
    def subclasses(self) -> dict[str, tuple[str, ...]]:
        """The direct subclasses of each class."""
        found: dict[str, list[str]] = {}
        for api in self._by_id.values():
            for base in api.bases:
                found.setdefault(base, []).append(api.id)
        return {base: tuple(names) for base, names in found.items()}

    def get(self, api_id: str) -> Api | None:
        """The api of that id, public or hidden."""
        return self._by_id.get(api_id)

    def resolve(self, dotted: str) -> Api | None:
        """The api that a dotted path reaches, through re-exports and inheritance; of a `call` its id."""
        return self.resolve_call(dotted) if self.package else self.get(dotted)

    def resolve_call(self, name: str) -> Api | None:
        """The api behind a call's name (`kohai.code.dotted`): `stockroom.orders.draft().line` is the class's method."""
        target = referred(self.type_of(name))
        return self.get(target) if target else None

    def type_of(self, name: str) -> Type:
        """What a call's name stands for, as far as annotations tell; a value from a call may have been entered."""
        steps = _STEP.findall(name)
        if not steps or "".join(steps) != name or steps[0] != self.package:
            return UNKNOWN
        kind = reference(self.package)
        for step in steps[1:]:
            if step == "()":
                kind = values.call(self, kind)
            elif step == "[]":
                kind = values.element(self, kind)
            elif step.startswith("["):
                kind = values.index(self, kind, int(step[1:-1]) if step[1:-1].lstrip("-").isdigit() else None)
            else:
                found = values.attribute(self, kind, step.lstrip("."))
                entered = values.enter(self, kind) if found in (None, UNKNOWN) else UNKNOWN
                if entered not in (kind, UNKNOWN):
                    found = values.attribute(self, entered, step.lstrip("."))
                kind = found or UNKNOWN
        return kind

    def to_json(self) -> str:
        """The whole catalog as text."""
        data = {
            "package": self.package,
            "modules": sorted(self.modules),
            "open": sorted(self.open),
            "on_class": sorted(self.on_class),
            "importable": sorted(self.importable),
            "aliases": dict(self.aliases),
            "attributes": dict(self.attributes),
            "apis": [records.to_dict(api) for api in self.apis],
            "hidden": [records.to_dict(api) for api in self.hidden],
        }
        return json.dumps(data, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "catalog.json") -> Catalog:
        """The catalog that `to_json` wrote.

        Raises:
            DataError: it is not one.
        """
        try:
            data = json.loads(text)
            apis, hidden = (
                tuple(
                    records.from_dict(Api, item, f"{where}: {part}[{number}]") for number, item in enumerate(data[part])
                )
                for part in ("apis", "hidden")
            )
            return cls(
                package=data["package"],
                apis=apis,
                hidden=hidden,
                modules=frozenset(data["modules"]),
                aliases=data["aliases"],
                attributes=data["attributes"],
                open=frozenset(data["open"]),
                on_class=frozenset(data["on_class"]),
                importable=frozenset(data.get("importable", ())),
            )
        except json.JSONDecodeError as error:
            raise DataError(f"{where}:{error.lineno}: not JSON ({error.msg})") from None
        except (KeyError, TypeError) as error:
            raise DataError(f"{where}: not a catalog ({error}); `kohai prepare` writes one") from None
