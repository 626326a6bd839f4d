"""What goes wrong around the sandbox: it is killed, shares its cache, has no disk; real processes throughout."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import attacks
import pytest

from kohai.config import SandboxConfig
from kohai.sandbox import Program, Sandbox

ENVIRONMENT = os.environ | {"NO_COLOR": "1"}


def command(source: Path, out: Path, *settings: str) -> list[str]:
    sets = [word for setting in ("unsafe=true", "processes=2", *settings) for word in ("--set", setting)]
    return [sys.executable, "-m", "kohai", "execute", str(source), "--out", str(out), *sets]


def programs(path: Path, count: int, code: str = "import time\ntime.sleep(0.02)\nprint({n})") -> Path:
    path.write_text("".join(json.dumps({"code": code.format(n=n)}) + "\n" for n in range(count)))
    return path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def remembered(cache: Path) -> int:
    """How many outcomes a cache has, which another process may just be making."""
    try:
        with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM verdicts").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def is_running(process: str) -> bool:
    """Whether it is there, and no zombie that nobody reaps."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_in_the_middle_nothing_finished_is_lost(tmp_path: Path) -> None:
    """`kill -9` of the service: no output file, no process left; the same command takes what was done, and ends."""
    source, out = programs(tmp_path / "in.jsonl", 300), tmp_path / "out.jsonl"
    cache = tmp_path / "out.jsonl.cache.sqlite"
    service = subprocess.Popen(command(source, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not remembered(cache) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    service.kill()
    service.wait()
    assert not out.exists()
    deadline = time.monotonic() + 20
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, children))
    said = json.loads(subprocess.run(command(source, out), capture_output=True, check=True, env=ENVIRONMENT).stdout)
    assert [line["stdout"] for line in lines(out)] == [f"{n}\n" for n in range(300)]
    assert 0 < said["cached"] < 300


def test_two_services_on_one_cache(tmp_path: Path) -> None:
    """Both end, with the same outcomes in order, and a third finds all of them."""
    source, cache = programs(tmp_path / "in.jsonl", 120, "print({n})"), f"cache={tmp_path / 'shared.sqlite'}"
    outs = [tmp_path / f"{name}.jsonl" for name in ("a", "b", "c")]
    running = [
        subprocess.Popen(command(source, out, cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for out in outs[:2]
    ]
    for service in running:
        _, errors = service.communicate(timeout=100)
        assert service.returncode == 0, errors
    for out in outs[:2]:
        assert [line["stdout"] for line in lines(out)] == [f"{n}\n" for n in range(120)]
    said = json.loads(subprocess.run(command(source, outs[2], cache), capture_output=True, check=True).stdout)
    assert said["cached"] == 120


def test_a_program_that_waits_and_ignores_every_signal() -> None:
    """Its time ends it, and the next one runs."""
    code = f"{attacks.DEAF}import time\nwhile True:\n    time.sleep(1)"
    with Sandbox(SandboxConfig(wall_seconds=2, unsafe=True, processes=1)) as box:
        waiting, after = box.execute([Program(code), Program("print(1)")])
    assert (waiting.kind, waiting.blame, after.kind) == ("timeout", "undecided", "ok"), waiting


@pytest.mark.parametrize("full", ["out", "tmp"])
def test_no_room_on_the_disk(tmp_path: Path, full: str) -> None:
    """One clear error, exit code 2, nothing half-written: where outcomes go, and where programs' folders are."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare")
    small = tmp_path / "small"
    small.mkdir()
    source = programs(tmp_path / "in.jsonl", 40, "print('x' * 9000, {n})")
    folder = small if full == "out" else tmp_path
    words = " ".join(
        command(source, folder / "out.jsonl", *([f"cache={tmp_path / 'c.sqlite'}"] if full == "out" else []))
    )
    script = f"mount -t tmpfs -o size=64k tmpfs {small} && {'TMPDIR=' + str(small) if full == 'tmp' else ''} {words}; "
    script += f"code=$?; ls -A {small} >&2; exit $code"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    if "unshare: " in done.stderr or "mount: " in done.stderr:
        pytest.skip("no user namespaces here")
    assert done.returncode == 2, done.stderr
    assert "disk" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "out.jsonl\n" not in done.stderr
