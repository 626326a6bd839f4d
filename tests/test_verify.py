"""Static checks: a table of small programs with the verdicts they must get."""

import json
import textwrap
from pathlib import Path

import catalog_package
import pytest

from kohai.catalog import Catalog, read_package
from kohai.code import parse
from kohai.verify import CRITERIA, check

LETTERS = {"y": "yes", "n": "no", "u": "unscored"}
OPEN = "from depot import crates, open_depot, trips\nfrom depot.crates import Size\nwith open_depot() as d:\n"
TEXT = "Pack 3 crates 'Blue box' (AB-12) and \"tea\", twelve at 2.5 kg, due 7 March 2030; 1,200 in all, 15% off, $12.50"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Catalog:
    return read_package(catalog_package.write(tmp_path_factory.mktemp("package")))


def _answers(code, catalog, docs=""):
    verdicts = check(code, catalog, TEXT, docs)
    assert [verdict.criterion for verdict in verdicts] == list(CRITERIA)
    assert {verdict.answerer for verdict in verdicts} == {"static"}
    return {verdict.criterion: verdict for verdict in verdicts}


# Letters in the order names_bound, api_exists, arguments_bind, values_allowed, grounded. `|` stands for OPEN.
PROGRAMS = [
    # Right programs of many shapes: nothing may be said against them.
    ("|    c = crates.pack(d, label='tea')\n    print(c.label, c.id, c.size.name, c.size.value)", "yyyyy"),
    ("|    crates.pack(d, label='tea', size=Size.LARGE, weight=3, fragile=True, due=None, mode='air')", "yyyyy"),
    ("import depot\nwith depot.open_depot() as d:\n"
     "    depot.crates.pack(d, label='tea').twin().relabel('tea')", "yyyyy"),
    ("import depot.crates as c\nprint(c.Size['SMALL'], c.Size(2), c.Crate(1, 'tea', c.Size.SMALL))", "yyyyn"),
    ("from depot import *\nwith open_depot() as d:\n    crates.pack(d, label='tea', size=CrateSize.SMALL)", "yyyyy"),
    ("|    c = crates.find(d, 'tea')\n    if c is not None:\n        print(c.twin().note)", "yyyyy"),
    ("|    for c in crates.every(d):\n        print(c.tags[0].upper())\n"
     "    print([x.label for x in crates.every(d)])", "yyyyy"),
    ("|    c, spot = crates.pair(d)\n    print(c.label, spot.shelf, spot._asdict(), spot[0])", "yyyyy"),
    ("|    for name, c in crates.by_label(d).items():\n        print(name, c.label)", "yyyyy"),
    ("|    print(crates.by_label(d)['tea'].label)\n    print(crates.join(*crates.every(d), sep='', extra=3))", "yyyyy"),
    ("|    def show(c: crates.Crate):\n        print(c.label)\n    show(crates.find(d, 'tea'))", "yyyyy"),
    ("|    make = crates.pack\n    make(d, label='tea')", "yyyyy"),
    ("|    best = max(crates.every(d), key=lambda c: c.id)\n"
     "    print(best.label, next(iter(crates.every(d))).id)", "yyyyy"),
    ("|    n = 0\n    for i, c in enumerate(crates.every(d)):\n        n += i\n    print(n, c.label)", "yyyyy"),
    ("|    options = {'label': 'tea'}\n    crates.pack(d, **options)\n    crates.first(*[1, 2])", "yyyyy"),
    ("import asyncio\nfrom depot import trips, Depot\nasync def main():\n"
     "    async with await trips.start(Depot(), 'tea') as t:\n"
     "        print(t.driver)\nasyncio.run(main())", "yyyyy"),
    ("from depot.trips import Loose, Foreign, wound, split\nLoose().any\nForeign(3).more\nwound(b=1)\n"
     "split(3)", "yyyyy"),
    ("from depot import Depot\nDepot.fresh('tea').close()\n"
     "print(Depot.version(), Depot.__name__, Depot().name)", "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    c.extra = 1\n    print(c.extra)", "yyyyy"),
    ("|    c = None\n    for x in crates.every(d):\n        if c is None or x.id > c.id:\n"
     "            c = x\n    print(c.id)", "yyyyy"),
    ("|    c = crates.find(d, 'tea') or crates.pack(d, label='tea')\n    print(c.label)", "yyyyy"),
    ("|    try:\n        c = crates.pack(d, label='tea')\n    except ValueError as error:\n"
     "        print(error)\n", "yyyyy"),
    ("|    match crates.find(d, 'tea'):\n        case None: pass\n        case c: print(c.label)", "yyyyy"),
    ("try:\n    import numpy\nexcept ImportError:\n    numpy = None\n|    print(d.name)", "yyyyy"),
    ("|    print(d.path, d._rows, d.later, d.close())", "yyyyy"),
    ("from __future__ import annotations\ndef f(x: Unknown) -> Missing: ...\n|    f(1)", "yyyyy"),
    ("|    print(f'{[y for y in range(3)]}', (z := 2), z, __name__)", "yyyyy"),
    ("def go():\n    return later(d)\n|    pass\ndef later(x):\n    return x\ngo()", "yyyyy"),
    ("|    label = 'tea'\n    crates.pack(d, label=label)\n    crates.pack(d, label='Blue box'.upper())", "yyyyy"),
    ("|    print({k: (lambda: k) for k in 'ab'}, [(lambda: c.label)() for c in crates.every(d)])", "yyyyy"),
    ("try:\n    maybe\nexcept NameError:\n    maybe = 1\n|    print(maybe)", "yyyyy"),
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    X = Y\n|    pass", "yyyyy"),
    ("import typing\nif typing.TYPE_CHECKING:\n    import numpy\n    import depot.kinds\n|    pass", "yyyyy"),
    ("from depot.crates import Thing, Crate\nfrom depot import trips\nasync def f(t: trips.Trip, x: Thing):\n"
     "    await t.load(x)\n|    pass", "yyyyy"),
    # What is bound elsewhere, or later, or never: nothing is known of it.
    ("|    c = None\n    while c is None or c.note:\n        c = crates.find(d, 'tea')", "yyyyy"),
    ("|    c = None\n    while c is None or crates.first(c, 1):\n        c = crates.pack(d, label='tea')", "yyyyy"),
    ("|    for c in crates.every(d):\n        if c.id: break\n    else:\n        c = None\n"
     "    if c is not None:\n        print(c.label)", "yyyyy"),
    ("|    while True:\n        c = None\n        if d.name:\n            c = crates.pack(d, label='tea')\n"
     "            break\n    print(c.label)", "yyyyy"),
    ("|    for x in crates.every(d):\n        best = None\n        if x.id > 3:\n            best = x\n"
     "            continue\n    print(best.label)", "yyyyy"),
    ("|    c = None\n    if any((c := x).id > 3 for x in crates.every(d)):\n        print(c.label)", "yyyyy"),
    ("|    c = None\n    print([(c.label if c else '', c := x) for x in crates.every(d)])", "yyyyy"),
    ("|    c = None\n    show = lambda *d: c.label\n    c = crates.pack(d, label='tea')\n    show()", "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    show = lambda *c, **d: c.count(1) + d.get('tea')\n    show()", "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    if hasattr(c, 'weight'):\n        print(c.weight)", "yyyyy"),
    ("|    note = crates.pack(d, label='tea').note\n    if isinstance(note, bytes):\n"
     "        print(note.decode())", "yyyyy"),
    ("|    class Big(crates.Crate):\n        heft: int = 3\n        def lift(self): ...\n"
     "    def show(c: crates.Crate):\n        if type(c) is Big:\n            print(c.heft, c.lift())\n    show(1)",
     "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    print([x for x in [c] if hasattr(c, 'weight') and c.weight])", "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    print(c.weight if hasattr(c, 'weight') else 0)", "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    assert not isinstance(c, str)\n    print(c.weight)", "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    hasattr(c, 'weight')\n    print(c.weight)", "ynyyy"),
    ("|    c = crates.pack(d, label='tea')\n    isinstance(c, object)\n    print(c.weight)", "ynyyy"),
    ("|    c = crates.pack(d, label='tea')\n    print(isinstance(c, object), c.weight)", "ynyyy"),
    # What is passed on or named is used, what is only mentioned is not.
    ("from depot import crates\nprint(list(map(crates.anything, [1, 2])))", "yyuuu"),
    ("import functools\nfrom depot import Depot\nprint(functools.partial(Depot, create=True)('tea'))", "yyuuu"),
    ("from depot.crates import *\nprint(list(map(anything, 'ab')))", "yyuuu"),
    ("import importlib\nprint(importlib.import_module('depot.crates').LIMIT)", "yyuuu"),
    ("from depot import crates\nfrom functools import wraps\n@crates.anything\ndef f(): ...", "yyuuu"),
    ("from depot import crates\nclass Big(crates.Crate): ...", "yyuuu"),
    ("from depot import crates\nc = crates\nprint(sorted('ab', key=c.anything))", "yyuuu"),
    ("from depot.crates import Crate\nfor crate in Crate: print(crate)", "yyuuu"),
    ("import depot\nraise depot.crates.anything", "yyuuu"),
    ("import depot\ndepot.crates\ndepot", "ynuuu"),
    ("from depot import open_depot\nx = open_depot", "ynuuu"),
    ("from depot import open_depot\nif open_depot: pass", "ynuuu"),
    ("import depot\nprint(depot, str(depot), type(depot.crates))", "ynuuu"),
    ("import depot\nx = y = depot.crates\nprint(x, [y])", "ynuuu"),
    ("import importlib\nprint(importlib.import_module('json').dumps)", "ynuuu"),
    ("import os, depot\nprint(os.name)", "ynuuu"),
    # Names.
    ("|    print(room)", "nyyyy"),
    ("x = y\ny = 1", "nnuuu"),
    ("|    del d\n    print(d)", "nyyyy"),
    ("|    if d:\n        del d\n    print(d)", "yyyyy"),
    ("import depot\nx = 1\ndel x\nprint(x, depot.Depot())", "nyyyy"),
    ("|    try:\n        pass\n    except ValueError as e:\n        pass\n    print(e)", "nyyyy"),
    ("def f():\n    print(a)\n    a = 1\n|    f()", "nyyyy"),
    ("|    print([q for q in [1]], q)", "nyyyy"),
    ("class A:\n    k = 1\n    def f(self):\n        return k\n|    A()", "nyyyy"),
    ("def f():\n    global g\n    g = 1\nf()\n|    print(g)", "yyyyy"),
    ("|    t += 1", "nyyyy"),
    ("with open_depot() as d:\n    crates.pack(d, label='tea')", "nnuuu"),
    # What does not exist.
    ("from depot import boats\nboats.row()", "ynuuu"),
    ("from depot.crates import Sizes\n|    pass", "ynyyy"),
    ("import depot.boats\ndepot.open_depot()", "ynyyy"),
    ("import numpy\n|    pass", "ynyyy"),
    ("from . import crates\ncrates.pack()", "ynuuu"),
    ("|    crates.packs(d, label='tea')", "ynyyy"),
    ("|    c = crates.pack(d, label='tea')\n    print(c.lable)", "ynyyy"),
    ("|    print(crates.every(d).label)", "ynyyy"),
    ("|    for c in crates.every(d):\n        print(c.nope)", "ynyyy"),
    ("|    print(Size.HUGE)", "ynyyy"),
    ("|    print(Size['HUGE'])", "ynyyy"),
    ("|    print(crates.find(d, 'tea').nope)", "ynyyy"),
    ("|    with crates.pack(d, label='tea') as c:\n        pass", "ynyyy"),
    ("|    for x in crates.pack(d, label='tea'):\n        pass", "ynyyy"),
    ("|    c = crates.pack(d, label='tea').relabel('tea').twins()", "ynyyy"),
    ("|    a, b = crates.pair(d)\n    print(b.label)", "ynyyy"),
    ("print('done')", "ynuuu"),
    # Arguments.
    ("|    crates.pack(d)", "yynyy"),
    ("|    crates.pack(d, 'tea')", "yynyy"),
    ("|    crates.pack(d, label='tea', colour=3)", "yynyy"),
    ("|    crates.pack(d, label='tea', depot=d)", "yynyy"),
    ("|    crates.first(crate=1, count=3)", "yynyy"),
    ("|    crates.pack(*[d], colour=3)", "yynyy"),
    ("|    crates.Crate(1)", "yynyy"),
    ("|    d.close(3)", "yynyy"),
    ("|    crates.Spot(1, 'tea', 3)", "yynyy"),
    ("from depot.trips import cached\ncached()", "yynyy"),
    # Values.
    ("|    crates.pack(d, label='tea', size='tea')", "yyyny"),
    ("|    crates.pack(d, label='tea', size=crates.Colour.RED)", "yyyny"),
    ("|    crates.pack(d, label='tea', size=3)", "yyyny"),
    ("|    crates.pack(d, label=3)", "yyyny"),
    ("|    crates.pack(d, label='tea', weight='3')", "yyyny"),
    ("|    crates.pack(d, label='tea', due='2030-03-07')", "yyyny"),
    ("|    crates.pack(d, label='tea', mode='tea')", "yyyny"),
    ("|    crates.pack(d, label=None)", "yyyny"),
    ("|    crates.pack('tea', label='tea')", "yyyny"),
    ("|    crates.every(d, ['tea'])", "yyyny"),
    ("|    crates.every(d, [crates.Colour.RED])", "yyyyy"),
    ("|    c = crates.pack(d, label='tea')\n    crates.find(d, c)", "yyyny"),
    ("|    c = crates.pack(d, label='tea')\n    crates.find(d, c.id)", "yyyny"),
    # Grounds.
    ("|    crates.pack(d, label='blue BOX', weight=2.5)\n    crates.pack(d, label='ab-12', weight=12)", "yyyyy"),
    ("|    crates.pack(d, label='red box')", "yyyyn"),
    ("|    crates.pack(d, label='AB-1')", "yyyyn"),
    ("|    crates.pack(d, label='tea', weight=99)", "yyyyn"),
    ("|    label = 'red box'\n    crates.pack(d, label=label)", "yyyyn"),
    ("|    for label in ['tea', 'coal']:\n        crates.pack(d, label=label)", "yyyyn"),
    ("from datetime import date\n|    crates.pack(d, label='', due=date(2030, 3, 7), weight=0.15)", "yyyyy"),
    ("from datetime import date\n|    crates.pack(d, label='2030-03-07', due=date(2031, 3, 7))", "yyyyn"),
    ("|    crates.pack(d, label='tea', weight=1250)\n    crates.pack(d, label='tea', weight=-1200)", "yyyyy"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "letters"), PROGRAMS)
