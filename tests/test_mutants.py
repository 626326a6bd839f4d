"""Mutants of programs that use a small package, read as any package is."""

import ast
import contextlib
import hashlib
import io
import json
import random
import sys
from pathlib import Path

import pytest

from kohai.catalog import read_package
from kohai.code import strip_noise
from kohai.judge import mutants
from kohai.judge.mutants import FAULTS, OPERATORS

HIDDEN = "except Exception:\n    pass"
INVENTED_FIND = "fid find_good finds finnd get_find good_find"
INVENTED_PRICES = "get_price good_price prce price_good prices priice"
INVENTED_TEXTS = "get_text good_text tet text_good texts texxt"
LIKELY_KEYWORDS = "dry_run=False force=True limit=10 strict=True verbose=True"
OTHER_PARAMETERS = " label n name one price size source target three two"
STOCKROOM = Path(__file__).parent.parent / "examples" / "stockroom"

PACKAGE = {
    "__init__.py": '"""A shop."""\nfrom shop.till import Till, open_till\n',
    "goods.py": '''
"""Goods."""
from dataclasses import dataclass
from enum import Enum

STATE = []

class Size(Enum):
    """Sizes."""
    SMALL = "s"
    LARGE = "l"

@dataclass
class Good:
    """One good."""
    name: str
    label: str
    price: int

def add(name: str, size: Size, price: int = 1) -> Good:
    """Adds a good."""
    STATE.append(("add", name, size, price))
    return Good(name, name.upper(), price)

def reserve(name: str, n: int) -> int:
    """Reserves some."""
    STATE.append(("reserve", name, n))
    return n

def release(name: str, n: int) -> int:
    """Releases some."""
    STATE.append(("release", name, n))
    return -n

def move(source: str, target: str) -> None:
    """Moves all."""
    STATE.append(("move", source, target))

def mix(one: str, two: str, three: str) -> None:
    """Mixes."""

def find(text: str) -> list[Good]:
    """Finds goods."""
    return [Good(text, text.upper(), 3)]

def label(text: str) -> str:
    """Labels."""
    return text.upper()
''',
    "till.py": '''
"""The till."""
from shop import goods

class Till:
    """A till."""
    def __enter__(self) -> "Till":
        return self
    def __exit__(self, *error: object) -> None:
        goods.STATE.append(("closed",))
    def take(self, cents: int) -> int:
        """Takes money."""
        goods.STATE.append(("take", cents))
        return cents
    def give(self, cents: int) -> int:
        """Gives money."""
        goods.STATE.append(("give", cents))
        return -cents

def open_till() -> Till:
    """Opens the till."""
    return Till()
''',
}
REFERENCE = '''
"""Sells tea."""
from shop import open_till
from shop.goods import Size, add, find, move, reserve

# First the goods.
tea = add("green tea", Size.SMALL, price=250)
left = reserve("green tea", 4)
move("A-07", "B-12")
with open_till() as till:
    till.take(500)
if left > 3:
    print("plenty")
for good in find("tea"):
    print(f"{good.name}: {good.price}")
print(left)
'''


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The package's folder, importable; and its catalog."""
    folder = tmp_path_factory.mktemp("src")
    for name, text in PACKAGE.items():
        path = folder / "shop" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(folder))
    yield read_package(folder / "shop")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


def of(operator, code, catalog, seed=0):
    """The mutants of one kind."""
    found = mutants(code, catalog, random.Random(seed), {operator: FAULTS[operator]})
    return [mutant.code for mutant in found]


def all_of(operator, code, catalog):
    """The mutants of one kind that some state of the generator gives."""
    return {text for seed in range(60) for text in of(operator, code, catalog, seed)}


def effect(code):
    """What a program prints and does; None where it raises. Only for programs that these tests wrote."""
    from shop import goods

    goods.STATE.clear()
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(code, "mutant", "exec"), {})
    except Exception:
        return None
    return out.getvalue(), tuple(goods.STATE)


def test_every_operator_finds_a_place(shop):
    """The reference has a place for each kind of fault."""
    kinds = {mutant.operator for mutant in mutants(REFERENCE, shop, random.Random(1))}
    assert kinds == set(OPERATORS)


