"""Faults in a program's values: each function yields, place by place, the edits that put one fault in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from random import Random

from kohai.judge.program import Edit, Program

_DATES = frozenset({"date", "datetime", "time"})
_NOT_CONTENT = frozenset({"print", "open", "strftime", "strptime", "join", "split", "replace", "isinstance", "getattr"})
_SMALL = 100  # larger numbers tend to be identifiers
_ISO_DATE = re.compile(r"(\d{4}-\d\d-)(\d\d)")
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def change_number(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """Another plausible number: one near by, the program's own among them; a date's parts stay a date's."""
    places = [
        (node, node.value)
        for node in program.nodes(ast.Constant)
        if isinstance(node.value, int | float) and not isinstance(node.value, bool)
        if not isinstance(program.parents[node], ast.Subscript | ast.Slice)
    ]
    for node, value in places:
        caller = program.caller_of(node)
        if caller is not None and program.name_of(caller.func).rpartition(".")[2] in _DATES:
            options = {value - 1 if value > 1 else value + 1}
        else:
            near = {value + 1} | ({value - 1} if value > 1 else set()) | ({value * 2} if value < _SMALL else set())
            options = near | {other for _, other in places if _is_near(value, other)}
        yield [(node, "value", rng.choice(sorted(options - {value})))]


def change_string(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """Another literal of the program that looks alike, or the same one altered; labels and formats are left alone."""
    places = [node for node in program.nodes(ast.Constant) if _is_content(program, node)]
    for node in places:
        text = str(node.value)
        alike = {str(other.value) for other in places if shape(str(other.value)) == shape(text)}
        yield [(node, "value", rng.choice([*sorted(alike - {text}), _altered(text)]))]


def change_enum(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """Another member of the same enum."""
    for node, field, name, members in members_used(program):
        others = [other for other in members if other != name]
        if others:
            yield [(node, field, rng.choice(others))]


def wrong_attribute(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """Another public attribute of a printed value's class, of the same type where there is one."""
    for node in program.nodes(ast.Attribute):
        parent = program.parents[node]
        if not program.is_printed(node) or (isinstance(parent, ast.Call) and parent.func is node):
            continue
        api = program.class_of(node.value)
        types = dict(member(text) for text in api.members) if api is not None else {}
        others = [name for name in types if name != node.attr and not name.startswith("_")]
        if node.attr in types and others:
            same = [name for name in others if types[name] == types[node.attr]]
            yield [(node, "attr", rng.choice(same or others))]


def negate_condition(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """The opposite condition of an if, an if-expression or a comprehension."""
    for node in program.nodes(ast.AST):
        if isinstance(node, ast.If | ast.IfExp) and "__name__" not in ast.dump(node.test):
            yield [(node, "test", _opposite(node.test))]
        elif isinstance(node, ast.comprehension):
            for index, test in enumerate(node.ifs):
                yield [(node, "ifs", [*node.ifs[:index], _opposite(test), *node.ifs[index + 1 :]])]


def members_used(program: Program) -> Iterator[tuple[ast.AST, str, str, list[str]]]:
    """Where an enum's member is named: the node and the field that hold its name, the name, all the enum's members."""
    places: list[tuple[ast.AST, str, ast.expr, object]] = [
        *((node, "attr", node.value, node.attr) for node in program.nodes(ast.Attribute)),
        *(
            (item.slice, "value", item.value, item.slice.value)
            for item in program.nodes(ast.Subscript)
            if isinstance(item.slice, ast.Constant)
        ),
    ]
    for node, field, owner, name in places:
        enum = program.enum_of(owner)
        members = [member(text)[0] for text in enum.members] if enum is not None else []
        if isinstance(name, str) and name in members:
            yield node, field, name, members


def member(text: str) -> tuple[str, str]:
    """(name, type) of an api's `members` entry."""
    name, _, kind = text.partition(":")
    return name.partition("=")[0].strip(), kind.strip()


def _is_content(program: Program, node: ast.Constant) -> bool:
    """True for text that the program works with: an argument, a compared or an assigned value."""
    parent = program.parents[node]
    if (
        not isinstance(node.value, str)
        or not node.value
        or node.value == "__main__"
        or isinstance(parent, ast.JoinedStr)
    ):
        return False
    if isinstance(parent, ast.Dict) and node in parent.keys:
        return False
    caller = program.caller_of(node)
    if caller is not None:
        return program.name_of(caller.func).rpartition(".")[2] not in _NOT_CONTENT
    return isinstance(parent, ast.Compare | ast.Assign)


def _is_near(value: int | float, other: int | float) -> bool:
    """True for a number of the same type and order of magnitude."""
    return type(other) is type(value) and value / 4 <= other <= value * 4


def shape(text: str) -> str:
    """`SKU-104` and `SKU-27` have the same one, as have any two words."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d]+", "a", text))


def _altered(text: str) -> str:
    date = _ISO_DATE.fullmatch(text)
    if date:
        day = int(date[2])
        return f"{date[1]}{day - 1 if day > 1 else 2:02d}"
    numbers = list(re.finditer(r"\d+", text))
    if numbers:
        last = numbers[-1]
        number = str(int(last[0]) + 1).zfill(len(last[0]))
        return text[: last.start()] + number + text[last.end() :]
    first, _, rest = text.partition(" ")
    return rest if rest.strip() else first[:-1] if first.endswith("s") and len(first) > 1 else first + "s"


def _opposite(test: ast.expr) -> ast.expr:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Compare(left=left, ops=[operator], comparators=comparators):
            return ast.Compare(left, [_OPPOSITES[type(operator)]()], comparators)
    return ast.UnaryOp(ast.Not(), test)
