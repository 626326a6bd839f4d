"""Whose fault an execution's end was: a pure function over what the runner and the supervisor saw.

The kinds and blames are those of the outcome taxonomy (docs/architecture.md). The rules are a table, first match wins;
every rule that takes the blame off the program holds only where the program did not raise the exception itself, and
where the deepest frame is the program's or a trusted file's (the standard library, the packages).
"""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kohai.records import Blame
from kohai.sandbox.known import is_known

NAME = "<completion>"
EVIDENCE_LIMIT = 300
TICK_MS = 50  # the kernel's clocks may stop a program that much before its limit


@dataclass(frozen=True)
class Sighting:
    """How a program ended, as seen from outside; `report` is what its own process said, None where it said nothing.

    `report`'s keys: phase (setup | compile | run | exit | end), exception, mro, message, chain, file, line, errno,
    filename, name, exit.
    """

    status: int = 0  # exit status, or minus the signal's number
    late: bool = False  # stopped at the wall limit
    full: bool = False  # stopped because its folder grew too large
    cpu_ms: int = 0
    peak_bytes: int = 0
    report: Mapping[str, object] | None = None
    starved: bool = False  # the kernel killed a process of it for want of memory
    forged: bool = False  # the report channel held something that the runner did not write
    failure: str = ""  # the sandbox's own
    code: str = ""
    trusted: Sequence[str] = ()  # folders of files that are not the program's
    cpu_limit_ms: int = 0
    memory_limit_bytes: int = 0
    counts_are_own: bool = True  # the limit on processes is this program's alone
    requests: Sequence[str] = ()  # what services were asked, as they saw it: `GET /path 200`


@dataclass(frozen=True)
class Raised:
    """An exception, as the rules see it."""

    name: str
    types: frozenset[str]
    message: str
    chain: str
    errno: int | None
    filename: str
    module: str  # ImportError.name
    by_program: bool  # a `raise` of the program's own
    in_program: bool  # the deepest frame is the program's
    sighting: Sighting = field(repr=False)

    def said(self, pattern: str, *, also_chain: bool = False) -> bool:
        """True where the message (or a cause's) matches."""
        text = f"{self.message} | {self.chain}" if also_chain else self.message
        return re.search(pattern, text) is not None


@dataclass(frozen=True)
class Rule:
    """One row: the outcome where `holds`."""

    kind: str
    blame: Blame
    holds: Callable[[Raised], bool]


def classify(seen: Sighting) -> tuple[str, Blame, str]:
    """Kind, blame and evidence of one execution."""
    for step in (_ended_from_outside, _ended_by_report):
        outcome = step(seen)
        if outcome is not None:
            return outcome[0], outcome[1], outcome[2][:EVIDENCE_LIMIT]
    return "runtime_error", "program", f"ended with status {seen.status}"


def _ended_from_outside(seen: Sighting) -> tuple[str, Blame, str] | None:
    """Outcomes that need no word of the program's own process."""
    if seen.failure:
        return "sandbox_failure", "environment", seen.failure
    if seen.forged:
        return "tampering", "program", "something else than the runner wrote to the report channel"
    if seen.starved and seen.status != 0:
        return "out_of_memory", "undecided", "its processes together took more memory than they may"
    if seen.full:
        return "quota", "environment", "its folder grew too large"
    ended_by_kernel = seen.status == -_number("SIGXCPU") and 2 * seen.cpu_ms >= seen.cpu_limit_ms  # clocks differ
    computing = ended_by_kernel or seen.cpu_ms + TICK_MS >= seen.cpu_limit_ms
    if seen.late or ended_by_kernel or (seen.status == -_number("SIGKILL") and computing):
        used = f"{seen.cpu_ms} ms of CPU time used, {seen.cpu_limit_ms} allowed"
        return ("timeout", "program", used) if computing else ("timeout", "undecided", f"waiting; {used}")
    if seen.status < 0:
        if seen.status == -_number("SIGKILL") and 2 * seen.peak_bytes > seen.memory_limit_bytes:
            return "out_of_memory", "undecided", "killed from outside with much memory in use"
        return "crash", "program", f"signal {_signal_name(-seen.status)}"
    if seen.report is None:
        return "nonzero_exit", "program", f"left before its end (os._exit): no report, exit status {seen.status}"
    return None


