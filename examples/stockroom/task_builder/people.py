"""Requests about shipments, reports and users: one function for each call."""

from __future__ import annotations

from task_builder.world import Print, Ref, Step, World

SPEEDS = {
    "EXPRESS": "[overnight|as overnight express|by overnight express]",
    "ROAD": "[by road|by truck|on the road, by truck]",
    "FREIGHT": "[by sea or rail|as slow freight|as freight]",
}
ROLES = {
    "PICKER": "[a picker|a goods picker]",
    "CLERK": "[a clerk|an office clerk]",
    "FOREMAN": "[a foreman|the shift's foreman]",
}
GROUPS = {"PICKER": "pickers", "CLERK": "clerks", "FOREMAN": "foremen"}
PIECES = Print(
    "print(shipment.pieces)",
    "[how many pieces it holds|the number of pieces in it]",
    ("How many pieces are in {}?", "How many pieces does {} hold?"),
)
STATUS = Print(
    "print(shipment.status)", "[its status|the shipment's status]", ("What is the status of {}?", "Has {} left yet?")
)


def crate(w: World, town: Ref | None = None) -> Step:
    town = town or w.town()
    speed, said = w.pick(*SPEEDS.items())
    return Step(
        f"shipments.crate(room, destination={town.code}, speed=Speed.{speed})",
        "shipment",
        (
            f"open a new shipment to {town} that travels {said}",
            f"[start|open] an empty shipment for {town}, going {said}",
            f"[create|set up] a shipment with the destination {town}, sent {said}",
            f"[prepare|open] a shipment to {town}; it goes {said}",
            f"open a shipment bound for {town}, to be sent {said}",
        ),
        (
            f"We need a new shipment to {town}, travelling {said}.",
            f"Something has to go to {town} {said}: open a shipment for it.",
            f"A shipment with destination {town} should be opened; it travels {said}.",
        ),
        (Print("print(shipment.id)", "[the shipment's id|the id of the shipment]"),),
    )


def stow(w: World, shipment: Ref | None = None, item: Ref | None = None, quantity: int = 0) -> Step:
    shipment, item, n = shipment or w.open_shipment(), item or w.item(plenty=True), quantity or w.number(2, 22)
    return Step(
        f"shipments.stow(room, shipment_id={shipment.code}, sku={item.code}, quantity={n})",
        "shipment",
        (
            f"pack {n} pieces of {item} into {shipment}",
            f"[pack|put] {n} of {item} into {shipment}",
            f"add {n} pieces of {item} to {shipment}",
            f"load {n} of {item} into {shipment}",
            f"pack {n} of {item} for {shipment}",
        ),
        (
            f"{n} pieces of {item} should be packed into {shipment}.",
            f"The customer also wants {n} of {item}, so pack them into {shipment}.",
            f"There is room for {n} of {item} in {shipment}: pack them.",
        ),
        (PIECES,),
    )


def depart(w: World, shipment: Ref | None = None) -> Step:
    shipment = shipment or w.open_shipment()
    return Step(
        f"shipments.depart(room, shipment_id={shipment.code})",
        "shipment",
        (
            f"dispatch {shipment}",
            f"send {shipment} off",
            f"send {shipment} on its way",
            f"have {shipment} dispatched",
            f"[mark|book] {shipment} as dispatched",
        ),
        (
            f"{shipment} is packed, so it can be dispatched.",
            f"The truck for {shipment} is here: send it off.",
            f"{shipment} should leave now; dispatch it.",
        ),
        (STATUS, PIECES, Print("print(shipment.destination)", "[its destination|where it goes]")),
    )


def trace(w: World, shipment: Ref | None = None) -> Step:
    if shipment is None:
        shipment = w.ref(w.fresh(w.ids("shipment", 7000)), "shipment {}")
    goes = ("Where does {} go?", "To which town does {} go?")
    return Step(
        f"shipments.trace(room, shipment_id={shipment.code})",
        "shipment",
        (
            f"look up {shipment} and OUT",
            f"check on {shipment} and OUT",
            f"[find|open] {shipment} in the books and OUT",
            f"[get|fetch] the details of {shipment} and OUT",
            f"look {shipment} up, then OUT",
        ),
        prints=(
            STATUS,
            PIECES,
            Print("print(shipment.destination)", "[its destination|the destination]", goes),
            Print("print(shipment.speed)", "[its speed|the speed it travels at]"),
        ),
        reads=True,
        about=str(shipment),
    )


