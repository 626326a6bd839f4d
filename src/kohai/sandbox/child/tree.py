"""The file tree that a worker and its programs see.

Runs in the image's interpreter: standard library only, imports nothing of Kohai. Read-only: the interpreter, the
system's libraries, the image's own files. Writable, in memory, of bounded size, a program's own: its folder `/box`
(over what its fixture holds), `/tmp`, `/dev/shm`. Nothing else of the host is there.
"""

from __future__ import annotations

import os

from kohai.sandbox.child import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

BOX, TMP, SHARED = "/box", "/tmp", "/dev/shm"  # noqa: S108
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix", "/etc/ld.so.cache", "/etc/localtime")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
FIXTURES, OWN = "/fixtures", "/kohai"  # of the sandbox itself
KEPT = "/kept"  # what a program's own folders would hide


def build(root: str, visible: Iterable[tuple[str, str]]) -> None:
    """Makes the tree in a folder of the host and enters it; the host's is gone for this process and its children.

    `visible`: pairs of a host's path and where the tree shows it. The host's `/proc` is there until `own_processes`.
    """
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    for name in (BOX, TMP, SHARED):
        os.makedirs(root + name, exist_ok=True)  # noqa: PTH103
    shown: list[str] = []
    for source, path in (
        *((path, path) for path in SYSTEM + DEVICES),
        *((source, _place(path)) for source, path in visible),
    ):
        if any(path == other or path.startswith(other + "/") for other in shown) or not os.path.lexists(source):
            continue
        if os.path.islink(source):  # noqa: PTH114
            os.makedirs(os.path.dirname(root + path), exist_ok=True)  # noqa: PTH103, PTH120
            os.symlink(os.readlink(source), root + path)  # noqa: PTH115, PTH211
        else:
            kernel.bind(source, root + path)
        shown.append(path)
    os.mkdir(root + "/proc")  # noqa: PTH102
    kernel.change_mount(root, kernel.AT_RECURSIVE, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID, 0)
    kernel.bind("/proc", root + "/proc")
    kernel.make_root(root)


def _place(path: str) -> str:
    """Where a path is shown: itself, but for what lies below a folder that a program gets of its own."""
    return KEPT + path if path.startswith((TMP + "/", SHARED + "/")) else path


def show_hidden(visible: Iterable[tuple[str, str]]) -> None:
    """Shows what lies below `/tmp` or `/dev/shm` again, where a new one was mounted over it."""
    for _, path in visible:
        if _place(path) != path and os.path.isdir(_place(path)):  # noqa: PTH112
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
            kernel.mount(_place(path), path, None, kernel.MS_BIND | kernel.MS_REC)


def own_processes() -> None:
    """Shows the own process namespace in `/proc`, instead of the host's."""
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)


def make_room(limits: dict[str, int], fixture: str, visible: Iterable[tuple[str, str]]) -> None:
    """Mounts what one program may write: `/box` over a fixture's folder, `/tmp`, `/dev/shm`."""
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    options = f"size={limits['disk_bytes']},nr_inodes={limits['inodes']},mode=700"
    for name in (TMP, SHARED):
        _room(name, options)
    show_hidden(visible)
    if not fixture:
        _room(BOX, options)
        return
    _room(FIXTURES + "/.room", options)
    upper, work = (f"{FIXTURES}/.room/{name}" for name in ("upper", "work"))
    os.mkdir(upper, 0o700)  # noqa: PTH102
    os.mkdir(work, 0o700)  # noqa: PTH102
    layers = f"lowerdir={fixture},upperdir={upper},workdir={work},userxattr"
    kernel.mount("overlay", BOX, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, layers)


def drop_room(fixture: str) -> None:
    """Takes what `make_room` mounted away, with all that is in it."""
    for name in (BOX, TMP, SHARED, *([FIXTURES + "/.room"] if fixture else [])):
        kernel.unmount(name)


def _room(path: str, options: str) -> None:
    kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
