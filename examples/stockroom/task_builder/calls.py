"""Which public calls a program makes, read from its syntax tree alone."""

from __future__ import annotations

import ast
import importlib
import inspect
import typing

AREAS = ("counts", "items", "moves", "orders", "receipts", "reports", "shipments", "suppliers", "users")


def public_callables() -> dict[str, typing.Any]:
    """Every public function, and method of the classes that functions hand out for a with block, by dotted id."""
    found: dict[str, typing.Any] = {}
    for area in AREAS:
        module = importlib.import_module(f"stockroom.{area}")
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(value):
                found[f"stockroom.{area}.{name}"] = value
            elif inspect.isclass(value) and hasattr(value, "__enter__"):
                for method, function in vars(value).items():
                    if inspect.isfunction(function) and not method.startswith("_"):
                        found[f"stockroom.{area}.{name}.{method}"] = function
    return found


def calls_in(code: str) -> list[tuple[str, ast.Call]]:
    """The stockroom calls of a program in source order, open_room left out, as (dotted id, call node)."""
    tree, callables = ast.parse(code), public_callables()
    handles: dict[str, str] = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.withitem)
            and isinstance(node.context_expr, ast.Call)
            and node.optional_vars is not None
        ):
            function = callables.get(f"stockroom.{ast.unparse(node.context_expr.func)}")
            if function is not None:
                kind = typing.get_type_hints(function)["return"]
                handles[ast.unparse(node.optional_vars)] = f"{kind.__module__}.{kind.__qualname__}"
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            dotted = f"{handles.get(owner, f'stockroom.{owner}')}.{node.func.attr}"
            if dotted in callables:
                found.append((dotted, node))
    return sorted(found, key=lambda each: (each[1].lineno, each[1].col_offset))


def literal_calls(code: str) -> set[str]:
    """The program's (call, arguments) pairs with at least one literal, as text that two programs can share.

    Calls without a literal (order_id=order.id, role=Role.CLERK) are left out: every split needs them.
    """
    pairs = set()
    for dotted, node in calls_in(code):
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        if any(isinstance(part, ast.Constant) for value in values for part in ast.walk(value)):
            keywords = sorted(ast.dump(keyword) for keyword in node.keywords)
            pairs.add(f"{dotted} {[ast.dump(value) for value in node.args]} {keywords}")
    return pairs
