"""Effect match and exact API, on a small package of the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kohai.catalog import Catalog, read_package
from kohai.metrics import effect_match, exact_api, hallucinated_api
from kohai.metrics.api_match import ApiMatch, api_calls, api_match
from kohai.records import Effect, Execution

SOURCE = {
    "__init__.py": '"""Boats."""\nfrom harbour.berths import Side, dock\nfrom harbour import berths, crew\n',
    "berths.py": '''
"""Berths."""
from enum import Enum
from harbour._tides import LOW, Tide

class Side(Enum):
    """Of a berth."""
    PORT = "port"
    STARBOARD = "starboard"

class Boat:
    """One boat."""
    name: str
    berth: int

    def paint(self, colour: str, coats: int = 2) -> None:
        """Paints it."""

def dock(name: str, side: Side, *, nights: int = 1) -> Boat:
    """Docks a boat."""

def boats(side: Side | None = None) -> list[Boat]:
    """All boats."""

def moor(name: str, side: Side = Side.PORT, *, tide: Tide = Tide.EBB, depth: float = LOW) -> None:
    """Moors a boat."""
''',
    "_tides.py": '"""Tides."""\nimport enum\nLOW = 0.3\nclass Tide(enum.Enum):\n    EBB = 1\n    FLOOD = 2\n',
    "crew.py": '"""Crew."""\ndef hire(name: str, berth: int) -> None:\n    """Hires."""\n',
}

REFERENCE = """
from harbour import berths, crew
from harbour.berths import Side

