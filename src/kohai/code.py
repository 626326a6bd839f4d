"""A model's reply, as code: the block cut out of the text, its syntax tree, and the calls it makes.

Pure and static: nothing is imported or executed. Leaves out types: `calls` follows names, not values; what a dotted
name means in a package is the catalog's business.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

UNKNOWN = "?"  # the dotted name of a value that comes from nowhere we can follow
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_PYTHON = frozenset({"python", "python3", "py", "py3"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call in a program.

    `name` is dotted, imports and aliases resolved: `stockroom.items.enroll`. A method of a variable that a call gave
    (by assignment or `with ... as`) is `stockroom.orders.draft().line`; one of the elements that a loop takes from a
    result is `stockroom.items.search()[].rename`, of an unpacked or indexed one `stockroom.items.pair()[0].rename`.
    `?` stands for a value that is not known.
    """

    name: str
    args: tuple[ast.expr, ...]
    keywords: dict[str, ast.expr]  # `**mapping` is under "**"
    line: int
    target: str | None = None  # the name that the result is bound to


def extract_code(text: str) -> str:
    """The code of a reply: its first python block, else its first block of any kind (unclosed too), else all of it."""
    blocks = list(_blocks(text.replace("\r\n", "\n")))
    python = [code for language, code in blocks if language in _PYTHON]
    plain = [code for language, code in blocks if code.strip()]
    chosen = python[0] if python else plain[0] if plain else _FENCE.sub("", text)
    return textwrap.dedent(chosen.strip("\n")).strip()


def parse(code: str) -> ast.Module | None:
    """The syntax tree, or None where the code is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def strip_noise(code: str) -> str:
    """The code without comments, docstrings and unused strings; of what does not parse, without comments."""
    tree = parse(code)
    if tree is None:
        return _without_comments(code)
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                kept = [statement for statement in body if not _is_unused_text(statement)]
                needs_pass = not kept and body and not isinstance(node, ast.Module)
                setattr(node, field, [ast.Pass()] if needs_pass else kept)
    return ast.unparse(ast.fix_missing_locations(tree))


def calls(tree: ast.AST) -> list[Call]:
    """All calls, in the order in which they are evaluated when the program runs from top to bottom."""
    reader = _Reader()
    reader.visit(tree)
    return reader.calls


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """The dotted name of an expression (see `Call`), given what the program's names stand for."""
    match node:
        case ast.Name(id=name):
            return names.get(name, name)
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value, names)}.{attr}"
        case ast.Call(func=func):
            return f"{dotted(func, names)}()"
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return dotted(value, names)
        case ast.Subscript(value=value, slice=ast.Constant(value=int(index))):
            return f"{dotted(value, names)}[{index}]"
        case ast.Subscript(value=value):
            return f"{dotted(value, names)}[.]"
    return UNKNOWN


def import_names(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with its dotted origin; `from x import *` binds `*`."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        else:
            origin = "." * node.level + (node.module or "")
            yield alias.asname or alias.name, f"{origin}.{alias.name}"


class _Reader(ast.NodeVisitor):
    """Walks in evaluation order and keeps what each name stands for; functions are read where they are defined."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.calls: list[Call] = []
        self.targets: dict[ast.expr, str] = {}

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.names.update(import_names(node))

    visit_ImportFrom = visit_Import  # noqa: N815 - ast's name

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        keywords = {keyword.arg or "**": keyword.value for keyword in node.keywords}
        name = dotted(node.func, self.names)
        self.calls.append(Call(name, tuple(node.args), keywords, node.lineno, self.targets.get(node)))

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign([node.target], node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._assign([node.target], node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self._bind(node.target, UNKNOWN)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._bind(node.target, dotted(node.iter, self.names) + "[]")
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    visit_AsyncFor = visit_For  # noqa: N815 - ast's name

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is None:
            self.visit(node.context_expr)
        else:
            self._assign([node.optional_vars], node.context_expr)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.names[node.name] = UNKNOWN
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        if not isinstance(node, ast.Lambda):
            self.names[node.name] = node.name
            for decorator in node.decorator_list:
                self.visit(decorator)
        outer = dict(self.names)
        arguments = node.args
        self.visit(arguments)
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            known = isinstance(argument.annotation, ast.Name | ast.Attribute)
            name = dotted(argument.annotation, outer) + "()" if known and argument.annotation else UNKNOWN
            self.names[argument.arg] = name
        for variadic in (arguments.vararg, arguments.kwarg):
            if variadic is not None:
                self.names[variadic.arg] = UNKNOWN
        for statement in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(statement)
        self.names = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name
    visit_Lambda = visit_FunctionDef  # noqa: N815 - ast's name

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names[node.name] = node.name
        outer = dict(self.names)
        self.generic_visit(node)
        self.names = outer

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        outer = dict(self.names)
        for generator in node.generators:
            self.visit(generator.iter)
            self._bind(generator.target, dotted(generator.iter, self.names) + "[]")
            for condition in generator.ifs:
                self.visit(condition)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(part)
        self.names = outer

    visit_SetComp = visit_ListComp  # noqa: N815 - ast's name
    visit_GeneratorExp = visit_ListComp  # noqa: N815 - ast's name
    visit_DictComp = visit_ListComp  # noqa: N815 - ast's name

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        source = value.value if isinstance(value, ast.Await) else value
        if len(targets) == 1 and isinstance(targets[0], ast.Name):
            self.targets[source] = targets[0].id
        self.visit(value)
        for target in targets:
            if (
                isinstance(target, ast.Tuple | ast.List)
                and isinstance(value, ast.Tuple | ast.List)
                and len(target.elts) == len(value.elts)
            ):
                names = [dotted(part, self.names) for part in value.elts]
                for part, name in zip(target.elts, names, strict=True):
                    self._bind(part, name)
            else:
                self._bind(target, dotted(value, self.names))

    def _bind(self, target: ast.expr, name: str) -> None:
        match target:
            case ast.Name(id=variable):
                self.names[variable] = UNKNOWN if name.startswith(UNKNOWN) else name
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                starred = any(isinstance(part, ast.Starred) for part in parts)
                for index, part in enumerate(parts):
                    self._bind(part, UNKNOWN if starred else f"{name}[{index}]")
            case ast.Starred(value=value):
                self._bind(value, UNKNOWN)
            case _:
                self.visit(target)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a text, (language, content); the last one may be unclosed."""
    opened: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        if opened is None:
            opened = mark
        elif mark[1].startswith(opened[1]) and not mark[2]:
            yield opened[2].lower(), text[opened.end() : mark.start()]
            opened = None
    if opened is not None:
        yield opened[2].lower(), text[opened.end() :]


def _is_unused_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _without_comments(code: str) -> str:
    """Cuts comments as far as the tokenizer comes; blank lines that are left are dropped."""
    lines = code.splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError):
        pass  # the rest stays as it is
    return "\n".join(line.rstrip() for line in lines if line.strip())
