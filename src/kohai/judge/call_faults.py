"""Faults in a program's calls and names: each function yields, place by place, the edits that put one fault in.

Most of them make the program raise, or hide that it would: what a judge must see without running anything.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Collection, Iterator
from random import Random

from kohai.catalog.render import variable
from kohai.code import import_names
from kohai.judge.program import Edit, Program, called
from kohai.judge.step_faults import calling, targets, without
from kohai.judge.value_faults import member, members_used
from kohai.records import Api, Parameter
from kohai.verify.arguments import Bound, bind
from kohai.verify.reading import PackageCall

Span = tuple[ast.AST, str, list[ast.stmt], list[ast.stmt], list[ast.stmt]]
_LIKELY_KEYWORDS = {"dry_run": False, "force": True, "limit": 10, "strict": True, "verbose": True}
_LIKELY_MEMBERS = ("DEFAULT", "NONE", "OTHER", "UNKNOWN")
_NUMBERS = frozenset({"int", "float"})
_TIED = (ast.Break, ast.Continue, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Nonlocal)  # to where they stand


def misspell_api(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """An api's name that the package lacks, in the call and, where it is imported by name, in its import."""
    seen = set()
    for call, api in known_calls(program):
        names = _names_like(program, api)
        if isinstance(call.func, ast.Attribute) and names:
            yield [(call.func, "attr", rng.choice(names))]
        elif isinstance(call.func, ast.Name) and names and call.func.id not in seen:
            seen.add(call.func.id)
            aliases = [alias for statement in program.nodes(ast.ImportFrom) for alias in statement.names]
            imported = [alias for alias in aliases if (alias.asname or alias.name) == call.func.id]
            uses = [node for node in program.nodes(ast.Name) if node.id == call.func.id]
            if len(imported) == 1:
                name = rng.choice(names)
                yield [(imported[0], "name", name), *((node, "id", name) for node in uses if not imported[0].asname)]


