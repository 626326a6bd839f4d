"""Cycle counts: what people find in the bins, against what the books say."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum, auto
from types import TracebackType

from stockroom import _check, _stock
from stockroom.errors import ClosedDocument, InvalidValue, NotFound
from stockroom.room import Room


class SheetStatus(StrEnum):
    """OPEN inside the block, CLOSED after it, SETTLED once the books follow the count."""

    OPEN = auto()
    CLOSED = auto()
    SETTLED = auto()


@dataclass(frozen=True)
class Tally:
    """What was found of one item in one bin; gap is found less booked."""

    sheet_id: int
    bin: str
    sku: str
    found: int
    booked: int
    gap: int


@dataclass(frozen=True)
class Sheet:
    """One cycle count; corrected is how many of its tallies differ from the books."""

    id: int
    zone: str
    status: SheetStatus
    corrected: int


class CountSheet:
    """A cycle count being taken: use it in a with block, which closes the sheet when it ends."""

    def __init__(self, room: Room, zone: str) -> None:
        self._room = room
        self._open = False
        self._id = 0
        self.zone = zone

    @property
    def id(self) -> int:
        """The count sheet's id, known from the start of the block."""
        if not self._id:
            raise ClosedDocument("the count sheet has no id yet: use it in a with block")
        return self._id

    def __enter__(self) -> CountSheet:
        db = self._room.db
        self._id = _check.next_id(db, "sheets")
        db.execute("INSERT INTO sheets VALUES (?, ?, 'open')", (self._id, self.zone))
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        if kind is None:
            self._room.db.execute("UPDATE sheets SET status = 'closed' WHERE id = ?", (self._id,))

    def tally(self, *, bin: str, sku: str, found: int) -> Tally:
        """Write on the count sheet how many pieces of an item were found (counted) in a bin.

        Args:
            bin: The bin, which lies in the sheet's zone.
            sku: The SKU of the counted item.
            found: How many pieces were found; 0 or more.

        Returns:
            The tally, with its gap to the books.

        Raises:
            NotFound: If there is no such item or bin.
            InvalidValue: If the bin lies in another zone.
            ClosedDocument: If the sheet is not open.
        """
        if not self._open:
            raise ClosedDocument("the count sheet is not open: call tally inside its with block")
        db = self._room.db
        zone = _check.row(db, "bins", "bin", _check.text("bin", bin))[1]
        if zone != self.zone:
            raise InvalidValue(f"bin {bin!r} lies in zone {zone!r}, the sheet is for zone {self.zone!r}")
        _check.row(db, "items", "sku", _check.text("sku", sku))
        booked = _stock.in_bin(db, sku, bin)
        values = (self.id, bin, sku, _check.whole("found", found, 0), booked)
        db.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?)", values)
        return Tally(self.id, bin, sku, found, booked, found - booked)


def _differences(db: sqlite3.Connection, sheet_id: int) -> list[Tally]:
    query = "SELECT * FROM tallies WHERE sheet_id = ? AND found <> booked ORDER BY bin, sku"
    rows = db.execute(query, (sheet_id,)).fetchall()
    return [Tally(sheet, bin, sku, found, booked, found - booked) for sheet, bin, sku, found, booked in rows]


def sheet(room: Room, *, zone: str) -> CountSheet:
    """Start a cycle count (stocktake) of a zone: with counts.sheet(...) as sheet.

    Args:
        zone: The zone to count.

    Returns:
        The count sheet, a context manager with id and tally(...); it is closed when its block ends.

    Raises:
        NotFound: If no bin lies in that zone.
    """
    query = "SELECT 1 FROM bins WHERE zone = ?"
    if _check.database(room).execute(query, (_check.text("zone", zone),)).fetchone() is None:
        raise NotFound(f"no bin lies in zone {zone!r}")
    return CountSheet(room, zone)


def settle(room: Room, *, sheet_id: int) -> Sheet:
    """Apply a closed count sheet to the stock: correct the booked quantities to what was counted.

    Args:
        sheet_id: The id of the count sheet to apply.

    Returns:
        The settled sheet; corrected says how many quantities were wrong.

    Raises:
        NotFound: If no sheet has that id.
        ClosedDocument: If the sheet is still open, or settled already.
    """
    db = _check.database(room)
    _, zone, status = _check.row(db, "sheets", "id", _check.whole("sheet_id", sheet_id))
    if status != "closed":
        raise ClosedDocument(f"count sheet {sheet_id} is {status}, only a closed one can be settled")
    gaps = _differences(db, sheet_id)
    for each in gaps:
        _stock.put(db, each.sku, each.bin, each.found - _stock.in_bin(db, each.sku, each.bin))
    db.execute("UPDATE sheets SET status = 'settled' WHERE id = ?", (sheet_id,))
    return Sheet(sheet_id, zone, SheetStatus.SETTLED, len(gaps))


def drift(room: Room, *, sheet_id: int) -> list[Tally]:
    """List the differences (gaps) of a count sheet: where the count and the books disagree.

    Args:
        sheet_id: The id of the count sheet.

    Returns:
        The tallies whose gap is not 0, in bin and SKU order.

    Raises:
        NotFound: If no sheet has that id.
    """
    db = _check.database(room)
    _check.row(db, "sheets", "id", _check.whole("sheet_id", sheet_id))
    return _differences(db, sheet_id)
