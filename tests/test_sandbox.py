"""Real programs in real boxes: what they may do, how they end, what is left of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attacks
import pytest
from tiers import LAYERS, sandbox_of, skip_where_programs_cannot_read

from kohai.config import SandboxConfig
from kohai.errors import ConfigError, DataError, ToolError
from kohai.records import Execution
from kohai.sandbox import Program, Sandbox, cgroup, normal_stdout, sandbox, state_digest
from kohai.sandbox.layers import Layers

LIMITS = {"cpu_seconds": 1.0, "wall_seconds": 3.0, "memory_mb": 256, "file_mb": 4, "disk_mb": 16, "output_kb": 4}
CONFIG = SandboxConfig.model_validate(LIMITS | {"processes": 2, "unsafe": True})


@pytest.fixture(scope="module", params=LAYERS)
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox of each tier that this machine gives."""
    with sandbox_of(request.param, CONFIG, state="app.db") as found:
        yield found


def run(box: Sandbox, code: str, **rest: object) -> Execution:
    return box.execute([Program(code, **rest)])[0]


def outcome(execution: Execution) -> tuple[str, str]:
    return execution.kind, execution.blame


@pytest.mark.parametrize(
    ("code", "kind", "line"),
    [
        ("print(2 + 3)", "ok", None),
        ("import sys\nprint('bye')\nsys.exit(0)", "ok", None),
        ("raise SystemExit", "ok", None),
        ("x = 1\nfor in x: pass", "syntax_error", 2),
        ("a = '\\0'\nprint('a\0b')", "syntax_error", None),
        ("import json.gibberish", "unknown_import", 1),
        ("\nimport surely_no_such_package_q7", "unknown_import", 2),
        ("from json import dumpling", "unknown_symbol", 1),
        ("import math\nmath.squareroot(4)", "unknown_attribute", 2),
        ("def f(a): pass\nf()", "bad_arguments", 2),
        ("import json\njson.dumps({}, nice=True)", "bad_arguments", 2),
        ("sorted()", "bad_arguments", 1),
        ("print(totl)", "unbound_name", 1),
        ("'a' + 1", "wrong_type", 1),
        ("{}['missing']", "runtime_error", 1),
        ("def deep(): return deep()\ndeep()", "runtime_error", 1),
        ("import sqlite3\nsqlite3.connect('x').execute('select * from nowhere')", "unknown_resource", 2),
        ("print('bye')\nexit()", "ok", None),
        ("quit(2)", "nonzero_exit", None),
        ("raise SystemExit(4)", "nonzero_exit", None),
        ("raise SystemExit('no')", "nonzero_exit", None),
        ("import os\nos._exit(0)", "nonzero_exit", None),
        ("import os\nos.abort()", "crash", None),
        ("import ctypes\nctypes.string_at(1)", "crash", None),
        ("raise FileNotFoundError(2, 'no', 'in.csv')", "runtime_error", 1),
        ("raise MemoryError", "runtime_error", 1),
        ("raise ConnectionError('down')", "runtime_error", 1),
        ("open('h.py', 'w').write('raise PermissionError(13, 0)')\nimport h", "runtime_error", 2),
    ],
)
def test_program_kinds(box: Sandbox, code: str, kind: str, line: int | None) -> None:
    """Each kind that is the program's doing, and the line where it happened."""
    execution = run(box, code)
    assert outcome(execution) == (kind, "none" if kind == "ok" else "program"), execution
    assert execution.line == line


@pytest.mark.parametrize(
    ("code", "kind", "blame"),
    [
        ("import tensorflow", "missing_dependency", "environment"),
        ("open('prices.csv')", "missing_input", "environment"),
        ("from pathlib import Path\nPath('/data/a.txt').read_text()", "missing_input", "environment"),
        ("f = open('f', 'wb')\nfor _ in range(9): f.write(bytes(1 << 20))", "quota", "environment"),
        ("b = bytearray(1 << 30)", "out_of_memory", "undecided"),
        ("import time\ntime.sleep(60)", "timeout", "undecided"),
    ],
)
def test_environment_kinds(box: Sandbox, code: str, kind: str, blame: str) -> None:
    """What the box lacks or bounds is not the program's fault; waiting and memory are for the reference to decide."""
    assert outcome(run(box, code, limits={"wall_seconds": 1.0} if kind == "timeout" else {})) == (kind, blame)


