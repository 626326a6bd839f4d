"""Whether a program prints where its instruction asks for output, as often and in the shape that it asks for, and only
there. Reads English.

Each word that asks (print, show, output, display) is a request; what follows it, up to the end of its clause, says what
is wanted. Where it may be a noun (a display name, the print shop) it may be one: a program that prints as if it was, or
as if it was not, is right. Of a program that writes by other means than `print` only that it writes is asked.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from kohai.catalog.catalog import Catalog
from kohai.records import Answer, Api
from kohai.verify.grounding import QUOTED
from kohai.verify.reading import Reading
from kohai.verify.shapes import is_literal

_ASKS = re.compile(r"\b(?:(?:print|output|display)(?:s|ed|ing)?|show(?!\s+that\b))\b", re.IGNORECASE)
_SURELY_ASKS = re.compile(
    r"(?:out )?(?:the|its|their|his|her|each|every|all|both|how|what|which|who|whose|where|when|whether|it|them|that"
    r"|this|these|those|an?|me|us|only|just|\w+(?:'s|s'))\b",
    re.IGNORECASE,
)
_QUESTION = r"(?:what|which|who|whose|whom|when|where|why|how)"
_MAY_ASK = re.compile(
    rf"\bshow|(?:^|[.;:!?]\s+){_QUESTION}\b|\b{_QUESTION}\b[^.;:!]*\?"
    rf"|\b(?:see|check|look|find|learn|know|tell|say|ask|determine)\b[^.;:!?]*\b{_QUESTION}\b"
    r"|(?:^|[.;:,!?)]\s+|\b(?:and|then|to|you|please|kindly)\s+)"
    r"(?:tell|list|count|report|give|say|write|return|find|know|name|look)\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;:!?](?:\s|$)|,? (?:then|next|after|afterwards)\b", re.IGNORECASE)
_LINES = re.compile(
    r"\b(?:one|each|every)(?: one)? (?:a|per|to a) line\b|\blines? of (?:its|their) own\b|\b(?:own|separate) lines?\b"
    r"|\bline by line\b|\bper line\b|\beach on a (?:new )?line\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\s*(?:(?:the )?(?:total )?number|how many)\b", re.IGNORECASE)
_EACH = re.compile(r"\b(?:lines?|each|every)\b", re.IGNORECASE)
_HEAD = r"\s*(?:(?:the|its|their|his|her|each|every|new|same|\w+(?:'s|s'))\s+)*"  # "the same item's" label
_PRINTS = frozenset({"print", "pprint", "pp"})
_MAY_PRINT = _PRINTS | {"write", "writelines", "echo", "display", "show", "dump", "info", "log", "secho", "inform"}
_COUNTS = frozenset({"len", "sum"})
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


def printing(tree: ast.Module, instruction: str, reading: Reading, catalog: Catalog) -> tuple[Answer, str]:
    """The answer, and the evidence of a no; unscored where the instruction may ask for output without saying so."""
    calls = list(_calls(tree))
    text = QUOTED.sub(" ", instruction)
    requests = [_CLAUSE_END.split(text[match.end() :])[0] for match in _ASKS.finditer(text)]
    prints = sorted((node for name, node in calls if name in _PRINTS), key=lambda node: (node.lineno, node.col_offset))
    if requests:
        if not any(name in _MAY_PRINT for name, _ in calls):
            return "no", "the instruction asks for output and the program prints nothing"
        if all(name == "print" for name, _ in calls if name in _MAY_PRINT):
            problem = next(_misprints(tree, text, requests, prints, reading, catalog), "")
            return ("no", problem) if problem else ("yes", "")
        return "yes", ""
    if _MAY_ASK.search(text):
        return "unscored", "the instruction may or may not ask for output"
    return ("no", f"line {prints[0].lineno}: prints, and the instruction asks for no output") if prints else ("yes", "")


def _misprints(
    tree: ast.Module,
    text: str,
    requests: Sequence[str],
    prints: Sequence[ast.Call],
    reading: Reading,
    catalog: Catalog,
) -> Iterator[str]:
    """Evidence that what is printed is more or less than what is asked for, or another thing."""
    most = sum(1 + len(re.findall(r",|\band\b", request)) for request in requests)
    least = sum(_SURELY_ASKS.match(request.strip()) is not None for request in requests)
    repeats = any(_repeats(node) for node in ast.walk(tree))
    if _LINES.search(text) and not repeats and len(prints) <= len(requests):
        yield f"line {prints[0].lineno}: prints once, and the instruction asks for lines"
    if any(map(_NUMBER.match, requests)) and not _EACH.search(text) and _lists(tree, prints, reading):
        yield f"line {prints[0].lineno}: prints in a loop, and the instruction asks for a number"
    if (times := _reached(tree.body)) > most:
        yield f"prints more often than the instruction asks for output: {times} times, not {len(requests)}"
    if not repeats and not _inside(tree, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) & set(prints):
        values = sum(map(_values, prints))
        if values < least:
            yield f"prints less often than the instruction asks for output: {values:g} times, not {least}"
    if len(prints) == len(requests) == least:
        for call, request in zip(prints, requests, strict=True):
            yield from _other_attribute(call, request, reading, catalog)


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call, and the last part of its name."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                yield name, node


def _repeats(node: ast.AST) -> bool:
    """True for what may print many things at once."""
    match node:
        case ast.Call(func=ast.Name(id="map")) | ast.Call(func=ast.Attribute(attr="join")) | ast.Starred():
            return True
    return isinstance(node, _LOOPS)


def _inside(tree: ast.AST, kinds: tuple[type[ast.AST], ...]) -> set[ast.AST]:
    """What is inside of such nodes."""
    return {inner for node in ast.walk(tree) if isinstance(node, kinds) for inner in ast.walk(node)}


def _lists(tree: ast.Module, prints: Sequence[ast.Call], reading: Reading) -> bool:
    """True where all printing is done in loops over what a program got, and nothing is counted."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.AsyncFor)]
    inside = {inner for loop in loops if not _is_given(loop.iter, reading) for inner in ast.walk(loop)}
    return set(prints) <= inside and not any(name in _COUNTS for name, _ in _calls(tree))


