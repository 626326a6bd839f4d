"""CodeBLEU: as codebleu 0.7.0 computes it, and mended."""

import json
import math
import os
import random
import subprocess
import sys

import pytest

from kohai.metrics.codebleu import codebleu, corpus_codebleu, forget

LOAD = "AutoModel.from_pretrained('bert-base')"
NER = "from transformers import pipeline\nnlp = pipeline('ner')\nout = nlp(text)"
LOOP = "t = 0\nfor i in xs:\n    t = t + i\nprint(t)"
# reference, prediction, then what codebleu 0.7.0 gives: all, n-grams, weighted, syntax, data flow
GOLDEN = [
    ("x = 1", "x = 1", 0.764316, 0.562341, 0.494923, 1, 1),
    (
        "def sum ( first , second ) :\n return second + first",
        "def add ( a , b ) :\n return a + b",
        0.553784, 0.104190, 0.110947, 1, 1,
    ),
    (
        "def f(a):\n    b = a + 1\n    return b",
        "def f(x):\n    y = x + 1\n    return x",
        0.520229, 0.134851, 0.146065, 1, 0.8,
    ),
    ("print(1)", "print(2)", 0.5, 0, 0, 1, 0),
    (f"model = {LOAD}", f"model = {LOAD.replace('base', 'large')}", 0.612939, 0.240281, 0.211474, 1, 1),
    (f"model = {LOAD}", f"model = {LOAD[:-1]}, revision='v1')", 0.354273, 0.169904, 0.211474, 0.285714, 0.75),
    (NER, NER.replace("nlp", "clf").replace("out", "res"), 0.665950, 0.324668, 0.339133, 1, 1),
    (NER, NER.split("\n")[0], 0.438093, 0.223130, 0.298475, 0.230769, 0),
    ("x = 1  # one\ny = x", "x = 1\ny = x", 0.618670, 0.243484, 0.231197, 1, 1),
    ("y = a // b\nz = y", "y = a // (b + c)\nz = y", 0.444979, 0.379918, 0.5, 0.5, 0.4),
    ("x = f(1)\ny = x", "x = f(1\ny = x", 0.177033, 0.254066, 0.254066, 0, 0.2),
    ("s = 'e'; t = s", "s = 'é'; t = s", 0.502033, 0.254066, 0.254066, 1, 0.5),
    ("s = 'e'; t = s", "s = 'f'; t = s", 0.627033, 0.254066, 0.254066, 1, 1),
    ("match = 1\ny = match", "match = 2\ny = match", 0.628775, 0.254066, 0.261034, 1, 1),
    ("x = 1\ny = x", "", 0.25, 0, 0, 0, 0),
    (LOAD, LOAD, 0.555394, 0.177828, 0.043748, 1, 0),
    ("a = b + c", "a = b - c", 0.642872, 0.285744, 0.285744, 1, 1),
    ('def f():\n    "doc"\n    return 1', "def f():\n    return 1", 0.588417, 0.187131, 0.166538, 1, 0),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "prediction", *"abcde"), GOLDEN)
def test_as_published(reference, prediction, a, b, c, d, e):
    """The numbers of codebleu 0.7.0 beside tree-sitter 0.25.2 and its grammar 0.25.0.

    By hand, `x = 1` against itself: n-grams (1 * 1 * 1 * 0.1)^(1/4), since it has no group of four.
    """
    found = codebleu(prediction, reference, compat=True)
    parts = (found.codebleu, found.ngram, found.weighted_ngram, found.syntax, found.dataflow)
    assert parts == pytest.approx((a, b, c, d, e), abs=6e-7)


def test_loops_keep_the_order_of_the_program():
    """Published, a renamed loop scores 0.5479 or 0.5167, as hashes fall; here always the first."""
    renamed = "s = 0\nfor j in ys:\n    s = s + j\nprint(s)"
    assert codebleu(renamed, LOOP, compat=True).codebleu == pytest.approx(0.547924, abs=6e-7)
    assert codebleu(renamed, LOOP).dataflow == 1


@pytest.mark.parametrize(
    "text",
    [LOAD, "x = 1", "x", "print(1)", NER, LOOP, "s = 'é'\nt = s", "a.b = 'c'\nd = a", "x = f(1\ny = x", "x = '日本'"],
)
def test_identical_code_scores_one(text):
    """Whatever its length (as published, one call against itself scores 0.56)."""
    assert codebleu(text, text).codebleu == 1
    assert codebleu(f"# a comment\n{text}", text).codebleu == 1


