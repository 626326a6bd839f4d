"""Users: who works in the stockroom, as what and where."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum, auto

from stockroom import _check
from stockroom.errors import DuplicateKey, InvalidValue, NotFound
from stockroom.room import Room


class Role(StrEnum):
    """What a user works as: PICKER (picks goods), CLERK (office work), FOREMAN (leads the shift)."""

    PICKER = auto()
    CLERK = auto()
    FOREMAN = auto()


@dataclass(frozen=True)
class User:
    """One user; zone is where they work, or None."""

    login: str
    email: str
    role: Role
    zone: str | None
    active: bool


def _load(db: sqlite3.Connection, login: str) -> User:
    login, email, role, zone, active = _check.row(db, "users", "login", login)
    return User(login, email, Role(role), zone, bool(active))


def badge(room: Room, *, login: str, email: str, role: Role) -> User:
    """Add a new user (a colleague's account) with a login, an e-mail address and a role.

    Args:
        login: The new user's login, not yet taken.
        email: The e-mail address.
        role: What they work as: Role.PICKER (picks goods), Role.CLERK (office work) or Role.FOREMAN (leads the shift).

    Returns:
        The new user, without a zone.

    Raises:
        DuplicateKey: If a user has that login.
        InvalidValue: If the e-mail address has no @.
    """
    db = _check.database(room)
    values = (_check.text("login", login), _check.text("email", email), _check.member("role", role, Role))
    if "@" not in email:
        raise InvalidValue(f"email must contain @, got {email!r}")
    if db.execute("SELECT 1 FROM users WHERE login = ?", (login,)).fetchone():
        raise DuplicateKey(f"a user with login {login!r} exists")
    db.execute("INSERT INTO users VALUES (?, ?, ?, NULL, 1)", values)
    return _load(db, login)


def recast(room: Room, *, login: str, role: Role) -> User:
    """Change a user's role: what they work as from now on.

    Args:
        login: The user's login.
        role: The new role: Role.PICKER (picks goods), Role.CLERK (office work) or Role.FOREMAN (leads the shift).

    Returns:
        The user with the new role.

    Raises:
        NotFound: If no user has that login.
    """
    db = _check.database(room)
    _check.row(db, "users", "login", _check.text("login", login))
    db.execute("UPDATE users SET role = ? WHERE login = ?", (_check.member("role", role, Role), login))
    return _load(db, login)


def post(room: Room, *, login: str, zone: str) -> User:
    """Assign a user to the zone where they work.

    Args:
        login: The user's login.
        zone: The zone to work in.

    Returns:
        The user with the new zone.

    Raises:
        NotFound: If there is no such user or zone.
    """
    db = _check.database(room)
    _check.row(db, "users", "login", _check.text("login", login))
    if db.execute("SELECT 1 FROM bins WHERE zone = ?", (_check.text("zone", zone),)).fetchone() is None:
        raise NotFound(f"no bin lies in zone {zone!r}")
    db.execute("UPDATE users SET zone = ? WHERE login = ?", (zone, login))
    return _load(db, login)


def roster(room: Room, *, role: Role) -> list[User]:
    """List the active users who have a role: all pickers, clerks or foremen.

    Args:
        role: Role.PICKER (picks goods), Role.CLERK (office work) or Role.FOREMAN (leads the shift).

    Returns:
        The users in login order.
    """
    db = _check.database(room)
    query = "SELECT login FROM users WHERE role = ? AND active = 1 ORDER BY login"
    return [_load(db, login) for (login,) in db.execute(query, (_check.member("role", role, Role),)).fetchall()]


def bench(room: Room, *, login: str) -> User:
    """Suspend (deactivate) a user's account, so that they can't log in any more.

    Args:
        login: The login of the user to suspend.

    Returns:
        The suspended user.

    Raises:
        NotFound: If no user has that login.
    """
    db = _check.database(room)
    _check.row(db, "users", "login", _check.text("login", login))
    db.execute("UPDATE users SET active = 0 WHERE login = ?", (login,))
    return _load(db, login)
