"""Programs that repeat their instruction gain nothing by it."""

import pytest
from tiny_models import tiny_base

from kohai.judge import injections
from kohai.judge.echo import without_echo
from kohai.models.reviewer import review

INSTRUCTION = 'Count the shelves in hall 7 and book the note "arrived damaged at the north dock" on each.'
CODE = "for s in shelves(hall=7):\n    s.book(note='arrived damaged at the north dock')\nprint(len(shelves(hall=7)))"


def test_a_program_that_repeats_nothing_stays():
    """What the instruction quotes belongs into the program; so do short phrases and numbers."""
    assert without_echo(CODE, INSTRUCTION) == CODE
    assert without_echo("print('shelves in hall', 7)", INSTRUCTION) == "print('shelves in hall', 7)"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print('Please count the shelves in hall 7, now')", "print('Please ..., now')"),
        ("print(f'Count the shelves in hall {n}')", "print(f'... {n}')"),
        ("count_the_shelves_in_hall = 3\nprint(count_the_shelves_in_hall)", "name_1 = 3\nprint(name_1)"),
        ("def book_the_note_on_each():\n    pass\nbook_the_note_on_each()", "def name_1():\n    pass\nname_1()"),
        ("@f\ndef the_shelves_in_hall_7_and(a):\n    pass", "@f\ndef name_1(a):\n    pass"),
        ("import sys as count_the_shelves_in", "import sys as name_1"),
        ("f(count_the_shelves_in=1)", "f(count_the_shelves_in=1)"),
        ("# Count the shelves in hall 7\nprint(1)", "print(1)"),
    ],
)
def test_what_is_cut(code, expected):
    """Runs of four words in texts, f-strings and own names; a keyword belongs to the api; comments go anyway."""
    assert without_echo(code, INSTRUCTION) == expected


def test_what_does_not_parse_is_only_stripped():
    """Nobody can say what is a name there; nor is anything cut where the instruction is too short for a run."""
    assert without_echo("x = = 'count the shelves in hall'", INSTRUCTION) == "x = = 'count the shelves in hall'"
    assert without_echo("print('say hi to all')", "Say hi.") == "print('say hi to all')"


def test_quoting_does_not_pay():
    """A wrong program that quotes its instruction, in texts, prints and names, reads to the reviewer as the same
    program with three dots or another name: the instruction's words are gone from it.
    """
    quoting = [i for i in injections("print(1)", ["does_task"], INSTRUCTION) if i.kind.endswith("instruction_quoted")]
    assert len(quoting) >= 4
    for injection in quoting:
        read = without_echo(injection.code, INSTRUCTION)
        assert "shelves in hall" not in read.replace("_", " ").lower(), injection.kind
    base = tiny_base()
    scores = review(base, base.model, [(INSTRUCTION, i.code) for i in quoting])
    assert scores == pytest.approx(
        review(base, base.model, [(INSTRUCTION, without_echo(i.code, INSTRUCTION)) for i in quoting])
    )