def test_program(catalog, program, letters):
    """Each criterion answers as planted; one `no` does not silence the others."""
    code = program.replace("|", OPEN)
    assert parse(code) is not None
    answers = _answers(code, catalog)
    expected = {name: LETTERS[letter] for name, letter in zip(CRITERIA[1:-2], letters, strict=True)} | {"parses": "yes"}
    found = {name: verdict.answer for name, verdict in answers.items() if name not in ("covers", "prints")}
    assert found == expected, [verdict.evidence for verdict in answers.values() if verdict.evidence]


@pytest.mark.parametrize("code", ["x = (", "", "  \n", "# only a comment", "a\0b", "(" * 5000])
def test_what_does_not_parse_leaves_the_rest_unscored(catalog, code):
    """No tree: parses is no with a reason, the others are unscored, never no."""
    answers = _answers(code, catalog)
    assert (answers["parses"].answer, bool(answers["parses"].evidence)) == ("no", True)
    assert {answers[name].answer for name in CRITERIA[1:]} == {"unscored"}


def test_code_nested_too_deeply_is_unscored_not_no(catalog):
    """What our own recursion cannot read is nobody's fault."""
    answers = _answers("x = " + "+".join(["1"] * 3000), catalog)
    assert answers["parses"].answer in ("yes", "no")
    assert {answers[name].answer for name in CRITERIA[1:]} <= {"unscored", "yes", "no"}


