"""What a program does with the package, as the other checks use it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from kohai.catalog.types import Type
from kohai.records import Api


@dataclass(frozen=True)
class PackageCall:
    """A call of an api of the package; `name` as the program writes it."""

    api: Api
    name: str
    node: ast.Call


@dataclass
class Reading:
    """Calls of the package, evidence of what does not exist, and what is known of the expressions that were read."""

    calls: list[PackageCall] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    types: dict[ast.expr, Type] = field(default_factory=dict)
    literals: dict[ast.Name, ast.expr] = field(default_factory=dict)  # the literal behind a name, where it is used
    touches_package: bool = False