def _ended_by_report(seen: Sighting) -> tuple[str, Blame, str] | None:
    report = seen.report or {}
    phase, message = report.get("phase"), str(report.get("message", ""))
    if phase == "setup":
        return "sandbox_failure", "environment", message
    told = report.get("exit", 0) if phase == "exit" else int(phase in ("run", "compile"))
    if told != seen.status:
        return "tampering", "program", f"the report says exit status {told}, the process ended with {seen.status}"
    if phase == "end" or (phase == "exit" and told == 0):
        return "ok", "none", ""
    if phase == "exit":
        return "nonzero_exit", "program", f"exit status {told}"
    raised = _raised(seen, report)
    evidence = f"{raised.name}: {raised.message}"
    if phase == "compile":
        kind: tuple[str, Blame] = ("syntax_error", "program")
        return (*(("out_of_memory", "undecided") if raised.name == "MemoryError" else kind), evidence)
    for rule in RULES:
        if rule.holds(raised):
            return rule.kind, rule.blame, evidence
    return "runtime_error", "program", evidence


def _raised(seen: Sighting, report: Mapping[str, object]) -> Raised:
    names, chain, number = report.get("mro"), report.get("chain"), report.get("errno")
    file, line = str(report.get("file", NAME)), report.get("line")
    in_program = file == NAME
    own_file = not in_program and not file.startswith("<frozen ") and not any(_inside(file, t) for t in seen.trusted)
    return Raised(
        name=str(report.get("exception", "")),
        types=frozenset(map(str, names)) if isinstance(names, list) else frozenset(),
        message=str(report.get("message", "")),
        chain=" | ".join(map(str, chain)) if isinstance(chain, list) else "",
        errno=number if isinstance(number, int) else None,
        filename=str(report.get("filename", "")),
        module=str(report.get("name", "")),
        by_program=own_file or (in_program and isinstance(line, int) and _raises_at(seen.code, line)),
        in_program=in_program,
        sighting=seen,
    )


def _inside(file: str, folder: str) -> bool:
    return file.startswith(folder.rstrip("/") + "/")


def _raises_at(code: str, line: int) -> bool:
    """True where a `raise` statement, or an `assert`, covers the line."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return any(
        isinstance(node, ast.Raise | ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno)
        for node in ast.walk(tree)
    )


def _is_in_code(raised: Raised) -> bool:
    """True where the missing file's name stands in a string of the program."""
    name = raised.filename.rstrip("/").rpartition("/")[2]
    return bool(name) and name in raised.sighting.code


def _number(name: str) -> int:
    return int(getattr(signal, name, 0))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _is(*names: str) -> Callable[[Raised], bool]:
    return lambda raised: not raised.types.isdisjoint(names)


def _not_by_program(holds: Callable[[Raised], bool]) -> Callable[[Raised], bool]:
    return lambda raised: not raised.by_program and holds(raised)


def _excused(kind: str, blame: Blame, holds: Callable[[Raised], bool]) -> Rule:
    """A rule that takes the blame off the program: never for what the program raised itself."""
    return Rule(kind, blame, _not_by_program(holds))


BINDING = (
    r"missing \d+ required|unexpected keyword argument|takes (no|exactly|at (most|least)|from|\d+) .*argument"
    r"|takes no (keyword )?arguments|(got|for) multiple values for|invalid keyword argument|positional-only argument"
    r"|expected (at (most|least) |exactly )?\d+ (positional )?arguments?, got"
    r"|expected (at (most|least)|exactly) \d+ argument"
    r"|is an invalid keyword|required (positional )?argument|no argument named"
)
UNREACHABLE = frozenset({100, 101, 110, 111, 113})  # network down or unreachable, timed out, refused, no route to host
NETWORK = ("gaierror", "URLError", "ConnectError", "ConnectTimeout", "ConnectionError", "MaxRetryError", "ProxyError")
FULL = frozenset({27, 28, 122})  # EFBIG, ENOSPC, EDQUOT
DENIED = frozenset({1, 13, 30})  # EPERM, EACCES, EROFS