@pytest.mark.parametrize(
    ("program", "criterion", "evidence"),
    [
        ("x = (", "parses", "line 1: '(' was never closed"),
        ("|    print(room)", "names_bound", "line 4: name 'room' is not bound"),
        ("crates.pack()", "names_bound", "line 1: name 'crates' is not bound; it is never imported"),
        ("print(1)", "api_exists", "calls nothing of the package"),
        ("from depot.crates import Sizes", "api_exists", "line 1: depot.crates has no 'Sizes'; nearest: Size"),
        ("from depot import pack", "api_exists", "line 1: depot has no 'pack'; it is in depot.crates"),
        ("import numpy", "api_exists", "line 1: no module 'numpy'; there are depot and the standard library"),
        ("import depot.crate", "api_exists", "line 1: no module 'depot.crate'; nearest: crates"),
        ("|    crates.packs(d)", "api_exists", "line 4: depot.crates has no 'packs'; nearest: pack"),
        (
            "|    print(crates.find(d, 'tea').lable)",
            "api_exists",
            "line 4: crates.find(d, 'tea').lable: Crate has no 'lable'; nearest: label",
        ),
        (
            "|    crates.first(1, name=2)",
            "arguments_bind",
            "line 4: crates.first has no parameter 'name'; it has crate, count; line 4: crates.first lacks 'count'",
        ),
        ("|    crates.pack(d, depot=d, label='')", "arguments_bind", "line 4: crates.pack gets 'depot' twice"),
        (
            "|    d.close(3)",
            "arguments_bind",
            "line 4: d.close takes 0 positional argument(s), 1 given",
        ),
        (
            "|    crates.pack(d, label='', size='big')",
            "values_allowed",
            "line 4: crates.pack: size must be a Size (SMALL, LARGE), not 'big'",
        ),
        ("|    crates.pack(d, label=3)", "values_allowed", "line 4: crates.pack: label must be str, not 3"),
        (
            "|    crates.pack(d, label='red box')",
            "grounded",
            "line 4: 'red box' of crates.pack is not in the instruction",
        ),
    ],
)
def test_evidence(catalog, program, criterion, evidence):
    """The evidence names line, call and the nearest thing that would have been right."""
    assert _answers(program.replace("|", OPEN), catalog)[criterion].evidence == evidence


