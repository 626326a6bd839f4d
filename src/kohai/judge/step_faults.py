"""Faults in a program's steps: each function yields, place by place, the edits that put one fault in."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from random import Random

from kohai.judge.program import Edit, Program, called, is_print
from kohai.judge.value_faults import shape
from kohai.records import Api, Parameter

# What may be called twice with the effect of once.
_REPEATABLE = frozenset(
    {"close", "count", "find", "get", "has", "is", "list", "load", "open", "read", "search", "set", "show"}
)
_SHOWING = frozenset({"len", "list", "max", "min", "repr", "round", "sorted", "str", "sum"})
_POSITIONAL = ("positional_only", "positional_or_keyword")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ENDS = (ast.Break, ast.Return, ast.Raise)


def swap_arguments(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """The values of two arguments of a call of one type (declared, or literals'); alike ones where there are some."""
    for call in program.nodes(ast.Call):
        if is_print(call) or any(isinstance(argument, ast.Starred) for argument in call.args):
            continue
        values = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg)]
        types = _argument_types(call, program.api_of(call))
        pairs = [
            (first, second)
            for first, second in itertools.combinations(values, 2)
            if types[first] and types[first] == types[second] and ast.dump(first) != ast.dump(second)
        ]
        if pairs:
            first, second = rng.choice([pair for pair in pairs if _look_alike(*pair)] or pairs)
            other = {first: second, second: first}
            yield [
                (call, "args", [other.get(value, value) for value in call.args]),
                *((k, "value", other[k.value]) for k in call.keywords if k.value in other),
            ]


