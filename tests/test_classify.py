"""The rules of blame, without processes: what was seen in, kind and blame out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kohai.sandbox.classify import Sighting, classify
from kohai.sandbox.known import is_known

LIBRARY = "/usr/lib/python3/somelib.py"


def raised(
    name: str, message: str = "", /, *, code: str = "work()", mro: tuple[str, ...] = (), **rest: object
) -> Sighting:
    kinds = [name, *mro, "Exception", "BaseException", "object"]
    report = {"phase": "run", "exception": name, "mro": kinds, "message": message, "file": LIBRARY, "line": 1} | rest
    return Sighting(status=1, report=report, code=code, trusted=("/usr/lib",), cpu_limit_ms=4000)


def outcome(seen: Sighting) -> tuple[str, str]:
    kind, blame, _ = classify(seen)
    return kind, blame


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (raised("TypeError", "f() missing 2 required positional arguments: 'a' and 'b'"), "bad_arguments"),
        (raised("TypeError", "f() got an unexpected keyword argument 'colour'"), "bad_arguments"),
        (raised("TypeError", "f() takes 1 positional argument but 2 were given"), "bad_arguments"),
        (raised("TypeError", "f() takes from 1 to 2 positional arguments but 3 were given"), "bad_arguments"),
        (raised("TypeError", "f() got multiple values for argument 'a'"), "bad_arguments"),
        (raised("TypeError", "len() takes exactly one argument (2 given)"), "bad_arguments"),
        (raised("TypeError", "'x' is an invalid keyword argument for open()"), "bad_arguments"),
        (raised("TypeError", "unsupported operand type(s) for +: 'int' and 'str'"), "wrong_type"),
        (raised("AttributeError", "module 'm' has no attribute 'n'"), "unknown_attribute"),
        (raised("UnboundLocalError", "x", mro=("NameError",)), "unbound_name"),
        (raised("ImportError", "cannot import name 'a' from 'b'"), "unknown_symbol"),
        (raised("ModuleNotFoundError", "", mro=("ImportError",), name="no_such_thing.sub"), "unknown_import"),
        (raised("OperationalError", "no such table: orders"), "unknown_resource"),
        (raised("RepositoryNotFoundError", "404 Client Error"), "unknown_resource"),
        (raised("NotFound", "no item 'X'", mro=("LookupError",)), "runtime_error"),
        (raised("ConnectionError", "HTTPPool(host='your_url', port=80): Failed to resolve"), "unknown_resource"),
        (raised("HTTPError", "HTTP Error 404: Not Found", mro=("URLError", "OSError")), "runtime_error"),
        (raised("HTTPError", "424 Client Error: Failed Dependency", mro=("URLError", "OSError")), "runtime_error"),
        (raised("AttributeError", "x was removed in version 5"), "version_skew"),
    ],
)
def test_program_kinds(seen: Sighting, expected: str) -> None:
    """What the program does wrong with names, types and calls is its own fault."""
    assert outcome(seen) == (expected, "program")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (
            raised("ModuleNotFoundError", "", mro=("ImportError",), name="sklearn"),
            ("missing_dependency", "environment"),
        ),
        (
            raised("ImportError", "reading xlsx requires openpyxl; pip install it"),
            ("missing_dependency", "environment"),
        ),
        (raised("OSError", "no space left", errno=28), ("quota", "environment")),
        (raised("OSError", "quota", errno=122), ("quota", "environment")),
        (raised("gaierror", "Temporary failure in name resolution", mro=("OSError",)), ("no_network", "environment")),
        (raised("OSError", "unreachable", errno=101), ("no_network", "environment")),
        (raised("RuntimeError", "Found no NVIDIA driver on your system"), ("no_gpu", "environment")),
        (
            replace(raised("HTTPError", "424 Client Error: Failed Dependency"), requests=("GET /api/models/a 424",)),
            ("missing_weights", "environment"),
        ),
        (raised("URLError", "timed out", mro=("OSError",)), ("no_network", "environment")),
        (
            raised("ValueError", "ffmpeg was not found but is required to load audio"),
            ("missing_dependency", "environment"),
        ),
        (raised("RuntimeError", "`f` requires accelerator, but not found"), ("no_gpu", "environment")),
        (
            raised(
                "ConnectionError", "HTTPPool(host='a-b.com', port=80): Failed to resolve 'a-b.com'", mro=("OSError",)
            ),
            ("no_network", "environment"),
        ),
        (
            raised("ConnectError", "[Errno -2] Name or service not known", mro=("TransportError", "HTTPError")),
            ("no_network", "environment"),
        ),
        (raised("MemoryError"), ("out_of_memory", "undecided")),
        (raised("PermissionError", "denied", mro=("OSError",), errno=13), ("forbidden", "undecided")),
        (
            raised("FileNotFoundError", "x", mro=("OSError",), errno=2, filename="/a/in.csv", code="read('in.csv')"),
            ("missing_input", "environment"),
        ),
    ],
)
def test_environment_kinds(seen: Sighting, expected: tuple[str, str]) -> None:
    """What the box lacks or forbids is not the program's fault."""
    assert outcome(seen) == expected


