"""A worker: a process that has imported an image's modules once and forks for each program.

Runs in the image's interpreter: standard library only, imports nothing of Kohai. It is started with one frame on its
input that says how (`Setup` in `kohai.sandbox.worker`), answers `ready` or why not, and then answers each job with how
its program ended (`frames.py`).

With namespaces: the first process enters them and waits; the *keeper* (`keeper.py`) starts all others; one holds the
*box*, made anew for each program; the *zygote* has the modules, and forks each program into the box; each service
(`services.py`) has a process of its own. Without namespaces there is the zygote alone.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` would load `enum`
import errno
import os
import platform
import select
import sys
import time
from contextlib import suppress

ROOT = os.path.abspath(f"{__file__}/../../../..")  # noqa: PTH100
sys.path.insert(0, ROOT)
from kohai.sandbox.child import keeper, kernel, own, program, tree  # noqa: E402
from kohai.sandbox.child.frames import read_frame, write_frame  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from kohai.sandbox.child.keeper import Box

CHANNEL = 1000  # where a program's report goes: above what programs close
REPORT_LIMIT = 1 << 16
GRACE_SECONDS = 10.0  # for the end of what a program left
LOOK_EVERY = 100  # programs between looks at the own memory
WATCH_SECONDS = 0.1  # between looks at a folder on disk


def main() -> None:
    """Reads the setup, confines itself, serves."""
    inbox, outbox = _take_channels()
    kernel.allow_files(CHANNEL + 1)
    sys.path.remove(ROOT)
    own.hide()
    setup = read_frame(inbox)
    assert setup is not None
    try:
        if setup["spaces"]:
            keeper.enter(setup, inbox, outbox, lambda box: _serve(setup, inbox, outbox, box))
        else:
            _serve_plain(setup, inbox, outbox)
    except OSError as error:
        _quit(outbox, f"{error}")


def _take_channels() -> tuple[int, int]:
    """Moves the two channels away from where programs read and write."""
    inbox, outbox = os.dup(0), os.dup(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return inbox, outbox


def _quit(outbox: int, why: str) -> NoReturn:
    write_frame(outbox, {"failure": why})
    os._exit(1)


def _serve_plain(setup: dict[str, Any], inbox: int, outbox: int) -> None:
    """The zygote alone: no namespaces."""
    if setup["is_root"]:
        os.setgroups([])
        os.setresgid(*[setup["nobody"]] * 3)
        os.setresuid(*[setup["nobody"]] * 3)
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    _serve(setup, inbox, outbox, None)


def _serve(setup: dict[str, Any], inbox: int, outbox: int, box: Box | None) -> None:
    """Imports what the image says, says that it is ready, runs one program after another."""
    sys.path[:] = [*setup["paths"], *sys.path]
    sys.argv[:] = [program.NAME]
    _add_exit()
    try:
        for name in setup["preload"]:
            __import__(name)
        if setup["warmup"]:
            exec(compile(setup["warmup"], "<warm-up>", "exec"), {"__name__": "__warmup__"})  # noqa: S102
    except BaseException as error:
        _quit(outbox, f"{type(error).__name__}: {error}")
    _forget_ends()
    import gc

    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        kernel.collapse_memory()
    machine = platform.machine()
    allowed = kernel.seccomp_filter(machine, setup["spaces"]) if setup["seccomp"] else None
    if setup["seccomp"] and allowed is None:
        _quit(outbox, f"no list of system calls for {machine}")
    if box is not None:
        box.requests()  # the warm-up's
        kernel.join(box.process, kernel.NEWPID)  # for children: programs
    zygote: dict[str, Any] = {
        "box": box,
        "inbox": inbox,
        "filter": allowed,
        "memory": _memory(),
    }
    write_frame(outbox, {"ready": True, "memory": zygote["memory"]["VmRSS"]})
    count = 0
    while (job := read_frame(inbox)) is not None:
        threads = _threads()
        if threads != 1:
            _quit(outbox, f"{threads} threads where one is safe to fork")
        found = _run(setup, zygote, job)
        count += 1
        if count % LOOK_EVERY == 0:
            found["memory"] = _memory()["VmRSS"]
        write_frame(outbox, found)


def _add_exit() -> None:
    """What `site` puts among the builtins, where the interpreter was started without it."""
    import builtins
    from _sitebuiltins import Quitter, _Helper

    if not hasattr(builtins, "exit"):
        for name in ("exit", "quit"):
            setattr(builtins, name, Quitter(name, "Ctrl-D (i.e. EOF)"))
        builtins.help = _Helper()


def _forget_ends() -> None:
    """What the imported modules want done at the interpreter's end is left out, for each program would pay for it (60
    ms with transformers and numba). What a program's own objects lean on stays.
    """
    atexit = sys.modules.get("atexit")
    if atexit is None:
        return
    atexit._clear()
    for name, function in (("logging", "shutdown"), ("multiprocessing.util", "_exit_function")):
        if name in sys.modules:
            atexit.register(getattr(sys.modules[name], function))
    if "weakref" in sys.modules:
        finalize = sys.modules["weakref"].finalize
        finalize._registered_with_atexit = False  # the program's first one sees to it again
        for held in finalize._registry.values():
            held.atexit = False


def _memory() -> dict[str, int]:
    """Bytes of address space and of memory in use by this process."""
    found = {"VmSize": 0, "VmRSS": 0}
    try:
        with open("/proc/self/status") as file:  # noqa: PTH123
            for line in file:
                name, _, value = line.partition(":")
                if name in found:
                    found[name] = int(value.split()[0]) << 10
    except OSError:
        pass
    return found


def _threads() -> int:
    try:
        with open("/proc/self/stat") as file:  # noqa: PTH123
            return int(file.read().rpartition(")")[2].split()[17])
    except OSError:
        return 1


def _run(setup: dict[str, Any], zygote: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Forks one program, waits for its end, clears up; what is known of it."""
    box = zygote["box"]
    started = time.monotonic()
    try:
        if box is not None:
            box.open(job)
        nonce = os.urandom(16)
        streams = [_memory_file(job["stdin"]), _memory_file(b""), _memory_file(b"")]
        told, tell = os.pipe()
        child = os.fork()
    except OSError as error:
        return {"failure": f"{error}"}
    if not child:
        _become_program(setup, zygote, job, box, streams, tell, nonce)
    os.close(tell)
    late, full = _wait(child, job, None if box is not None else job["folder"], zygote["inbox"])
    _, status, used = os.wait4(child, 0)
    found: dict[str, Any] = {"status": status, "late": late, "full": full}
    found["cpu_ms"] = int((used.ru_utime + used.ru_stime) * 1000)
    found["peak"] = max(0, (used.ru_maxrss << (0 if sys.platform == "darwin" else 10)) - zygote["memory"]["VmRSS"])
    try:
        if box is not None:
            found["state"] = box.close()
            found["requests"] = box.requests()
        else:
            _kill_rest(child)
            found["state"] = (
                keeper.state_of(f"{job['folder']}/{setup['state']}", job["limits"]) if setup["state"] else None
            )
    except OSError as error:
        found["failure"] = f"{error}"
    os.set_blocking(told, False)
    found["report"] = _read_all(told, REPORT_LIMIT)
    os.close(told)
    found["nonce"] = nonce
    for place, name in ((1, "stdout"), (2, "stderr")):
        found[name] = _tail(streams[place], job["limits"]["output_bytes"])
    for stream in streams:
        os.close(stream)
    found["wall_ms"] = int((time.monotonic() - started) * 1000)
    return found


