"""ROUGE, as rouge-score 0.1.2 computes it."""

import random

import pytest

from kohai.metrics.rouge import rouge

LOAD = "AutoModel.from_pretrained('bert-{}')"


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        ("the cat sat on the mat", "the cat is on the mat", (0.833333, 0.6, 0.833333)),
        (LOAD.format("base"), LOAD.format("large"), (0.8, 0.75, 0.8)),
        ("a b c d", "d c b a", (1, 0, 0.25)),
        ("a a a b", "a b", (0.666667, 0.5, 0.666667)),
        ("x = a + b", "x = a - b", (1, 1, 1)),
        ("pipeline('ner')", 'Pipeline("NER")', (1, 1, 1)),
        ("one", "one", (1, 0, 1)),
        ("import torch\nmodel = f(x)", "import torch", (0.571429, 0.4, 0.571429)),
        ("é b", "é b", (1, 0, 1)),
        ("running quickly", "run quick", (0, 0, 0)),
        ("a b", "", (0, 0, 0)),
        ("", "", (0, 0, 0)),
    ],
)
def test_golden_cases(reference, prediction, expected):
    """What rouge-score 0.1.2 gives without its stemmer."""
    found = rouge(prediction, reference)
    assert (found.rouge_1.f1, found.rouge_2.f1, found.rouge_l.f1) == pytest.approx(expected, abs=5e-7)


def test_precision_and_recall():
    """Of "a b" both words are in "a a a b" (precision 1), of that one's four words two are shared (recall 0.5)."""
    found = rouge("a b", "a a a b")
    assert (found.rouge_1.precision, found.rouge_1.recall) == (1.0, 0.5)
    assert (found.rouge_2.precision, found.rouge_2.recall) == (1.0, pytest.approx(1 / 3))


def table(a, b):
    """The length of the longest common subsequence, by the textbook's table."""
    row = [0] * (len(b) + 1)
    for x in a:
        row, before = [0], row
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
    return row[-1]


def test_common_subsequence():
    """Bits and table agree on 300 random pairs of up to 90 words (more than a machine word has bits)."""
    rng = random.Random(7)
    for _ in range(300):
        a, b = (rng.choices("abcde", k=rng.randrange(1, 90)) for _ in range(2))
        found = rouge(" ".join(a), " ".join(b)).rouge_l
        assert (found.precision, found.recall) == (table(a, b) / len(a), table(a, b) / len(b))


def test_any_text():
    """Half surrogate pairs, NUL, and long texts have scores too; identical texts score 1 where they have words."""
    rng = random.Random(7)
    for _ in range(200):
        text = "".join(chr(rng.choice([0, 0xD800, 0x130, 0x212A, 97, 48, 32, 0x4E00, 0x1F600])) for _ in range(60))
        found = rouge(text, text + "b")
        assert all(0 <= part.f1 <= 1 for part in (found.rouge_1, found.rouge_2, found.rouge_l))
    text = "word " * 20_000
    assert rouge(text, text).rouge_l.f1 == 1


def test_equal_to_rouge_score():
    """Difference 0.0 on random texts, where rouge-score is installed."""
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score is not installed")
    peer = scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    rng = random.Random(7)
    words = ["a", "B", "x1", "é", "from_pretrained", "(", "'bert-base'", "=", "\u212a", "İ", "\n"]
    for _ in range(300):
        said, wanted = (" ".join(rng.choices(words, k=rng.randrange(40))) for _ in range(2))
        theirs, ours = peer.score(wanted, said), rouge(said, wanted)
        for name, part in (("rouge1", ours.rouge_1), ("rouge2", ours.rouge_2), ("rougeL", ours.rouge_l)):
            assert tuple(theirs[name]) == (part.precision, part.recall, part.f1)
