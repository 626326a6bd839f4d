"""Whether a program calls the same apis with the same arguments as the reference: compared by text, never run.

Every call that the catalog knows becomes one line: the api's id, its receiver, and its arguments by parameter name.
Literals stand for themselves, enum members for their id, variables for where they come from (which call's result,
which attribute, an element of what); an argument that equals its default is as good as left out. The lines are
compared as a multiset: order, names, imports and all that is not a call of the package do not matter.

Leaves out: loops against their unrolled form, what a program's own functions are given, equal values computed in
different ways. Such programs may be right and still not match; `effect_match` is the metric for that.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from typing import Any

from kohai import code as code_of
from kohai.catalog import Catalog
from kohai.records import Api

TEXT_LIMIT = 1000  # a longer origin is kept by its digest: repeated substitution would grow without bound


def exact_api(code: str, reference: str, catalog: Catalog) -> bool:
    """True where both parse and their calls of the catalog's apis are the same, arguments included."""
    called, wanted = api_calls(code, catalog), api_calls(reference, catalog)
    return called is not None and called == wanted


def api_calls(code: str, catalog: Catalog) -> Counter[str] | None:
    """The calls of the catalog's apis as lines, counted; None where the code does not parse."""
    tree = code_of.parse(code)
    if tree is None:
        return None
    reader = _Reader(catalog)
    try:
        for statement in tree.body:
            reader.visit(statement)
    except RecursionError:
        return None
    return reader.lines


class _Reader(ast.NodeTransformer):
    """Walks in evaluation order; an expression comes back with its names replaced by where they come from.

    `names` holds each variable's dotted name, by which the catalog finds the api behind a call; `origins` its origin.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.names: dict[str, str] = {}
        self.origins: dict[str, str] = {}
        self.lines: Counter[str] = Counter()

    # Expressions

    def text(self, node: ast.expr) -> str:
        """An expression's origin, as text."""
        written = ast.unparse(self.visit(copy.copy(node)))
        if len(written) > TEXT_LIMIT:
            return "#" + hashlib.sha256(written.encode()).hexdigest()[:16]
        return written

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(self.origins.get(node.id, node.id), ast.Load())

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        member = self._member(code_of.dotted(node, self.names), node.attr)
        return ast.Name(member, ast.Load()) if member else ast.Attribute(self.visit(node.value), node.attr, ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            member = self._member(f"{code_of.dotted(node.value, self.names)}.{node.slice.value}", node.slice.value)
            if member:
                return ast.Name(member, ast.Load())
        return ast.Subscript(self.visit(node.value), self.visit(node.slice), ast.Load())

    def _member(self, dotted: str, name: str) -> str | None:
        """The id of an enum's member."""
        api = self.catalog.resolve_call(dotted.rpartition(".")[0])
        is_member = api is not None and api.kind == "enum" and name in {m.partition(":")[0] for m in api.members}
        return f"{api.id}.{name}" if api is not None and is_member else None

    def visit_Call(self, node: ast.Call) -> ast.expr:
        api = self.catalog.resolve_call(code_of.dotted(node.func, self.names))
        if api is None or api.kind == "enum":
            return ast.Call(
                self.visit(node.func),
                [self.visit(argument) for argument in node.args],
                [ast.keyword(keyword.arg, self.visit(keyword.value)) for keyword in node.keywords],
            )
        arguments = self._arguments(node, api)
        if api.kind == "method" and isinstance(node.func, ast.Attribute):
            arguments["self"] = self.text(node.func.value)
        line = f"{api.id}({', '.join(f'{name}={value}' for name, value in sorted(arguments.items()))})"
        self.lines[line] += 1
        return ast.Name(line, ast.Load())

    def _arguments(self, node: ast.Call, api: Api) -> dict[str, str]:
        """The call's arguments by parameter name, those that equal the default left out."""
        positional = [p.name for p in api.parameters if p.kind in ("positional_only", "positional_or_keyword")]
        found: dict[str, str] = {}
        for place, argument in enumerate(node.args):
            starred = isinstance(argument, ast.Starred) or place >= len(positional)
            found[f"*{place}" if starred else positional[place]] = self.text(argument)
        for keyword in node.keywords:
            found[keyword.arg or "**"] = self.text(keyword.value)
        defaults = {p.name: _normal(p.default) for p in api.parameters if p.default is not None}
        return {name: value for name, value in found.items() if defaults.get(name) != value}

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


def _normal(source: str) -> str:
    """A default's source as `ast.unparse` writes it."""
    tree = code_of.parse(source)
    return ast.unparse(tree).strip() if tree else source