def test_network_is_gone(box: Sandbox) -> None:
    """Where the box has its own network, nothing is reached: neither by name nor by number."""
    if not box.describe()["no network"]:
        pytest.skip("no namespaces here")
    by_name = "import urllib.request\nurllib.request.urlopen('http://example.org')"
    by_number = "import socket\nsocket.create_connection(('192.0.2.7', 80), 1)"
    assert [e.kind for e in box.execute([Program(by_name), Program(by_number)])] == ["no_network"] * 2


@pytest.mark.parametrize("state", ["/tmp/shop.db", "../shop.db"])
def test_a_state_is_a_programs_own(state: str) -> None:
    """A database elsewhere would be the user's own, and SQL fixtures are run into it outside of any box."""
    with pytest.raises(ConfigError, match="leads out of a program's folder"):
        Sandbox(SandboxConfig(image="plain"), state=state)


def test_computing_too_long(box: Sandbox) -> None:
    """A loop that computes ends by its CPU time, at fault itself, though it ignores every signal it can."""
    stubborn = f"{attacks.DEAF}while True:\n    pass"
    started = time.monotonic()
    patient = {"wall_seconds": 15.0}  # a busy machine is slow to give each its second
    found = box.execute([Program(code, limits=patient) for code in ("while True: pass", stubborn)])
    assert [outcome(execution) for execution in found] == [("timeout", "program")] * 2, found
    assert all(500 <= execution.cpu_ms < 5000 for execution in found), found  # half: the kernel's clocks differ
    assert time.monotonic() - started < 20


def test_output_is_bounded(box: Sandbox) -> None:
    """A flood of output is read to its end, its tail is kept."""
    execution = run(box, "for n in range(40_000): print('line', n)")
    assert outcome(execution) == ("ok", "none")
    assert len(execution.stdout) <= 4096
    assert execution.stdout.endswith("line 39999\n")


def test_traceback_shows_the_program_only(box: Sandbox) -> None:
    """The traceback on stderr starts at the program's own frame and ends with the exception."""
    execution = run(box, "def f():\n    return 1 / 0\nf()")
    assert execution.exception == "ZeroDivisionError"
    assert "worker" not in execution.stderr
    assert 'File "<completion>", line 2, in f' in execution.stderr


def test_forging(box: Sandbox) -> None:
    """A program that writes a report of success by itself, and leaves, is caught."""
    forge = """
import os
for number in range(3, 1100):
    try:
        os.write(number, b'{"phase": "end", "nonce": "?"}')
    except OSError:
        pass
os._exit(0)
"""
    assert outcome(run(box, forge)) == ("tampering", "program")


def test_killing_the_supervisor(box: Sandbox) -> None:
    """A program that shoots at its parent gains nothing; with limits only, it has no outcome."""
    execution = run(box, "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(9)")
    if execution.tier == "T0":
        assert outcome(execution) == ("sandbox_failure", "environment")
        return
    assert execution.blame in ("program", "undecided")
    assert execution.kind in ("crash", "timeout", "forbidden")