@pytest.mark.parametrize("seed", range(5))
def test_mutants_differ_from_the_program_and_from_each_other(shop, seed):
    """In their syntax trees, comments and docstrings aside."""
    trees = [ast.dump(ast.parse(mutant.code)) for mutant in mutants(REFERENCE, shop, random.Random(seed))]
    trees.append(ast.dump(ast.parse(strip_noise(REFERENCE))))
    assert len(set(trees)) == len(trees)


def test_the_same_seed_gives_the_same_mutants(shop):
    """And another seed others."""
    first, again, other = (mutants(REFERENCE, shop, random.Random(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_program_itself_is_left_as_it_was(shop):
    """Edits are undone: asked twice of the same text, only the seed matters."""
    before = mutants(REFERENCE, shop, random.Random(3))
    mutants(REFERENCE, shop, random.Random(4))
    assert mutants(REFERENCE, shop, random.Random(3)) == before


@pytest.mark.parametrize("seed", range(3))
def test_most_mutants_run_and_all_that_run_do_another_thing(shop, seed):
    """At least 80 % run; of those at least 90 % have another effect than the reference."""
    wanted = effect(REFERENCE)
    assert wanted is not None
    effects = [effect(mutant.code) for mutant in mutants(REFERENCE, shop, random.Random(seed))]
    running = [found for found in effects if found is not None]
    assert len(running) >= 0.8 * len(effects)
    assert sum(found != wanted for found in running) >= 0.9 * len(running)


def test_kinds_are_mixed(shop):
    """The first mutants, as many as there are kinds, are of different kinds."""
    found = mutants(REFERENCE, shop, random.Random(0))
    assert len({mutant.operator for mutant in found[: len(OPERATORS)]}) == len(OPERATORS)


def test_numbers_change(shop):
    """Another number; a month stays a month, an index stays as it is."""
    [code] = of("change_number", "print(2)", shop)
    assert code in ("print(1)", "print(3)", "print(4)")
    assert of("change_number", "x = y[0]", shop) == []
    for seed in range(9):
        found = of("change_number", "from datetime import date\nprint(date(2024, 12, 1))", shop, seed)
        assert {ast.unparse(ast.parse(text).body[1]) for text in found} == {
            "print(date(2023, 12, 1))",
            "print(date(2024, 11, 1))",
            "print(date(2024, 12, 2))",
        }


def test_strings_are_swapped_with_one_that_looks_alike_or_altered(shop):
    """A code becomes the program's other code or its neighbour, never a word."""
    code = 'from shop.goods import move, reserve\nmove("A-07", "B-12")\nreserve("tea", 1)'
    found = {text for seed in range(20) for text in of("change_string", code, shop, seed)}
    firsts = {ast.parse(text).body[1].value.args[0].value for text in found}
    assert firsts == {"A-07", "A-08", "B-12"}
    assert all("teas" in text for text in found if '"tea"' not in text and "'tea'" not in text)


@pytest.mark.parametrize(
    "code", ['print("done")', 'x = "{}".format(1)', 'x = {"key": 1}', 'if __name__ == "__main__": pass']
)
def test_labels_and_formats_are_left_alone(shop, code):
    """To change them is no fault worth finding."""
    assert of("change_string", code, shop) == []


@pytest.mark.parametrize(
    "code",
    [
        "from shop.goods import Size\nprint(Size.SMALL)",
        "from shop import goods\nprint(goods.Size.SMALL.value)",
        "import shop.goods as g\nprint(g.Size['SMALL'])",
    ],
)
def test_enum_members_change_to_members(shop, code):
    """However the enum was imported."""
    assert of("change_enum", code, shop) == [code.replace("SMALL", "LARGE")]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("move('a', 'b')", "move('b', 'a')"),
        ("move(source='a', target='b')", "move(source='b', target='a')"),
        ("move('a', target=x)", "move(x, target='a')"),
        ("reserve('a', 1)", None),
        ("move('a', 'a')", None),
        ("mix('A-1', 'B-2', 'tea')", "mix('B-2', 'A-1', 'tea')"),
        ("move(*x)", None),
        ("print('a', 'b')", None),
    ],
)
def test_arguments_of_one_type_are_swapped(shop, call, expected):
    """As the signature declares them."""
    head = "from shop.goods import mix, move, reserve\nx = input()\n"
    assert of("swap_arguments", head + call, shop) == ([] if expected is None else [head + expected])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "from shop.goods import reserve\nreserve('tea', 2)",
            "from shop.goods import release\nrelease('tea', 2)",
        ),
        (
            "from shop.goods import reserve\nreserve('tea', 2)\nprint(reserve)",
            "from shop.goods import reserve, release\nrelease('tea', 2)\nprint(reserve)",
        ),
        ("from shop import goods\ngoods.reserve('tea', n=2)", "from shop import goods\ngoods.release('tea', n=2)"),
        (
            "from shop import open_till\nwith open_till() as t:\n    t.take(2)",
            "from shop import open_till\nwith open_till() as t:\n    t.give(2)",
        ),
    ],
)
def test_a_sister_takes_the_call(shop, code, expected):
    """Imported where needed, the unused import dropped."""
    assert of("sister_api", code, shop) == [expected]


