"""One function or class of a package as an `Api` record."""

from __future__ import annotations

import builtins
import inspect
import re
from typing import Any, cast

import griffe

from kohai.catalog.names import Names
from kohai.catalog.values import known_names
from kohai.records import Api, ApiKind, Parameter, ParameterKind

_PLAIN_DECORATORS = frozenset(
    re.findall(
        r"\w+",
        "staticmethod classmethod property cached_property contextmanager asynccontextmanager lru_cache cache overload "
        "abstractmethod final override deprecated wraps singledispatch",
    )
)
_ENUMS = frozenset(f"enum.{name}" for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"))
_EMPTY_BASES = frozenset({"object", "abc.ABC", "typing.Generic", "typing.Protocol"})
_CLASS_DECORATORS = frozenset({"dataclass", "final", "unique", "total_ordering", "runtime_checkable", "deprecated"})


def function_api(function: Any, path: str, names: Names) -> Api:
    """A function or method; a context manager's `returns` says so, an async function's says `Coroutine[...]`."""
    in_class = function.parent.is_class
    parameters = list(function.parameters)
    if in_class and "staticmethod" not in _decorators(function) and "staticmethod" not in function.labels:
        parameters = parameters[1:]
    shown = _signature(parameters, str(function.returns) if function.returns is not None else "")
    return Api(
        id=path,
        kind="method" if in_class else "function",
        signature=shown,
        summary=_summary(function),
        doc=_doc(function),
        parameters=tuple(_parameter(item, names, function.parent) for item in parameters),
        returns=_returns(function, names),
    )


def class_api(
    cls: Any, path: str, kind: ApiKind, bases: tuple[str, ...], parameters: list[Any], members: tuple[str, ...]
) -> Api:
    """A class; its parameters are those of its construction."""
    converted = tuple(parameters)
    shown = ", ".join(_source(item) for item in _with_marks(converted))
    return Api(
        id=path,
        kind=kind,
        signature=f"({shown})",
        summary=_summary(cls),
        doc=_doc(cls),
        parameters=converted,
        returns=path,
        members=members,
        bases=bases,
    )


def class_kind(cls: Any, names: Names) -> ApiKind:
    """Enum and exception are told by the end of the line of bases."""
    for base in _foreign_bases(cls, names):
        if base in _ENUMS:
            return "enum"
        if _is_exception(base):
            return "exception"
    return "class"


def lineage(cls: Any) -> list[Any]:
    """A class and its ancestors in the package, in the order in which names are looked up; where that order cannot be
    told, it alone.
    """
    try:
        return [cls, *cls.mro()]
    except (ValueError, griffe.GriffeError):
        return [cls]


def class_parameters(cls: Any, bases: tuple[str, ...], names: Names) -> tuple[list[Parameter], bool]:
    """The parameters of a class's construction, and whether they are surely all."""
    owners = lineage(cls)
    is_made_by_base = any("__init_subclass__" in owner.members for owner in owners)
    for owner in owners:
        for name in ("__init__", "__new__"):
            method = owner.members.get(name)
            if method is not None and not method.is_alias and method.is_function:
                found = [_parameter(item, names, owner) for item in list(method.parameters)[1:]]
                return found, keeps_signature(method)
        if is_made_by_base or is_reshaped(owner, names):
            return [], False
    foreign = set(_foreign_bases(cls, names))
    if "typing.NamedTuple" in foreign:
        fields = [member for member in cls.members.values() if not member.is_alias and member.is_attribute]
        made = [
            Parameter(
                field.name,
                "positional_or_keyword",
                names.annotation(field.annotation, cls),
                None if field.value is None else str(field.value),
            )
            for field in fields
            if field.annotation is not None and "property" not in field.labels
        ]
        return made, "typing.NamedTuple" in bases
    if all(_is_exception(base) for base in foreign) and foreign:
        return [Parameter("args", "var_positional")], True
    return [], foreign <= _EMPTY_BASES


def is_reshaped(cls: Any, names: Names) -> bool:
    """True where a decorator or a base from outside the package may give the class names that its source lacks."""
    for item in cls.decorators:
        last = str(item.callable_path).rpartition(".")[2]
        if last not in _CLASS_DECORATORS or (last == "dataclass" and item.callable_path != "dataclasses.dataclass"):
            return True
    if getattr(cls, "keywords", None):
        return True
    inside = {names.rename(owner.path) for owner in lineage(cls)[1:]}
    return any(
        base not in inside if base.startswith(names.package + ".") else known_names(base) is None
        for base in names.bases(cls)
    )


def keeps_signature(function: Any) -> bool:
    """False where a decorator may change the parameters, or where only overloads are written."""
    return all(decorator in _PLAIN_DECORATORS or _is_property_part(decorator) for decorator in _decorators(function))


def is_on_class(function: Any) -> bool:
    """True for static and class methods."""
    return bool({"staticmethod", "classmethod"} & ({*_decorators(function)} | set(function.labels)))


def is_enum_member(member: Any) -> bool:
    """True for `NAME = value` in an enum's body."""
    return (
        not member.is_alias
        and member.is_attribute
        and "property" not in member.labels
        and "class-attribute" in member.labels
        and member.annotation is None
        and not member.name.startswith("_")
    )


def annotation_from_parameter(attribute: Any, cls: Any, names: Names, unsure: set[str]) -> str:
    """The annotation of `self.x = x`, taken from the parameter of `__init__`; none where either is in `unsure`."""
    init = cls.members.get("__init__")
    value = str(attribute.value) if attribute.value is not None else ""
    if init is None or init.is_alias or not init.is_function or not value.isidentifier():
        return ""
    if unsure & {attribute.name, value}:
        return ""
    for parameter in list(init.parameters)[1:]:
        if parameter.name == value and parameter.kind.value.startswith(("positional", "keyword")):
            return names.annotation(parameter.annotation, cls)
    return ""


def _returns(function: Any, names: Names) -> str:
    text = names.annotation(function.returns, function.parent)
    decorators = _decorators(function)
    for decorator, manager in (
        ("contextmanager", "AbstractContextManager"),
        ("asynccontextmanager", "AbstractAsyncContextManager"),
    ):
        if decorator in decorators:
            inner = text.partition("[")[2].rpartition("]")[0].split(",")[0].strip()
            return f"{manager}[{inner}]" if inner else manager
    if not keeps_signature(function):
        return ""
    last = text.partition("[")[0].rpartition(".")[2]
    is_generator = last in ("AsyncIterator", "AsyncGenerator", "AsyncIterable")
    return f"Coroutine[{text}]" if "async" in function.labels and text and not is_generator else text


def _parameter(item: Any, names: Names, scope: Any) -> Parameter:
    kind = cast(ParameterKind, _KINDS[item.kind.value])
    default = None if item.default is None or kind.startswith("var_") else str(item.default)
    return Parameter(item.name, kind, names.annotation(item.annotation, scope), default)


def _signature(parameters: list[Any], returns: str) -> str:
    plain = [
        Parameter(
            item.name,
            cast(ParameterKind, _KINDS[item.kind.value]),
            "" if item.annotation is None else str(item.annotation),
            None if item.default is None or item.kind.value.startswith("variadic") else str(item.default),
        )
        for item in parameters
    ]
    shown = ", ".join(_source(item) for item in _with_marks(tuple(plain)))
    return f"({shown}) -> {returns}" if returns else f"({shown})"


_KINDS = {
    "positional-only": "positional_only",
    "positional or keyword": "positional_or_keyword",
    "variadic positional": "var_positional",
    "keyword-only": "keyword_only",
    "variadic keyword": "var_keyword",
}


def _with_marks(parameters: tuple[Parameter, ...]) -> list[Parameter | str]:
    """The parameters with `/` and `*` where the kinds need them."""
    shown: list[Parameter | str] = []
    for number, item in enumerate(parameters):
        before = parameters[number - 1].kind if number else None
        if before == "positional_only" and item.kind != "positional_only":
            shown.append("/")
        if item.kind == "keyword_only" and before not in ("keyword_only", "var_positional"):
            shown.append("*")
        shown.append(item)
    if parameters and parameters[-1].kind == "positional_only":
        shown.append("/")
    return shown


def _source(item: Parameter | str) -> str:
    if isinstance(item, str):
        return item
    star = {"var_positional": "*", "var_keyword": "**"}.get(item.kind, "")
    text = f"{star}{item.name}" + (f": {item.annotation}" if item.annotation else "")
    if item.default is None:
        return text
    return f"{text} = {item.default}" if item.annotation else f"{text}={item.default}"


def _decorators(thing: Any) -> list[str]:
    return [str(item.callable_path).rpartition(".")[2] for item in thing.decorators]


def _is_property_part(decorator: str) -> bool:
    return decorator in ("setter", "getter", "deleter", "register")


def _foreign_bases(cls: Any, names: Names) -> list[str]:
    """The bases outside the package of a class and of its ancestors."""
    bases = [base for owner in lineage(cls) for base in names.bases(owner)]
    return [base for base in bases if not base.startswith(names.package + ".")]


def _is_exception(base: str) -> bool:
    thing = getattr(builtins, base, None)
    return isinstance(thing, type) and issubclass(thing, BaseException)


def _doc(thing: Any) -> str:
    docstring = thing.docstring
    if docstring is None and thing.is_class and "__init__" in thing.members:
        docstring = thing.members["__init__"].docstring
    return inspect.cleandoc(docstring.value) if docstring is not None else ""


def _summary(thing: Any) -> str:
    return " ".join(_doc(thing).partition("\n\n")[0].split())
