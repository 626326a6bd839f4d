"""The literal values of the tasks, dealt out so that no two splits share one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SPLITS = ("demo", "dev", "practice", "test", "test_unseen")
TASKS = {"demo": 200, "dev": 100, "practice": 800, "test": 300, "test_unseen": 150}
SHARE = {"demo": 1.0, "dev": 0.6, "practice": 2.0, "test": 1.4, "test_unseen": 0.9}
# A number n belongs to the split that owns n % 40. Of each ten remainders a split owns this many, so that it has small
# numbers and large ones, and no two splits share a number.
OF_TEN = {"demo": 2, "dev": 1, "practice": 4, "test": 2, "test_unseen": 1}


def words(text: str) -> list[str]:
    return text.split()


ADJECTIVES = words(
    "brass steel oak copper rubber canvas glass ceramic nylon cotton tin pine leather paper plastic enamel felt "
    "walnut marble cork silver linen bamboo granite wool carbon zinc velvet"
)
NOUNS = words(
    "hinge bracket lantern kettle ladder funnel pulley bucket hammer drawer bolt clamp gasket nozzle washer basket "
    "shovel trowel mallet chisel anchor buckle pedal spindle lever socket valve rivet flange coupling bench stool "
    "cabinet shelf mirror frame vase teapot saucer ladle whisk skillet colander grater platter blanket cushion "
    "curtain tarp apron glove helmet visor boot strap tripod easel palette compass ruler stencil stapler binder "
    "folder envelope crayon paddle racket whistle saddle bridle collar kennel trough"
)
TOWNS = words(
    "Leeds Porto Ghent Lyon Turin Bergen Malmo Graz Basel Gdansk Brno Zagreb Split Varna Cork Galway Bilbao Nantes "
    "Bremen Kiel Aarhus Odense Tampere Turku Tartu Kaunas Riga Lublin Pecs Cluj Sibiu Patras Bari Parma Genoa Seville "
    "Vigo Braga Faro Lille Reims Metz Namur Breda Delft Essen Jena Linz Bern Lugano Maribor Osijek Plovdiv Dundee "
    "Derby Exeter Truro Bath York Hull Limerick Sligo Uppsala Lund Bodo Narvik Oulu Vaasa Haapsalu Liepaja Torun"
)
TRADES = words("Metals Timber Tools Supply Trading Works Imports Fittings Hardware Wholesale Goods Partners")


@dataclass
class Pool:
    """One split's values; old ones are in every seeded database, new ones in none."""

    old: dict[str, list[str]] = field(default_factory=dict)
    new: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, list[int]] = field(default_factory=dict)
    remainders: set[int] = field(default_factory=set)

    def owns(self, number: int) -> bool:
        return number % 40 in self.remainders


def deal(values: list[str], sizes: list[int]) -> list[list[str]]:
    """Cut the values into consecutive parts of the given sizes."""
    if sum(sizes) > len(values):
        raise ValueError(f"{len(values)} values are too few for parts of {sizes}")
    parts, start = [], 0
    for size in sizes:
        parts.append(values[start : start + size])
        start += size
    return parts


def syllable_words(rng: random.Random, count: int, syllables: int, taken: set[str]) -> list[str]:
    """Made-up words such as "velkoru", each once and none that is taken."""
    words: list[str] = []
    while len(words) < count:
        word = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(syllables))
        word += rng.choice(["n", "l", "r", "s", ""])
        if word[:5] not in taken:
            taken.add(word[:5])
            words.append(word)
    return words


def code_of(firm: str) -> str:
    """A supplier's code: its name's first five letters."""
    return firm[:5].upper()


def make_pools(seed: int) -> dict[str, Pool]:
    """The values of every split, the same for the same seed."""
    rng = random.Random(f"{seed}/pools")
    pools = {split: Pool() for split in SPLITS}
    taken: set[str] = set()
    skus = [f"{a}{b}-{n}" for a in "BCDFGHKLMNPRSTVWX" for b in "ADEGKLNRTXZ" for n in range(105, 990, 5)]
    zones = [f"{letter}{digit}" for letter in "ABCDEFGHKLMNPQRSTUVW" for digit in range(1, 10)]
    nouns, towns = NOUNS.copy(), TOWNS.copy()
    for values in (skus, zones, nouns, towns):
        rng.shuffle(values)
    logins = syllable_words(rng, 500, 2, taken)
    firms = syllable_words(rng, 400, 3, taken)
    plan = [  # name, values, old ones per share, new ones per share
        ("sku", skus, 20, 40),
        ("zone", zones, 4, 0),
        ("noun", nouns, 11, 0),
        ("town", towns, 11, 0),
        ("login", logins, 9, 36),
        ("firm", firms, 6, 36),
    ]
    for name, values, old, new in plan:
        sizes = [int(count * SHARE[split]) for split in SPLITS for count in (old, new)]
        parts = deal(values, sizes)
        for number, split in enumerate(SPLITS):
            pools[split].old[name], pools[split].new[name] = parts[2 * number], parts[2 * number + 1]
    for name, count in (("order", 12), ("receipt", 8), ("hold", 7), ("sheet", 6), ("shipment", 8)):
        sizes = [int(count * SHARE[split]) for split in SPLITS]
        numbers = list(range(1, sum(sizes) + 1))
        rng.shuffle(numbers)
        for split, part in zip(SPLITS, deal([str(each) for each in numbers], sizes), strict=True):
            pools[split].ids[name] = sorted(int(each) for each in part)
    for ten in range(0, 40, 10):
        owners = [split for split in SPLITS for _ in range(OF_TEN[split])]
        rng.shuffle(owners)
        for remainder, split in enumerate(owners, ten):
            pools[split].remainders.add(remainder)
    return pools
