"""Strict argument checks and the one-row look-up that every area uses."""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import Any

from stockroom.errors import InvalidValue, NotFound
from stockroom.room import Room


def database(room: Room) -> sqlite3.Connection:
    """The room's connection; TypeError if the first argument isn't a room."""
    if not isinstance(room, Room):
        raise TypeError(f"the first argument must be the open Room, got {type(room).__name__}: {room!r}")
    return room.db


def text(name: str, value: str) -> str:
    """The value, if it is a string with something in it."""
    if isinstance(value, Enum) or not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {type(value).__name__}: {value!r}")
    if not value.strip():
        raise InvalidValue(f"{name} must not be empty")
    return value


def whole(name: str, value: int, minimum: int = 1) -> int:
    """The value, if it is an int (and no bool) of at least the minimum."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}: {value!r}")
    if value < minimum:
        raise InvalidValue(f"{name} must be {minimum} or more, got {value}")
    return value


def member(name: str, value: Enum, kind: type[Enum]) -> str:
    """The value's text, if it is a member of the enum; a plain string is refused."""
    if not isinstance(value, kind):
        choices = ", ".join(f"{kind.__name__}.{each.name}" for each in kind)
        raise TypeError(f"{name} must be one of {choices}, got {type(value).__name__}: {value!r}")
    return str(value.value)


def row(db: sqlite3.Connection, table: str, key: str, value: str | int) -> tuple[Any, ...]:
    """The one row of the table with that key; NotFound if there is none."""
    found: tuple[Any, ...] | None = db.execute(f"SELECT * FROM {table} WHERE {key} = ?", (value,)).fetchone()
    if found is None:
        raise NotFound(f"no row in {table} has {key} {value!r}")
    return found


def next_id(db: sqlite3.Connection, table: str) -> int:
    """One more than the table's highest id; 1001 in an empty table."""
    return int(db.execute(f"SELECT COALESCE(MAX(id), 1000) + 1 FROM {table}").fetchone()[0])
