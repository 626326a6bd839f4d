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
from collections.abc import Collection, Iterator, Sequence

from kohai.catalog.catalog import Catalog
from kohai.catalog.types import UNKNOWN, options_of
from kohai.code import written
from kohai.records import Answer, Api
from kohai.verify.grounding import QUOTED
from kohai.verify.reading import Reading
from kohai.verify.shapes import LOOKS, is_literal
from kohai.verify.ways import most_prints

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
_TELLS = re.compile(r"\btell (?:me|us)\b", re.IGNORECASE)
_LISTS = re.compile(
    r"(?:\b(?:and|then)|[.;:!?])\s+(?:list|report|say)\b(?![^.;:!?]*\b(?:print|show|output|display)\b)", re.IGNORECASE
)
_DENIES = re.compile(
    r"(?:n['\u2019]t|\bnot|\bnever|\bwithout)\s+(?:(?!only|merely|simply|solely)\w+ly\s+)?$", re.IGNORECASE
)
_NOTHING = re.compile(r"\s*nothing\b(?!\s+(?:but|except|(?:other|else|more) than|else but)\b)", re.IGNORECASE)
_NOUN = re.compile(r"\b(?:the|an?|its|this|that|on|of|in|new)\s+$", re.IGNORECASE)
_SEVERAL = re.compile(
    r"\b(?:followed|preceded|twice|times|next|report|summary|overview|table|header|heading|title|below|above|blank|plus"
    r"|also|as well as)\b",
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
_MAY_OR_MAY_NOT = "the instruction may or may not ask for output"
_PRINTS = frozenset({"print", "pprint", "pp"})
_WRITES = _PRINTS | {"write", "writelines", "stdout", "echo", "secho"}
_STDOUT = frozenset({"None", "stdout", "sys.stdout", "sys.__stdout__"})
_MAY_PRINT = re.compile(
    r"pprint|pp|write|writelines|writerows?|echo|secho|info|inform|log|debug|warning|error|critical|exception"
    r"|(?:print|display|show|dump|output)(?:_\w+)?"
)
_COUNTS = frozenset({"len", "sum", "count", "Counter"})
_PLAIN = frozenset({"int", "float", "bool", "None", "date", "datetime", "Decimal"})  # one thing, on one line
_CONTAINERS = frozenset({"list", "tuple", "dict", "set", "frozenset"})  # on one line too
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


def printing(tree: ast.Module, instruction: str, reading: Reading, catalog: Catalog) -> tuple[Answer, str]:
    """The answer, and the evidence of a no; unscored where the instruction may ask for output without saying so."""
    calls = list(_calls(tree))
    text = QUOTED.sub(" ", instruction)
    asked = [match for match in _ASKS.finditer(text) if not _is_denied(text, match)]
    prints = sorted(
        (node for _, node in calls if _surely_prints(node, reading)), key=lambda node: (node.lineno, node.col_offset)
    )
    if asked:
        may_print = [(name, node) for name, node in calls if _MAY_PRINT.fullmatch(name)]
        is_passed_on = _passes_on(tree)
        if not may_print and not is_passed_on:
            if all(_NOUN.search(text[: match.start()]) for match in asked):
                return "unscored", _MAY_OR_MAY_NOT
            return "no", "the instruction asks for output and the program prints nothing"
        if not is_passed_on and all(name == "print" and node in prints for name, node in may_print):
            problem = next(_misprints(tree, text, asked, prints, reading, catalog), "")
            return ("no", problem) if problem else ("yes", "")
        return "yes", ""
    if _MAY_ASK.search(text):
        return "unscored", _MAY_OR_MAY_NOT
    return ("no", f"line {prints[0].lineno}: prints, and the instruction asks for no output") if prints else ("yes", "")


def _is_denied(text: str, match: re.Match[str]) -> bool:
    """True for "without printing", "print nothing else"; not for "print nothing but"."""
    return _DENIES.search(text[: match.start()]) is not None or _NOTHING.match(text, match.end()) is not None


def _misprints(
    tree: ast.Module,
    text: str,
    asked: Sequence[re.Match[str]],
    prints: Sequence[ast.Call],
    reading: Reading,
    catalog: Catalog,
) -> Iterator[str]:
    """Evidence that what is printed is more or less than what is asked for, or another thing."""
    requests = [_CLAUSE_END.split(text[match.end() :])[0] for match in asked]
    most = sum(1 + len(re.findall(r",|\band\b", request)) for request in requests)
    most += len(_TELLS.findall(text)) + len(_LISTS.findall(text, asked[0].end()))
    least = sum(_SURELY_ASKS.match(request.strip()) is not None for request in requests)
    repeats = any(_repeats(node) for node in ast.walk(tree))
    if _LINES.search(text) and not repeats and len(prints) <= len(requests) and _on_one_line(prints[0], reading):
        yield f"line {prints[0].lineno}: prints once, and the instruction asks for lines"
    if any(map(_NUMBER.match, requests)) and not _EACH.search(text) and _lists(tree, prints, reading):
        yield f"line {prints[0].lineno}: prints in a loop, and the instruction asks for a number"
    if (times := most_prints(tree)) > most and not any(map(_SEVERAL.search, requests)):
        yield f"prints more often than the instruction asks for output: {times} times, not {len(requests)}"
    if not repeats and not _inside(tree, (*_FUNCTIONS, ast.Lambda)) & set(prints):
        values = sum(_values(call, reading) for call in prints)
        if values < least:
            yield f"prints less often than the instruction asks for output: {values:g} times, not {least}"
    is_in_order = len(prints) == 1 or not _inside(tree, (*_FUNCTIONS, ast.If, ast.Match, ast.Try)) & set(prints)
    if len(prints) == len(requests) == least and is_in_order:
        for call, request in zip(prints, requests, strict=True):
            yield from _other_attribute(call, request, reading, catalog)


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call, and the last part of its name."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                yield name, node


def _passes_on(tree: ast.Module) -> bool:
    """True where what writes is called by another name, or passed to a call that does more than look at it."""
    others = set(_other_names(tree)) - {"", *_PRINTS}
    for name, call in _calls(tree):
        passed = [] if name in _PRINTS | LOOKS else [*call.args, *(keyword.value for keyword in call.keywords)]
        if name in others or any(_last(argument) in _WRITES | others for argument in passed):
            return True
    return False


def _other_names(tree: ast.Module) -> Iterator[str]:
    """The names of its own that a program gives to what writes: `say = print`."""
    for node in ast.walk(tree):
        match node:
            case ast.alias(name=name, asname=str(other)) if name in _WRITES:
                yield other
            case ast.Assign(targets=[target], value=value) if _last(value) in _WRITES:
                yield _last(target)


def _last(node: ast.expr) -> str:
    """The last part of a name, empty for what is none."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _surely_prints(call: ast.Call, reading: Reading) -> bool:
    """True for a call of print that is not the package's, nor into a file."""
    if any(keyword.arg in ("file", "stream") and written(keyword.value) not in _STDOUT for keyword in call.keywords):
        return False
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name, value=ast.Name(id="builtins" | "pprint" | "rich")):
            return name in _PRINTS and reading.types.get(call.func, UNKNOWN) == UNKNOWN
    return False