def test_evidence_is_cut(catalog):
    """Three problems are shown, the others counted."""
    code = "print(a1, a2, a3, a4, a5)"
    assert _answers(code, catalog)["names_bound"].evidence.endswith("name 'a3' is not bound; 2 more")


@pytest.mark.parametrize(
    ("instruction", "arguments", "evidence"),
    [
        (
            "Pack tea in large crates.",
            "label='tea', size=Size.SMALL",
            "SMALL is passed where the instruction says LARGE",
        ),
        ("Pack tea largely.", "label='tea', size=Size.SMALL", "SMALL is passed where the instruction says LARGE"),
        ("Pack tea in LARGE crates.", "label='tea', size=Size.LARGE", ""),
        ("Pack tea in a crate.", "label='tea', size=Size.SMALL", ""),  # free: another word may mean it
        ("Pack 'Large tea'.", "label='Large tea', size=Size.SMALL", ""),
        ("Pack tea, enlarged.", "label='tea', size=Size.SMALL", ""),
        ("A small crate of tea for the large hall.", "label='tea', size=Size.SMALL", ""),
        ("Pack tea in large crates.", "label='tea'", ""),
    ],
)
def test_members_that_the_instruction_names_ground_an_enum(catalog, instruction, arguments, evidence):
    """A member is wrong where the instruction names others of its enum and none that is passed; else it is free."""
    program = f"{OPEN}    crates.pack(d, {arguments})"
    [verdict] = [v for v in check(program, catalog, instruction, "") if v.criterion == "grounded"]
    assert (verdict.answer, verdict.evidence.partition(": ")[2]) == ("no" if evidence else "yes", evidence)


