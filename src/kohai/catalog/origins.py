"""Where the values of a program's calls come from: its names replaced by what they were bound to, read, never run.

Literals stand for themselves, variables for what they were assigned (which call's result, which attribute, an element
of what), a loop's variable for `each(...)`. Leaves out: what a program's own functions are given, and that a branch or
a loop may not run.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from kohai import code as code_of

TEXT_LIMIT = 1000  # a longer origin is kept by its digest: repeated substitution would grow without bound


class Origins(Protocol):
    """A program as far as it was read; `names` holds each variable's dotted name (`kohai.code.dotted`)."""

    names: dict[str, str]

    def text(self, node: ast.expr) -> str:
        """An expression's origin, as text."""


OnCall = Callable[[Origins, ast.Call], ast.expr | None]
Member = Callable[[str, str], str | None]


def read_calls(code: str, on_call: OnCall, member: Member = lambda dotted, name: None) -> bool:  # noqa: ARG005
    """Reads a program in evaluation order; False where it does not parse or is nested too deeply.

    Args:
        code: The program.
        on_call: Given each call, its arguments not yet read; what stands in its place, None for the call itself.
        member: Which enum member a dotted name, whose last part is given too, stands for.
    """
    tree = code_of.parse(code)
    if tree is None:
        return False
    reader = _Reader(on_call, member)
    try:
        for statement in tree.body:
            reader.visit(statement)
    except RecursionError:
        return False
    return True


class _Reader(ast.NodeTransformer):
    """Walks in evaluation order; an expression comes back with its names replaced by where they come from."""

    def __init__(self, on_call: OnCall, member: Member) -> None:
        self.on_call = on_call
        self.member = member
        self.names: dict[str, str] = {}
        self.origins: dict[str, str] = {}

    # Expressions

    def text(self, node: ast.expr) -> str:
        """An expression's origin, as text."""
        if isinstance(node, ast.Name):
            written = self.origins.get(node.id, node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.kind is None:
            written = repr(node.value)
        else:
            read = self.visit(copy.copy(node))
            written = read.id if isinstance(read, ast.Name) else code_of.written(read)
        if len(written) > TEXT_LIMIT:
            return "#" + hashlib.sha256(written.encode()).hexdigest()[:16]
        return written

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(self.origins.get(node.id, node.id), ast.Load())

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        member = self.member(code_of.dotted(node, self.names), node.attr)
        return ast.Name(member, ast.Load()) if member else ast.Attribute(self.visit(node.value), node.attr, ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            member = self.member(f"{code_of.dotted(node.value, self.names)}.{node.slice.value}", node.slice.value)
            if member:
                return ast.Name(member, ast.Load())
        return ast.Subscript(self.visit(node.value), self.visit(node.slice), ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return self.on_call(self, node) or ast.Call(
            self.visit(node.func),
            [self.visit(argument) for argument in node.args],
            [ast.keyword(keyword.arg, self.visit(keyword.value)) for keyword in node.keywords],
        )

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        return self._assign([node.target], node.value)

    def visit_Await(self, node: ast.Await) -> ast.expr:
        return self._expression(node.value)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> ast.expr:
        names, origins = dict(self.names), dict(self.origins)
        parts = []
        for generator in node.generators:
            parts.append(self._each(generator.target, generator.iter))
            parts += [self._expression(condition) for condition in generator.ifs]
        ends = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        parts += [self._expression(end) for end in ends]
        self.names, self.origins = names, origins
        return ast.Call(ast.Name(type(node).__name__, ast.Load()), parts, [])

    visit_SetComp = visit_ListComp  # noqa: N815 - ast's name
    visit_GeneratorExp = visit_ListComp  # noqa: N815 - ast's name
    visit_DictComp = visit_ListComp  # noqa: N815 - ast's name

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self._scoped(node.args, [ast.Expr(node.body)])
        return ast.Name("lambda", ast.Load())

    def _expression(self, node: ast.expr) -> ast.expr:
        found: ast.expr = self.visit(node)
        return found

    # Statements

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for name, origin in code_of.import_names(node):
            self.names[name] = self.origins[name] = origin

    visit_ImportFrom = visit_Import  # noqa: N815 - ast's name

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign([node.target], node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        value = self.text(node.value)
        before = self.text(node.target)
        self._bind(node.target, code_of.UNKNOWN, f"({before} {type(node.op).__name__} {value})")

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._each(node.target, node.iter)
        self._block([*node.body, *node.orelse])

    visit_AsyncFor = visit_For  # noqa: N815 - ast's name

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            if item.optional_vars is None:
                self._expression(item.context_expr)
            else:
                self._assign([item.optional_vars], item.context_expr)
        self._block(node.body)

    visit_AsyncWith = visit_With  # noqa: N815 - ast's name

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scoped(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def _block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def _scoped(self, arguments: ast.arguments, body: list[Any]) -> None:
        names, origins = dict(self.names), dict(self.origins)
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            self.names[argument.arg], self.origins[argument.arg] = code_of.UNKNOWN, f"parameter_{argument.arg}"
        self._block(body)
        self.names, self.origins = names, origins

    # Bindings

    def _assign(self, targets: list[Any], value: ast.expr) -> ast.expr:
        dotted = code_of.dotted(value, self.names)
        pairs = None
        if isinstance(value, ast.Tuple | ast.List):
            pairs = [(code_of.dotted(part, self.names), self.text(part)) for part in value.elts]
            origin = f"({', '.join(text for _, text in pairs)})"
        else:
            origin = self.text(value)
        for target in targets:
            if pairs is not None and isinstance(target, ast.Tuple | ast.List) and len(target.elts) == len(pairs):
                for part, (name, text) in zip(target.elts, pairs, strict=True):
                    self._bind(part, name, text)
            else:
                self._bind(target, dotted, origin)
        return ast.Name(origin, ast.Load())

    def _each(self, target: ast.expr, values: ast.expr) -> ast.expr:
        dotted = code_of.dotted(values, self.names) + "[]"
        origin = self.text(values)
        self._bind(target, dotted, f"each({origin})")
        return ast.Name(f"each({origin})", ast.Load())

    def _bind(self, target: ast.expr, dotted: str, origin: str) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = code_of.UNKNOWN if dotted.startswith(code_of.UNKNOWN) else dotted
            self.origins[target.id] = origin
        elif isinstance(target, ast.Tuple | ast.List):
            for place, part in enumerate(target.elts):
                self._bind(part, f"{dotted}[{place}]", f"{origin}[{place}]")
        elif isinstance(target, ast.Starred):
            self._bind(target.value, code_of.UNKNOWN, f"*{origin}")
        else:
            self._expression(target)