def alive(marker: str) -> list[str]:
    """Processes of this machine whose command line holds the marker."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in line:
                found.append(folder.name)
    return found


@pytest.mark.parametrize("end", ["pass", "time.sleep(60)", "os.abort()", "os._exit(0)"])
def test_nothing_is_left_running(box: Sandbox, end: str) -> None:
    """Children, forked and detached with `setsid`, die with their program, however it ends."""
    marker = f"leftover-{os.getpid()}-{len(end)}"
    code = (
        "import os, subprocess, sys, time\n"
        f"spin = [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(90)', '{marker}']\n"
        "subprocess.Popen(spin)\nsubprocess.Popen(spin, start_new_session=True)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: os.execv(spin[0], spin)\n    os._exit(0)\n"
        f"time.sleep(0.2)\n{end}\n"
    )
    execution = run(box, code, limits={"wall_seconds": 1.5} if "sleep" in end else {})
    assert execution.kind in ("ok", "timeout", "crash", "nonzero_exit"), execution
    assert alive(marker) == []


def test_processes_are_bounded(box: Sandbox) -> None:
    """A fork bomb hits its own limit, and the next program does not notice."""
    if not box.describe()["process count limit"]:
        pytest.skip("no limit on processes here")
    bomb = "import os, time\nfor _ in range(500):\n    if os.fork() == 0: time.sleep(60); os._exit(0)"
    first, second = (
        run(box, bomb),
        run(box, "import threading\nt = threading.Thread(target=print, args=(1,)); t.start()"),
    )
    assert outcome(first) == ("runtime_error", "program")
    assert outcome(second) == ("ok", "none")


def test_memory_of_all_processes_is_bounded(box: Sandbox) -> None:
    """Three processes, each within its limit, together over it: some end, and no program beside or after them does."""
    sleeper = subprocess.Popen(["sleep", "60"])
    group = cgroup.make("probe", sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    if group is None:
        pytest.skip("no control group of memory here")
    group.close()
    hold = "held = bytearray(150 << 20)\nfor at in range(0, len(held), 4096):\n    held[at] = 1\n"
    code = f"import os, time\nif os.fork() == 0:\n    os.fork()\n{hold}time.sleep(0.5)"
    patient = {"wall_seconds": 10.0}
    hungry, after = box.execute([Program(code, limits=patient), Program("print(1)", limits=patient)])
    assert hungry.kind in ("ok", "out_of_memory"), hungry  # ok: it was a child that the kernel chose
    assert after.kind == "ok", after
    code = (  # the child keeps what it holds until its parent holds as much, or is gone
        "import os\nfilled, tell = os.pipe()\nchild = os.fork()\nif not child:\n    os.close(tell)\n"
        f"{hold}if child:\n    os.close(tell)\n    print(os.wait()[1])\nelse:\n    os.read(filled, 1)"
    )
    alone = run(box, code, limits=patient)
    assert alone.stdout.endswith("9\n") or alone.kind == "out_of_memory", alone


def test_groups_of_a_killed_service_are_swept() -> None:
    """A control group named after a process that is gone goes when the next one is made; a living one's stays."""
    sleeper = subprocess.Popen(["sleep", "60"])
    group = cgroup.make("probe", sleeper.pid)
    if group is None:
        sleeper.kill()
        sleeper.wait()
        pytest.skip("no control group of memory here")
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = group.folder.with_name(f"kohai-{gone.pid}-0-worker")
    left.mkdir()
    other = cgroup.make("other", sleeper.pid)
    assert other is not None
    assert not left.exists()
    assert group.folder.exists()
    sleeper.kill()
    sleeper.wait()
    group.close()
    other.close()


def test_a_limit_is_raised_and_lowered(tmp_path: Path) -> None:
    """With swap, which would keep a program alive beyond it: none in version 2, and version 1 bounds the sum."""
    made_up = cgroup.Group(tmp_path, "memory.max", "memory.events")
    made_up.limit(2 << 20)
    assert [(tmp_path / name).read_text() for name in ("memory.max", cgroup.SWAP)] == [f"{2 << 20}", "0"]
    sleeper = subprocess.Popen(["sleep", "60"])
    group = cgroup.make("probe", sleeper.pid)
    try:
        if group is None:
            pytest.skip("no control group of memory here")
        for size in (256 << 20, 512 << 20, 128 << 20):
            group.limit(size)
            for name in (group._limit, cgroup.WITH_SWAP):
                if (group.folder / name).exists():
                    assert int((group.folder / name).read_text()) == size
    finally:
        sleeper.kill()
        sleeper.wait()
        if group is not None:
            group.close()