def sister_api(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """Another api of the same module or class that takes the same arguments and, where the result is used, gives it."""
    for call in program.nodes(ast.Call):
        api = program.api_of(call)
        if api is None or api.kind not in ("function", "method"):
            continue
        is_unused = isinstance(program.parents[call], ast.Expr)
        sisters = [
            other
            for other in program.catalog.apis
            if _is_sister(api, other) and _takes(other, call) and (is_unused or other.returns == api.returns)
        ]
        options = [edits for other in sisters if (edits := calling(program, call, other))]
        if options:
            yield rng.choice(options)


def drop_step(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """Without one call whose result nothing needs."""
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            call = called(statement)
            if call is None or is_print(call) or _verb(call) == "close":
                continue
            if isinstance(statement, ast.Expr) or not any(program.n_uses[name] for name in targets(statement)):
                yield from without(program, node, field, block, index)


def duplicate_step(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """One call made twice, where its result is not kept: such a call is made for what it does.

    Not where it gives an enum's member: to set a state twice is to set it once.
    """
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            call = called(statement)
            is_step = isinstance(statement, ast.Expr) and call is not None and not is_print(call)
            if is_step and call is not None and _verb(call) not in _REPEATABLE and not _sets_state(program, call):
                yield [(node, field, [*block[: index + 1], *block[index:]])]


def drop_output(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """Without one print."""
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            call = called(statement)
            if call is not None and is_print(call):
                yield from without(program, node, field, block, index)


def wrong_output(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """Another variable printed; of an attribute's owner, another of its class."""
    for node in program.nodes(ast.Name):
        parent = program.parents[node]
        owned = program.class_of(node) if isinstance(parent, ast.Attribute) else None
        shown = parent if owned is not None else node
        caller = program.caller_of(shown)
        while caller is not None and isinstance(caller.func, ast.Name) and caller.func.id in _SHOWING:
            caller = program.caller_of(caller)
        if caller is None or not is_print(caller):
            continue
        others = [name for name in program.variables_before(node) if name != node.id]
        if owned is not None:
            others = [name for name in others if program.class_of(ast.Name(name)) == owned]
        if others:
            yield [(node, "id", rng.choice(others))]


def wrong_order(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """Two neighbouring statements swapped: the second needs the first, or both print, or both work on one literal."""
    for node, field, block in program.blocks():
        for index, (first, second) in enumerate(itertools.pairwise(block)):
            if _is_ordered(first, second):
                yield [(node, field, [*block[:index], second, first, *block[index + 2 :]])]


def early_stop(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """The program, or the function, ends before the last step of a block."""
    for node, field, block in program.blocks():
        *others, last = block
        if not isinstance(last, _DEFINITIONS) and any(isinstance(part, ast.Call) for part in ast.walk(last)):
            in_module = program.scope_of(last) is program.tree
            stop = ast.Raise(ast.Name("SystemExit")) if in_module else ast.Return()
            yield [(node, field, [*others, stop, last])]


def first_round_only(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A loop that ends after its first round."""
    for loop in program.nodes(ast.For):
        if not isinstance(loop.body[-1], _ENDS):
            yield [(loop, "body", [*loop.body, ast.Break()])]


def _argument_types(call: ast.Call, api: Api | None) -> dict[ast.expr, str]:
    """Each argument's type: as its parameter declares it, or of its literal; "" where neither is known."""
    parameters = api.parameters if api is not None else ()
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    named = {parameter.name: parameter for parameter in parameters}
    types = {}
    for index, value in enumerate(call.args):
        types[value] = _type(positional[index] if index < len(positional) else None, value)
    for keyword in call.keywords:
        types[keyword.value] = _type(named.get(keyword.arg or ""), keyword.value)
    return types


def _type(parameter: Parameter | None, value: ast.expr) -> str:
    if parameter is not None and parameter.annotation:
        return parameter.annotation
    return type(value.value).__name__ if isinstance(value, ast.Constant) else ""


def _look_alike(first: ast.expr, second: ast.expr) -> bool:
    """True for two strings of one shape, and for whatever is no pair of literals."""
    if not (isinstance(first, ast.Constant) and isinstance(second, ast.Constant)):
        return True
    return isinstance(first.value, str) and shape(str(first.value)) == shape(str(second.value))


def _is_sister(api: Api, other: Api) -> bool:
    """True for another api of the same module or class with the same required parameters."""
    same_place = api.id.rpartition(".")[0] == other.id.rpartition(".")[0]
    required = [[p.name for p in one.parameters if p.is_required] for one in (api, other)]
    return api.id != other.id and api.kind == other.kind and same_place and required[0] == required[1]


def _takes(api: Api, call: ast.Call) -> bool:
    """True where the call's arguments fit the api's signature, as far as names and numbers go."""
    kinds = {parameter.kind for parameter in api.parameters}
    names = {parameter.name for parameter in api.parameters}
    n_positional = sum(parameter.kind in _POSITIONAL for parameter in api.parameters)
    fits = len(call.args) <= n_positional or "var_positional" in kinds
    return fits and all(keyword.arg in names or "var_keyword" in kinds for keyword in call.keywords)


def calling(program: Program, call: ast.Call, api: Api) -> list[Edit]:
    """The edits that make a call call another api, importing it where needed; none where it cannot be reached."""
    name = api.id.rpartition(".")[2]
    func = call.func
    if isinstance(func, ast.Attribute):
        reached = program.catalog.resolve_call(f"{program.name_of(func.value)}.{name}")
        return [(func, "attr", name)] if reached == api else []
    if not isinstance(func, ast.Name):
        return []
    origin = program.names.get(func.id, "").rpartition(".")[0]
    if program.names.get(name) == f"{origin}.{name}":
        return [(func, "id", name)]
    for statement in program.nodes(ast.ImportFrom):
        bound = [alias.asname or alias.name for alias in statement.names]
        if func.id in bound and name not in program.names and program.catalog.resolve_call(f"{origin}.{name}") == api:
            kept = [
                alias
                for alias, one in zip(statement.names, bound, strict=True)
                if one != func.id or program.n_uses[func.id] > 1
            ]
            return [(func, "id", name), (statement, "names", [*kept, ast.alias(name)])]
    return []


def _is_ordered(first: ast.stmt, second: ast.stmt) -> bool:
    """True where it matters, as far as names, prints and literals tell, which of two statements comes first."""
    needed = {node.id for node in ast.walk(second) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if needed & set(targets(first)):
        return True
    one, other = called(first), called(second)
    if one is None or other is None or not (isinstance(first, ast.Expr) and isinstance(second, ast.Expr)):
        return False
    if is_print(one) or is_print(other):
        return is_print(one) and is_print(other)
    return bool(_literals(one) & _literals(other))


def _literals(call: ast.Call) -> set[str]:
    return {ast.dump(node) for node in ast.walk(call) if isinstance(node, ast.Constant)}


def _sets_state(program: Program, call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(isinstance(value, ast.Attribute) and program.enum_of(value.value) is not None for value in values)


def without(program: Program, node: ast.AST, field: str, block: list[ast.stmt], index: int) -> Iterator[list[Edit]]:
    """The edit that takes one statement out of its block; none where that would leave an empty program."""
    rest = [*block[:index], *block[index + 1 :]]
    if rest or field != "body":
        yield [(node, field, rest)]
    elif node is not program.tree:
        yield [(node, field, [ast.Pass()])]


def _verb(call: ast.Call) -> str:
    name = (
        call.func.attr
        if isinstance(call.func, ast.Attribute)
        else call.func.id
        if isinstance(call.func, ast.Name)
        else ""
    )
    return name.partition("_")[0]


def targets(statement: ast.stmt) -> list[str]:
    """Names that a statement binds."""
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