def test_a_name_bound_to_two_things_stands_for_nothing(shop):
    """A good or a number: nobody knows what its `name` could be taken for."""
    code = "from shop.goods import find, reserve\nx = reserve('a', 1)\nx = find('a')[0]\nprint(x.name)"
    assert of("wrong_attribute", code, shop) == []
    assert len(of("wrong_attribute", code.replace("x = r", "y = r"), shop)) == 1


def test_steps_are_dropped_where_nothing_needs_them(shop):
    """A call whose result is used stays, a print is no step; an emptied block passes."""
    code = "from shop.goods import move, reserve\nleft = reserve('tea', 2)\nif left:\n    move('a', 'b')\nprint(left)"
    assert of("drop_step", code, shop) == [code.replace("move('a', 'b')", "pass")]
    unused = "from shop.goods import reserve\nleft = reserve('tea', 2)"
    assert of("drop_step", unused, shop) == ["from shop.goods import reserve"]


def test_steps_are_doubled_unless_they_only_read(shop):
    """Finding twice is finding once, and so is setting a state."""
    code = "from shop.goods import Size, add, find, move\n"
    code += "found = add('tea', Size.SMALL)\nadd('tea', Size.SMALL)\nfind('a')\nmove('a', 'b')"
    assert of("duplicate_step", code, shop) == [code + "\nmove('a', 'b')"]


def test_a_printed_attribute_becomes_another_of_its_type(shop):
    """`name: str` becomes `label: str`, not `price: int`; what is not printed stays."""
    code = "from shop.goods import find\nfor good in find('tea'):\n    x = good.price\n    print(good.name)"
    assert of("wrong_attribute", code, shop) == [code.replace("good.name", "good.label")]


@pytest.mark.parametrize(
    ("condition", "opposite"),
    [("a < b", "a >= b"), ("a == b", "a != b"), ("not a", "a"), ("a and b", "not (a and b)"), ("a in b", "a not in b")],
)
def test_conditions_are_negated(shop, condition, opposite):
    """In statements, expressions and comprehensions."""
    for form in ("if {}:\n    pass", "x = 1 if {} else 2", "x = [a for a in b if {}]"):
        assert of("negate_condition", form.format(condition), shop) == [form.format(opposite)]


def test_output_is_dropped_or_wrong(shop):
    """One print less; another variable that has a value by then."""
    code = "a = input()\nb = input()\nprint(a)\nc = input()"
    assert of("drop_output", code, shop) == [code.replace("print(a)\n", "")]
    assert of("wrong_output", code, shop) == [code.replace("print(a)", "print(b)")]


def test_a_result_that_is_used_keeps_its_type(shop):
    """`reserve` and `release` both give an int, `find` and `label` do not give the same."""
    code = "from shop.goods import find\nfor good in find('tea'):\n    pass"
    assert of("sister_api", code, shop) == []
    unused = "from shop.goods import find\nfind('tea')"
    assert of("sister_api", unused, shop) == [unused.replace("find", "label")]


def test_the_printed_owner_of_an_attribute_is_of_its_class(shop):
    """A number has no name to print; arguments of the package's calls are no output."""
    head = "from shop.goods import add, reserve\na = add('a', 1)\nb = add('b', 1)\nn = reserve('a', 1)\n"
    assert of("wrong_output", head + "print(a.name)", shop) == [head + "print(b.name)"]
    assert of("wrong_output", head + "print(reserve(n, 2))", shop) == []
    assert of("wrong_output", "x = input()\ny = [x]\nprint(f'{len(y)}')", shop) == [
        "x = input()\ny = [x]\nprint(f'{len(x)}')"
    ]