def test_a_group_that_counts_no_memory_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up tree: this process sits in its leaf, and the group above hands memory on or not.

    Where another process is in that group it does not; where it does, a new group without a count is removed again.
    """
    leaf, handed_on = tmp_path / cgroup.SERVICE, tmp_path / "cgroup.subtree_control"
    leaf.mkdir()
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    monkeypatch.setattr(cgroup, "OWN", tmp_path / "own")
    cgroup.OWN.write_text(f"0::/{cgroup.SERVICE}\n")
    for controllers, parent in (("cpu pids\n", None), ("cpu memory pids\n", tmp_path)):
        handed_on.write_text(controllers)
        assert cgroup._delegated(leaf) == parent
        assert cgroup.make("worker0", os.getpid()) is None
        assert not list(tmp_path.glob("kohai-[0-9]*"))


def test_environment_is_scrubbed(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours is seen, nor our site-packages; the hash seed is fixed."""
    monkeypatch.setenv("KOHAI_SECRET", "hunter2")
    code = "import os, sys\nprint(dict(os.environ), sys.path, sys.flags.hash_randomization)\nimport pytest"
    execution = run(box, code)
    assert "hunter2" not in execution.stdout
    assert "PATH" not in execution.stdout
    assert "site-packages" not in execution.stdout
    assert execution.kind == "missing_dependency"
    assert len({e.stdout for e in box.execute([Program("print(hash('a'))")] * 3)}) == 1


def test_host_is_not_seen(box: Sandbox, tmp_path: Path) -> None:
    """Where the box has its own file tree, the host's files are neither read nor written, nor its processes seen."""
    if not box.describe()["private read-only file tree"]:
        pytest.skip("no namespaces here")
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    secret.chmod(0o666)
    code = (
        "import os\nprint(sorted(os.listdir('/')))\n"
        f"print(os.path.exists({str(secret)!r}), len(open('/etc/passwd').readlines()) > 1, os.path.exists('/home'))\n"
        "print([p for p in os.listdir('/proc') if p.isdigit()] == ['1', str(os.getpid())])\n"
        "try: open('/usr/x', 'w')\nexcept OSError as error: print(error.errno in (13, 30))\n"
    )
    lines = run(box, code).stdout.splitlines()
    assert "box" in lines[0]
    assert lines[1] == "False False False"
    assert lines[2] == "True"  # its keeper and itself
    assert lines[3] == "True"


def test_capabilities_are_gone(box: Sandbox) -> None:
    """The program holds no capability and cannot gain one."""
    if box.describe()["tier"] == "T0":
        pytest.skip("limits only")
    code = "print([l for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm', 'NoNewPrivs'))])"
    assert run(box, code).stdout.count("0000000000000000") == 2


def test_folder_is_bounded(box: Sandbox) -> None:
    """Many files together are bounded too."""
    code = "for n in range(9):\n    with open(f'f{n}', 'wb') as f: f.write(bytes(3 << 20))"
    assert outcome(run(box, code)) == ("quota", "environment")


def test_nothing_is_shared_and_nothing_left(box: Sandbox) -> None:
    """What one program writes the next does not see, and its folder is gone, whatever rights it left."""
    write = "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\nos.chmod('a', 0)"
    assert run(box, write).kind == "ok"
    assert run(box, "import os\nprint(os.listdir('.'))").stdout == "[]\n"
    assert not list(box._layout.folder.glob("run*"))


def test_folder_goes_with_the_sandbox() -> None:
    """Leaving the context removes all that the sandbox wrote."""
    with Sandbox(CONFIG) as found:
        run(found, "print(1)")
        folder = found._layout.folder
        assert folder.exists()
    assert not folder.exists()


def test_order_and_progress(box: Sandbox) -> None:
    """Results come in the programs' order, though later ones end first; the count runs up to all."""
    programs = [Program(f"import time\ntime.sleep({0.4 if n == 0 else 0})\nprint({n})") for n in range(12)]
    counts: list[int] = []
    executions = box.execute(programs, counts.append)
    assert [e.stdout for e in executions] == [f"{n}\n" for n in range(12)]
    assert counts == list(range(1, 13))
    assert box.execute([]) == []