def _memory_file(content: bytes) -> int:
    """An open file that no folder holds."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("kohai")
    else:
        import tempfile

        descriptor, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108
    while content:
        content = content[os.write(descriptor, content) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _tail(descriptor: int, limit: int) -> bytes:
    """The end of a file; holes are not read."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, limit, max(0, size - limit))


def _read_all(descriptor: int, limit: int) -> bytes:
    data = b""
    try:
        while len(data) <= limit and (block := os.read(descriptor, limit)):
            data += block
    except BlockingIOError:
        pass
    return data


def _wait(child: int, job: dict[str, Any], folder: str | None, inbox: int) -> tuple[bool, bool]:
    """Waits for a program's end, at most its time: whether it was late, whether its folder on disk grew too large.

    A folder on disk has no bound of its own: it is looked at now and then.
    """
    deadline = time.monotonic() + job["limits"]["wall_seconds"]
    late = full = False
    watch = select.poll()
    descriptor = os.pidfd_open(child) if hasattr(os, "pidfd_open") else -1
    if descriptor >= 0:
        watch.register(descriptor, select.POLLIN)
    watch.register(inbox, 0)  # its other end closes when whoever asked is gone
    while True:
        seconds = min(max(0.0, deadline - time.monotonic()), WATCH_SECONDS if folder else 1e6)
        found = watch.poll((seconds if descriptor >= 0 else min(seconds, 0.002)) * 1000)
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
            break
        late = time.monotonic() >= deadline or any(number == inbox for number, _ in found)
        full = folder is not None and _size(folder) > job["limits"]["disk_bytes"]
        if late or full:
            os.kill(child, signal.SIGKILL)
            break
    full = full or (folder is not None and _size(folder) > job["limits"]["disk_bytes"])
    if descriptor >= 0:
        os.close(descriptor)
    return late, full