@pytest.mark.parametrize(
    "name", ["MemoryError", "PermissionError", "FileNotFoundError", "ConnectionError", "gaierror", "OSError"]
)
def test_raised_by_hand(name: str) -> None:
    """A program that raises the environment's error itself is at fault itself, also by way of a file of its own."""
    rest = {"errno": {"OSError": 28, "PermissionError": 13}.get(name, 2), "filename": "in.csv", "mro": ("OSError",)}
    own = raised(name, code="if True:\n    raise ValueError(\n        'in.csv')", file="<completion>", line=3, **rest)
    assert outcome(own) == ("runtime_error", "program")
    written = raised(name, code="import helper  # in.csv", file="/box/helper.py", **rest)
    assert outcome(written) == ("runtime_error", "program")
    assert outcome(raised(name, code="read('in.csv')", **rest))[1] != "program"


def test_missing_file_that_the_program_never_named() -> None:
    """A file whose name does not stand in the program was not for the task to provide."""
    seen = raised("FileNotFoundError", "x", mro=("OSError",), errno=2, filename="/a/7.tmp", code="work()")
    assert outcome(seen) == ("runtime_error", "program")


def test_a_repository_that_the_class_cannot_load() -> None:
    """Without a `config.json` in it, the model is not one of that library's; with one it is something else."""
    seen = raised("ValueError", "Unrecognized model in a/b. Should have a `model_type` key in its config.json")
    without = replace(seen, requests=("HEAD /a/b/resolve/main/config.json 404",))
    assert outcome(without) == ("unknown_resource", "program")
    assert outcome(replace(seen, requests=("HEAD /a/b/resolve/main/config.json 200",))) == ("runtime_error", "program")


def test_fork_limits() -> None:
    """EAGAIN is the program's fault only where the limit on processes is its own."""
    seen = raised("BlockingIOError", "Resource temporarily unavailable", mro=("OSError",), errno=11)
    assert outcome(seen) == ("runtime_error", "program")
    shared = Sighting(status=1, report=seen.report, code=seen.code, trusted=seen.trusted, counts_are_own=False)
    assert outcome(shared) == ("sandbox_failure", "environment")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Sighting(report={"phase": "end"}), ("ok", "none")),
        (Sighting(report={"phase": "exit", "exit": 0}), ("ok", "none")),
        (Sighting(status=3, report={"phase": "exit", "exit": 3}), ("nonzero_exit", "program")),
        (Sighting(status=0), ("nonzero_exit", "program")),
        (Sighting(status=0, forged=True), ("tampering", "program")),
        (Sighting(status=4, report={"phase": "end"}), ("tampering", "program")),
        (Sighting(status=-11, memory_limit_bytes=1 << 20, cpu_limit_ms=4000), ("crash", "program")),
        (Sighting(status=-24, cpu_ms=3990, cpu_limit_ms=4000), ("timeout", "program")),
        (Sighting(status=-24, cpu_ms=10, cpu_limit_ms=4000), ("crash", "program")),
        (Sighting(status=-9, cpu_ms=4900, cpu_limit_ms=4000), ("timeout", "program")),
        (Sighting(status=-9, late=True, cpu_ms=10, cpu_limit_ms=4000), ("timeout", "undecided")),
        (Sighting(status=-9, late=True, cpu_ms=4100, cpu_limit_ms=4000), ("timeout", "program")),
        (
            Sighting(status=-9, peak_bytes=600, memory_limit_bytes=1000, cpu_limit_ms=4000),
            ("out_of_memory", "undecided"),
        ),
        (Sighting(failure="fork: no"), ("sandbox_failure", "environment")),
        (Sighting(status=1, report={"phase": "setup", "message": "x"}), ("sandbox_failure", "environment")),
    ],
)
def test_endings(seen: Sighting, expected: tuple[str, str]) -> None:
    """Exit statuses, signals, clocks and channels, whatever the program says of itself."""
    assert outcome(seen) == expected


@pytest.mark.parametrize(
    ("name", "real"),
    [(name, True) for name in ("sklearn", "cv2", "PIL", "pyannote", "tensorflow", "yaml", "google.cloud")]
    + [(name, False) for name in ("zzqq_not_a_pkg_9", "utils", "some_module", "transformers.sentiment", "google.clod")],
)
def test_real_packages_are_known(name: str, real: bool) -> None:
    """By the name that one imports; not what looks like one, nor what a program means as a file of its own."""
    assert is_known(name) is real