def test_stdin_and_costs(box: Sandbox) -> None:
    """A program reads its input; what it cost is measured."""
    execution = run(box, "print(input()[::-1])\nb = b'x' * (50 << 20)\nsum(range(3_000_000))", stdin="abc\n")
    assert execution.stdout == "cba\n"
    assert execution.cpu_ms > 5
    assert execution.wall_ms >= execution.cpu_ms // 2
    assert execution.peak_bytes > 45 << 20  # what the worker held is taken off


def test_threads_and_exit_handlers_are_waited_for(box: Sandbox) -> None:
    """As at an interpreter's end: threads end, then what was registered runs."""
    code = """
import atexit, threading, time
atexit.register(print, 'last')
threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()
"""
    assert run(box, code).stdout == "thread\nlast\n"


def test_fixture_and_state(box: Sandbox, tmp_path: Path) -> None:
    """A SQL fixture becomes the state database; its digest tells what the program left, not how it got there."""
    script = tmp_path / "start.sql"
    script.write_text("CREATE TABLE t (id INTEGER, b BLOB); INSERT INTO t VALUES (1, x'00ff'), (2, NULL);")
    change = "import sqlite3\nwith sqlite3.connect('app.db') as c:\n    c.execute('{}')"
    nothing, one, other_way, crashed, gone = box.execute(
        [
            Program("pass", script),
            Program(change.format("insert into t values (3, 4.5)"), script),
            Program(
                change.format("insert into t values (9, 4.5)") + "\n    c.execute('update t set id = 3 where id = 9')",
                script,
            ),
            Program(change.format("insert into t values (3, 4.5)") + "\n    1 / 0", script),
            Program("import os\nos.remove('app.db')", script),
        ]
    )
    assert nothing.state != one.state == other_way.state is not None
    assert crashed.state == nothing.state
    assert gone.state is None
    assert run(box, "pass").state is None
    expected = '{"t":{"columns":["id","b"],"rows":[[1,{"hex":"00ff"}],[2,null]]}}'
    assert nothing.state == hashlib.sha256(expected.encode()).hexdigest()


def test_other_fixtures(box: Sandbox, tmp_path: Path) -> None:
    """A folder's content and a single file are copied; the originals stay as they are."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a.txt").write_text("alpha")
    code = "print(open('sub/a.txt').read())\nopen('sub/a.txt', 'w').write('beta')"
    assert run(box, code, fixture=tmp_path / "in").stdout == "alpha\n"
    assert run(box, "print(open('a.txt').read())", fixture=tmp_path / "in" / "sub" / "a.txt").stdout == "alpha\n"


def test_bad_fixtures(box: Sandbox, tmp_path: Path) -> None:
    """A fixture that is missing or wrong is the user's error, and names the file."""
    (tmp_path / "bad.sql").write_text("CREATE TABEL t;")
    for name in ("bad.sql", "none.sql", "none"):
        with pytest.raises(DataError, match=name):
            run(box, "pass", fixture=tmp_path / name)


def test_state_that_is_a_trap(box: Sandbox) -> None:
    """A state file that is a link, a pipe or no database gives no state, and does not hang."""
    ends = ["os.symlink('/etc/passwd', 'app.db')", "os.mkfifo('app.db')", "open('app.db', 'w').write('x' * 5000)"]
    assert [e.state for e in box.execute([Program(f"import os\n{end}") for end in ends])] == [None] * 3


