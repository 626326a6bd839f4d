"""Requests about users: one function for each call."""

from __future__ import annotations

from task_builder.world import Print, Ref, Step, World

ROLES = {
    "PICKER": "[a picker|a goods picker]",
    "CLERK": "[a clerk|an office clerk]",
    "FOREMAN": "[a foreman|the shift's foreman]",
}


GROUPS = {"PICKER": "pickers", "CLERK": "clerks", "FOREMAN": "foremen"}


def badge(w: World) -> Step:
    login, (role, said) = w.fresh(w.pool.new["login"]), w.pick(*ROLES.items())
    email = f"{login}@{w.pick('stock', 'depot', 'yard')}.example"
    return Step(
        f'users.badge(room, login="{login}", email="{email}", role=Role.{role})',
        "user",
        (
            f"add a new user with the login {login} and the e-mail address {email}, {said}",
            f"[create|open] a user account {login} ({email}) for {said}",
            f"[register|set up] {login} as a user, e-mail {email}, working as {said}",
            f"add the colleague {login}, e-mail address {email}, as {said}",
            f"make a new account: login {login}, e-mail {email}, role {said}",
        ),
        (
            f"A new colleague starts today as {said}: add the login {login} with e-mail {email}.",
            f"We have hired {said}, who needs an account: login {login}, e-mail {email}.",
            f"A user account is missing for {said}; the login is {login} and the e-mail address {email}.",
        ),
        (
            Print("print(user.email)", "[the e-mail address|the user's e-mail address]"),
            Print("print(user.role)", "[the role|the user's role]"),
        ),
    )


def recast(w: World, user: Ref | None = None) -> Step:
    user = user or w.user()
    role, said = w.pick(*ROLES.items())
    return Step(
        f"users.recast(room, login={user.code}, role=Role.{role})",
        "user",
        (
            f"make {user} {said}",
            f"change the role of {user} to {said}",
            f"give {user} the new role of {said}",
            f"[record|note] that {user} works as {said} from now on",
            f"set the role of {user} to that of {said}",
        ),
        (
            f"From now on, {user} works as {said}; change the role.",
            f"There's a new job for {user}, who becomes {said}.",
            f"The role of {user} should be changed to {said}.",
        ),
        (
            Print("print(user.role)", "[the new role|the user's role]"),
            Print("print(user.email)", "[the e-mail address|the user's e-mail address]"),
        ),
    )


def post(w: World, user: Ref | None = None, zone: Ref | None = None) -> Step:
    user, zone = user or w.user(), zone or w.zone()
    return Step(
        f"users.post(room, login={user.code}, zone={zone.code})",
        "user",
        (
            f"assign {user} to {zone}",
            f"[put|send] {user} to work in {zone}",
            f"[set|enter] {zone} as the zone where {user} works",
            f"have {user} work in {zone}",
            f"[move|assign] {user} to {zone} for work",
        ),
        (
            f"We're short of hands in {zone}, so assign {user} to it.",
            f"From tomorrow {user} works in {zone}; assign the user there.",
            f"In {zone} we need {user}, who should be assigned to it.",
        ),
        (
            Print("print(user.role)", "[the user's role|the role]"),
            Print("print(user.email)", "[the user's e-mail address|the e-mail address]"),
        ),
    )


def roster(w: World) -> Step:
    role, said = w.pick(*GROUPS.items())
    return Step(
        f"users.roster(room, role=Role.{role})",
        "people",
        (
            f"list all active {said} and OUT",
            f"[get|find] the users who work as {said} and OUT",
            f"[look up|see] which users are {said} and OUT",
            f"go through our active {said} and OUT",
            f"take the list of {said} and OUT",
        ),
        (f"Who are our {said}? List them and OUT.", f"Which users are {said}? Please OUT."),
        (
            Print("for user in people:\n    print(user.login)", "[the login of each|each one's login], one a line"),
            Print(
                "for user in people:\n    print(user.email)",
                "[the e-mail address of each|each one's e-mail address], one a line",
            ),
            Print("print(len(people))", "[how many there are|their number]"),
        ),
        reads=True,
    )


def bench(w: World, user: Ref | None = None) -> Step:
    user = user or w.user()
    return Step(
        f"users.bench(room, login={user.code})",
        "user",
        (
            f"suspend {user}",
            f"suspend the account of {user}",
            f"[deactivate|suspend] {user} so that nobody can log in with that account",
            f"[block|deactivate] the account of {user}",
            f"see to it that {user} can't log in any more, by suspending the account",
        ),
        (
            f"We've lost trust in {user}: suspend the account.",
            f"The account of {user} should be suspended.",
            f"Since last week {user} has been gone for good; deactivate the account.",
        ),
        (
            Print("print(user.email)", "[the user's e-mail address|the e-mail address]"),
            Print("print(user.role)", "[the user's role|the role]"),
        ),
    )
