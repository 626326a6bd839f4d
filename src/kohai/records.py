"""What crosses a stage's boundary: frozen records, and their JSON Lines.

Leaves out behaviour: a record knows how to become JSON and back, nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from kohai.errors import DataError

ApiKind = Literal["function", "method", "class", "enum", "exception", "call"]
Answer = Literal["yes", "no", "unscored"]
Blame = Literal["none", "program", "environment", "undecided"]
ParameterKind = Literal["positional_only", "positional_or_keyword", "var_positional", "keyword_only", "var_keyword"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an api, as its source writes it; `self` and `cls` are left out."""

    name: str
    kind: ParameterKind
    annotation: str = ""
    default: str | None = None  # source text; None = required (or variadic)

    @property
    def is_required(self) -> bool:
        """True where a call must give it."""
        return self.default is None and self.kind not in ("var_positional", "var_keyword")


@dataclass(frozen=True, slots=True)
class Api:
    """One public callable (or enum, or exception) of the catalog.

    `id` is the dotted name by which code reaches it: `stockroom.items.enroll`, `stockroom.orders.OrderDraft.line`.
    `returns` is the annotation's source, its names resolved to dotted ids where the package defines them.
    `members` holds an enum's member names, or a class's public attributes and their types (`name: type`).
    A `call` is known by its docs alone: `id` is the call in one spelling, `signature` the call as the docs write it,
    `doc` their whole text, `domain` what they sort it under.
    """

    id: str
    kind: ApiKind
    signature: str
    summary: str = ""
    doc: str = ""
    parameters: tuple[Parameter, ...] = ()
    returns: str = ""
    members: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a program leaves behind: the digest of its final state (None without a database), and what it printed."""

    state: str | None
    stdout: str


@dataclass(frozen=True, slots=True)
class Task:
    """An instruction and what is known of its right answer; `fixture` is relative to the task file."""

    id: str
    instruction: str
    apis: tuple[str, ...] = ()
    reference: str | None = None
    fixture: str | None = None
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A task's prompt: the text the model reads, with the ids of the apis whose docs it holds, most relevant first, and
    of the demo tasks that it shows, most alike first.
    """

    task_id: str
    split: str
    text: str
    apis: tuple[str, ...]
    n_tokens: int = 0
    n_dropped: int = 0  # docs cut to fit the token budget
    demonstrations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered; `index` counts the completions of one task, `code` is the block cut out of `text`."""

    task_id: str
    index: int
    text: str
    code: str
    n_tokens: int = 0
    finished: bool = True  # it ended by itself, not at the length limit
    logprob: float | None = None  # sum over its tokens under the policy that sampled it, at temperature 1


@dataclass(frozen=True, slots=True)
class Execution:
    """One sandbox run; kinds and blames are those of the outcome taxonomy (docs/architecture.md)."""

    kind: str
    blame: Blame
    evidence: str = ""
    exception: str | None = None
    line: int | None = None
    stdout: str = ""
    stderr: str = ""
    state: str | None = None  # digest of the final state, where the task has one
    cpu_ms: int = 0
    wall_ms: int = 0
    peak_bytes: int = 0
    tier: str = "T0"
    image: str = ""  # digest of the environment it ran in
    cached: bool = False  # not run now: the outcome of an equal run before
    warm_kind: str = ""  # where a fresh interpreter disagrees with a worker: what the worker said
    requests: tuple[str, ...] = ()  # what services were asked, as they saw it: `GET /path 200`

    @property
    def ran(self) -> bool | None:
        """Whether the program ran to its end without a fault of its own; None = unscored, it was not its fault."""
        return {"none": True, "program": False}.get(self.blame)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer to one criterion. `unscored` is not zero: it is never averaged in, always counted and shown."""

    criterion: str
    answer: Answer
    answerer: str
    evidence: str = ""
    probability: float | None = None  # of yes, where the answerer knows one
    seconds: float = 0.0  # from question to answer; 0 for one that was remembered
    cost: float = 0.0  # its share of a call's, in the currency of the endpoint's price
    rubric: str = ""  # the first signs of the rubric's digest