def _size(folder: str) -> int:
    """Bytes of a folder's files; what cannot be read counts nothing."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _size(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:
        pass
    return total


def _kill_rest(child: int) -> None:
    """Kills what a program left, where no namespace does: its session, and the orphans that came to us."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(-child, signal.SIGKILL)
    if sys.platform != "linux":
        return
    deadline = time.monotonic() + GRACE_SECONDS
    while left := _children():
        for number in left:
            try:
                os.kill(number, signal.SIGKILL)
                os.waitpid(number, 0)
            except (ProcessLookupError, ChildProcessError):
                continue
        if time.monotonic() > deadline:
            raise OSError(errno.EBUSY, "what the program left cannot be killed")


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
        return [int(word) for word in file.read().split()]


def _become_program(
    setup: dict[str, Any],
    zygote: dict[str, Any],
    job: dict[str, Any],
    box: Box | None,
    streams: list[int],
    tell: int,
    nonce: bytes,
) -> NoReturn:
    """The program's own process: takes its place and its limits on, runs the code; does not come back."""
    try:
        if box is not None:
            kernel.join(box.process, kernel.NEWNS | kernel.NEWIPC)
        os.setsid()
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
        os.dup2(tell, CHANNEL)
        kernel.close_all_but([CHANNEL])
        home = job["folder"] if box is None else tree.BOX
        os.chdir(home)
        os.umask(0o077)
        if box is None:
            os.environ["HOME"] = os.environ["TMPDIR"] = home
        for name, content in job["files"].items():
            _put(name, content)
        _confine(setup, zygote, job, home, box is not None)
        sys.path.append(home)
    except (OSError, ValueError) as error:
        os.write(CHANNEL, nonce + program.as_json({"phase": "setup", "message": f"{error}"}).encode())
        os._exit(1)
    program.run(job["code"], CHANNEL, nonce)
    os._exit(1)


def _die_first() -> None:
    """Where memory runs out, the kernel ends this process, not its worker."""
    with suppress(OSError):
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)


def _put(name: str, content: bytes) -> None:
    """Writes a file of the program's folder."""
    if folder := os.path.dirname(name):  # noqa: PTH120
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    while content:
        content = content[os.write(descriptor, content) :]
    os.close(descriptor)


def _confine(setup: dict[str, Any], zygote: dict[str, Any], job: dict[str, Any], home: str, boxed: bool) -> None:
    """Limits, rights, system calls; the last can be undone by nothing."""
    limits = dict(job["limits"])
    limits["memory_bytes"] += zygote["memory"]["VmSize"]
    if sys.platform != "linux":
        kernel.limit(limits)
        return
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # a change of user took it away, and `/proc/self` would be root's
    if setup["grouped"]:
        _die_first()
    kernel.drop_capabilities()
    if setup["landlock"]:
        write = [tree.BOX, tree.TMP, tree.SHARED] if boxed else [home]
        kernel.landlock(["/"] if boxed else [*tree.SYSTEM, "/proc", *setup["read"]], write, tree.DEVICES)
    kernel.limit(limits)
    if zygote["filter"] is not None:
        kernel.seccomp(zygote["filter"])


if __name__ == "__main__":
    main()
