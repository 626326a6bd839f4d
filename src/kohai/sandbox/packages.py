"""The packages that programs may import, made ready once for thousands of runs."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

COPY_LIMIT_BYTES = 64 << 20
COMPILE_SECONDS = 60


@dataclass(frozen=True)
class Package:
    """A folder of the host, and the path under which the box shows it."""

    source: Path
    inside: str
    is_package: bool  # the folder is a package itself; else its content is

    def seen_at(self, spaces: bool) -> str:
        """Where a program finds the folder."""
        return self.inside if spaces else str(self.source)

    def search(self, spaces: bool) -> str:
        """What goes on the program's `sys.path`."""
        seen = self.seen_at(spaces)
        return seen.rpartition("/")[0] if self.is_package else seen


def prepare(path: Path, folder: Path, interpreter: Path) -> Package:
    """Copies a package into `folder` and compiles it there, so that programs need not; a large one is used where it is.

    Nothing of it is imported or run; what does not compile is left for the programs to meet.
    """
    is_package = (path / "__init__.py").exists()
    inside = f"/packages/{folder.name}/{path.name}"
    if not is_package or sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) > COPY_LIMIT_BYTES:
        return Package(path, inside, is_package)
    copy = folder / path.name
    shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__"), ignore_dangling_symlinks=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [str(interpreter), "-I", "-S", "-m", "compileall", "-qq", copy],
            check=False,
            timeout=COMPILE_SECONDS,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    for file in (copy, *copy.rglob("*")):
        file.chmod(0o755 if file.is_dir() else 0o644)
    return Package(copy, inside, True)