@pytest.mark.parametrize(
    ("instruction", "program", "answer"),
    [
        ("Pack tea and print its id.", "c = pack('tea')\nprint(c.id)", "yes"),
        ("Pack tea and print its id.", "c = pack('tea')", "no"),
        ("Pack tea, then show the id.", "import sys\nsys.stdout.write(pack('tea').id)", "yes"),
        ("Pack tea. Thanks!", "c = pack('tea')\nprint(c.id)", "no"),
        ("Pack tea. Thanks!", "pack('tea')", "yes"),
        ("Pack tea. Thanks!", "for x in pack('tea'):\n    pprint.pprint(x)", "no"),
        ("Which crates hold tea?", "print(find('tea'))", "unscored"),
        ("The books show that tea sells, so pack it.", "pack('tea')", "unscored"),
        ("See which crates hold tea.", "print(find('tea'))", "unscored"),
        ("Count the crates.", "print(len(every()))", "unscored"),
        ("Pack what is left, which is tea; the count sheet is gone.", "c = pack('tea')\nprint(c.id)", "no"),
        ("Pack the footprints and the printer.", "pack('tea')", "yes"),
        # As often as is asked for; a list may take a print for each thing, one print may show several.
        ("Pack tea and print its id. Thanks!", "c = pack('tea')\nprint(c.id)\nprint(c.label)", "no"),
        ("Pack tea and print its id and label.", "c = pack('tea')\nprint(c.id)\nprint(c.label)", "yes"),
        ("Print the id, then pack tea.", "print(1)\npack('tea')\nprint(2)", "no"),
        ("Print the id.", "if find('tea'):\n    print(1)\nelse:\n    print(0)", "yes"),
        ("Print the id.", "try:\n    print(1)\nexcept KeyError:\n    print(0)\nfinally:\n    print(2)", "no"),
        ("Print the id.", "match find('tea'):\n    case 1: print(1)\n    case _: print(0)", "yes"),
        ("Print the id, then show the label.", "print(1)", "no"),
        ("Print the id, then show the label.", "print(1, 2)", "yes"),
        ("Print the id, then show the label.", "print(f'{1} {2}')", "yes"),
        ("Print the id, then show the label.", "for x in (1, 2):\n    print(x)", "yes"),
        ("Print the id, then show the label.", "def say(x):\n    print(x)\nsay(1)\nsay(2)", "yes"),
        ("Print the id, then show the label.", "print(**options)", "yes"),
        ("Set the display name to 'Tea' and print the id.", "print(pack('Tea').id)", "yes"),
        ("Set the display name to 'Tea' and print the id.", "print(1)\nprint(2)\nprint(3)\nprint(4)", "no"),
        # One way through prints as often as is asked for.
        ("Print the id.", "def go():\n    if find('tea'):\n        return print(1)\n    print(0)\ngo()", "yes"),
        ("Print the id.", "if not find('tea'):\n    print(0)\n    sys.exit()\nprint(1)", "yes"),
        (
            "Print the id.",
            "for c in every():\n    if c.id:\n        print(1)\n        break\nelse:\n    print(0)",
            "yes",
        ),
        (
            "Print the id.",
            "def go():\n    for c in every():\n        if c:\n            print(1)\n            return\n"
            "    print(0)\ngo()",
            "yes",
        ),
        ("Print the id.", "for c in every():\n    if not c:\n        print(0)\n        continue\n    print(1)", "yes"),
        ("Print the id.", "print(1) if find('tea') else print(0)", "yes"),
        ("Print the id.", "def fail(e):\n    print(e)\ngo(on_error=fail)\nprint(1)", "yes"),
        ("Print the id.", "for c in every():\n    print(1)\n    print(2)\n    print(3)\n    break", "no"),
        ("Print the id.", "with open_depot() as d:\n    if d:\n        print(1)\n    print(2)", "no"),
        ("Print the number of ids, then list them.", "print(len(every()))\nfor c in every():\n    print(c.id)", "yes"),
        ("Print the id three times.", "print(1)\nprint(1)\nprint(1)", "yes"),
        ("Print a report of it.", "print(1)\nprint(2)\nprint(3)", "yes"),
        ("It's for my report: print the id.", "print(1)\nprint(2)", "no"),
        ("Look up item BX-475 and print its label.", "print(c.id)\nprint(c.label)", "no"),
        ("Add up the pieces and show the total.", "print(c.id)\nprint(7)", "no"),
        ("List the crates, and print how many they are.", "print(c.id)\nprint(7)", "no"),
        ("Print the id, then list the crates and print how many they are.", "print(1)\n" * 5, "no"),
        ("Tell me the id of it. Then print the label.", "print(1)\nprint(2)", "yes"),
        ("Print the id.", "print(c.id) or print(c.label)", "no"),
        ("Print the id.", "c and print(c.id)", "yes"),
        # Output that is denied, or a noun.
        ("Pack tea without printing anything.", "pack('tea')", "yes"),
        ("Pack tea without printing anything.", "print(pack('tea'))", "no"),
        ("Pack tea; don't print it.", "pack('tea')", "yes"),
        ("Print the id and print nothing else.", "print(1)", "yes"),
        ("Print nothing but its label.", "print(c.label)", "yes"),
        ("Print nothing but its label.", "pass", "no"),
        ("Print nothing else than the label.", "pass", "no"),
        ("Print nothing.", "print(1)", "no"),
        ("Not only print the label, keep it too.", "print(c.label)", "yes"),
        ("Not only print the label, keep it too.", "keep(c)", "no"),
        ("Pack tea, do not actually print it.", "pack('tea')", "yes"),
        ("Set the display name to 'Tea'.", "pack('Tea')", "unscored"),
        # Several things in one text, or one of two.
        ("Print the id, then show the label.", "print('{} {}'.format(1, 2))", "yes"),
        ("Print the id, then show the label.", "text = f'{1} {2}'\nprint(text)", "yes"),
        ("Print the id, then show the label.", "print(pack('tea'))", "yes"),
        ("Print the id, then show the label.", "print(c.id)", "no"),
        ("Print the id if it is heavy, otherwise print the label.", "print(c.id if c.heavy else c.label)", "yes"),
        # By other means, or elsewhere.
        ("Print the id of each crate.", "list(map(print, every()))", "yes"),
        ("Print the id of each crate, one per line.", "list(map(print, every()))", "yes"),
        ("Print the id.", "say = print\nsay(1)", "yes"),
        ("Print the id.", "from pprint import pprint as say\nsay(1)", "yes"),
        ("Print the id.", "import logging\nlogging.warning(1)", "yes"),
        ("Print the ids.", "import csv, sys\ncsv.writer(sys.stdout).writerows(every())", "yes"),
        ("Print the label of crate 3.", "print_label(3)", "yes"),
        ("Print the id.", "say = pack\nsay(1)", "no"),
        ("Print the id.", "print\npack('tea')", "no"),
        ("Print the id.", "import sys\nsys.stdout\npack('tea')", "no"),
        ("Print the id.", "say = print\npack('tea')", "no"),
        ("Print the id.", "from pprint import pprint as say\npack('tea')", "no"),
        ("Print the id.", "str(print), repr(sys.stdout)", "no"),
        ("Print the id of each crate.", "say = print\nlist(map(say, every()))", "yes"),
        ("Print the id.", "from builtins import print as print\nprint(1)\nprint(2)", "no"),
        ("Print the id.", "import sys\nprint(1, file=sys.stdout)\nprint(2, file=None)", "no"),
        ("Pack tea. Thanks!", "print(pack('tea').id, file=None)", "no"),
        ("Pack tea. Thanks!", "print(pack('tea').id, file=sys.stdout)", "no"),
        ("Pack tea. Thanks!", "print(pack('tea').id, file=out)", "yes"),
        ("Pack tea. Thanks!", "press.print(pack('tea'))", "yes"),
        ("Pack tea. Thanks!", "import pprint\npprint.pprint(pack('tea'))", "no"),
        # Lines, or a number.
        ("Print its label and its unit, one per line.", "print(c.label, c.unit, sep='\\n')", "yes"),
        ("Print its label and its unit, one per line.", "print(c.label, c.unit, sep=end)", "yes"),
        ("Print its label and its unit, one per line.", "print(f'{c.label}\\n{c.unit}')", "yes"),
        ("Print its label and its unit, one per line.", "print(c.label, c.unit, sep=', ')", "no"),
        ("Print its label and its unit, one per line.", "print(f'{c.label}, {c.unit}')", "no"),
        ("Print its receipt, one thing per line.", "print(receipt(c))", "yes"),
        ("Print the ids, one per line.", "print([1, 2])", "no"),
        ("Print the number of the crate.", "for c in every():\n    if c.label == 'tea':\n        print(c.id)", "yes"),
        ("Print the number of crates in A and B.", "for r in (room('A'), room('B')):\n    print(r.crates)", "yes"),
        ("Print the id of each crate, one a line.", "print(len(every()))", "no"),
        ("Print the id of each crate on a line of its own.", "for c in every():\n    print(c.id)", "yes"),
        ("Print the id of each crate, one per line.", "print('\\n'.join(c.id for c in every()))", "yes"),
        ("Print the id of each crate, one per line.", "print(*every(), sep='\\n')", "yes"),
        ("Print the ids on one line.", "print(len(every()))", "yes"),
        ("Print the number of crates.", "for c in every():\n    print(c.id)", "no"),
        ("Print how many crates there are.", "n = 0\nfor c in every():\n    n += 1\nprint(n)", "yes"),
        ("Print how many crates each room has.", "for room in rooms():\n    print(room.crates)", "yes"),
        ("Print how many pieces of A and B are left.", "for sku in ['A', 'B']:\n    print(left(sku))", "yes"),
    ],
)
def test_prints(catalog, instruction, program, answer):
    """Output where it is asked for, none where it is not; where an instruction only may ask for it, nothing is said."""
    [verdict] = [v for v in check(program, catalog, instruction, "") if v.criterion == "prints"]
    assert verdict.answer == answer
    assert bool(verdict.evidence) == (answer != "yes")


