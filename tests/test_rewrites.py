"""Rewrites of programs: what each kind makes of one, and that programs do what they did."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_package import write

from kohai.catalog import read_package
from kohai.judge import rewrites
from kohai.judge.rewrites import LAYOUTS, OPERATORS

STOCKROOM = Path(__file__).parent.parent / "examples" / "stockroom"
KINDS = {*LAYOUTS, *OPERATORS}
# Reads pairs of a program and its database's dump, writes what each raised, printed and left behind.
RUNNER = """
import contextlib, io, json, sqlite3, sys
from pathlib import Path
from kohai.sandbox.state import state_digest
effects, databases = [], {}
for code, dump in json.load(sys.stdin):
    if dump not in databases:
        db = sqlite3.connect(":memory:")
        db.executescript(dump)
        databases[dump] = db.serialize()
    Path("stockroom.db").write_bytes(databases[dump])
    out, raised = io.StringIO(), ""
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(code, "program", "exec"), {"__name__": "__main__"})
        except Exception as error:
            raised = repr(error)
    effects.append([raised, out.getvalue(), state_digest("stockroom.db")])
json.dump(effects, sys.stdout)
"""
ODD = """
import functools
from dataclasses import dataclass

@dataclass
class Point:
    x: int = 3
    def far(self, x=1):
        return f"{self.x + x!r:>{4}}"

def outer(n):
    total = 0
    def inner(k):
        nonlocal total
        total += k
        return total
    return [inner(i) for i in range(n)]

id = id(3) and 7
limit = 2
again = limit
try:
    raise ValueError("no", "it's")
except ValueError as error:
    text = str(error)
print(text, id)
match [1, 2, limit]:
    case [1, *rest] if rest:
        print(rest, again)
point = Point(5)
print(point.far())
print(outer(3), (lambda limit: limit + again)(1), [limit for limit in "ab"], sep="|")
value = functools.reduce(lambda one, two: one + two, (n for n in range(4)))
print(value)
"""


@pytest.fixture(scope="module")
def depot(tmp_path_factory):
    """The catalog of a small package."""
    return read_package(write(tmp_path_factory.mktemp("src")))


@pytest.fixture(scope="module")
def stockroom():
    """The example's catalog."""
    return read_package(STOCKROOM / "src" / "stockroom")


def of(operator, code, catalog, seed=0):
    """The rewrites of one kind."""
    return [rewrite.code for rewrite in rewrites(code, catalog, random.Random(seed)) if rewrite.operator == operator]


def effects(programs, folder):
    """What programs do, each on a database of its own, in a process of their own."""
    paths = [str(Path(__file__).parent.parent / "src"), str(STOCKROOM / "src")]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": ":".join(paths)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rewrites_of_references_do_what_these_do(stockroom, tmp_path):
    """Output and final state, for 25 references and a few rewrites of each, all kinds among them."""
    lines = (STOCKROOM / "tasks" / "dev.jsonl").read_text(encoding="utf-8").splitlines()[::4]
    tasks = [json.loads(line) for line in lines]
    dumps = {task["fixture"]: (STOCKROOM / "tasks" / task["fixture"]).read_text(encoding="utf-8") for task in tasks}
    rng, kinds = random.Random(0), set()
    programs, owners = [], []
    for task in tasks:
        found = rewrites(task["reference"], stockroom, rng)[:7]
        kinds |= {rewrite.operator for rewrite in found}
        programs += [(code, dumps[task["fixture"]]) for code in (task["reference"], *(made.code for made in found))]
        owners += [task] * (len(found) + 1)
    done = effects(programs, tmp_path)
    for (code, _), task, (raised, printed, state) in zip(programs, owners, done, strict=True):
        assert (raised, printed.rstrip(), state) == ("", task["effect"]["stdout"], task["effect"]["state"]), code
    assert kinds == KINDS


def test_rewrites_of_an_odd_program_do_what_it_does(stockroom, tmp_path):
    """Closures, classes, patterns, names that hide built-in ones."""
    found = [rewrite for seed in range(5) for rewrite in rewrites(ODD, stockroom, random.Random(seed))]
    codes = dict.fromkeys([ODD, *(made.code for made in found)])
    original, *others = effects([(code, "CREATE TABLE bins (bin TEXT)") for code in codes], tmp_path)
    assert original[0] == ""
    assert others == [original] * len(others)
    assert {made.operator for made in found} >= {"broken_lines", "inline_value", "name_literal", "rename_variable"}


def test_rewrites_differ_and_the_same_seed_gives_the_same(stockroom):
    """From the program, from one another; another seed gives others."""
    first, again, other = (rewrites(ODD, stockroom, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert len({rewrite.code.strip() for rewrite in first} | {ODD.strip()}) == len(first) + 1


LAYOUT_CODE = """from depot import crates  # goods

with crates.open(path="é's", to='"') as x:
    print(x, len([1]))"""


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("blank_lines", "\n" + LAYOUT_CODE.replace("\nwith", "\n\nwith").replace("    print", "\n    print")),
        ("plain_layout", LAYOUT_CODE.replace("  # goods\n", "")),
        (
            "broken_lines",
            LAYOUT_CODE.replace("path", "\n            path")
            .replace(" to", "\n            to")
            .replace("(x, len([1]))", "(\n            x,\n            len(\n            [1]))"),
        ),
    ],
)
def test_layouts(depot, operator, expected):
    """Texts change, the syntax tree stays."""
    assert of(operator, LAYOUT_CODE, depot) == [expected]


