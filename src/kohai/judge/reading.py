"""A program as a judge reads it: what does nothing is cut, and what could speak to the judge says only how long it is.

Cut, beside comments, docstrings and unused texts: values and definitions that nothing reads, branches that never run,
assertions of constants. A long text becomes its number of words and whether the instruction holds it; a long name of
the program's own becomes `name_1`. So an order to the judge changes nothing, or no more than that a text is printed.
Not covered: texts of eight words or less in use, programs that do not parse. Values are left alone in a program that
looks names up as text.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kohai.code import parse, strip_noise

MAX_WORDS = 8
MAX_LENGTH = 80  # characters
MAX_NAME_WORDS = 3
_WIDE = "\u2e80-\u9fff\uac00-\ud7af"  # scripts without spaces: each sign counts as a word
_WORD = re.compile(rf"[{_WIDE}]|[^\W_{_WIDE}]+")
_NAME_WORD = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+")
_LOOKS_UP = frozenset({"eval", "exec", "globals", "locals", "vars", "__dict__"})
_HOLDERS = (ast.stmt, ast.ExceptHandler, ast.match_case, ast.Module)
_BLOCKS = ("body", "orelse", "finalbody")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a judge reads; `texts` are the long texts that it does not hold, each with what stands in its place."""

    code: str
    texts: tuple[tuple[str, str], ...] = ()

    def hide(self, text: str) -> str:
        """Another text (what the program printed) with the same texts replaced."""
        for long, short in self.texts:
            text = text.replace(long, short)
        return text


def read(code: str, instruction: str) -> Reading:
    """The program as judges read it; one that does not parse is only stripped of comments."""
    tree = parse(code)
    if tree is None:
        return Reading(strip_noise(code))
    nodes = _cut_unused(tree)
    texts = _cut_texts(nodes, " ".join(instruction.split()))
    rename(nodes, [name for name in own_names(nodes) if len(_NAME_WORD.findall(name)) > MAX_NAME_WORDS])
    try:
        return Reading(ast.unparse(tree), tuple(texts))
    except ValueError:  # an f-string that this Python cannot write
        return Reading(strip_noise(code))


def own_names(nodes: Iterable[ast.AST]) -> list[str]:
    """Names that a program itself gives: variables, functions, classes, parameters, imports under another name."""
    names: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                names[node.id] = None
        elif isinstance(node, ast.arg):
            names[node.arg] = None
        elif isinstance(node, ast.alias) and node.asname:
            names[node.asname] = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            names[node.name] = None
    return list(names)


def rename(nodes: Sequence[ast.AST], names: Sequence[str]) -> None:
    """Gives names of the program's own new ones, `name_1`, `name_2`, that it does not use."""
    if not names:
        return
    taken = {found for node in nodes for found in _name_fields(node).values()}
    fresh = (name for number in range(1, len(taken) + len(names) + 1) if (name := f"name_{number}") not in taken)
    new_names = dict(zip(names, fresh, strict=False))
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [new_names.get(name, name) for name in node.names]
        for field, name in _name_fields(node).items():
            if name in new_names and not isinstance(node, ast.keyword):
                setattr(node, field, new_names[name])


def _name_fields(node: ast.AST) -> dict[str, str]:
    found = {field: getattr(node, field, None) for field in ("id", "name", "arg", "asname")}
    if isinstance(node, ast.alias):
        del found["name"]  # what is imported keeps its name
    return {field: name for field, name in found.items() if isinstance(name, str)}


def _cut_unused(tree: ast.Module) -> list[ast.AST]:
    """Takes statements without an effect out, until none is left (one may be all that used another); what is left.

    Of a program that looks names up as text only texts that stand alone are taken.
    """
    while True:
        nodes = list(ast.walk(tree))
        used: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                used.add(node.id)
            elif isinstance(node, ast.Global | ast.Nonlocal):
                used.update(node.names)
            elif isinstance(node, ast.Attribute) and node.attr in _LOOKS_UP:
                used.add(node.attr)
        is_whole = True
        for node in nodes:
            for field in _BLOCKS if isinstance(node, _HOLDERS) else ():
                block = getattr(node, field, None)
                if block:
                    kept = [kept for statement in block for kept in _kept(statement, used)]
                    if len(kept) != len(block) or any(map(operator.is_not, kept, block)):
                        is_whole = False
                        needs_pass = not kept and field == "body" and not isinstance(node, ast.Module)
                        setattr(node, field, [ast.Pass()] if needs_pass else kept)
        if is_whole:
            return nodes


def _kept(statement: ast.stmt, used: set[str]) -> list[ast.stmt]:
    """What is left of a statement, given the names that are read."""
    if _LOOKS_UP & used:
        return [] if isinstance(statement, ast.Expr) and _is_plain(statement.value) else [statement]
    match statement:
        case ast.If(test=ast.Constant(value=value)) | ast.While(test=ast.Constant(value=value)) if not value:
            return statement.orelse
        case ast.Assert(test=ast.Constant(value=value)) if value:
            return []
    return [] if _is_unused(statement, used) else [statement]


def _is_unused(statement: ast.stmt, used: set[str]) -> bool:
    match statement:
        case ast.Pass():
            return False
        case ast.Expr(value=value):
            return _is_plain(value)
        case ast.Assign(targets=targets, value=value):
            return _is_plain(value) and all(isinstance(t, ast.Name) and t.id not in used for t in targets)
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            return name not in used and (value is None or _is_plain(value))
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
            return statement.name not in used and not statement.decorator_list and all(map(_is_plain, defaults))
        case ast.ClassDef(name=name, bases=[], keywords=[], decorator_list=[], body=body):
            return name not in used and all(isinstance(s, ast.Pass) or _is_unused(s, set()) for s in body)
    return False


def _is_plain(value: ast.expr) -> bool:
    """True for what is made of constants alone: to make it does nothing and cannot fail."""
    match value:
        case ast.Constant():
            return True
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.JoinedStr(values=parts):
            return all(map(_is_plain, parts))
        case ast.Dict(keys=keys, values=values):
            return all(isinstance(key, ast.Constant) for key in keys) and all(map(_is_plain, values))
        case ast.FormattedValue(value=part, format_spec=None):
            return _is_plain(part)
    return False


def _cut_texts(nodes: Iterable[ast.AST], instruction: str) -> list[tuple[str, str]]:
    """Puts their length in place of long texts; each with what stands for it, longest first."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
            texts = [part for part in parts if isinstance(part, ast.Constant)]
            if _is_long(" ".join(str(text.value) for text in texts)):
                for text in texts:
                    if _is_long(_as_text(text.value)):
                        found |= _shorten(text, instruction)
                    else:
                        text.value = " ... "
        elif isinstance(node, ast.Constant) and _is_long(_as_text(node.value)):
            found |= _shorten(node, instruction)
    return sorted(found.items(), key=lambda pair: -len(pair[0]))


def _shorten(node: ast.Constant, instruction: str) -> dict[str, str]:
    """Changes a text's node; the text that was there with the one that is."""
    text = _as_text(node.value)
    source = "of the instruction" if " ".join(text.split()) in instruction else "not of the instruction"
    short = f"({len(_WORD.findall(text))} words, {len(text)} characters, {source})"
    node.value = short.encode() if isinstance(node.value, bytes) else short
    return {text: short}


def _is_long(text: str) -> bool:
    return len(text) > MAX_LENGTH or len(_WORD.findall(text)) > MAX_WORDS


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else value.decode("latin-1") if isinstance(value, bytes) else ""