def foreign_api(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """Another api of the same module or class, which does not take these arguments."""
    for call, api in known_calls(program):
        others = [
            other
            for other in program.catalog.apis
            if other.kind == api.kind and _home(other) == _home(api) and bound(call, other).problems
        ]
        options = [edits for other in others if (edits := calling(program, call, other))]
        if options:
            yield rng.choice(options)


def invent_attribute(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """An attribute of a value that its class lacks."""
    for node in program.nodes(ast.Attribute):
        api = program.class_of(node.value)
        if api is None or api.id in program.catalog.open:
            continue
        names = _made_up(node.attr, variable(api.id), _all_names(program))
        if names and node.attr in [member(text)[0] for text in api.members]:
            yield [(node, "attr", rng.choice(names))]


def invent_member(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """A member that the enum lacks: another enum's, or a likely one."""
    enums = [api for api in program.catalog.apis if api.kind == "enum"]
    others = {member(text)[0] for api in enums for text in api.members} | set(_LIKELY_MEMBERS)
    for node, field, _, members in members_used(program):
        yield [(node, field, rng.choice(sorted(others - set(members))))]


def misspell_keyword(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """A keyword that the signature lacks: misspelt, or one that another api of the same place has."""
    for call, api in known_calls(program):
        if any(parameter.kind == "var_keyword" for parameter in api.parameters):
            continue
        own = {parameter.name for parameter in api.parameters}
        near = {p.name for other in program.catalog.apis if _home(other) == _home(api) for p in other.parameters}
        for given in call.keywords:
            if given.arg in own:
                names = [*_made_up(given.arg, variable(_home(api)), own), *sorted(near - own)]
                yield [(given, "arg", rng.choice(names))]


def missing_keyword(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A call without one of the keywords that it must give."""
    for call, api in known_calls(program):
        required = {parameter.name for parameter in api.parameters if parameter.is_required}
        for given in call.keywords:
            if given.arg in required:
                yield [(call, "keywords", [other for other in call.keywords if other is not given])]


def missing_positional(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A call without its last positional argument, which it must give."""
    for call, api in known_calls(program):
        if any(parameter.is_required and call.args[-1:] == [value] for parameter, value in bound(call, api).pairs):
            yield [(call, "args", call.args[:-1])]


def extra_keyword(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """A keyword more, which the signature lacks."""
    for call, api in known_calls(program):
        if not any(parameter.kind == "var_keyword" for parameter in api.parameters):
            names = sorted(set(_LIKELY_KEYWORDS) - {parameter.name for parameter in api.parameters})
            name = rng.choice(names)
            added = ast.keyword(name, ast.Constant(_LIKELY_KEYWORDS[name]))
            yield [(call, "keywords", [*call.keywords, added])]


def wrong_type(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """An argument of another type than declared: a number or an enum's member as text, a text in a list."""
    for call, api in known_calls(program):
        for parameter, value in bound(call, api).pairs:
            other = _mistyped(program, parameter, value)
            if other is not None:
                holder = [given for given in call.keywords if given.value is value]
                args: list[ast.expr] = [other if argument is value else argument for argument in call.args]
                yield [(holder[0], "value", other) if holder else (call, "args", args)]


def lost_import(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """Without the import of one name that the program uses."""
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                continue
            for alias, (name, _) in zip(statement.names, import_names(statement), strict=True):
                rest = [other for other in statement.names if other is not alias]
                if program.n_uses[name] and rest:
                    yield [(statement, "names", rest)]
                elif program.n_uses[name]:
                    yield from without(program, node, field, block, index)


def unbound_name(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """One use of a variable by a name that nobody binds."""
    names = program.nodes(ast.Name)
    taken = {node.id for node in names} | set(dir(builtins))
    variables = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    for node in names:
        if isinstance(node.ctx, ast.Load) and node.id in variables:
            likely = (f"{node.id}s", f"{node.id}_id", f"new_{node.id}", "result")
            yield [(node, "id", rng.choice([name for name in likely if name not in taken] or [f"{node.id}_1"]))]


def swallowed_exception(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """A misspelt call, and what needs its result, in a `try` that hides the error."""
    for node, field, before, step, after in _steps(program):
        call = called(step[0])
        api = program.api_of(call) if call is not None else None
        names = _names_like(program, api) if api is not None else []
        if call is not None and names:
            handler = ast.ExceptHandler(ast.Name("Exception"), None, [ast.Pass()])
            hidden = ast.Try(step, [handler], [], [])
            place = "attr" if isinstance(call.func, ast.Attribute) else "id"
            yield [(call.func, place, rng.choice(names)), (node, field, [*before, hidden, *after])]


def never_reached(program: Program, rng: Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A step, and what needs its result, under `if False`."""
    for node, field, before, step, after in _steps(program):
        yield [(node, field, [*before, ast.If(ast.Constant(False), step, []), *after])]


def uncalled_function(program: Program, rng: Random) -> Iterator[list[Edit]]:
    """A step, and what needs its result, in a function that nobody calls."""
    taken = {node.id for node in program.nodes(ast.Name)}
    for node, field, before, step, after in _steps(program):
        if not any(isinstance(part, _TIED) for statement in step for part in ast.walk(statement)):
            name = rng.choice([name for name in ("finish", "process", "run_step") if name not in taken] or ["step_1"])
            [function] = ast.parse(f"def {name}(): pass").body
            assert isinstance(function, ast.FunctionDef)
            function.body = step
            yield [(node, field, [*before, function, *after])]


def known_calls(program: Program) -> Iterator[tuple[ast.Call, Api]]:
    """The calls of apis whose parameters are all known, with the api."""
    for call in program.nodes(ast.Call):
        api = program.api_of(call)
        if api is not None and f"{api.id}()" not in program.catalog.open:
            yield call, api


def bound(call: ast.Call, api: Api) -> Bound:
    """How a call's arguments would bind to an api's parameters."""
    return bind(PackageCall(api, api.id, call))


def _home(api: Api) -> str:
    return api.id.rpartition(".")[0]


def _all_names(program: Program) -> set[str]:
    """The name of everything that the package has."""
    return {name for names in program.catalog.children.values() for name in names}


def _names_like(program: Program, api: Api) -> list[str]:
    """Names near an api's that the package lacks; none where not all names of its module or class are known."""
    if _home(api) in program.catalog.open:
        return []
    return _made_up(api.id.rpartition(".")[2], variable(_home(api)), _all_names(program))


def _made_up(name: str, noun: str, known: Collection[str]) -> list[str]:
    """What a model could take a name for: longer, shorter, misspelt, or spelt as another language would."""
    noun, middle = noun.removesuffix("s"), len(name) // 2
    options = {
        name.removesuffix("s") if name.endswith("s") else f"{name}s",
        f"{name}_{noun}",
        f"{noun}_{name}",
        f"get_{name}",
        name.partition("_")[0],
        re.sub(r"_(\w)", lambda match: match[1].upper(), name),
        name[:middle] + name[middle + 1 :],
        name[: middle + 1] + name[middle:],
    }
    return sorted(
        option for option in options if option.isidentifier() and not keyword.iskeyword(option) and option not in known
    )


def _mistyped(program: Program, parameter: Parameter, value: ast.expr) -> ast.expr | None:
    """A value that a parameter does not take, made from the one it gets; None where its types are not plain."""
    kinds = {kind.strip() for kind in parameter.annotation.split("|")} - {"None"}
    match value:
        case ast.Constant(value=int() | float() as number) if kinds and kinds <= _NUMBERS:
            return ast.Constant(str(number))
        case ast.Constant(value=str()) if kinds == {"str"}:
            return ast.List([value])
        case ast.Name() | ast.Attribute() if kinds and kinds <= _NUMBERS:
            return ast.Call(ast.Name("str"), [value], [])
        case ast.Attribute(value=owner, attr=name) if (enum := program.enum_of(owner)) and kinds == {enum.id}:
            return ast.Constant(name.lower())
    return None


def _steps(program: Program) -> Iterator[Span]:
    """Every call that is a statement: its block's holder and field, what comes before, the step, what comes after.

    A step whose result is needed takes the rest of its block with it.
    """
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            if called(statement) is not None:
                is_needed = any(program.n_uses[name] for name in targets(statement))
                end = len(block) if is_needed else index + 1
                yield node, field, block[:index], block[index:end], block[end:]
