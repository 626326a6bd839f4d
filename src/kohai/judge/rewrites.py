"""Rewrites: programs that do what a given one does, to see whether a judge goes by what a program does.

Each holds one change. Left alone is what could tell: programs that look names up as text, calls whose signature is not
surely known, bodies of classes. Not covered: a program that reads its own source or the lines of its tracebacks, a
subclass that names a method's parameters otherwise, a package that tells two ways of importing it apart.
"""

from __future__ import annotations

import ast
import builtins
import io
import random
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kohai.code import import_names, parse
from kohai.judge.call_faults import bound, known_calls
from kohai.judge.mutants import Operator, applied, mixed
from kohai.judge.program import Edit, Program, called, is_print

if TYPE_CHECKING:
    from kohai.catalog import Catalog

Layout = Callable[[str, ast.Module, random.Random], str]
_COMMENTS = ("First this.", "Next step.", "Now the rest.", "See the documentation.", "TODO: tidy up")
_LOOKS_UP = frozenset({"dir", "eval", "exec", "globals", "locals", "vars", "__annotations__", "__dict__", "__doc__"})
_IMPORTS = (ast.Import, ast.ImportFrom)
_EFFECTS = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_NOT_MOVED = (ast.ClassDef, ast.AnnAssign, ast.Global, ast.Nonlocal)  # another thing in a function
_QUOTED = re.compile(r"""(['"])([^'"\\\n]*)\1""")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A program that does what another does; `operator` names the change's kind."""

    code: str
    operator: str


def rewrites(code: str, catalog: Catalog, rng: random.Random) -> list[Rewrite]:
    """All one-change rewrites of a program, at most one per place and operator; kinds mixed, as in `mutants`.

    Each differs from the program's text and from the others; the same `rng` state gives the same list. Those of
    `OPERATORS` have lost the comments. Empty where the program does not parse or looks names up as text.
    """
    tree = parse(code)
    if tree is None or _LOOKS_UP & set(re.findall(r"\w+", code)):
        return []
    program = Program(tree, catalog)
    texts: list[tuple[str, str | None]] = [(name, layout(code, tree, rng)) for name, layout in LAYOUTS.items()]
    texts = [(name, text) for name, text in texts if text is not None and _is_same(text, tree)]
    for name, operator in OPERATORS.items():
        texts += [(name, applied(tree, edits)) for edits in operator(program, rng)]
    seen = {code.strip()}
    found: dict[str, list[Rewrite]] = {}
    for name, text in texts:
        if text is not None and text.strip() not in seen and parse(text) is not None:
            seen.add(text.strip())
            found.setdefault(name, []).append(Rewrite(text, name))
    return mixed(list(found.values()), rng)


def comments(code: str, tree: ast.Module, rng: random.Random) -> str:
    """A comment above every statement."""
    return _with_lines(code, tree, lambda indent: f"{indent}# {rng.choice(_COMMENTS)}")


def blank_lines(code: str, tree: ast.Module, rng: random.Random) -> str:  # noqa: ARG001 - a Layout
    """A blank line above every statement."""
    return _with_lines(code, tree, lambda indent: "")  # noqa: ARG005 - blank


def broken_lines(code: str, tree: ast.Module, rng: random.Random) -> str:  # noqa: ARG001 - a Layout
    """Every argument on a line of its own; not in f-strings, nor where one is a generator without parentheses."""
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node not in inside]
    places = {(value.lineno, value.col_offset) for call in calls for value in call.args}
    places |= {(keyword.lineno, keyword.col_offset) for call in calls for keyword in call.keywords}
    lines = code.encode().split(b"\n")
    for row, column in sorted(places, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:column].rstrip() + b"\n" + b" " * 12 + line[column:]
    return b"\n".join(lines).decode()


def other_quotes(code: str, tree: ast.Module, rng: random.Random) -> str:  # noqa: ARG001 - a Layout
    """The other quotes around every text that holds none."""
    lines = code.split("\n")
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(code).readline))):
        quoted = _QUOTED.fullmatch(token.string) if token.type == tokenize.STRING else None
        if quoted:
            (row, start), (_, end) = token.start, token.end
            mark = "'" if quoted[1] == '"' else '"'
            lines[row - 1] = f"{lines[row - 1][:start]}{mark}{quoted[2]}{mark}{lines[row - 1][end:]}"
    return "\n".join(lines)


def plain_layout(code: str, tree: ast.Module, rng: random.Random) -> str:  # noqa: ARG001 - a Layout
    """As Python itself writes a syntax tree: no comments, no blank lines."""
    try:
        return ast.unparse(tree)
    except ValueError:  # an f-string that this Python cannot write
        return code