def test_mended():
    """One case for each numbered difference, worked by hand."""
    # 1: a flow that matches nothing is 0; a reference without one leaves a third of the weight to each other part
    assert codebleu("", "x = 1\ny = x").codebleu == 0
    found = codebleu("print(2)", "print(1)")
    assert found.dataflow is None
    assert found.codebleu == pytest.approx((found.ngram + found.weighted_ngram + found.syntax) / 3)
    # 2, 3: print ( 1 ) and print ( 2 ) share 3 of 4 tokens, 1 of 3 pairs, no group of three or four
    assert found.ngram == pytest.approx((3 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4))
    assert codebleu("x = 2", "x = 1").ngram == pytest.approx((2 / 3 * 1 / 2 * 0.1 / 1) ** (1 / 3))
    # 4: three of six tokens: the weighted part is cut by e^(1 - 6/3)
    published = codebleu("a = b", "a = b\nc = d", compat=True).weighted_ngram
    assert published == pytest.approx((0.6 / 1.2 * 2 / 5 * 1 / 4 * 0.1 / 3) ** (1 / 4))
    assert codebleu("a = b", "a = b\nc = d").weighted_ngram == pytest.approx(published * math.exp(-1))
    # 5: three statements that look alike are worth three, one of them is not
    reference, one = "f(a)\nf(a)\nf(a)", "f(a)"
    assert codebleu(one, reference, compat=True).syntax == pytest.approx(9 / 10)
    assert codebleu(one, reference).syntax == pytest.approx(3 / 10)
    # 6: letters beyond ASCII
    assert codebleu("s = 'é'; t = s", "s = 'e'; t = s", compat=True).dataflow == 0.5
    assert codebleu("s = 'é'; t = s", "s = 'e'; t = s").dataflow == 1
    # 7: comments and docstrings are no code, in whatever place
    assert codebleu("x = 1  # one\ny = x", "x = 1\ny = x").codebleu == 1
    assert codebleu('def f():\n    "doc"\n    return 1', "def f():\n    return 1").codebleu == 1
    assert codebleu('def f():\n    "doc"', 'def f():\n    "all that there is"').codebleu == 1


def _at(depth, function):
    return function() if depth == 0 else _at(depth - 1, function)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("n_terms", [100, 400, 4000])
def test_deep_programs_have_a_data_flow_wherever_they_are_read(n_terms, compat):
    """Of `x = 1; y = x + ... + x; z = y` the last line's y taken from x instead: n + 5 edges (for x, y and z as bound,
    for the 1, and for each name read: n + 1), of which the two of the last line differ. From a deep stack the same.
    """
    reference = f"x = 1\ny = {' + '.join(['x'] * n_terms)}\nz = y"
    for depth in (0, 600):
        forget()
        found = _at(depth, lambda: codebleu(reference.replace("z = y", "z = x"), reference, compat=compat))
        assert found.dataflow == pytest.approx(1 - 2 / (n_terms + 5))


def test_wrong_code_scores_less():
    """In every part that can see the difference."""
    assert codebleu("x = g(1)", "x = f(1)").ngram < 1
    assert codebleu("y = a // (b + c)\nz = y", "y = a // b\nz = y").syntax < 1
    assert codebleu("def f(x):\n    y = x + 1\n    return x", "def f(a):\n    b = a + 1\n    return b").dataflow < 1
    assert codebleu("def f():\n    for x in y:\n        pass", "def f():\n    xx(y)\n    pass").weighted_ngram < 1


def test_corpus_is_not_the_mean():
    """Counts are added up before they are divided: the long pair weighs more."""
    pairs = [("x = 1", "x = 1"), ("", NER)]
    whole = corpus_codebleu(pairs)
    mean = sum(codebleu(*pair).codebleu for pair in pairs) / 2
    assert whole.codebleu < mean
    assert whole.syntax == pytest.approx(codebleu("x = 1", "x = 1").syntax * 3 / (3 + 13))
    assert corpus_codebleu(pairs[:1]) == codebleu(*pairs[0])