RULES: tuple[Rule, ...] = (
    # Something that the box lacks, or that does not exist at all.
    _excused(
        "missing_weights",
        "environment",
        lambda r: (
            any(line.endswith(" 424") for line in r.sighting.requests)
            and r.said(r"\b424\b.*Failed Dependency|424 Client Error", also_chain=True)
        ),
    ),
    _excused(
        "out_of_memory",
        "undecided",
        lambda r: (
            "MemoryError" in r.types
            or r.errno == 12
            or r.said(r"can't allocate memory|not enough memory|Unable to allocate")
        ),
    ),
    _excused(
        "no_gpu",
        "environment",
        lambda r: r.said(
            r"NVIDIA driver|No CUDA GPUs|not compiled with CUDA|CUDA is not available|requires accelerator, but not"
        ),
    ),
    _excused("missing_dependency", "environment", lambda r: _is("ModuleNotFoundError")(r) and is_known(r.module)),
    Rule("unknown_import", "program", _is("ModuleNotFoundError")),
    Rule("unknown_symbol", "program", lambda r: _is("ImportError")(r) and r.said("cannot import name")),
    _excused(
        "missing_dependency",
        "environment",
        lambda r: (
            not r.in_program
            and (_is("ImportError")(r) or r.said(r"pip install [\w-]+"))
            and r.said(r"require[sd]?\b|not installed|pip install|not found in your environment", also_chain=True)
        ),
    ),
    _excused(
        "missing_dependency", "environment", lambda r: not r.in_program and r.said(r"was not found but is required")
    ),
    Rule("unknown_import", "program", _is("ImportError")),
    Rule(
        "unknown_resource",
        "program",
        lambda r: (
            r.said(r"RepositoryNotFoundError|RevisionNotFoundError|EntryNotFoundError", also_chain=True)
            or _is("RepositoryNotFoundError", "RevisionNotFoundError", "EntryNotFoundError")(r)
            or r.said(r"not a valid (model|git) identifier|Cannot find callable")
            or (_is("OperationalError")(r) and r.said(r"no such table"))
            or (
                any(line.endswith("/config.json 404") for line in r.sighting.requests)
                and r.said(r"Unrecognized model in|Could not load model")
            )
        ),
    ),
    # The network, files, space. No host has a name with an underscore: it is a placeholder.
    Rule("unknown_resource", "program", lambda r: r.said(r"host='[^']*_[^']*'.*(resolve|not known)")),
    _excused(
        "no_network",
        "environment",
        lambda r: (
            not _is("BrokenPipeError", "ConnectionResetError")(r)
            and not r.types >= {"HTTPError", "URLError"}  # urllib's: somebody answered
            and (
                _is(*NETWORK)(r)
                or r.errno in UNREACHABLE
                or r.said(r"no internet connection|name resolution", also_chain=True)
            )
        ),
    ),
    _excused("no_network", "environment", lambda r: _is("TimeoutError")(r) and not r.in_program),
    _excused("missing_input", "environment", lambda r: _is("FileNotFoundError")(r) and r.errno == 2 and _is_in_code(r)),
    _excused("quota", "environment", lambda r: _is("OSError")(r) and r.errno in FULL),
    _excused(
        "quota",
        "environment",
        lambda r: _is("OperationalError")(r) and r.said(r"database or disk is full|disk I/O error"),
    ),
    _excused("forbidden", "undecided", lambda r: _is("OSError")(r) and r.errno in DENIED),
    _excused(
        "sandbox_failure",
        "environment",
        lambda r: (
            not r.sighting.counts_are_own
            and (r.errno == 11 or r.said("can't start new thread"))
            and _is("OSError", "RuntimeError")(r)
        ),
    ),
    # The program's use of names, types and calls.
    Rule("unbound_name", "program", _is("NameError")),
    Rule("version_skew", "program", lambda r: not r.in_program and r.said(r"(has been|was) removed (in|from|since)\b")),
    Rule("unknown_attribute", "program", _is("AttributeError")),
    Rule("bad_arguments", "program", lambda r: _is("TypeError")(r) and r.said(BINDING)),
    Rule(
        "bad_arguments",
        "program",
        lambda r: r.said(r"Unknown task|model_kwargs.*not used|Unrecognized configuration class"),
    ),
    Rule("wrong_type", "program", _is("TypeError")),
    Rule(
        "wrong_type",
        "program",
        lambda r: _is("ValueError")(r) and not r.in_program and r.said(r"must be of type|should be of type"),
    ),
)