def test_quotes_change_where_no_text_holds_one(depot):
    """Those of bytes, of long texts and of texts with quotes or signs for them stay."""
    code = """x = ['a', "b", 'it"s', b'c', '\\'', f'{1}']\ny = ['d'] + ["é"]"""
    assert of("other_quotes", code, depot) == [
        code.replace("'a', \"b\"", "\"a\", 'b'").replace("'d'", '"d"').replace('"é"', "'é'")
    ]


def test_comments_stand_above_statements(depot):
    """At their indent, never inside a text."""
    [code] = of("comments", 'if x:\n    y = """\nz\n"""\nelse: z', depot)
    lines = code.split("\n")
    assert [line.partition("#")[0] for line in lines] == ["", "if x:", "    ", '    y = """', "z", '"""', "else: z"]


@pytest.mark.parametrize(
    ("operator", "code", "expected"),
    [
        ("docstring", "x = 1", ['"""A small script."""\nx = 1']),
        ("docstring", '"""Mine."""\nx = 1', []),
        (
            "other_import",
            "from depot import crates, open_depot",
            ["from depot import open_depot\nimport depot.crates as crates"],
        ),
        ("other_import", "from depot import crates as c", ["import depot.crates as c"]),
        ("other_import", "import depot.crates as c, os", ["import os\nfrom depot import crates as c"]),
        ("other_import", "from depot import open_depot\nimport depot.crates\nimport os as o", []),
        ("swap_passing", "import depot\ndepot.crates.find(x, 'a')", ["import depot\ndepot.crates.find(x, label='a')"]),
        (
            "swap_passing",
            "import depot\ndepot.crates.find(depot=x, label='a')",
            ["import depot\ndepot.crates.find(x, label='a')"],
        ),
        (
            "swap_passing",
            "import depot\ndepot.crates.pack(x, label='a', size=y)",
            ["import depot\ndepot.crates.pack(depot=x, label='a', size=y)"],
        ),
        ("swap_passing", "import depot\ndepot.crates.first(x, 1)", ["import depot\ndepot.crates.first(x, count=1)"]),
        ("swap_passing", "import depot\ndepot.crates.join(x)\ndepot.trips.wound(1)\nlen(x)", []),
        ("swap_passing", "import depot\ndepot.crates.find(x)\ndepot.crates.find(x, *y)\ndepot.crates.find(**x)", []),
        ("swap_passing", "import depot\ndepot.trips.Client.ask(x)", []),
        (
            "reorder_keywords",
            "import depot\ndepot.crates.find(label=x.y, depot=z)",
            ["import depot\ndepot.crates.find(depot=z, label=x.y)"],
        ),
        (
            "reorder_keywords",
            "import depot\ndepot.crates.find(label=x(), depot=z)\ndepot.crates.join(sep='', a=1)\ndict(a=1, b=2)",
            [],
        ),
        ("name_literal", "print(f(x, n=2), 3)", ["value = 3\nprint(f(x, n=2), value)", "n = 2\nprint(f(x, n=n), 3)"]),
        ("name_literal", "n = f(n=2)", ["n_1 = 2\nn = f(n=n_1)"]),
        ("name_literal", "if f(1):\n    pass\nclass C:\n    x = f(2)", []),
        ("inline_value", "x = 1\ny = f(x)", ["y = f(1)"]),
        ("inline_value", "x = f()\nprint(x.y.z)", ["print(f().y.z)"]),
        ("inline_value", "x = f()\ng()\nprint(x)\ny = 1\nprint(y, y)\nif z:\n    w = 1\nprint(w)", []),
        ("wrap_in_main", "import os\nx = os\nprint(x)", ["import os\n\ndef main():\n    x = os\n    print(x)\nmain()"]),
        ("wrap_in_main", "import os\nos = os.path", []),
        ("wrap_in_main", "id = id(3)", []),
        ("wrap_in_main", "def f():\n    global x\nf()", []),
        ("wrap_in_main", "main = 1", []),
    ],
)
def test_operators(depot, operator, code, expected):
    """What each kind makes of a program, and which programs it leaves alone."""
    assert sorted(of(operator, code, depot)) == sorted(expected)


@pytest.mark.parametrize(
    "code", ["from os import *\nx = 1", "for id in y: pass", "def f(x): return x\nx = 1", "import x\nx = 2"]
)
def test_names_that_may_be_others_keep_their_names(depot, code):
    """Those of imports, of parameters, built-in ones, and all of them where an import brings any names."""
    assert of("rename_variable", code, depot) == []


def test_variables_are_renamed_everywhere_but_in_keywords_and_attributes(depot):
    """To a name that the program does not have."""
    code = "n = f(n=1)\nthe_n = x.n\nprint(n, [n for n in n])"
    found = {text for seed in range(20) for text in of("rename_variable", code, depot, seed)}
    assert found == {
        *(f"{new} = f(n=1)\nthe_n = x.n\nprint({new}, [{new} for {new} in {new}])" for new in ("n_1", "current_n")),
        *(code.replace("the_n", new) for new in ("the_the_n", "the_n_1", "current_the_n")),
    }


@pytest.mark.parametrize("code", ["", "def (", "x = 1\nprint(globals())"])
def test_no_rewrites(depot, code):
    """Of what does not parse, and of what would see it."""
    assert rewrites(code, depot, random.Random(0)) == []
