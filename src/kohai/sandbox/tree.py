"""The file tree that a program sees; in the child process only, by ctypes.

Standard library only, imports nothing of Kohai. Read-only: the interpreter, the system's libraries, the packages.
Writable, in memory, of bounded size: the program's folder `/box` (what its fixture holds is copied in), `/tmp`,
`/dev/shm`. Nothing else of the host is there.
"""

from __future__ import annotations

import ctypes
import os
import stat

TYPE_CHECKING = False  # `typing` costs milliseconds
if TYPE_CHECKING:
    from typing import Any

BOX = "/box"
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
DETACH = 2
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, ATTR_RDONLY, ATTR_NOSUID = 442, -100, 0x8000, 1, 2
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
FILES = 4096
WRITABLE = (("/tmp", 1), ("/dev/shm", 1), (BOX, 4))  # noqa: S108 - each holds so many times a program's largest file

_libc = ctypes.CDLL(None, use_errno=True)


def build(job: dict[str, Any]) -> None:
    """Makes the tree and enters it; the old one is gone for this process and its children."""
    root = job["root"]
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for name in ("/proc", "/tmp", "/dev/shm", BOX):  # noqa: S108
        os.makedirs(root + name, exist_ok=True)  # noqa: PTH103
    for name, factor in WRITABLE:
        options = f"size={factor * job['file_bytes']},mode=1777,nr_inodes={FILES}"
        _mount("tmpfs", root + name, "tmpfs", MS_NOSUID | MS_NODEV, options)
    shown: list[str] = []
    for source, path in (*((path, path) for path in SYSTEM + DEVICES), *job["visible"]):
        if any(path == other or path.startswith(other + "/") for other in shown) or not os.path.lexists(source):
            continue
        if os.path.islink(source):  # noqa: PTH114
            os.symlink(os.readlink(source), root + path)  # noqa: PTH115, PTH211
        else:
            _bind(source, root + path)
        shown.append(path)
    _change(root, AT_RECURSIVE, ATTR_RDONLY | ATTR_NOSUID, 0)
    for name, _ in WRITABLE:
        _change(root + name, 0, 0, ATTR_RDONLY)
    _copy_in(job["scratch"], root + BOX)
    if job["fresh_proc"]:
        _mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV)
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", DETACH), "umount2")
    os.chdir("/")


def save_state(job: dict[str, Any], folder: int) -> None:
    """Copies the database, and what journals it has, out of the box into an open folder of the host."""
    for name in [job["state"] + suffix for suffix in ("", "-wal", "-journal")]:
        if name in os.listdir(folder):
            os.unlink(name, dir_fd=folder)  # the fixture's: what the program removed is to be gone
        try:
            source = os.open(f"{BOX}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if stat.S_ISREG(os.fstat(source).st_mode):
                target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=folder)
                _pump(source, target)
                os.close(target)
        finally:
            os.close(source)


def _copy_in(source: str, target: str) -> None:
    """Copies a folder's files and folders, with their owners; links and other things are left out."""
    with os.scandir(source) as entries:
        for entry in entries:
            new = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                os.mkdir(new)  # noqa: PTH102
                _copy_in(entry.path, new)
            elif entry.is_file(follow_symlinks=False):
                reader = os.open(entry.path, os.O_RDONLY)
                writer = os.open(new, os.O_WRONLY | os.O_CREAT, 0o600)
                _pump(reader, writer)
                os.close(reader)
                os.close(writer)
            else:
                continue
            found = entry.stat(follow_symlinks=False)
            os.chown(new, found.st_uid, found.st_gid)


def _pump(source: int, target: int) -> None:
    while block := os.read(source, 1 << 20):
        os.write(target, block)


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):  # noqa: PTH112
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _mount(source, target, None, MS_BIND | MS_REC)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    values = [value.encode() if value is not None else None for value in (source, target, kind, options)]
    done = _libc.mount(values[0], values[1], values[2], ctypes.c_ulong(flags), values[3])
    _check(done, f"mount {target}")


def _change(path: str, flags: int, add: int, remove: int) -> None:
    """Sets and clears attributes of a mount (and, recursively, of those below it)."""
    attributes = (ctypes.c_uint64 * 4)(add, remove, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    number = ctypes.c_long(SYS_MOUNT_SETATTR)
    _check(_libc.syscall(number, AT_FDCWD, path.encode(), ctypes.c_uint(flags), attributes, size), "mount_setattr")


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