@pytest.mark.parametrize(
    ("wanted", "shown", "evidence"),
    [
        ("the label of the crate", "c.label", ""),
        ("its label", "c.id", "prints id where the instruction says label"),
        ("the new crate's label", "c.id", "prints id where the instruction says label"),
        ("the label's first letter", "c.id", ""),
        ("the crate's name", "c.id", ""),  # another word may mean it
        ("the id by its label", "c.id", ""),
        ("the label", "c.id + 1", ""),
        ("the label", "c.twin", ""),
        ("the label", "other.id", ""),
    ],
)
def test_another_attribute_is_printed_than_the_instruction_says(catalog, wanted, shown, evidence):
    """Only where the request begins with another attribute of the class, and has no word of the one that is printed."""
    program = f"|    c = crates.pack(d, label='tea')\n    print({shown})".replace("|", OPEN)
    [verdict] = [v for v in check(program, catalog, f"Pack tea, and print {wanted}.", "") if v.criterion == "prints"]
    assert (verdict.answer, verdict.evidence.partition(": ")[2]) == ("no" if evidence else "yes", evidence)


def test_docs_ground_literals(catalog):
    """What the docs show may be passed."""
    program = OPEN + "    crates.pack(d, label='depot.db')"
    assert _answers(program, catalog)["grounded"].answer == "no"
    assert _answers(program, catalog, docs="open_depot(path: str = 'depot.db')")["grounded"].answer == "yes"