def test_a_program_of_one_print_keeps_something(shop):
    """An empty program is no mutant."""
    assert of("drop_output", "print(1)", shop) == []


@pytest.mark.parametrize("code", ["", "def (", "x"])
def test_what_has_no_place_has_no_mutants(shop, code):
    """Nor has what does not parse."""
    assert mutants(code, shop, random.Random(0), FAULTS) == []


def test_odd_programs_are_survived(shop):
    """Syntax of all kinds, names bound twice, calls of calls."""
    code = (
        "import os, shop.goods as g\nfrom shop.goods import *\n"
        "async def f(*a, k=1, **m):\n    async with a[0] as b, g.find('x')[0] as (c, d):\n        await b(k)\n"
        "class C:\n    x: int = 3\n    @property\n    def y(self): return self.x if self.x > 1 else -1\n"
        "try:\n    g.move(*['a'], **{'target': 'b'})\nexcept (ValueError, g.X) as e:\n"
        "    print(f'{e!r:>{10}}', end='')\n"
        "else:\n    x = y = (z := 4)\nfinally:\n    del x\n"
        "match [1, 2]:\n    case [1, *rest] if rest:\n        print(rest)\n"
        "print((lambda q: q + 1)(2), {k: v for k, v in {1: 2}.items() if k}, x[1:2])\n"
    )
    found = mutants(code, shop, random.Random(0), FAULTS)
    assert len(found) > 5
    for mutant in found:
        ast.parse(mutant.code)


def test_default_draws_stay_as_they_were(shop):
    """A reviewer's calibration depends on them: the digest of 5 draws and of where they leave the generator."""
    rng = random.Random(0)
    drawn = [[mutant.operator, mutant.code] for _ in range(5) for mutant in mutants(REFERENCE, shop, rng)]
    digest = hashlib.sha256(json.dumps([*drawn, rng.random()]).encode()).hexdigest()
    assert digest == "372e7fc64ba2336ca879caa119dbe37bff89f9702733c0c932532857c9f7f760"


def test_every_fault_finds_a_place_in_the_example():
    """Over its references each kind is drawn, one fault each: the same ones again, all of other syntax trees."""
    catalog = read_package(STOCKROOM / "src" / "stockroom")
    lines = (STOCKROOM / "tasks" / "demo.jsonl").read_text(encoding="utf-8").splitlines()[:60]
    kinds = set()
    for code in (json.loads(line)["reference"] for line in lines):
        found, again = (mutants(code, catalog, random.Random(3), FAULTS) for _ in range(2))
        assert found == again
        trees = {ast.dump(ast.parse(text)) for text in [code, *(mutant.code for mutant in found)]}
        assert len(trees) == len(found) + 1
        kinds |= {mutant.operator for mutant in found}
    assert kinds == set(FAULTS)
    assert len(FAULTS) >= 22


def fills(template, words):
    """The template with each word in its gap."""
    return {template.replace("_", word, 1) for word in words.split()}


