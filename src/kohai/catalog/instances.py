"""Where an instance of a class comes from: the function of the package that gives it."""

from __future__ import annotations

from kohai.catalog.catalog import Catalog
from kohai.catalog.types import options_of, parse_type
from kohai.records import Api

_WRAPPERS = ("Coroutine", "AbstractContextManager", "AbstractAsyncContextManager")


def source_of(class_id: str, catalog: Catalog) -> Api | None:
    """The public api that gives an instance: functions before methods, sure ones before optional ones; or None."""
    found = []
    for api in catalog.apis:
        is_own = api.id.startswith(class_id + ".") and api.id not in catalog.on_class
        if api.kind not in ("function", "method") or is_own:
            continue
        kind = parse_type(api.returns, catalog.package)
        if kind.name in _WRAPPERS and kind.args:
            kind = kind.args[-1]
        options = options_of(kind)
        if any(option.name == class_id for option in options):
            found.append((api.kind != "function", len(options), len(api.parameters), api.id, api))
    return min(found)[-1] if found else None