@pytest.mark.parametrize(
    ("instruction", "program", "answer"),
    [
        ("Pack 20 of BX-7 as 'Blue box'.", "pack('bx-7', 20, label='blue box')", "yes"),
        ("Pack 20 of BX-7 as 'Blue box'.", "pack('BX-7', 20)", "no"),
        ("Pack 20 of BX-7.", "pack('BX-7', 2)", "no"),
        ("Pack 20 of BX-7.", "pack('BX-71', 20)", "no"),
        ("Pack 20 of BX-7.", "'BX-7, 20'\npack()  # BX-7, 20", "no"),
        ("Pack 20 of BX-7.", "print(f'BX-7: {20}')", "yes"),
        ("Set the price to 7.43 on 2030-03-07.", "price(743, date(2030, 3, 7))", "yes"),
        ("Set the price to 7.43 on 2030-03-07.", "price(7.43, '2030-03-07')", "yes"),
        ("1) Pack 20kg. 2) Print 1,250.", "pack(20)\nprint(1250)", "yes"),
        ("The 3rd crate is for zone P2.", "find(Zone.P2)", "yes"),
        ("Print the crates' names, it's urgent; take 1.", "pass", "unscored"),
        # Steps: a call for each that is told apart, but for those that print.
        ("Pack tea, then send it off.", "pack('tea')", "no"),
        ("Pack tea, then send it off.", "c = pack('tea')\nsend(c)", "yes"),
        ("Pack tea, then send it off.", "with open_depot():\n    pack('tea')", "no"),
        ("Pack tea, then send it off.", "with open_depot('tea'):\n    pack('tea')", "yes"),
        ("Pack tea, then send it off.", "for step in steps:\n    step('tea')", "yes"),
        ("Pack tea, then send it off.", "def do(what):\n    what('tea')\ndo(pack)", "yes"),
        ("Pack tea, then send it off.", "print(len(list(pack('tea'))))", "no"),
        ("Pack tea, then print its id.", "print(pack('tea').id)", "unscored"),
        ("Pack tea. Once that is done, please show its id.", "print(pack('tea').id)", "unscored"),
        ("Pack tea. Once that is done, send it; after that, find it.", "c = pack('tea')\nsend(c)", "no"),
        ("After you pack tea, send it.", "pack('tea')", "no"),
        ("It's urgent. 1) Pack tea. 2) Send it. 3) Print its id.", "pack('tea')", "no"),
        ("It's urgent. 1) Pack tea. 2) Send it. 3) Print its id.", "send(pack('tea'))", "yes"),
        ("Pack tea, then set its note.", "c = pack('tea')\nc.note = 'x'", "yes"),
        ("Pack tea, then note.", "pack('tea')\nx = 1", "no"),
        ("Find all, then sort them by id, then for each one print it.", "print(sorted(every()))", "unscored"),
        ("Sort all by id, then pack tea.", "pack('tea')", "no"),
        ("Pack tea, then sort the crates by id.", "pack('tea')", "no"),
        ("Pack tea, then for each crate order a lid.", "pack('tea')", "no"),
        ("Pack tea, then for each crate, please print its id.", "print(pack('tea').id)", "unscored"),
        ("Pack tea, then work out what it is worth and print the value.", "print(pack('tea').id)", "no"),
        ("Pack tea, and then check where it is and print the bin.", "print(pack('tea').id)", "no"),
        ("Find tea. After that, report the scarcest crates.", "find('tea')", "no"),
        ("Pack it on 07.03.2030, and again 2 weeks later.", "pack(date(2030, 3, 7), timedelta(days=14))", "yes"),
        ("Pack tea, then tell me its id.", "print(pack('tea').id)", "unscored"),
        (
            "Draft an order, then add tea to it.",
            "with open_depot() as d:\n    with d.draft() as o:\n        o.add(1)",
            "yes",
        ),
        ("Pack tea, then send it off.", "print(list(map(pack_and_send, ['tea'])))", "yes"),
        ("Pack tea, then send it off.", "print(list(map(str, [pack('tea')])))", "no"),
        ("Pack tea, then send it off.", "print(list(map(str.upper, [pack('tea')])))", "no"),
        ("Pack tea, then send it off.", "list(map(print, [pack('tea')]))", "no"),
        ("Pack tea, then send it off.", "list(map(lambda c: c.id, [pack('tea')]))", "no"),
        ("Mark it as 'on hand', 'fragile'.", "pack(Mark.ON_HAND, fragile=True)", "yes"),
        ("Take 15% off, due at 2:30 pm.", "price(c.price * 0.85, time(14, 30))", "yes"),
        ("Take 15% off.", "price(c.price * 85 // 100)", "yes"),
        ("Pack 15 at 3.", "pack(85, 3)", "no"),
        ("Pack 1. Later, if it is there, then send it.", "pack('tea')", "unscored"),
        ("Pack more than one crate; the next one is for 'Tim, then Tom'.", "pack('Tim, then Tom')", "yes"),
    ],
)
def test_covers(catalog, instruction, program, answer):
    """What the instruction names literally is in the program, in what it uses, as the same text or number; and there
    are as many calls as steps.
    """
    verdicts = {verdict.criterion: verdict for verdict in check(program, catalog, instruction, "")}
    assert verdicts["covers"].answer == answer, verdicts["covers"].evidence
    assert bool(verdicts["covers"].evidence) == (answer != "yes")


@pytest.mark.parametrize(
    ("instruction", "values"),
    [
        ("Pack twenty-five.", "25"),
        ("Pack two dozen, then three hundred.", "24, 300"),
        ("Pack a pair for the third shelf.", "2, 3"),
        ("Pack it for 5 pm.", "17"),
        ("Pack it for 07.03.2030, in two weeks.", "3, 7, 2030, 14"),
        ("Pack it in half an hour, in 20 minutes.", "30, 1800, 1200"),
        ("Pack tea.", "'-'"),
    ],
)
def test_number_words_ground(catalog, instruction, values):
    """Numbers are said in many ways, and a separator is no value."""
    program = OPEN + f"    crates.anything([{values}])\n"
    for number, answer in (("", "yes"), ("    crates.anything(26)", "no")):
        verdicts = {v.criterion: v for v in check(program + number, catalog, instruction, "")}
        assert verdicts["grounded"].answer == answer, verdicts["grounded"].evidence