def _is_given(node: ast.expr, reading: Reading) -> bool:
    """True for a list that the program itself writes."""
    return is_literal(node) or (isinstance(node, ast.Name) and node in reading.literals)


def _reached(nodes: Iterable[ast.AST]) -> int:
    """Calls of print that one way through reaches at most, loops and functions taken once."""
    total = 0
    for node in nodes:
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                total += _reached([test]) + max(_reached(body), _reached(orelse))
            case ast.Match(subject=subject, cases=cases):
                total += _reached([subject]) + max(_reached(case.body) for case in cases)
            case ast.Try() | ast.TryStar():
                ways = [_reached([*node.body, *node.orelse]), *(_reached(handler.body) for handler in node.handlers)]
                total += max(ways) + _reached(node.finalbody)
            case _:
                is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
                total += is_print + _reached(ast.iter_child_nodes(node))
    return total


def _values(call: ast.Call) -> float:
    """How many things a call prints."""
    if any(keyword.arg is None for keyword in call.keywords):
        return math.inf
    parts = [node for argument in call.args for node in ast.walk(argument) if isinstance(node, ast.FormattedValue)]
    return max(1, len(call.args), len(parts))


def _other_attribute(call: ast.Call, request: str, reading: Reading, catalog: Catalog) -> Iterator[str]:
    """Evidence that an attribute is printed where the request names another one of the same class: `item.on_hand`, and
    "the label of each".
    """
    match call.args:
        case [ast.Attribute(value=value, attr=printed) as node] if value in reading.types:
            api = catalog.get(reading.types[value].name)
            known = _attributes(api) if api is not None else []
            if printed in known and not all(_has_word(request, word) for word in printed.split("_")):
                for other in known:
                    words = r"[\s_-]".join(map(re.escape, other.split("_")))
                    if other != printed and re.match(rf"{_HEAD}{words}(?:s|es)?(?!\w|'s)", request, re.IGNORECASE):
                        yield f"line {node.lineno}: prints {printed} where the instruction says {other}"


def _attributes(api: Api) -> list[str]:
    """A class's attributes that are no methods."""
    return [member.partition(":")[0] for member in api.members if ":" in member] if api.kind == "class" else []


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?:s|es|d|ed)?(?!\w)", text, re.IGNORECASE) is not None
