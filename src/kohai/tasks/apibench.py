"""APIBench's files (Gorilla, Patil et al. 2023) as published: tasks, api docs, answers, in all the shapes that occur.

The files are JSON Lines whatever their ending. A task's text is not regular: HuggingFace and TensorHub mark its parts
with `<<<name>>>:`, TorchHub writes what looks like a dictionary and is none. A record in which something is missing is
kept, and what is missing is told as a `Problem`; none is dropped in silence.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kohai import code as code_of
from kohai import records
from kohai.catalog import Catalog
from kohai.errors import DataError
from kohai.records import Api

Part = Literal["huggingface", "torchhub", "tensorhub"]
_MARK = re.compile(r"<<<(\w+)>>>\s*:?")
_CODE_MARK = re.compile(r"<<<code>>>+\s*:?")
_MARKS = ("domain", "api_call", "api_provider", "explanation", "code")
_INSTRUCTION = re.compile(r"\s*(?:#+ ?Instruction:?|\{'Instruction':)", re.IGNORECASE)
_OUTPUT = re.compile(r"\n?#+ ?Output:?|,? ?'Output':", re.IGNORECASE)
_CODE_FIELD = re.compile(r"""['"]code['"]\s*:\s*(?P<quote>'''|\"\"\"|['"])?""")
_DICTIONARY_END = re.compile(r"""\s*['"]*\s*\}*\s*$""")
_FENCE = re.compile(r"^```[\w+]*\s*\n?|\n?```\s*$")


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that is not as the others: where it stands, and why."""

    file: str
    line: int  # from 1
    reason: str


@dataclass(frozen=True, slots=True)
class ApiBenchTask:
    """A published task; `row` counts from 0. `code` is the reference, not always Python; None where there is none."""

    part: Part
    row: int
    instruction: str
    api_call: str
    domain: str
    code: str | None
    fields: dict[str, Any] = field(default_factory=dict)  # the api's docs, `api_data`

    @property
    def id(self) -> str:
        """Such as `huggingface/12`."""
        return f"{self.part}/{self.row}"


@dataclass(frozen=True, slots=True)
class ApiDoc:
    """A row of the api docs; `text` is the whole row as Gorilla's retriever reads it."""

    row: int
    api_call: str
    domain: str
    name: str
    text: str
    example_code: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to a task."""

    row: int
    text: str


def is_apibench(path: Path) -> bool:
    """Whether a file's first line looks like a task of APIBench."""
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and {"code", "api_call", "api_data"} <= set(first)


def read_tasks(path: Path) -> tuple[list[ApiBenchTask], list[Problem]]:
    """The tasks of a published file, one a line, and what is irregular about some.

    Raises:
        DataError: names file and line: not JSON, or without the fields of such a file.
    """
    tasks, problems = [], []
    lines = _lines(path, ("code", "api_call", "api_data"))
    part = Counter(_part(str(data.get("provider", "")), data["api_call"]) for _, data in lines).most_common(1)[0][0]
    for line, data in lines:
        fields = data["api_data"] if isinstance(data["api_data"], dict) else {}
        instruction, code, reasons = _read_text(data["code"], part)
        if code is not None and code_of.parse(code) is None:
            reasons.append("the code is not Python")
        tasks.append(
            ApiBenchTask(part, line - 1, instruction, data["api_call"], str(fields.get("domain", "")), code, fields)
        )
        problems += [Problem(str(path), line, reason) for reason in reasons]
    return tasks, problems


def read_docs(path: Path) -> tuple[list[ApiDoc], list[Problem]]:
    """The api docs of a published file, one a line; problems: calls that are no Python, and calls given twice.

    Raises:
        DataError: as `read_tasks`.
    """
    docs, problems = [], []
    seen: set[str] = set()
    for line, data in _lines(path, ("api_call", "domain")):
        call = data["api_call"]
        docs.append(
            ApiDoc(
                line - 1,
                call,
                str(data["domain"]),
                str(data.get("api_name", "")),
                json.dumps(data, ensure_ascii=False),
                _as_code(data.get("example_code")),
                _as_code(data.get("description")),
            )
        )
        if code_of.parse(call.strip()) is None:
            problems.append(Problem(str(path), line, f"not a Python call: {call[:60]}"))
        if call in seen:
            problems.append(Problem(str(path), line, f"the call stands in an earlier row too: {call[:60]}"))
        seen.add(call)
    return docs, problems


def read_answers(path: Path, n_tasks: int) -> list[Answer]:
    """A model's answers: lines with `text` and `row` (from 0) or, as published, `question_id` (from 1).

    Raises:
        DataError: names file and line: a missing field, or a task that is not there.
    """
    answers = []
    for line, data in _lines(path, ("text",)):
        row = data.get("row", data["question_id"] - 1 if isinstance(data.get("question_id"), int) else None)
        if not isinstance(row, int) or isinstance(row, bool) or not 0 <= row < n_tasks:
            raise DataError(f"{path}:{line}: field 'row': {row!r} is not a task; there are {n_tasks}, from 0")
        text = "" if data["text"] is None else data["text"]  # no answer is an empty one
        if not isinstance(text, str):
            raise DataError(f"{path}:{line}: field 'text': expected a text, found {type(text).__name__}")
        answers.append(Answer(row, text))
    return answers


def answer_code(text: str) -> str:
    """The program in an answer: behind `<<<code>>>:`, in the dictionary's `code`, else as in any reply.

    Published answers write the end of a line as a backslash and an n; those are undone.
    """
    mark = _CODE_MARK.search(text)
    if mark:
        return _normal(text[mark.end() :])
    found = _CODE_FIELD.search(text)
    if found and "api_call" in text[: found.start()]:
        return _normal(_DICTIONARY_END.sub("", text[found.end() :]))
    return code_of.extract_code(_normal(text))


def as_catalog(docs: Sequence[ApiDoc]) -> Catalog:
    """The calls that docs name; of several rows with one call the first."""
    apis: dict[str, Api] = {}
    for doc in docs:
        name = api_id(doc.api_call)
        apis.setdefault(name, Api(name, "call", doc.api_call, doc.name, doc.text, domain=doc.domain))
    return Catalog("", tuple(sorted(apis.values(), key=lambda api: api.id)))


def api_id(call: str) -> str:
    """An api's id: its call in one spelling (quotes, blanks, no variable); what is not Python, blanks joined."""
    tree = code_of.parse(call.strip())
    if tree is None or len(tree.body) != 1:
        return " ".join(call.split())
    statement = tree.body[0]
    return code_of.written(statement.value if isinstance(statement, ast.Assign) else statement)


def without_row(tasks: Sequence[ApiBenchTask], docs: Sequence[ApiDoc]) -> list[ApiBenchTask]:
    """Tasks whose api no row of the docs has."""
    known = {doc.api_call for doc in docs}
    return [task for task in tasks if task.api_call not in known]


def _read_text(text: str, part: Part) -> tuple[str, str | None, list[str]]:
    """Instruction, code and what is irregular."""
    reasons = []
    start = _INSTRUCTION.match(text)
    body = text[start.end() :] if start else text
    if not start:
        reasons.append("no mark of an instruction")
    output = _OUTPUT.search(body)
    if not output:
        return body.strip(), None, [*reasons, "no output"]
    instruction, answer = body[: output.start()].strip(), body[output.end() :]
    if part == "torchhub":
        found = _CODE_FIELD.search(answer)
        code = _normal(_DICTIONARY_END.sub("", answer[found.end() :])) if found else None
        return instruction, code, reasons if found else [*reasons, "no code"]
    marks = tuple(_MARK.findall(answer))
    if marks != _MARKS:
        lacking = [name for name in _MARKS if name not in marks]
        reasons.append(f"no {', '.join(lacking)}" if lacking else "its parts are not the five")
    mark = _CODE_MARK.search(answer)
    return instruction, _normal(answer[mark.end() :]) if mark else None, reasons


def _normal(text: str) -> str:
    """Code without blanks and fences around it; escapes undone where that makes it Python, or it has no lines."""
    text = _FENCE.sub("", text.strip()).strip()
    if "\\" in text and code_of.parse(text) is None:
        plain = text.replace("\\n", "\n").replace('\\"', '"').replace("\\'", "'").strip().rstrip('"').rstrip()
        if ("\\n" in text and "\n" not in text) or code_of.parse(plain) is not None:
            return _FENCE.sub("", plain).strip()
    return text


def _part(provider: str, api_call: str) -> Part:
    if "torch.hub" in api_call or provider.startswith("PyTorch"):
        return "torchhub"
    return "tensorhub" if provider.startswith("TensorFlow") else "huggingface"


def _as_code(value: Any) -> str:
    """Example code, which some rows give as a list of lines or under names."""
    if isinstance(value, list):
        return "\n".join(str(item) for item in value)
    if isinstance(value, dict):
        return "\n".join(str(item) for item in value.values())
    return "" if value is None else str(value)


def _lines(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, Any]]]:
    found = []
    text = records.read_text(path, "give the path of one of APIBench's files, or of answers")
    for number, data in records.json_lines(text.split("\n"), str(path)):
        if not isinstance(data, dict):
            raise DataError(f"{path}:{number}: expected an object, found {type(data).__name__}")
        missing = [name for name in needed if name not in data]
        if missing:
            raise DataError(f"{path}:{number}: field {missing[0]!r} is missing; this is no such file of APIBench")
        for name in {"code", "api_call"} & set(needed):
            if not isinstance(data[name], str):
                raise DataError(f"{path}:{number}: field {name!r}: expected a text, found {type(data[name]).__name__}")
        found.append((number, data))
    if not found:
        raise DataError(f"{path}: no record in it")
    return found