def test_what_cannot_be_written_again_is_read(catalog):
    """An f-string's value with a hard space in it has no source in Python 3.11; the checks answer all the same."""
    text = "f'{d.name.join(\"\xa0\")}'"
    program = OPEN + f"    if {text}:\n        crates.pack(d, label='', size={text})\n    crates.find(d, {text}).lable"
    accused = {v.criterion for v in check(program, catalog, "Pack it.", "") if v.answer == "no"}
    assert accused == {"api_exists", "values_allowed"}


def test_nothing_of_the_program_is_executed(catalog, tmp_path):
    """Checking a program that would write a file writes none."""
    mark = tmp_path / "mark"
    check(f"open({str(mark)!r}, 'w')", catalog, "", "")
    assert not mark.exists()


@pytest.mark.parametrize("split", ["demo", "dev", "test", "test_unseen"])
def test_nothing_is_said_against_any_reference_of_the_example(split):
    """A check that right programs fail would teach the wrong thing."""
    example = Path(__file__).parent.parent / "examples" / "stockroom"
    catalog = read_package(example / "src" / "stockroom")
    lines = (example / "tasks" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    tasks = [json.loads(line) for line in lines]
    found = {task["id"]: check(task["reference"], catalog, task["instruction"], "") for task in tasks}
    assert {name: said for name, verdicts in found.items() if (said := [v for v in verdicts if v.answer == "no"])} == {}
    for criterion in ("covers", "prints"):
        answers = [v.answer for verdicts in found.values() for v in verdicts if v.criterion == criterion]
        assert answers.count("yes") > len(tasks) / 2


ORDINARY = {
    "__init__.py": """
        from __future__ import annotations
        from collections import namedtuple
        from json import JSONEncoder
        from pathlib import Path
        from typing import Protocol
        from pydantic.dataclasses import dataclass
        from shop._speed import encode
        from shop._base import make_base

        LOW, HIGH = 0, 9
        Base = make_base()
        Point = namedtuple("Point", "x y")


        @dataclass
        class Order:
            id: int


        class User(Base): ...


        class Spot(Point): ...


        class Model:
            def __init_subclass__(cls): ...


        class Thing(Model):
            name: str


        class JSONEncoder(JSONEncoder): ...


        class Item:
            name: str = ""


        class Client:
            def list(self) -> list[Item]: ...

            def both(self) -> tuple: ...


        class Settings:
            def __init__(self, **given):
                self.__dict__.update(given)


        class Store:
            def __init__(self, root: str):
                root = Path(root)
                self.root = root


        class Sink(Protocol):
            def write(self, text: str) -> None: ...


        class FileSink:
            def write(self, text: str) -> None: ...


        def export(sink: Sink) -> None: ...


        def load(key: str) -> object: ...


        def count(number: int) -> int: ...


        def tag(text: str = None) -> str: ...
        """,
    "_base.py": "def make_base(): ...",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Catalog:
    folder = tmp_path_factory.mktemp("ordinary") / "shop"
    folder.mkdir()
    for name, text in ORDINARY.items():
        (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return read_package(folder)


@pytest.mark.parametrize(
    "program",
    [
        "from shop import Order\nOrder(id=1)",
        "from shop import User\nUser(name='x')",
        "from shop import Spot\nSpot(1, 2)",
        "from shop import Thing\nThing(name='x')",
        "from shop import JSONEncoder\nJSONEncoder(indent=1)",
        "from shop import Client\nfor item in Client().list():\n    print(item.name)",
        "from shop import Client\nprint(Client().both().left)",
        "from shop import LOW, HIGH, encode\nprint(encode(LOW + HIGH))",
        "from shop import Settings\nprint(Settings(host='x').host)",
        "from shop import Item\nprint(Item().__dict__)",
        "from shop import Store\nprint(Store('/d').root.exists())",
        "from shop import FileSink, export\nexport(FileSink())",
        "from shop import Item, load\nfound = load('a')\nif isinstance(found, Item):\n    print(found.name)",
        f"from shop import count\ncount({'9' * 400})",
        "from shop import tag\ntext = None\ntag(text)",
    ],
)
def test_what_runs_of_ordinary_packages_is_not_accused(shop, program):
    """Constructors made elsewhere, a method named as a builtin, tuples of constants, extensions, protocols."""
    found = {v.criterion: v for v in check(program, shop, "Do it.", "")}
    for criterion in ("parses", "names_bound", "api_exists", "arguments_bind", "values_allowed"):
        assert found[criterion].answer != "no", found[criterion].evidence


def test_what_does_not_exist_of_ordinary_packages_is_accused(shop):
    """What is written plainly is still told."""
    for program in ("from shop import MIDDLE", "from shop import Item\nItem().label", "from shop import Item\nItem(1)"):
        answers = {v.criterion: v.answer for v in check(program, shop, "Do it.", "")}
        assert "no" in (answers["api_exists"], answers["arguments_bind"]), program
