"""Whether the values that a program passes to the package come from the instruction or the docs.

Compared without case and quotes; number words, thousands separators, dates and month names, hours of the evening, per
cent and cents count as the numbers they say, spans of time also in smaller units. Free: 0, 1, booleans, None, strings
without a letter or digit, choices of a `Literal[...]`. Left out: literals inside f-strings, subscripts, multiplications
and calls of other things than the package (but `date(...)` and the like are looked into).
An enum's member is free but where the instruction names others of that enum and none that the program passes.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator

from kohai.catalog.catalog import Catalog
from kohai.records import Api
from kohai.verify.arguments import bind
from kohai.verify.reading import PackageCall, Reading

_WORDS = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty",
)
_WORDS_OF_TENS = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
_MONTHS = re.findall(r"\w+", "january february march april may june july august september october november december")
QUOTED = re.compile(r"(?<!\w)[\"'\u2018\u201c]([^\"'\u2018\u2019\u201c\u201d]{2,80})[\"'\u2019\u201d](?!\w)")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
DOTTED_DATE = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\d)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_EVENING = re.compile(r"(?<!\d)(\d{1,2})(?:[:.]\d\d)?\s?p\.?m\b")
_OPENED = frozenset({"date", "datetime", "timedelta", "Decimal", "int", "float", "str", "Path", "fromisoformat"})
_TENS = {name: 10.0 * number for number, name in enumerate(_WORDS_OF_TENS, 2)}
_SCALES = {
    "dozen": (12.0,), "hundred": (100.0,), "thousand": (1e3,), "million": (1e6,), "week": (7.0,), "fortnight": (14.0,),
    "year": (12.0, 365.0), "day": (24.0, 86400.0), "hour": (60.0, 3600.0), "minute": (60.0,),
}  # fmt: skip
_ORDINALS = re.findall(r"\w+", "first second third fourth fifth sixth seventh eighth ninth tenth")
_NAMED = {"half": 0.5, "quarter": 0.25, "once": 1.0, "twice": 2.0, "pair": 2.0, "couple": 2.0} | _TENS


def ungrounded(reading: Reading, catalog: Catalog, instruction: str, docs: str) -> list[str]:
    """Evidence for each literal that is in neither text, and for each enum of which another member is asked for."""
    text = normal(f"{instruction}\n{docs}")
    numbers = numbers_in(text)
    problems: dict[str, str] = {}
    for call in reading.calls:
        for argument in _passed(call, reading):
            for literal in _literals(argument, reading):
                if not _is_grounded(literal.value, text, numbers):
                    shown = repr(literal.value)[:60]
                    evidence = f"line {literal.lineno}: {shown} of {call.name} is not in the instruction"
                    problems.setdefault(shown, evidence)
    return [*problems.values(), *_other_members(reading, catalog, instruction)]


def _other_members(reading: Reading, catalog: Catalog, instruction: str) -> Iterator[str]:
    """Evidence for each enum of which the program passes members, and the instruction names others but none of them."""
    passed: dict[Api, dict[str, ast.Attribute]] = {}
    for call in reading.calls:
        for argument in _passed(call, reading):
            for node in ast.walk(argument):
                if isinstance(node, ast.Attribute) and node in reading.types:
                    enum = catalog.get(reading.types[node].name)
                    if enum is not None and node.attr in _members(enum):
                        passed.setdefault(enum, {})[node.attr] = node
    text = QUOTED.sub(" ", instruction).lower()
    for enum, nodes in passed.items():
        named = [member for member in _members(enum) if _is_named(member, text)]
        if named and not set(named) & set(nodes):
            member, node = next(iter(nodes.items()))
            yield f"line {node.lineno}: {member} is passed where the instruction says {' and '.join(named)}"


def _members(enum: Api) -> list[str]:
    """Names of an enum's members; none of another class's."""
    return [member.partition(":")[0] for member in enum.members] if enum.kind == "enum" else []


def _is_named(member: str, text: str) -> bool:
    """A lower-case text has a member's name as words of its own, in another form too: PALLET and pallets, STEADY and
    steadily.
    """
    words = re.sub("y$", "[yi]", re.escape(member.lower()).replace("_", r"[\s_-]"))
    return re.search(rf"(?<!\w){words}(?:s|es|ly)?(?!\w)", text) is not None


def _passed(call: PackageCall, reading: Reading) -> Iterator[ast.expr]:
    """The values of a call's arguments; one that chooses among an annotation's `Literal` values needs no ground."""
    chosen = {value for parameter, value in bind(call).pairs if "Literal[" in parameter.annotation}
    yield from (value for value in call.node.args if value not in chosen)
    for keyword in call.node.keywords:
        mapping = keyword.value if keyword.arg is None else None
        mapping = reading.literals.get(mapping, mapping) if isinstance(mapping, ast.Name) else mapping
        if isinstance(mapping, ast.Dict):
            yield from mapping.values
        elif keyword.value not in chosen:
            yield keyword.value


def _literals(node: ast.expr, reading: Reading) -> Iterator[ast.Constant]:
    match node:
        case ast.Constant():
            yield node
        case ast.Name():
            if node in reading.literals:
                yield from _literals(reading.literals[node], reading)
        case ast.Call(func=func, args=arguments, keywords=keywords):
            name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
            if name in _OPENED:
                for argument in (*arguments, *(keyword.value for keyword in keywords)):
                    yield from _literals(argument, reading)
        case ast.BinOp(op=ast.Add() | ast.Sub(), left=left, right=right):
            yield from _literals(left, reading)
            yield from _literals(right, reading)
        case ast.UnaryOp(operand=operand):
            yield from _literals(operand, reading)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from _literals(part, reading)
        case ast.Dict(keys=keys, values=parts):
            for item in (*keys, *parts):
                if item is not None:
                    yield from _literals(item, reading)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _literals(body, reading)
            yield from _literals(orelse, reading)


def _is_grounded(value: object, text: str, numbers: frozenset[float]) -> bool:
    if isinstance(value, str):
        return has_text(value, text, numbers)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) > sys.float_info.max:
            return False
        number = abs(float(value))
        is_share = isinstance(value, float) and round(number * 100, 9) in numbers
        return number in (0.0, 1.0) or number in numbers or is_share
    return True


def has_text(value: str, text: str, numbers: frozenset[float]) -> bool:
    """A `normal` text has a value as a word of its own; a date or number also where `numbers` has it."""
    wanted = normal(value).strip()
    if not any(map(str.isalnum, wanted)):
        return True
    left, right = r"(?<!\w)", r"(?!\w)"
    if any(letter.isdigit() for letter in wanted):  # a key: BX-20 is not in BX-200, nor in BX-20-7
        left, right = left + r"(?<!\w[-./@])", right + r"(?![-./@]\w)"
    if re.search(
        f"{left if wanted[0].isalnum() else ''}{re.escape(wanted)}{right if wanted[-1].isalnum() else ''}", text
    ):
        return True
    if _DATE.fullmatch(wanted):
        return all(float(part) in numbers for part in wanted.split("-"))
    try:
        return float(wanted) in numbers
    except ValueError:
        return False


def normal(text: str) -> str:
    """Lower case, without quotes, white space single."""
    text = re.sub(r"(?<=\w)[\u2019'](?=\w)", "\u2019", text.lower())  # an apostrophe inside a word stays
    return " ".join(re.sub(r"[\"'`\u2018\u201c\u201d\u201e\u00ab\u00bb]", "", text).split())


def numbers_in(text: str) -> frozenset[float]:
    """The numbers that a `normal` text says, in digits or words, with 0 and 1."""
    found: set[float] = {1.0, 0.0}
    for match in _NUMBER.finditer(DOTTED_DATE.sub(r"\1 \2 \3", text)):
        for part in (match[0], *match[0].split(",")):
            digits = part.replace(",", "")
            if digits.strip("."):
                found.add(float(digits))
                if re.search(r"\.\d\d?$", digits):
                    found.add(round(float(digits) * 100, 6))  # an amount of money in cents
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", text)
    named = {name: float(number) for number, name in enumerate(_WORDS)} | _NAMED
    named |= {name[:length]: float(number) for number, name in enumerate(_MONTHS, 1) for length in (3, len(name))}
    named |= {name: float(number) for number, name in enumerate(_ORDINALS, 1)}
    # twenty-five, two dozen, half an hour
    for first, second in itertools.pairwise(word for word in words if word not in ("a", "an")):
        if first in _TENS and named.get(second, 10.0) < 10:
            found.add(_TENS[first] + named[second])
        number = float(first) if first[0].isdigit() else named.get(first, 1.0)
        found.update(number * scale for scale in _SCALES.get(second.removesuffix("s"), ()))
    found |= {float(number) % 12 + 12 for number in _EVENING.findall(text)}
    found |= {named[word] for word in words if word in named}
    return frozenset(found)