def test_package_path(tmp_path: Path) -> None:
    """A package is imported from its own folder or from the one around it; nothing is written beside it."""
    package = tmp_path / "around" / "wares"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def sell(count): return count * 2\n")
    with pytest.raises(DataError, match="no such folder"):
        Sandbox(CONFIG, (tmp_path / "nowhere",))
    for path in (package, package.parent):
        if path == package.parent:  # which is used where it lies
            skip_where_programs_cannot_read(path)
        with Sandbox(CONFIG, (path,)) as found:
            good, bad = found.execute(
                [Program("import wares\nprint(wares.sell(4))"), Program("import wares\nwares.buy()")]
            )
            assert good.stdout == "8\n", good
            assert outcome(bad) == ("unknown_attribute", "program")
        assert [file.name for file in package.iterdir()] == ["__init__.py"]


def test_a_worker_that_dies(box: Sandbox) -> None:
    """It is replaced, and its program is run once more: nobody notices."""
    box.execute([Program("pass")] * 4)
    for worker in list(box._workers[-1].queue):
        worker._process.kill()
    assert [execution.kind for execution in box.execute([Program("print(1)")] * 6)] == ["ok"] * 6


def test_a_worker_that_dies_under_a_program(box: Sandbox) -> None:
    """Killed in the middle of it, with the workers beside: all outcomes come, in order."""
    codes = [f"import time\ntime.sleep(0.3)\nprint({n})" for n in range(6)]

    def shoot() -> None:
        time.sleep(0.5)
        for number in children():
            os.kill(number, 9)

    shooter = threading.Thread(target=shoot)
    shooter.start()
    executions = box.execute([Program(code) for code in codes])
    shooter.join()
    assert [execution.stdout for execution in executions] == [f"{n}\n" for n in range(6)]


def children() -> list[int]:
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_failure_of_the_sandbox() -> None:
    """Where no worker can be started any more, the environment is blamed."""
    with Sandbox(CONFIG) as found:
        found.describe()
        worker = found._workers[-1].get()
        worker.close()
        for path in (found._layout.folder / "child").rglob("worker.pyc"):
            path.write_bytes(b"broken")
        execution = run(found, "print(1)")
        assert outcome(execution) == ("sandbox_failure", "environment")
        assert "worker ended" in execution.evidence


def test_root_of_a_small_namespace() -> None:
    """Who is root, but knows no other user (a rootless container), is confined like any user, and is nobody inside."""
    spaces = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*spaces, "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    script = (
        "from kohai.config import SandboxConfig\nfrom kohai.sandbox import Program, Sandbox\n"
        "with Sandbox(SandboxConfig()) as box:\n"
        "    (found,) = box.execute([Program('import os; print(os.getuid())')])\n"
        "    print(found.tier, found.kind, found.stdout)"
    )
    done = subprocess.run([*spaces, sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "T2 ok 65534\n\n", done.stderr


def test_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing confines programs, none is run unless the user says so."""
    monkeypatch.setattr(sandbox, "probe", lambda works: Layers())
    with Sandbox(SandboxConfig()) as found, pytest.raises(ToolError, match=r"sandbox\.unsafe"):
        run(found, "print(1)")


def test_state_digest_ignores_what_does_not_matter(tmp_path: Path) -> None:
    """Row order, indexes and page layout do not change the digest; a value does."""
    rows = [(1, "a"), (2, "ä"), (3, None)]
    digests = []
    for number, (order, last) in enumerate([(rows, 3), (rows[::-1], 3), (rows, 4)]):
        path = tmp_path / f"{number}.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE t (a INTEGER, b TEXT)")
            connection.executemany("INSERT INTO t VALUES (?, ?)", order)
            connection.execute("UPDATE t SET a = ? WHERE a = 3", (last,))
            if number == 1:
                connection.execute("CREATE INDEX i ON t (b)")
        connection.close()
        digests.append(state_digest(path))
    assert digests[0] == digests[1] != digests[2]
    assert state_digest(tmp_path / "none.db") is None
    assert state_digest(tmp_path / "0.db", limit_bytes=100) is None


def test_normal_stdout() -> None:
    """Lines are stripped at their right, blank lines at the end removed; the rest counts."""
    assert normal_stdout("a  \n\n b\t\n\n\n") == "a\n\n b"
    assert normal_stdout("a\nb") != normal_stdout("a\n b")
