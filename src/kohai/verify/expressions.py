"""Types of expressions, and what they call and reach on the way."""

from __future__ import annotations

import ast
from collections.abc import Collection

from kohai import code as code_reading
from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import NONE, UNKNOWN, Type, referred, union
from kohai.code import written
from kohai.verify import nearest
from kohai.verify.builtins import builtin_result
from kohai.verify.reading import PackageCall, Reading
from kohai.verify.scope import Scope
from kohai.verify.shapes import (
    conditions_of,
    given_attributes,
    named_arguments,
    position_of,
    rebound_names,
    walrus_names,
)


class Expressions:
    """Reads expressions in a scope; notes calls of the package and missing attributes in a reading.

    `stored` are attribute names that the program itself gives: objects may have them. `rebound` are names that it binds
    more than once: what runs later may find another value there. `conditions` are what it decides by.
    """

    def __init__(self, catalog: Catalog, scope: Scope, reading: Reading, nodes: Collection[ast.AST]) -> None:
        self.catalog = catalog
        self.scope = scope
        self.reading = reading
        self.stored = frozenset(given_attributes(nodes))
        self.rebound = rebound_names(nodes)
        self.conditions = frozenset(conditions_of(nodes))

    def read(self, node: ast.expr | None) -> Type:
        """The type of an expression; what it calls and reaches is noted."""
        if node is None:
            return UNKNOWN
        kind = self._read(node)
        self.reading.types[node] = kind
        return kind

    def _read(self, node: ast.expr) -> Type:
        match node:
            case ast.Constant(value=value):
                return NONE if value is None else Type(type(value).__name__)
            case ast.Name(id=name):
                if name in self.scope.literals:
                    self.reading.literals[node] = self.scope.literals[name]
                return self.scope.types.get(name, UNKNOWN)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Call():
                return self.call(node)
            case ast.Await(value=value):
                return values.awaited(self.read(value))
            case ast.NamedExpr(target=target, value=value):
                kind = self.read(value)
                self.scope.bind(target, kind, value, self.read)
                return kind
            case ast.Subscript(value=value, slice=inner):
                kind = self.read(value)
                self.read(inner)
                return self.subscript(node, kind)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.read(test)
                return union([self.read(body), self.read(orelse)])
            case ast.BoolOp(values=parts):
                return union([self.read(part) for part in parts])
            case ast.Tuple(elts=parts):
                kinds = tuple(self.read(part) for part in parts)
                return UNKNOWN if any(isinstance(part, ast.Starred) for part in parts) else Type("tuple", kinds)
            case ast.List() | ast.Set() | ast.Dict():
                self.children(node)
                return Type(type(node).__name__.lower())
            case ast.JoinedStr():
                self.children(node)
                return Type("str")
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant() as operand):
                return self.read(operand)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self.comprehension(node)
            case ast.Lambda(args=arguments, body=body):
                for default in (*arguments.defaults, *arguments.kw_defaults):
                    self.read(default)
                outer, outer_literals = dict(self.scope.types), dict(self.scope.literals)
                self.scope.forget(self.rebound)
                for argument in (*named_arguments(arguments), arguments.vararg, arguments.kwarg):
                    if argument is not None:
                        self.scope.bind_name(argument.arg, UNKNOWN)
                self.read(body)
                self.scope.types, self.scope.literals = outer, outer_literals
                return UNKNOWN
        self.children(node)
        return UNKNOWN

    def children(self, node: ast.AST) -> None:
        """Reads the expressions inside, types unasked."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.read(child)
            elif isinstance(child, ast.keyword):
                self.read(child.value)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Type:
        """A comprehension's targets live inside it only; what `:=` binds there is unknown after it."""
        outer, outer_literals = dict(self.scope.types), dict(self.scope.literals)
        self.scope.forget(walrus_names(node))
        for generator in node.generators:
            kind = self.read(generator.iter)
            self.require(kind, ("__iter__", "__getitem__", "__aiter__"), generator.iter)
            self.scope.bind(generator.target, values.element(self.catalog, kind), generator.iter, self.read)
            for condition in generator.ifs:
                self.read(condition)
        if isinstance(node, ast.DictComp):
            result = Type("dict", (self.read(node.key), self.read(node.value)))
        else:
            name = {"ListComp": "list", "SetComp": "set"}.get(type(node).__name__, "Iterator")
            result = Type(name, (self.read(node.elt),))
        self.scope.types, self.scope.literals = outer, outer_literals
        for name in walrus_names(node):
            self.scope.bind_name(name, UNKNOWN)
        return result

    def attribute(self, node: ast.Attribute) -> Type:
        """A missing one is noted; a plain method reached through its class is not followed."""
        kind = self.read(node.value)
        found = values.attribute(self.catalog, kind, node.attr)
        if found is None:
            is_special = node.attr.startswith("__") and node.attr.endswith("__")  # instances have more than `dir` tells
            if node.attr not in self.stored and not is_special:
                self.reading.missing.append(nearest.missing_attribute(self.catalog, kind, node))
            return UNKNOWN
        owner, target = referred(kind), referred(found)
        api = self.catalog.get(target) if target else None
        through_class = owner is not None and owner not in self.catalog.modules
        is_plain_method = api is not None and api.kind == "method" and api.id not in self.catalog.on_class
        return UNKNOWN if through_class and is_plain_method else found

    def call(self, node: ast.Call) -> Type:
        """A call of the package is noted, after those inside its arguments."""
        kind = self.read(node.func)
        arguments = [self.read(argument) for argument in node.args]
        for keyword in node.keywords:
            self.read(keyword.value)
        target = referred(kind)
        api = self.catalog.get(target) if target else None
        if api is not None:
            self.reading.calls.append(PackageCall(api, written(node.func), node))
            return values.call(self.catalog, kind)
        if isinstance(node.func, ast.Name) and node.func.id not in self.scope.types:
            if node.func.id == "isinstance" and node in self.conditions:  # a program that asks knows better
                self.scope.forget([argument.id for argument in node.args[:1] if isinstance(argument, ast.Name)])
            return builtin_result(self.catalog, node.func.id, arguments)
        return values.call(self.catalog, kind)

    def subscript(self, node: ast.Subscript, kind: Type) -> Type:
        """`value[...]`; a member of an enum by name must exist."""
        target = referred(kind)
        api = self.catalog.get(target) if target else None
        if api is not None:
            if api.kind != "enum":
                return UNKNOWN
            if isinstance(node.slice, ast.Constant) and node.slice.value not in api.members and api.members:
                self.reading.missing.append(nearest.missing_member(api, node))
            return Type(api.id)
        if isinstance(node.slice, ast.Slice):
            return kind if kind.name == "list" else UNKNOWN
        return values.index(self.catalog, kind, position_of(node.slice))

    def require(self, kind: Type, names: tuple[str, ...], node: ast.expr) -> None:
        """Notes that an instance of the package's class has none of the special methods that its use needs."""
        if self.catalog.get(kind.name) is None:
            return
        if all(values.attribute(self.catalog, kind, name) is None for name in names):
            what = "a context manager" if "__enter__" in names else "something to loop over"
            shown = kind.name.rpartition(".")[2]
            self.reading.missing.append(f"line {node.lineno}: {written(node)[:60]} gives {shown}, which is not {what}")

    def annotated(self, annotation: ast.expr | None) -> Type:
        """The type that a program's own annotation names, if it is of the package; anything else is not relied on."""
        match annotation:
            case ast.Constant(value=str(text)):
                tree = code_reading.parse(text)
                body = tree.body[0] if tree is not None and len(tree.body) == 1 else None
                return self.annotated(body.value) if isinstance(body, ast.Expr) else UNKNOWN
            case ast.Name() | ast.Attribute():
                target = referred(self.read(annotation))
                api = self.catalog.get(target) if target else None
                return Type(api.id) if api is not None and api.kind in ("class", "enum") else UNKNOWN
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                sides = [side for side in (left, right) if not (isinstance(side, ast.Constant) and side.value is None)]
                return union([self.annotated(side) for side in sides])
            case ast.Subscript(value=ast.Name(id="list"), slice=inner):
                element = self.annotated(inner)
                return Type("list", (element,)) if element != UNKNOWN else UNKNOWN
        return UNKNOWN
