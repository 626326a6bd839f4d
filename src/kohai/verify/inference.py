"""Reads a program in the order it runs: which package apis it calls, what it reaches that does not exist.

A light type inference over the syntax tree: imports, aliases, assignments, `with` and `for` targets, unpacking,
attributes of the package's classes, parameters by annotation, a few builtins. What is not known stays `UNKNOWN`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from kohai import code as code_reading
from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import NONE, UNKNOWN, Type, referred, union
from kohai.records import Api
from kohai.verify import nearest
from kohai.verify.imports import import_types

Environment = dict[str, Type]


@dataclass(frozen=True)
class PackageCall:
    """A call of an api of the package; `name` as the program writes it."""

    api: Api
    name: str
    node: ast.Call


@dataclass
class Reading:
    """What a program does with the package."""

    calls: list[PackageCall] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # evidence: imports and attributes that do not exist
    types: dict[ast.expr, Type] = field(default_factory=dict)  # of every expression that was read
    literals: dict[ast.Name, tuple[ast.expr, ...]] = field(
        default_factory=dict
    )  # literals behind a name where it is used
    touches_package: bool = False


def read_program(tree: ast.Module, catalog: Catalog) -> Reading:
    """The reading of a program."""
    reader = _Reader(tree, catalog)
    reader.block(tree.body)
    reader.functions({})
    prefix = catalog.package + "."
    reader.reading.touches_package = bool(reader.reading.calls) or any(
        call.name.startswith(prefix) for call in code_reading.calls(tree)
    )
    return reader.reading


class _Reader:
    def __init__(self, tree: ast.Module, catalog: Catalog) -> None:
        self.catalog = catalog
        self.reading = Reading()
        self.types: Environment = {}
        self.literals: dict[str, tuple[ast.expr, ...]] = {}
        self.shared = {
            name for node in ast.walk(tree) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
        }
        self.stored = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_store(node)}
        self.waiting: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self.assigned_times: dict[str, int] = {}
        self.guarded = 0

    # Statements

    def block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                bound, problems = import_types(node, self.catalog)
                if not self.guarded:
                    self.reading.missing.extend(problems)
                for name, kind in bound.items():
                    self.bind_name(name, kind)
            case ast.Assign(targets=targets, value=value):
                kind = self.read(value)
                for target in targets:
                    self.bind(target, kind, value)
            case ast.AnnAssign(target=target, value=value, annotation=annotation):
                if value is not None:
                    kind = self.read(value)
                    self.bind(target, kind if kind != UNKNOWN else self.annotated(annotation), value)
            case ast.AugAssign(target=target, value=value):
                self.read(value)
                self.bind(target, UNKNOWN, None)
            case ast.For() | ast.AsyncFor():
                self.loop(node)
            case ast.While(test=test, body=body, orelse=orelse):
                self.read(test)
                self.repeated(body)
                self.block(orelse)
            case ast.If(test=test, body=body, orelse=orelse):
                self.read(test)
                self.branches([body, orelse])
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    self.enter(item)
                self.block(body)
            case ast.Try() | ast.TryStar():
                self.attempt(node)
            case ast.Match(subject=subject, cases=cases):
                self.read(subject)
                for case in cases:
                    for name in _stored_names([case]):
                        self.bind_name(name, UNKNOWN)
                self.branches([case.body for case in cases] + [[]])
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for expression in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
                    self.read(expression)
                self.bind_name(node.name, UNKNOWN)
                self.waiting.append(node)
            case ast.ClassDef():
                self.class_body(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.read(child)
                    elif isinstance(child, ast.stmt):
                        self.statement(child)

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        kind = self.read(node.iter)
        self.require(kind, ("__aiter__",) if isinstance(node, ast.AsyncFor) else ("__iter__", "__getitem__"), node.iter)
        element = values.element(self.catalog, kind)

        def start() -> None:
            self.bind(node.target, element, node.iter)

        self.repeated(node.body, start)
        self.block(node.orelse)

    def repeated(self, body: list[ast.stmt], start: object = None) -> None:
        """A body that may run never or often: what it assigns is uncertain at its start."""
        before = dict(self.types)
        for name in _stored_names(body) & set(self.types):
            self.types[name] = UNKNOWN
            self.literals.pop(name, None)
        if callable(start):
            start()
        self.block(body)
        self.types = _merged([before, self.types])

    def branches(self, bodies: list[list[ast.stmt]]) -> None:
        before, ends = dict(self.types), []
        for body in bodies:
            self.types = dict(before)
            self.block(body)
            if not (body and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)):
                ends.append(self.types)
        self.types = _merged(ends) if ends else before

    def attempt(self, node: ast.Try | ast.TryStar) -> None:
        before = dict(self.types)
        catches = any(_catches_import(handler) for handler in node.handlers)
        self.guarded += catches
        self.block(node.body)
        self.guarded -= catches
        after = dict(self.types)
        self.block(node.orelse)
        ends = [self.types]
        for handler in node.handlers:
            self.types = _merged([before, after])
            if handler.type is not None:
                self.read(handler.type)
            if handler.name:
                self.bind_name(handler.name, UNKNOWN)
            self.block(handler.body)
            ends.append(self.types)
        self.types = _merged(ends)
        self.block(node.finalbody)

    def enter(self, item: ast.withitem) -> None:
        kind = self.read(item.context_expr)
        self.require(kind, ("__enter__", "__aenter__"), item.context_expr)
        if item.optional_vars is not None:
            self.bind(item.optional_vars, values.enter(self.catalog, kind), None)

    def class_body(self, node: ast.ClassDef) -> None:
        for expression in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.read(expression)
        outer = dict(self.types)
        self.block(node.body)
        self.types = outer
        self.bind_name(node.name, UNKNOWN)

    def functions(self, given: Environment) -> None:
        """Reads the bodies of the functions seen so far, in the scope as it is at its end."""
        waiting, self.waiting = self.waiting, []
        outer_types, outer_literals, outer_times = dict(self.types), dict(self.literals), dict(self.assigned_times)
        for node in waiting:
            uncertain = {name for name, times in outer_times.items() if times > 1} | self.shared
            self.types = {name: UNKNOWN if name in uncertain else kind for name, kind in outer_types.items()} | given
            self.literals = {name: value for name, value in outer_literals.items() if name not in uncertain}
            for name in _stored_names(node.body):
                self.types.pop(name, None)
                self.literals.pop(name, None)
            for argument in _arguments(node.args):
                self.types[argument.arg] = self.annotated(argument.annotation)
                self.literals.pop(argument.arg, None)
            for variadic in (node.args.vararg, node.args.kwarg):
                if variadic is not None:
                    self.types[variadic.arg] = UNKNOWN
            self.assigned_times = {}
            self.block(node.body)
            self.functions({})
        self.types, self.literals, self.assigned_times = outer_types, outer_literals, outer_times

    # Bindings

    def bind_name(self, name: str, kind: Type) -> None:
        self.types[name] = UNKNOWN if name in self.shared else kind
        self.assigned_times[name] = self.assigned_times.get(name, 0) + 1
        self.literals.pop(name, None)

    def bind(self, target: ast.expr, kind: Type, value: ast.expr | None) -> None:
        match target:
            case ast.Name(id=name):
                self.bind_name(name, kind)
                if value is not None and name not in self.shared and _is_literal(value):
                    self.literals[name] = (value,)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                inner = (
                    value.elts if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(parts) else None
                )
                starred = any(isinstance(part, ast.Starred) for part in parts)
                for number, part in enumerate(parts):
                    known = UNKNOWN if starred else values.index(self.catalog, kind, number)
                    self.bind(part, known, value if inner is None else inner[number])
            case ast.Starred(value=inside):
                self.bind(inside, UNKNOWN, value)
            case ast.Attribute(value=owner):
                self.read(owner)
            case _:
                self.read(target)

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

    # Expressions

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
                if name in self.literals:
                    self.reading.literals[node] = self.literals[name]
                return self.types.get(name, UNKNOWN)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Call():
                return self.call(node)
            case ast.Await(value=value):
                return values.awaited(self.read(value))
            case ast.NamedExpr(target=target, value=value):
                kind = self.read(value)
                self.bind(target, kind, value)
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
                outer, outer_literals = dict(self.types), dict(self.literals)
                for argument in _arguments(arguments):
                    self.bind_name(argument.arg, UNKNOWN)
                self.read(body)
                self.types, self.literals = outer, outer_literals
                return UNKNOWN
        self.children(node)
        return UNKNOWN

    def children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.read(child)
            elif isinstance(child, ast.keyword):
                self.read(child.value)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Type:
        outer, outer_literals = dict(self.types), dict(self.literals)
        for generator in node.generators:
            kind = self.read(generator.iter)
            self.require(kind, ("__iter__", "__getitem__", "__aiter__"), generator.iter)
            self.bind(generator.target, values.element(self.catalog, kind), generator.iter)
            for condition in generator.ifs:
                self.read(condition)
        if isinstance(node, ast.DictComp):
            result = Type("dict", (self.read(node.key), self.read(node.value)))
        else:
            name = {"ListComp": "list", "SetComp": "set"}.get(type(node).__name__, "Iterator")
            result = Type(name, (self.read(node.elt),))
        self.types, self.literals = outer, outer_literals
        return result

    def attribute(self, node: ast.Attribute) -> Type:
        kind = self.read(node.value)
        found = values.attribute(self.catalog, kind, node.attr)
        if found is None:
            if node.attr not in self.stored:
                self.reading.missing.append(nearest.missing_attribute(self.catalog, kind, node))
            return UNKNOWN
        owner, target = referred(kind), referred(found)
        api = self.catalog.get(target) if target else None
        through_class = owner is not None and owner not in self.catalog.modules
        is_plain_method = api is not None and api.kind == "method" and api.id not in self.catalog.on_class
        return UNKNOWN if through_class and is_plain_method else found

    def call(self, node: ast.Call) -> Type:
        kind = self.read(node.func)
        arguments = [self.read(argument) for argument in node.args]
        for keyword in node.keywords:
            self.read(keyword.value)
        target = referred(kind)
        api = self.catalog.get(target) if target else None
        if api is not None:
            self.reading.calls.append(PackageCall(api, ast.unparse(node.func), node))
            return values.call(self.catalog, kind)
        if isinstance(node.func, ast.Name) and node.func.id not in self.types:
            return self.builtin(node.func.id, arguments)
        return values.call(self.catalog, kind)

    def builtin(self, name: str, arguments: list[Type]) -> Type:
        """The result of a builtin, where it follows from its arguments."""
        if name in ("len", "str", "int", "float", "bool", "repr", "input"):
            return Type({"len": "int", "repr": "str", "input": "str"}.get(name, name))
        if not arguments:
            return UNKNOWN
        element = values.element(self.catalog, arguments[0])
        if name in ("list", "sorted", "reversed", "iter", "set", "tuple"):
            return Type("list" if name in ("list", "sorted") else "Iterator", (element,))
        if name == "enumerate":
            return Type("Iterator", (Type("tuple", (Type("int"), element)),))
        if name == "zip":
            return Type("Iterator", (Type("tuple", tuple(values.element(self.catalog, kind) for kind in arguments)),))
        if name == "next":
            return union([element, *arguments[1:]])
        return element if name in ("min", "max") and len(arguments) == 1 else UNKNOWN

    def subscript(self, node: ast.Subscript, kind: Type) -> Type:
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
        return values.index(self.catalog, kind, _position(node.slice))

    def require(self, kind: Type, names: tuple[str, ...], node: ast.expr) -> None:
        """Notes that an instance of the package's class has none of the special methods that its use needs."""
        if self.catalog.get(kind.name) is None:
            return
        if all(values.attribute(self.catalog, kind, name) is None for name in names):
            what = "a context manager" if "__enter__" in names else "something to loop over"
            shown = kind.name.rpartition(".")[2]
            self.reading.missing.append(
                f"line {node.lineno}: {ast.unparse(node)[:60]} gives {shown}, which is not {what}"
            )


