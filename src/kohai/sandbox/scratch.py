"""A program's own folder, and the fixture in it; a fixture is built once and then copied."""

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


class Fixtures:
    """Ready-made fixtures below `folder`: `*.sql` is run into a SQLite database named `state`, the rest is copied."""

    def __init__(self, folder: Path, state: str | None) -> None:
        self._folder = folder
        self._state = state
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._ready: dict[tuple[str, int, int], Path] = {}

    def put(self, fixture: Path, into: Path) -> None:
        """Copies a fixture's files into a program's folder.

        Raises:
            DataError: it does not exist, its SQL is wrong, or no name for its database is configured.
        """
        template = fixture
        if fixture.suffix == ".sql":
            template = self._database(fixture)
        if template.is_dir():
            shutil.copytree(template, into, dirs_exist_ok=True)
        elif template.is_file():
            shutil.copyfile(template, into / template.name)
        else:
            raise DataError(f"{fixture}: no such fixture")

    def _database(self, script: Path) -> Path:
        if self._state is None:
            raise DataError(f"{script}: a SQL fixture needs the name of its database; set tasks.state")
        try:
            found = script.stat()
        except OSError:
            raise DataError(f"{script}: no such fixture") from None
        key = (str(script.resolve()), found.st_mtime_ns, found.st_size)
        with self._lock:
            if key not in self._ready:
                self._ready[key] = self._build(script)
            return self._ready[key]

    def _build(self, script: Path) -> Path:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(parents=True)
        path = folder / str(self._state)
        connection = sqlite3.connect(path)
        try:
            connection.executescript(script.read_text(encoding="utf-8"))
            connection.commit()
        except sqlite3.Error as error:
            raise DataError(f"{script}: {error}") from None
        finally:
            connection.close()
        return path


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