@pytest.mark.parametrize(
    ("operator", "code", "expected"),
    [
        ("misspell_api", "goods.move('a')", fills("goods._('a')", "get_move good_move moe move_good moves movve")),
        ("misspell_api", "print(len('a'))", set()),
        (
            "foreign_api",
            "goods.move('a', target=b)",
            fills("goods._('a', target=b)", "add find label mix release reserve"),
        ),
        ("foreign_api", "goods.reserve('tea', 2)", fills("goods._('tea', 2)", "find label mix")),
        ("invent_attribute", "goods.find(x)[0].price", fills("goods.find(x)[0]._", INVENTED_PRICES)),
        ("invent_attribute", "goods.reserve('tea', 2).real", set()),
        ("invent_member", "goods.Size.SMALL", fills("goods.Size._", "DEFAULT NONE OTHER UNKNOWN")),
        ("invent_member", "goods.Size['SMALL']", fills("goods.Size['_']", "DEFAULT NONE OTHER UNKNOWN")),
        ("misspell_keyword", "goods.find(text=x)", fills("goods.find(_=x)", INVENTED_TEXTS + OTHER_PARAMETERS)),
        ("misspell_keyword", "print(x, end='')", set()),
        ("missing_keyword", "goods.add('a', size=x, price=2)", {"goods.add('a', price=2)"}),
        ("missing_positional", "goods.reserve('a', 2)", {"goods.reserve('a')"}),
        ("missing_positional", "goods.add('a', x, 2)", set()),
        ("missing_positional", "goods.reserve(*x)", set()),
        ("extra_keyword", "goods.find(x)", fills("goods.find(x, _)", LIKELY_KEYWORDS)),
        ("wrong_type", "goods.release('a', 2)", {"goods.release(['a'], 2)", "goods.release('a', '2')"}),
        ("wrong_type", "goods.add(x, goods.Size.SMALL)", {"goods.add(x, 'small')"}),
        ("wrong_type", "goods.add(x, y, price=z)", {"goods.add(x, y, price=str(z))"}),
        ("unbound_name", "x = 1\nprint(x)", fills("x = 1\nprint(_)", "new_x result x_id xs")),
        ("unbound_name", "print(goods, y)", set()),
        ("swallowed_exception", "goods.find(x)", fills(f"try:\n    goods._(x)\n{HIDDEN}", INVENTED_FIND)),
        (
            "swallowed_exception",
            "a = goods.find(x)\nprint(a)",
            fills(f"try:\n    a = goods._(x)\n    print(a)\n{HIDDEN}", INVENTED_FIND),
        ),
        ("swallowed_exception", "print(x)", set()),
        (
            "never_reached",
            "goods.find(x)\nx.y()",
            {"if False:\n    goods.find(x)\nx.y()", "goods.find(x)\nif False:\n    x.y()"},
        ),
        ("never_reached", "y = x()\nx(y)", {"if False:\n    y = x()\n    x(y)", "y = x()\nif False:\n    x(y)"}),
        ("uncalled_function", "x()", fills("\ndef _():\n    x()", "finish process run_step")),
        ("uncalled_function", "for x in y:\n    z = x()\n    if z:\n        break", set()),
        ("wrong_order", "x = goods.find(y)\nprint(x)", {"print(x)\nx = goods.find(y)"}),
        ("wrong_order", "print(x)\nprint(y)", {"print(y)\nprint(x)"}),
        ("wrong_order", "goods.find('tea')\ngoods.label('tea')", {"goods.label('tea')\ngoods.find('tea')"}),
        ("wrong_order", "goods.find('tea')\ngoods.label('mug')\nprint('mug')", set()),
        ("early_stop", "x()\ny()", {"x()\nraise SystemExit\ny()"}),
        ("early_stop", "def f():\n    x()\n    y()", {"\ndef f():\n    x()\n    return\n    y()"}),
        ("early_stop", "x()\ny = 1", set()),
        ("first_round_only", "for x in y:\n    x()", {"for x in y:\n    x()\n    break"}),
        ("first_round_only", "for x in y:\n    break", set()),
    ],
)
def test_faults(shop, operator, code, expected):
    """Each kind on a few programs: all that it can make of them."""
    head = "from shop import goods\n"
    assert all_of(operator, head + code, shop) == {head + text for text in expected}


@pytest.mark.parametrize(
    ("operator", "code", "expected"),
    [
        ("misspell_api", "from shop.goods import find\nfind(find(x))", "from shop.goods import finds\nfinds(finds(x))"),
        ("misspell_api", "from shop.goods import find as f\nf(x)", "from shop.goods import finds as f\nf(x)"),
        (
            "swallowed_exception",
            "from shop.goods import find\nfind(x)",
            f"from shop.goods import find\ntry:\n    finds(x)\n{HIDDEN}",
        ),
        ("lost_import", "from shop.goods import add, find\nadd(find)", "from shop.goods import add\nadd(find)"),
        ("lost_import", "import os\nimport shop.goods\nshop.goods.find(os)", "import os\nshop.goods.find(os)"),
        ("foreign_api", "from shop.goods import move\nmove('a', 'b')", "from shop.goods import find\nfind('a', 'b')"),
    ],
)
def test_faults_in_imports(shop, operator, code, expected):
    """One of the things that each kind can make of a program."""
    assert expected in all_of(operator, code, shop)


def test_an_import_that_nothing_needs_is_not_lost(shop):
    """Without it the program would be as right as before."""
    assert of("lost_import", "import os\nfrom shop import goods", shop) == []