def reroute(w: World, shipment: Ref | None = None) -> Step:
    shipment, town = shipment or w.open_shipment(), w.town()
    return Step(
        f"shipments.reroute(room, shipment_id={shipment.code}, destination={town.code})",
        "shipment",
        (
            f"change the destination of {shipment} to {town}",
            f"send {shipment} to {town} instead",
            f"[redirect|divert] {shipment} to the new destination {town}",
            f"make {town} the destination of {shipment}",
            f"[set|correct] the destination of {shipment} to {town}",
        ),
        (
            f"The customer has moved, so {shipment} must go to {town} instead; change its destination.",
            f"The destination of {shipment} is wrong: it should be {town}.",
            f"{shipment} has to go to another town, {town}, so change its destination.",
        ),
        (PIECES, STATUS),
    )


def scarce(w: World) -> Step:
    limit = w.number(3, 24)
    return Step(
        f"reports.scarce(room, limit={limit})",
        "low",
        (
            f"list at most {limit} items that are running low and OUT",
            f"[find|get] up to {limit} items at or below their reorder level and OUT",
            f"see which items are running low ({limit} at most) and OUT",
            f"[report|list] the scarcest items, no more than {limit}, and OUT",
            f"list up to {limit} items whose quantity on hand has sunk to the reorder level and OUT",
        ),
        (f"Which items are running low? List {limit} at most and OUT.",),
        (
            Print("for item in low:\n    print(item.sku)", "[the SKU of each|each one's SKU] on a line of its own"),
            Print(
                "for item in low:\n    print(item.on_hand)",
                "[the quantity on hand of each|how much of each is on hand], one a line",
            ),
            Print(
                "for item in low:\n    print(item.label)", "[the label of each|each one's label] on a line of its own"
            ),
        ),
        reads=True,
    )


def worth(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    return Step(
        f"reports.worth(room, sku={item.code})",
        "value",
        (
            f"[work out|find out] what the stock of {item} is worth and OUT",
            f"value the stock of {item} at the cheapest price and OUT",
            f"[get|calculate] the value of our stock of {item} and OUT",
            f"find the value of all pieces of {item} on hand and OUT",
            f"put a value on the stock of {item}, then OUT",
        ),
        prints=(
            Print(
                "print(value)",
                "[the value in cents|that value in cents|the amount in cents]",
                ("What is our stock of {} worth?", "How much is the stock of {} worth in cents?"),
            ),
        ),
        reads=True,
        about=str(item),
    )


def footprint(w: World, zone: Ref | None = None) -> Step:
    zone = zone or w.zone()
    return Step(
        f"reports.footprint(room, zone={zone.code})",
        "pieces",
        (
            f"[total|add up] the pieces stored in {zone} and OUT",
            f"find out how many pieces lie in {zone} over all its bins and OUT",
            f"[work out|get] the total number of pieces in {zone} and OUT",
            f"total up what is stored in the bins of {zone} and OUT",
            f"see how full {zone} is and OUT",
        ),
        prints=(
            Print(
                "print(pieces)",
                "[the number of pieces|the total number of pieces|the total]",
                ("How many pieces are stored in {}?", "How many pieces lie in {} in total?"),
            ),
        ),
        reads=True,
        about=str(zone),
    )


def overdue(w: World) -> Step:
    days = w.number(2, 40)
    return Step(
        f"reports.overdue(room, days={days})",
        "late",
        (
            f"list the purchase orders that are late by more than {days} days and OUT",
            f"[find|get] all orders overdue by more than {days} days and OUT",
            f"see which open orders are more than {days} days overdue and OUT",
            f"[report|list] the orders that should have come over {days} days ago and OUT",
            f"go through the purchase orders more than {days} days late and OUT",
        ),
        (f"Which purchase orders are more than {days} days late? List them and OUT.",),
        (
            Print("for order in late:\n    print(order.id)", "[the id of each|each order's id] on a line of its own"),
            Print(
                "for order in late:\n    print(order.supplier)",
                "[the supplier's code of each|the supplier of each], one a line",
            ),
            Print("print(len(late))", "[how many there are|the number of late orders]"),
        ),
        reads=True,
    )


def spend(w: World, supplier: Ref | None = None) -> Step:
    supplier = supplier or w.supplier()
    return Step(
        f"reports.spend(room, supplier={supplier.code})",
        "cents",
        (
            f"total what our purchase orders with {supplier} cost and OUT",
            f"[work out|find out] how much money we spend with {supplier} and OUT",
            f"add up the cost of all our orders with {supplier} and OUT",
            f"[get|calculate] the total cost of the orders with {supplier} and OUT",
            f"find out what the purchase orders with {supplier} cost in total and OUT",
        ),
        prints=(
            Print(
                "print(cents)",
                "[the amount in cents|the total in cents|the sum in cents]",
                ("What do our orders with {} cost in total?", "How much do we spend with {}?"),
            ),
        ),
        reads=True,
        about=str(supplier),
    )


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
            f"change the role of {user}: from now on {said}",
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
            f"People are short in {zone}, so assign {user} to it.",
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
