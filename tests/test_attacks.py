"""The attack suite: none succeeds under namespaces (T2), nor under landlock and seccomp alone (T1); nothing is left."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import attacks
import pytest
from tiers import sandbox_of

from kohai.config import SandboxConfig
from kohai.records import Execution
from kohai.sandbox import Program, Sandbox

CONFIG = SandboxConfig(cpu_seconds=1, wall_seconds=3, memory_mb=256, file_mb=4, disk_mb=16, output_kb=4, processes=2)
GROUPS = {name: getattr(attacks, name) for name in ("READ", "WRITE", "KILL", "ESCAPE", "FORGE", "FILL", "EXHAUST")}


@pytest.fixture(scope="module", params=["T2", pytest.param("T1", marks=pytest.mark.slow)])
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox of each tier that confines."""
    with sandbox_of(request.param, CONFIG) as found:
        yield found


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A file of the host that anybody may write; looked at afterwards."""
    path = tmp_path / "secret"
    path.write_text("hunter2")
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    before = path.stat()
    yield path
    after = path.stat()
    assert path.read_text() == "hunter2"
    assert (before.st_mode, before.st_mtime) == (after.st_mode, after.st_mtime)
    assert [found.name for found in tmp_path.iterdir()] == ["secret"]


@pytest.fixture
def port() -> Iterator[int]:
    """Two sockets of this process that a program must not reach: a local port, and an abstract one."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0kohai-attack-{os.getpid()}")
        abstract.listen()
        yield server.getsockname()[1]


def descendants() -> set[str]:
    """Processes below this one."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[folder.name] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
    found = {str(os.getpid())}
    while new := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= new
    return found - {str(os.getpid())}


def files(box: Sandbox) -> set[str]:
    return {str(path) for path in box._layout.folder.rglob("*") if "worker" not in path.name}


def attack(box: Sandbox, code: str, secret: Path, port: int) -> Program:
    words = {"SECRET": str(secret), "HOST": str(os.getpid()), "FOLDER": str(box._layout.folder), "PORT": str(port)}
    for word, meaning in words.items():
        code = code.replace(word, meaning)
    return Program(code)


@pytest.mark.parametrize(
    "group", [pytest.param(name, marks=pytest.mark.slow) if name == "EXHAUST" else name for name in GROUPS]
)
def test_no_attack_succeeds(box: Sandbox, secret: Path, port: int, group: str) -> None:
    """None gets what it is after, however it ends; the next programs run as if nothing had been."""
    box.execute([Program("pass")] * 4)
    kept, before = files(box), descendants()
    codes = GROUPS[group]
    bare = [attack(box, code, secret, port) for code in codes.values()]
    kind = {"FORGE": bare, "FILL": bare, "EXHAUST": bare}
    programs = kind.get(group) or [Program(attacks.tried(program.code)) for program in bare]
    outcomes = box.execute(programs)
    for name, outcome in zip(codes, outcomes, strict=True):
        assert "GOT" not in outcome.stdout, (name, outcome)
        assert outcome.kind != "sandbox_failure", (name, outcome)
        if group == "FORGE":
            assert outcome.blame == "program", (name, outcome)
        if group in ("FILL", "EXHAUST"):
            assert outcome.kind != "ok", (name, outcome)
    assert [outcome.kind for outcome in box.execute([Program("import os\nprint(os.listdir('.'))")] * 4)] == ["ok"] * 4
    assert files(box) == kept
    assert len(descendants()) == len(before)


@pytest.mark.parametrize("name", attacks.LEAVE)
def test_nothing_reaches_the_next_program(box: Sandbox, name: str) -> None:
    """What a program leaves, the next one on the same worker does not find."""
    first, second = attacks.LEAVE[name]
    box.execute([Program("pass")])
    for code in (first, second):
        worker = box._workers[-1].get()
        box._workers[-1].put(worker)
        (outcome,) = box.execute([Program(attacks.tried(code))])
        assert outcome.kind == "ok", outcome
        assert "GOT" not in outcome.stdout, outcome
        assert box._workers[-1].queue[-1] is worker


def test_there_are_enough() -> None:
    """At least sixty, each of a name and code of its own."""
    codes = [code for group in GROUPS.values() for code in group.values()] + list(attacks.LEAVE.values())
    assert len(codes) == len(set(codes)) >= 60


def outcomes_of(box: Sandbox, codes: list[str], **limits: float) -> list[Execution]:
    return box.execute([Program(code, limits=limits) for code in codes])


def test_a_bomb_beside_honest_programs(box: Sandbox) -> None:
    """While one worker bears a fork bomb, what runs on the other is not disturbed."""
    bombs = [attacks.EXHAUST["processes that fork"]] * 2
    honest = ["import threading\nt = threading.Thread(target=print, args=('x',))\nt.start()\nt.join()"] * 40
    found: list[Execution] = []
    beside = threading.Thread(target=lambda: found.extend(outcomes_of(box, bombs)))
    beside.start()
    kinds = {outcome.kind for outcome in outcomes_of(box, honest, wall_seconds=30.0)}  # the bomb takes time
    beside.join()
    assert kinds == {"ok"}
    assert all(outcome.kind != "sandbox_failure" for outcome in found)