def _on_one_line(call: ast.Call, reading: Reading) -> bool:
    """True where a call surely prints one line; what other functions made may have more."""
    return all(
        _things(argument, reading) < math.inf or _is_one_of(_CONTAINERS, argument, reading) for argument in call.args
    )


def _repeats(node: ast.AST) -> bool:
    """True for what may print many things at once."""
    match node:
        case ast.Call(func=ast.Name(id="map")) | ast.Call(func=ast.Attribute(attr="join")) | ast.Starred():
            return True
        case ast.keyword(arg="sep", value=value):
            return not isinstance(value, ast.Constant)
        case ast.Constant(value=str(text)):
            return "\n" in text
    return isinstance(node, _LOOPS)


def _inside(tree: ast.AST, kinds: tuple[type[ast.AST], ...]) -> set[ast.AST]:
    """What is inside of such nodes."""
    return {inner for node in ast.walk(tree) if isinstance(node, kinds) for inner in ast.walk(node)}


def _lists(tree: ast.Module, prints: Sequence[ast.Call], reading: Reading) -> bool:
    """True where all printing is done in loops over what a program got, nothing is sought in them, nothing counted."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.AsyncFor)]
    inside = {inner for loop in loops if not _is_given(loop.iter, reading) for inner in ast.walk(loop)}
    inside -= _inside(ast.Module([*loops], []), (ast.If,))
    return set(prints) <= inside and not any(name in _COUNTS for name, _ in _calls(tree))


def _is_given(node: ast.expr, reading: Reading) -> bool:
    """True for a list that the program itself writes."""
    written = isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict)
    return written or is_literal(node) or (isinstance(node, ast.Name) and node in reading.literals)


def _values(call: ast.Call, reading: Reading) -> float:
    """How many things a call prints at least; infinite where it cannot be told."""
    if any(keyword.arg is None for keyword in call.keywords):
        return math.inf
    return max(1, sum(_things(argument, reading) for argument in call.args))


def _things(node: ast.expr, reading: Reading) -> float:
    match node:
        case ast.Constant() | ast.Attribute():
            return 1
        case ast.JoinedStr(values=parts):
            return max(1, sum(_things(part.value, reading) for part in parts if isinstance(part, ast.FormattedValue)))
    return 1 if _is_one_of(_PLAIN, node, reading) else math.inf


def _is_one_of(names: Collection[str], node: ast.expr, reading: Reading) -> bool:
    """True for a value that is surely of one of these types."""
    return all(option.name in names for option in options_of(reading.types.get(node, UNKNOWN)))


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