def test_nothing_to_compare_with():
    """A reference without code is an error with a reason, not a score; as published it has a score."""
    for reference in ("", "# a comment", '"""A text."""', " \n"):
        with pytest.raises(ValueError, match="no reference holds code"):
            codebleu("x = 1", reference)
        assert 0 <= codebleu("x = 1", reference, compat=True).codebleu <= 1
    with pytest.raises(ValueError, match="no reference holds code"):
        corpus_codebleu([])
    assert 0 < corpus_codebleu([("x = 1", ""), ("x = 1", "x = 1")]).codebleu < 1


ODD = [
    "\0", "\ud800", "x = '\ud800'", "(" * 3000, "[" * 500 + "]" * 500, "x = " + "-" * 3000 + "1", "a" * 200_000,
    "\t x\r\n\f", "".join(f"{' ' * i}for i{i} in x:\n" for i in range(60)), "while x:\n" * 30, "'''", '"""a',
    "f'{x!r:>{y}}'", "x = '\\N{DASH}", "if a:\n b=1\nelif c:\n b=2\nelse:\n b=3\nd=b", "not in", "x: int", "x: int = 1",
    "lambda *a, b=1: [a for a in b if (c := a)]", "match x:\n case 1: pass", "for x in y: pass",
    "async def f():\n async for x in y: await x", "def f(a, b=1, *, c=2): return a",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("compat", [False, True])
def test_any_text_has_a_score(text, compat):
    """Nested, broken, endless or not text at all."""
    for prediction, reference in ((text, NER), (NER, f"{text}\nx = 1\n"), (text, f"{text} ")):
        found = codebleu(prediction, reference, compat=compat) if compat or reference.strip() else None
        if found is not None:
            parts = [found.codebleu, found.ngram, found.weighted_ngram, found.syntax, found.dataflow or 0.0]
            assert all(0 <= part <= 1 for part in parts)


def test_random_texts_have_a_score():
    """Pieces of programs in any order."""
    rng = random.Random(7)
    pieces = [
        "x",
        " = ",
        "(",
        ")",
        "\n",
        "    ",
        "for ",
        "in ",
        "if ",
        ":",
        "else",
        "'",
        '"',
        "#",
        "é",
        "\\",
        "def ",
        ",",
        "*",
        "1",
    ]
    for _ in range(300):
        prediction, reference = ("".join(rng.choices(pieces, k=rng.randrange(60))) for _ in range(2))
        found = codebleu(prediction, f"{reference}\nx = 1", compat=rng.random() < 0.5)
        assert 0 <= found.codebleu <= 1


PEER = """
import json, logging, sys
from codebleu import calc_codebleu
logging.disable(logging.WARNING)
names = ("codebleu", "ngram_match_score", "weighted_ngram_match_score", "syntax_match_score", "dataflow_match_score")
found = (calc_codebleu([reference], [said], "python") for said, reference in json.load(sys.stdin))
print(json.dumps([[scores[name] for name in names] for scores in found]))
"""


def test_equal_to_codebleu():
    """To 1e-9 in all five numbers, where codebleu 0.7.0 is installed and gives the same under four hash seeds."""
    pytest.importorskip("codebleu", reason="codebleu is not installed")
    rng = random.Random(7)
    texts = [LOOP, *(text for row in GOLDEN for text in row[:2])]
    texts += [text for text in ODD if text.isascii() and len(text) < 900]
    lines = [*LOOP.split("\n"), *NER.split("\n"), "a.b = 'c'", "x, y = y, x", "if x:\n    y = x"]
    texts += ["\n".join(rng.sample(lines, 5)) for _ in range(40)]
    pairs = [(rng.choice(texts), rng.choice([text for text in texts if text.strip()])) for _ in range(200)]
    peers = []
    for seed in "0123":
        command = [sys.executable, "-c", PEER]
        done = subprocess.run(
            command, input=json.dumps(pairs), capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )  # fmt: skip
        peers.append(json.loads(done.stdout))
    n_same = 0
    for (said, reference), *theirs in zip(pairs, *peers, strict=True):
        if all(scores == theirs[0] for scores in theirs):
            n_same += 1
            found = codebleu(said, reference, compat=True)
            ours = [found.codebleu, found.ngram, found.weighted_ngram, found.syntax, found.dataflow]
            assert ours == pytest.approx(theirs[0], abs=1e-9), (said, reference)
    assert n_same > 150