def docstring(program: Program, rng: random.Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A docstring of the module, which had none."""
    if program.tree.body and ast.get_docstring(program.tree) is None:
        yield [(program.tree, "body", [ast.Expr(ast.Constant("A small script.")), *program.tree.body])]


def rename_variable(program: Program, rng: random.Random) -> Iterator[list[Edit]]:
    """One variable renamed wherever it stands."""
    declared, taken = _declared(program), _taken(program)
    kept = {*declared, *dir(builtins), *(n.id for n in _in_classes(program) if isinstance(n, ast.Name))}
    names = program.nodes(ast.Name)
    for name in dict.fromkeys(node.id for node in names if isinstance(node.ctx, ast.Store)):
        fresh = [other for other in (f"the_{name}", f"{name}_1", f"current_{name}") if other not in taken]
        if name not in kept and fresh and "*" not in declared:
            new = rng.choice(fresh)
            yield [(node, "id", new) for node in names if node.id == name]


def other_import(program: Program, rng: random.Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A module imported the other way: `from a import b` as `import a.b as b`, or back."""
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                continue
            for alias in statement.names:
                rest = [other for other in statement.names if other is not alias]
                if isinstance(statement, ast.ImportFrom):
                    path = f"{statement.module}.{alias.name}"
                    new: ast.stmt = ast.Import([ast.alias(path, alias.asname or alias.name)])
                    kept: ast.stmt = ast.ImportFrom(statement.module, rest, statement.level)
                else:
                    path = alias.name if alias.asname else ""
                    parent, _, name = path.rpartition(".")
                    new = ast.ImportFrom(parent, [ast.alias(name, alias.asname)], 0)
                    kept = ast.Import(rest)
                if "." in path and path in program.catalog.modules:
                    yield [(node, field, [*block[:index], *([kept] if rest else []), new, *block[index + 1 :]])]


def swap_passing(program: Program, rng: random.Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """The last positional argument by its keyword; where there is none, the first keyword by its position."""
    for call, api in known_calls(program):
        taking = bound(call, api)
        values = [*call.args, *(given.value for given in call.keywords)]
        is_clear = not taking.problems and [value for _, value in taking.pairs] == values
        on_class = isinstance(call.func, ast.Attribute) and program.class_of(call.func.value) is None
        if not values or not is_clear or (api.kind == "method" and on_class):
            continue
        parameter, value = taking.pairs[max(0, len(call.args) - 1)]
        if parameter.kind == "positional_or_keyword" and call.args:
            keyword = ast.keyword(parameter.name, value)
            yield [(call, "args", call.args[:-1]), (call, "keywords", [keyword, *call.keywords])]
        elif parameter.kind == "positional_or_keyword" and parameter == api.parameters[0]:
            yield [(call, "args", [value]), (call, "keywords", call.keywords[1:])]


def reorder_keywords(program: Program, rng: random.Random) -> Iterator[list[Edit]]:
    """Keywords in another order, where no value of theirs does anything."""
    for call, api in known_calls(program):
        given = call.keywords
        does = any(isinstance(part, _EFFECTS) for one in given for part in ast.walk(one))
        collects = any(parameter.kind == "var_keyword" for parameter in api.parameters)
        if len(given) > 1 and not does and not collects and all(one.arg for one in given):
            turn = rng.randrange(1, len(given))
            yield [(call, "keywords", [*given[turn:], *given[:turn]])]


def name_literal(program: Program, rng: random.Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A literal argument given a name in a statement above."""
    taken, inside = _taken(program), _in_classes(program)
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            is_plain = isinstance(statement, ast.Expr | ast.Assign) and statement not in inside
            for part in ast.walk(statement) if is_plain else ():
                values = (
                    part.args if isinstance(part, ast.Call) else [part.value] if isinstance(part, ast.keyword) else []
                )
                likely = part.arg if isinstance(part, ast.keyword) and part.arg else "value"
                name = likely if likely not in taken else f"{likely}_1"
                for value in values:
                    if isinstance(value, ast.Constant) and name not in taken:
                        above = ast.Assign([ast.Name(name)], value)
                        edit = (node, field, [*block[:index], above, *block[index:]])
                        yield [_replaced(part, value, ast.Name(name)), edit]


def inline_value(program: Program, rng: random.Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """A variable that is used once replaced by its value: a literal, or what the next statement prints."""
    declared, inside, names = _declared(program), _in_classes(program), program.nodes(ast.Name)
    for node, field, block in program.blocks():
        for index, statement in enumerate(block):
            match statement:
                case ast.Assign(targets=[ast.Name(id=name) as target], value=value) if statement not in inside:
                    later = block[index + 1 :]
                    uses = [other for other in names if other.id == name and other is not target]
                    is_literal = isinstance(value, ast.Constant) and _holds(later, uses)
                    if len(uses) == 1 and name not in declared and (is_literal or _prints(later, uses[0])):
                        edit = _replaced(program.parents[uses[0]], uses[0], value)
                        yield [edit, (node, field, [*block[:index], *later])]


def wrap_in_main(program: Program, rng: random.Random) -> Iterator[list[Edit]]:  # noqa: ARG001 - an Operator
    """All but the imports at the top in a function that the last line calls."""
    body = program.tree.body
    is_head = [isinstance(one, _IMPORTS) or (isinstance(one, ast.Expr) and called(one) is None) for one in body]
    n_head = [*is_head, False].index(False)
    moved = [part for statement in body[n_head:] for part in ast.walk(statement)]
    stored = {part.id for part in moved if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)}
    imported = {name for one in body[:n_head] if isinstance(one, _IMPORTS) for name, _ in import_names(one)}
    declared = {name for part in moved for name in _strings(part)}
    is_safe = "*" not in imported | declared and not (stored | declared) & (imported | set(dir(builtins)))
    if moved and is_safe and "main" not in _taken(program) and not any(isinstance(part, _NOT_MOVED) for part in moved):
        [function] = ast.parse("def main(): pass").body
        assert isinstance(function, ast.FunctionDef)
        function.body = body[n_head:]
        yield [(program.tree, "body", [*body[:n_head], function, ast.Expr(ast.Call(ast.Name("main"), [], []))])]


LAYOUTS: dict[str, Layout] = {
    made.__name__: made for made in (comments, blank_lines, broken_lines, other_quotes, plain_layout)
}
_ON_TREES = (docstring, rename_variable, other_import, swap_passing, reorder_keywords)
OPERATORS: dict[str, Operator] = {
    made.__name__: made for made in (*_ON_TREES, name_literal, inline_value, wrap_in_main)
}


def _is_same(text: str, tree: ast.Module) -> bool:
    again = parse(text)
    return again is not None and ast.dump(again) == ast.dump(tree)


def _with_lines(code: str, tree: ast.Module, line_of: Callable[[str], str]) -> str:
    """The code with a line, made from the indent, above every statement that begins its line."""
    lines = code.encode().split(b"\n")
    places = {(node.lineno, node.col_offset) for node in ast.walk(tree) if isinstance(node, ast.stmt)}
    for row, column in sorted(places, reverse=True):
        indent = lines[row - 1][:column]
        if not indent.strip():
            lines.insert(row - 1, line_of(indent.decode()).encode())
    return b"\n".join(lines).decode()


def _strings(node: ast.AST) -> list[str]:
    """Names that stand in a node itself: of imports, functions, parameters, handlers, patterns, globals."""
    if isinstance(node, ast.Name | ast.Attribute | ast.Constant | ast.keyword):
        return []
    values = [part for _, value in ast.iter_fields(node) for part in (value if isinstance(value, list) else [value])]
    return [value.partition(".")[0] for value in values if isinstance(value, str)]


def _declared(program: Program) -> set[str]:
    """Names that something else than an expression binds or declares."""
    return {name for node in program.nodes(ast.AST) for name in _strings(node)}


def _taken(program: Program) -> set[str]:
    return {node.id for node in program.nodes(ast.Name)} | _declared(program) | set(dir(builtins))


def _in_classes(program: Program) -> set[ast.AST]:
    return {part for node in program.nodes(ast.ClassDef) for part in ast.walk(node)}


def _holds(statements: list[ast.stmt], nodes: list[ast.Name]) -> bool:
    return {part for statement in statements for part in ast.walk(statement)}.issuperset(nodes)


def _prints(statements: list[ast.stmt], use: ast.Name) -> bool:
    """True where the first statement prints a name, or an attribute of it, and nothing else."""
    match statements:
        case [ast.Expr(value=ast.Call(args=[shown], keywords=[]) as call), *_] if is_print(call):
            while isinstance(shown, ast.Attribute):
                shown = shown.value
            return shown is use
    return False


def _replaced(holder: ast.AST, old: ast.expr, new: ast.expr) -> Edit:
    """The edit that puts one expression in another's place."""
    for field, value in ast.iter_fields(holder):
        if value is old:
            return holder, field, new
        if isinstance(value, list) and any(part is old for part in value):
            return holder, field, [new if part is old else part for part in value]
    raise AssertionError("a node that its parent does not hold")
