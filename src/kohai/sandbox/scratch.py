"""A program's own folder on disk, and the fixtures: each is made ready once, and then copied or laid below."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kohai.errors import DataError
from kohai.workspace import digest_path


class Fixtures:
    """Ready-made fixtures below `folder`, a folder each.

    A `*.sql` is run into a SQLite database named `state`, of a folder the content is copied, of a file itself.
    They belong to `user` where one is given.
    """

    def __init__(self, folder: Path, state: str | None, user: int | None = None) -> None:
        self._folder = folder
        self._state = state
        self._user = user
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._ready: dict[tuple[object, ...], tuple[Path, str]] = {}

    def ready(self, fixture: Path) -> tuple[Path, str]:
        """The folder that holds what a program finds in its own, and a digest of what it was made of.

        Raises:
            DataError: it does not exist, its SQL is wrong, or no name for its database is configured.
        """
        files = sorted(p for p in fixture.rglob("*") if p.is_file()) if fixture.is_dir() else [fixture]
        try:
            key = (str(fixture.resolve()), *((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files))
        except OSError:
            raise DataError(f"{fixture}: no such fixture") from None
        with self._lock:
            if key not in self._ready:
                self._ready[key] = self._make(fixture), digest_path(fixture)
            return self._ready[key]

    def _make(self, fixture: Path) -> Path:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(parents=True)
        if fixture.suffix == ".sql":
            self._build(fixture, folder)
        elif fixture.is_dir():
            copy(fixture, folder)
        else:
            shutil.copyfile(fixture, folder / fixture.name)
        if self._user is not None:
            give(folder, self._user)
        return folder

    def _build(self, script: Path, folder: Path) -> None:
        if self._state is None:
            raise DataError(
                f"{script}: a SQL fixture needs the name of its database; set tasks.state, --state or the image's state"
            )
        (folder / self._state).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(folder / self._state)
        try:
            connection.executescript(script.read_text(encoding="utf-8"))
            connection.commit()
        except sqlite3.Error as error:
            raise DataError(f"{script}: {error}") from None
        finally:
            connection.close()


def copy(source: Path, into: Path) -> None:
    """Copies a folder's content, links as what they point to."""
    shutil.copytree(source, into, dirs_exist_ok=True)


def give(folder: Path, user: int) -> None:
    """Makes a folder and all in it belong to a user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def remove(folder: Path) -> None:
    """Removes a folder whatever rights the program left on it; links are not followed."""

    def open_up(function: Callable[..., Any], path: str, _: object) -> None:
        parent = Path(path).parent
        for place in (parent, Path(path)):
            if not place.is_symlink() and place.is_relative_to(folder):
                place.chmod(stat.S_IRWXU)
        if function in (os.unlink, os.rmdir):
            function(path)
        else:
            shutil.rmtree(path, ignore_errors=True)

    try:
        shutil.rmtree(folder, onerror=open_up)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
