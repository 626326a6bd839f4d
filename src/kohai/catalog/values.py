"""What follows from a value's type: its attributes, its result when called, entered, indexed or iterated over.

Every function answers `UNKNOWN` where the source doesn't tell; only `attribute` also answers None: surely not there.
"""

from __future__ import annotations

import abc
import builtins
import datetime
import decimal
import enum
import pathlib
import re
import typing
from typing import TYPE_CHECKING, Any

from kohai.catalog.types import NONE, UNKNOWN, Type, parse_type, reference, referred, union

if TYPE_CHECKING:
    from kohai.catalog.catalog import Catalog

_ITERABLES = frozenset(
    re.findall(
        r"\w+",
        "list set frozenset deque Iterator Iterable Sequence MutableSequence Collection Set AbstractSet Generator "
        "Reversible AsyncIterator AsyncIterable AsyncGenerator KeysView ValuesView",
    )
)
_MAPPINGS = frozenset({"dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict"})
_MANAGERS = frozenset({"AbstractContextManager", "AbstractAsyncContextManager"})
_KNOWN: dict[str, Any] = {
    "None": type(None),
    "date": datetime.date,
    "datetime": datetime.datetime,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
    "Decimal": decimal.Decimal,
    "Path": pathlib.Path,
    "ABC": abc.ABC,
    "Generic": typing.Generic,
    "Protocol": typing.Protocol,
    **{name: getattr(enum, name) for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag")},
    **{name: thing for name, thing in vars(builtins).items() if isinstance(thing, type)},
}


def known_names(base: str) -> frozenset[str] | None:
    """The attributes of a class outside the package, where it is one that the language fixes; else None."""
    last = base.rpartition(".")[2]
    if last == "NamedTuple":
        return frozenset(dir(tuple)) | {"_asdict", "_replace", "_fields", "_make", "_field_defaults"}
    if last in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"):
        return frozenset(dir(_KNOWN[last])) | {"name", "value", "_name_", "_value_", "__members__"}
    return frozenset(dir(_KNOWN[last])) if last in _KNOWN else None


def ancestors(catalog: Catalog, class_id: str) -> list[str]:
    """A class and its bases, nearest first, depth first; bases outside the package end their branch."""
    found: list[str] = []
    waiting = [class_id]
    while waiting:
        current = waiting.pop(0)
        if current not in found:
            found.append(current)
            api = catalog.get(current)
            waiting = [*(api.bases if api else ()), *waiting]
    return found


def attribute(catalog: Catalog, kind: Type, name: str) -> Type | None:
    """The type of `kind.name`; None = surely no such attribute."""
    if kind.name == "|":
        results = [attribute(catalog, part, name) for part in kind.args if part != NONE]
        found = [result for result in results if result is not None]
        return union(found) if found else None
    target = referred(kind)
    if target is not None:
        return _of_thing(catalog, target, name)
    if catalog.get(kind.name):
        return _of_class(catalog, kind.name, name)
    is_vague = kind.name in ("object", "type") or (kind.name == "tuple" and not kind.args)  # it may be of a subclass
    names = known_names(kind.name) if kind.name in _KNOWN and not is_vague else None
    return None if names is not None and name not in names else UNKNOWN


def call(catalog: Catalog, kind: Type) -> Type:
    """The type of a call's result."""
    target = referred(kind)
    api = catalog.get(target) if target else None
    if api is not None:
        is_class = api.kind in ("class", "enum", "exception")
        return Type(api.id) if is_class else parse_type(api.returns, catalog.package)
    return _special(catalog, kind, "__call__")


def enter(catalog: Catalog, kind: Type) -> Type:
    """The type of what `with ... as` binds."""
    if kind.name in _MANAGERS:
        return kind.args[0] if kind.args else UNKNOWN
    entered = _special(catalog, kind, "__enter__")
    return entered if entered != UNKNOWN else awaited(_special(catalog, kind, "__aenter__"))


def awaited(kind: Type) -> Type:
    """The type of `await value`."""
    return kind.args[-1] if kind.name in ("Coroutine", "Awaitable", "Task", "Future") and kind.args else UNKNOWN


def element(catalog: Catalog, kind: Type) -> Type:
    """The type of what a loop over the value gives."""
    if kind.name == "|":
        return union([element(catalog, part) for part in kind.args])
    if kind.name in _ITERABLES or kind.name in _MAPPINGS:
        return kind.args[0] if kind.args else UNKNOWN
    if kind.name == "tuple" and kind.args:
        return union([part for part in kind.args if part.name != "..."])
    if kind.name == "str":
        return kind
    target = referred(kind)
    api = catalog.get(target) if target else None
    if api is not None:
        return Type(api.id) if api.kind == "enum" else UNKNOWN
    iterator = _special(catalog, kind, "__iter__")
    if iterator == kind:
        return _special(catalog, kind, "__next__")
    return element(catalog, iterator) if iterator != UNKNOWN else UNKNOWN


def index(catalog: Catalog, kind: Type, position: int | None) -> Type:
    """The type of `value[position]`; None = a position that is not a plain number."""
    if kind.name == "tuple" and kind.args:
        if kind.args[-1].name == "...":
            return kind.args[0]
        inside = position is not None and -len(kind.args) <= position < len(kind.args)
        return kind.args[position] if inside and position is not None else UNKNOWN
    if kind.name in _MAPPINGS:
        return kind.args[1] if len(kind.args) == 2 else UNKNOWN
    if kind.name in ("list", "Sequence", "MutableSequence", "deque"):
        return kind.args[0] if kind.args else UNKNOWN
    return _special(catalog, kind, "__getitem__")


def _special(catalog: Catalog, kind: Type, name: str) -> Type:
    """The declared result of a special method of a package's class."""
    if kind.name == "|" or not catalog.get(kind.name):
        return UNKNOWN
    method = attribute(catalog, kind, name)
    target = referred(method) if method else None
    api = catalog.get(target) if target else None
    return parse_type(api.returns, catalog.package) if api else UNKNOWN


def _of_thing(catalog: Catalog, target: str, name: str) -> Type | None:
    """An attribute of a module, class or function itself."""
    api = catalog.get(target)
    if api is not None and api.kind in ("class", "enum", "exception"):
        return _of_class(catalog, target, name, itself=True)
    if target in catalog.modules:
        return _named(catalog, f"{target}.{name}") or (UNKNOWN if target in catalog.open or _is_special(name) else None)
    return UNKNOWN


def _of_class(catalog: Catalog, class_id: str, name: str, itself: bool = False) -> Type | None:
    """An attribute of an instance of a class (or of the class `itself`); one that a subclass has may be there too."""
    for ancestor in ancestors(catalog, class_id):
        if ancestor in catalog.open:
            return UNKNOWN
        found = _named(catalog, f"{ancestor}.{name}")
        if found is not None:
            return found
        if catalog.get(ancestor) is None:
            names = known_names(ancestor)
            if names is None or name in names:
                return UNKNOWN
    if name in dir(type if itself else object):
        return UNKNOWN
    below = catalog.subclasses.get(class_id, ())
    return UNKNOWN if any(_of_class(catalog, sub, name, itself) is not None for sub in below) else None


def _named(catalog: Catalog, dotted: str) -> Type | None:
    is_alias = dotted in catalog.aliases
    for _ in range(32):  # aliases of aliases end; a circle among them must too
        if catalog.get(dotted) or dotted in catalog.modules:
            return reference(dotted)
        if dotted in catalog.attributes:
            return parse_type(catalog.attributes[dotted], catalog.package)
        if dotted not in catalog.aliases:
            break
        dotted = catalog.aliases[dotted]
        if not dotted.startswith(catalog.package + "."):
            return UNKNOWN  # a name that the module imported from elsewhere
    parent, _, name = dotted.rpartition(".")
    head = catalog.aliases.get(parent)
    found = _named(catalog, f"{head}.{name}") if head else None
    is_unread = is_alias and parent not in catalog.modules  # imported from an extension, or from what is generated
    return UNKNOWN if found is None and is_unread else found


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