@dataclass(frozen=True, slots=True)
class Label:
    """A person's answer to one criterion about one completion; with `code`, about that program alone: another run's
    completion of that task and index is another one.
    """

    task_id: str
    index: int
    criterion: str
    answer: Answer
    note: str = ""
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """All verdicts on one completion, their aggregate, and the execution behind them.

    `score` is the weighted share of yes among the scored criteria, in [0, 1]; None where nothing was scored.
    `deviation` is its standard deviation, as far as the verdicts' probabilities of yes tell.
    """

    task_id: str
    index: int
    score: float | None
    verdicts: tuple[Verdict, ...] = ()
    execution: Execution | None = None
    deviation: float = 0.0


@dataclass(frozen=True, slots=True)
class Preference:
    """Two programs for one task, by index; `margin` is the difference of their scores, > 0 where both have one.

    `label` is the probability that the chosen one is the better. `source`: `sampled` are two completions; `mutant` are
    a reference and a mutant of it, by their places among the task's programs of the judge bench.
    """

    task_id: str
    chosen: int
    rejected: int
    margin: float
    label: float = 1.0
    source: Literal["sampled", "mutant"] = "sampled"


@dataclass(frozen=True, slots=True)
class Examined:
    """A program of the judge bench; `is_right`: it does what the instruction asks, by its effect (None: not known)."""

    task_id: str
    instruction: str
    code: str
    kind: Literal["reference", "mutant", "rewrite", "injection"]
    operator: str = ""
    is_right: bool | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One arm's answer to one test task, what happened when it ran, and its metrics.

    A metric is a yes or no, or a share; None is unscored: the environment failed, or the task has no such truth.
    """

    arm: str
    split: str
    task_id: str
    code: str
    execution: Execution
    metrics: Mapping[str, bool | float | None] = field(default_factory=dict)


Record = TypeVar("Record")


def to_dict(record: Any) -> dict[str, Any]:
    """The record as JSON-ready values."""
    return dataclasses.asdict(record)


def to_json(record: Any) -> str:
    """One line of JSON, keys in the record's order."""
    return json.dumps(dataclasses.asdict(record), ensure_ascii=False)


def from_dict(kind: type[Record], data: Mapping[str, Any], where: str = "") -> Record:
    """A record from JSON values.

    Raises:
        DataError: an unknown or missing field, or a value of the wrong type; `where` (file:line) leads the message.
    """
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(cast(Any, kind))}
    place = f"{where}: " if where else ""
    if not isinstance(data, Mapping):
        raise DataError(f"{place}expected an object for {kind.__name__}, found {type(data).__name__}")
    for name in data:
        if name not in fields:
            raise DataError(f"{place}unknown field {name!r}; {kind.__name__} has {', '.join(fields)}")
    values = {}
    for name, spec in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], f"{place}field {name!r}", where)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise DataError(f"{place}field {name!r} is missing")
    return kind(**values)


def read_lines(kind: type[Record], text: Iterable[str], name: str) -> list[Record]:
    """Records from JSON Lines; blank lines are skipped.

    Raises:
        DataError: names `name`, the line's number and the field.
    """
    return [from_dict(kind, data, f"{name}:{number}") for number, data in json_lines(text, name)]


def json_lines(text: Iterable[str], name: str) -> Iterator[tuple[int, Any]]:
    """Each line's number and JSON value; blank lines are skipped.

    Raises:
        DataError: names `name` and the line's number.
    """
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{name}:{number}: not JSON ({error.msg} at column {error.colno})") from None


def read_text(path: Path, hint: str) -> str:
    """The text of a user's file.

    Raises:
        DataError: it cannot be read (and the hint says what to do), or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {hint}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from None


def _value(hint: Any, value: Any, what: str, where: str) -> Any:
    """`value` checked and converted for a field's type; covers the types that the records above use."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        inner = [option for option in options if option is not type(None)]
        return _value(inner[0], value, what, where)
    if origin is Literal:
        allowed = typing.get_args(hint)
        if value not in allowed:
            raise DataError(f"{what}: {value!r} is not one of {', '.join(map(repr, allowed))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise DataError(f"{what}: expected a list, found {value!r}")
        return tuple(_value(typing.get_args(hint)[0], item, what, where) for item in value)
    if dataclasses.is_dataclass(hint):
        return from_dict(cast(Any, hint), value, what.removesuffix(": "))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise DataError(f"{what}: expected {hint.__name__}, found {value!r}")
    return value
