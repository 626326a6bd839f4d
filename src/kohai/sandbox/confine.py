"""What holds a program in: namespaces, limits, the end of all it started; in the child process only, by ctypes.

Standard library only, imports nothing of Kohai. Where the kernel allows it (`spaces`): own process, network, mount and
IPC namespaces, the file tree of `tree`, no capabilities. Elsewhere: resource limits, own session, sub-reaper. The
numbers of Linux below are the same on x86-64 and arm64.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` loads `enum`: milliseconds
import ctypes
import os
import resource
import sys

TYPE_CHECKING = False  # `typing` costs milliseconds
if TYPE_CHECKING:
    from typing import Any

NOBODY = 65534
PROCESSES = 64
NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CAPABILITY_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    """A C call that must give 0; raises OSError naming it."""
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter(job: dict[str, Any]) -> None:
    """Leaves the host's namespaces; the process forked next is process 1 of the new ones."""
    if not job["spaces"]:
        return
    wanted = NEWNS | NEWIPC | NEWPID | NEWNET
    if job["user_space"]:
        _enter_user_space(wanted)
    else:
        _call("unshare", wanted)


def _enter_user_space(also: int = 0) -> None:
    """A user namespace in which one is who one was, and nobody else exists."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", NEWUSER | also)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
            file.write(text)


def guard(job: dict[str, Any]) -> None:
    """The supervisor's own: dies with its parent, inherits orphans, cannot be looked into."""
    if sys.platform != "linux":
        return
    if job["spaces"]:
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def limit(job: dict[str, Any]) -> None:
    """The program's own: folder, user, limits, no way to new privileges."""
    os.chdir(job["home"])
    os.umask(0o077)
    if job["drop_user"]:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    if sys.platform == "linux":
        _call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # the supervisor is not, and a change of user takes it away
    if job["drop_user"] and job["own_counts"]:
        _enter_user_space()
    seconds = max(1, -(-int(job["cpu_seconds"] * 1000) // 1000))
    limits = {
        resource.RLIMIT_CPU: (seconds, seconds + 1),
        resource.RLIMIT_FSIZE: (job["file_bytes"],) * 2,
        resource.RLIMIT_NOFILE: (256, 256),
        resource.RLIMIT_CORE: (0, 0),
    }
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = (job["memory_bytes"],) * 2
        if job["own_counts"]:
            limits[resource.RLIMIT_NPROC] = (PROCESSES, PROCESSES)
    for which, values in limits.items():
        hard = resource.getrlimit(which)[1]
        resource.setrlimit(which, values if hard == resource.RLIM_INFINITY else tuple(min(v, hard) for v in values))
    if sys.platform == "linux":
        header, nothing = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
        _call("capset", header, nothing)
        _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def kill_rest(job: dict[str, Any], program: int) -> None:
    """Kills the program, whose session and group bear its number, and all that it left."""
    # -1: all of this process namespace but process 1
    targets = [-1] if job["spaces"] else [-program, *_children()]
    for target in targets:
        try:
            os.kill(target, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _children() -> list[int]:
    """This process's children, orphans taken over included; needs /proc."""
    mine, found = str(os.getpid()), []
    try:
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return []
    for number in numbers:
        try:
            with open(f"/proc/{number}/stat") as file:  # noqa: PTH123
                if file.read().rpartition(")")[2].split()[1] == mine:
                    found.append(int(number))
        except (OSError, IndexError):
            continue
    return found