boat = berths.dock("Ann", Side.PORT, nights=3)
boat.paint("red")
crew.hire("Bo", berth=boat.berth)
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The little package, read."""
    folder = tmp_path_factory.mktemp("package") / "harbour"
    folder.mkdir()
    for name, text in SOURCE.items():
        (folder / name).write_text(text)
    return read_package(folder)


@pytest.mark.parametrize(
    "code",
    [
        REFERENCE,
        "import harbour\nb = harbour.dock(side=harbour.Side.PORT, name='Ann', nights=3)\n"
        "b.paint(colour='red', coats=2)\nharbour.crew.hire(name='Bo', berth=b.berth)",
        "from harbour.berths import *\nfrom harbour.berths import dock as d, Side as S\nfrom harbour.crew import hire\n"
        "who, n = 'Ann', 3\nx = y = d(who, S['PORT'], nights=n)\nplace = y.berth\nx.paint('red')\nhire('Bo', place)",
        REFERENCE + "\n# a comment\nprint(boat.name.upper())\n",
        REFERENCE.replace('boat.paint("red")\n', "") + 'boat.paint("red")\n',
    ],
)
def test_same_calls(catalog: Catalog, code: str) -> None:
    """Names, imports, order, keywords or places, explicit defaults and what is not of the package do not matter."""
    assert exact_api(code, REFERENCE, catalog)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"Ann"', '"Anne"'),
        ("Side.PORT", "Side.STARBOARD"),
        ("nights=3", "nights=4"),
        (", nights=3", ""),
        ('boat.paint("red")\n', ""),
        ('boat.paint("red")', 'boat.paint("red")\nboat.paint("red")'),
        ('paint("red")', 'paint("red", 3)'),
        ("boat.berth", "boat.name"),
        ("berth=boat.berth", "berth=7"),
        ('crew.hire("Bo", berth=boat.berth)', "berths.boats()"),
        ("boat.paint(", "berths.dock('Eve', Side.PORT).paint("),
        ("crew.hire(", "crew.hire(("),
    ],
)
def test_other_calls(catalog: Catalog, old: str, new: str) -> None:
    """A value, member, argument, call, attribute or receiver that differs is seen; so is what does not parse."""
    assert old in REFERENCE
    assert not exact_api(REFERENCE.replace(old, new), REFERENCE, catalog)


def test_where_values_come_from(catalog: Catalog) -> None:
    """Elements of a result, through loops and comprehensions, are told from elements of another."""
    loop = "from harbour import berths\nfor b in berths.boats(berths.Side.{}):\n    b.paint('red')"
    other_name = (
        "from harbour import berths\nships = berths.boats(side=berths.Side.PORT)\nfor ship in ships: ship.paint('red')"
    )
    assert exact_api(other_name, loop.format("PORT"), catalog)
    assert not exact_api(other_name, loop.format("STARBOARD"), catalog)
    inline = "from harbour import berths\n[ship.paint('red') for ship in berths.boats(berths.Side.PORT)]"
    assert exact_api(inline, loop.format("PORT"), catalog)


def test_lines_are_readable(catalog: Catalog) -> None:
    """Each call is one line with the id, the receiver and the arguments by name."""
    found = api_calls(REFERENCE, catalog)
    assert found is not None
    docked = "harbour.berths.dock(name='Ann', nights=3, side=harbour.berths.Side.PORT)"
    assert [call.line for call in found] == [
        docked,
        f"harbour.berths.Boat.paint(colour='red', self={docked})",
        f"harbour.crew.hire(berth={docked}.berth, name='Bo')",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("red", "red", (True, True, True)),
        ("red", "blue", (True, True, False)),
        (", nights=3", "", (True, False, False)),
        (", nights=3", ", nights=1", (True, False, False)),  # the default: as good as left out
        ('boat.paint("red")', "berths.boats()", (False, False, False)),
        ("crew.hire(", "crew.hire((", (False, False, False)),
    ],
)
def test_levels(catalog: Catalog, old: str, new: str, expected: tuple[bool, bool, bool]) -> None:
    """Name, argument names, argument values: each asks for more."""
    assert api_match(REFERENCE.replace(old, new), REFERENCE, catalog) == ApiMatch(*expected)


@pytest.mark.parametrize(
    ("arguments", "is_same"),
    [
        ("side=berths.Side.PORT", True),
        ("side=harbour.Side['PORT']", True),
        ("berths.Side.PORT, tide=berths.Tide.EBB, depth=berths.LOW", True),
        ("tide=Tide.EBB, depth=harbour._tides.LOW", True),
        ("side=berths.Side.STARBOARD", False),
        ("tide=Tide.FLOOD", False),
        ("depth=Tide.EBB", False),
        ("depth=0.3", False),  # what a constant holds is not known
    ],
)
def test_a_default_by_its_name(catalog: Catalog, arguments: str, is_same: bool) -> None:
    """An enum member or a constant that is the default is as good as left out, whatever path names it."""
    imports = "import harbour\nfrom harbour import berths\nfrom harbour._tides import Tide\n"
    code = f"{imports}berths.moor('Ann', {arguments})"
    assert exact_api(code, f"{imports}berths.moor('Ann')", catalog) is is_same


@pytest.mark.parametrize("reference", ["print('Ann')", "import harbour", "import harbour\nharbour.moor('Ann')"])
def test_nothing_to_compare_with(catalog: Catalog, reference: str) -> None:
    """A reference without a call that the catalog knows is no measure: unscored, neither right nor wrong."""
    for code in ("print('Bo')", reference, REFERENCE, "def ("):
        assert api_match(code, reference, catalog) is None
        assert exact_api(code, reference, catalog) is None


def test_an_f_string_of_lines(catalog: Catalog) -> None:
    """An f-string of a text with a line break, which Python 3.11 cannot write as source, is read and told from another
    one.
    """
    code = "from harbour import crew\nnames = 'Ann\\nBo'\nwho = f'All: {names}'\ncrew.hire(f'{who}!', 1)"
    assert exact_api(code, code.replace("names", "n"), catalog)
    assert not exact_api(code, code.replace("Bo", "Cy"), catalog)
    assert hallucinated_api(code, catalog) is False


def test_growth_is_bounded(catalog: Catalog) -> None:
    """A program that doubles an expression over and over is read in time."""
    code = "from harbour import crew\nx = 'a'\n" + "x = x + x\n" * 200 + "crew.hire(x, 1)"
    assert exact_api(code, code, catalog)


def test_effect_match() -> None:
    """State and normalised output must both be the task's; a failed program is False, an unjudged one None."""
    effect = Effect(state="d1", stdout="3\n4")
    ran = Execution(kind="ok", blame="none", state="d1", stdout="3  \n4\n\n")
    assert effect_match(ran, effect) is True
    assert effect_match(replace(ran, state="d2"), effect) is False
    assert effect_match(replace(ran, state=None), effect) is False
    assert effect_match(replace(ran, stdout="4\n3\n"), effect) is False
    assert effect_match(replace(ran, kind="crash", blame="program"), effect) is False
    assert effect_match(replace(ran, kind="quota", blame="environment"), effect) is None
    assert effect_match(replace(ran, kind="timeout", blame="undecided"), effect) is None
    assert effect_match(ran, None) is None