def _merged(environments: list[Environment]) -> Environment:
    """The types after branches meet: a name's alternatives; unknown where one branch does not know."""
    names = {name for environment in environments for name in environment}
    return {
        name: union([environment[name] for environment in environments if name in environment])
        for name in sorted(names)
    }


def _stored_names(nodes: Iterable[ast.AST]) -> set[str]:
    found = set()
    for outer in nodes:
        for node in ast.walk(outer):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                found.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.MatchAs | ast.MatchStar | ast.ExceptHandler):
                found.update([node.name] if node.name else [])
            elif isinstance(node, ast.MatchMapping) and node.rest:
                found.add(node.rest)
            elif isinstance(node, ast.alias):
                found.add(node.asname or node.name.split(".")[0])
    return found


def _is_store(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store | ast.Del)


def _is_literal(node: ast.expr) -> bool:
    """Constants, and tuples, lists, sets and dicts of them."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(_is_literal(part) for part in node.elts)
    if isinstance(node, ast.Dict):
        return all(part is not None and _is_literal(part) for part in (*node.keys, *node.values))
    return isinstance(node, ast.Constant)


def _position(node: ast.expr) -> int | None:
    match node:
        case ast.Constant(value=int(position)):
            return position
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(position))):
            return -position
    return None


def _catches_import(handler: ast.ExceptHandler) -> bool:
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
