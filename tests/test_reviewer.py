"""The reviewer: its curve on scores worked by hand, and what it says of programs with a tiny model."""

import itertools
import json
import math

import pytest
from tiny_models import plain_logprobs, tiny_base

from kohai.catalog import read_package
from kohai.judge import Case, Criterion
from kohai.models import reviewer
from kohai.models.reviewer import Calibration, Contrast, Reviewer, calibrate, review, review_group
from kohai.records import Completion, Execution, Task

DOES_TASK = Criterion("does_task", "Does it do the task?", ("llm",))
FAILED = Execution("runtime_error", "program")
TIDY = Criterion("tidy", "Is it tidy?", ("llm",))


def test_separable_scores():
    """References at -1, mutants at -3: standardised 1 and -1, so the curve is 1 / (1 + exp(-b x)) with threshold -2.

    The optimum of the weighted log-likelihood less the ridge of 1e-3: half of the weight on each side, each missing its
    label by sigmoid(-b), so 0.5 sigmoid(-b) + 0.5 sigmoid(-b) = 1e-3 b; b = 5.24519 solves it:
    1 / (1 + e^5.24519) = 0.00524519. The deviation of the scores is 1, so b is the slope.
    """
    curve = calibrate([-1.0, -1.0, -1.0], [-3.0, -3.0, -3.0])
    assert curve.threshold == pytest.approx(-2.0, abs=1e-9)
    assert curve.slope == pytest.approx(5.24519, abs=1e-4)
    assert curve.probability(-1.0) == pytest.approx(1 - 0.00524519, abs=1e-6)
    assert curve.probability(-3.0) == pytest.approx(0.00524519, abs=1e-6)
    assert curve.probability(-2.0) == pytest.approx(0.5)
    assert (curve.auc, curve.balanced_accuracy, curve.n, curve.n_mutants) == (1.0, 1.0, 3, 3)


def test_mixed_scores():
    """References 0.2, 1.4, 2, 3 mirror mutants 1.8, 0.6, 0, -1 about 1: the threshold is 1.

    Three of four lie on the right side of it on either side: 0.75. Of the 16 pairs the reference wins 2 + 3 + 4 + 4.
    """
    curve = calibrate([0.2, 1.4, 2.0, 3.0], [1.8, 0.6, 0.0, -1.0])
    assert curve.threshold == pytest.approx(1.0, abs=1e-9)
    assert curve.balanced_accuracy == 0.75
    assert curve.auc == 13 / 16
    assert 0.5 < curve.probability(2.0) < 0.95


def test_probability_rises_with_the_score():
    """Strictly, from below 0.01 to above 0.99, and no number is too large for it."""
    curve = calibrate([-1.0, -1.3, -0.8], [-3.0, -2.6])
    probabilities = [curve.probability(score / 10) for score in range(-80, 10)]
    assert all(a < b for a, b in itertools.pairwise(probabilities))
    assert probabilities[0] < 0.01
    assert probabilities[-1] > 0.99
    assert curve.probability(-1e9) < 1e-20
    assert curve.probability(1e9) == pytest.approx(1.0)


def test_both_sides_weigh_the_same():
    """Each mutant of `test_mixed_scores` five times: the threshold stays at 1 and no side gains by its number."""
    curve = calibrate([0.2, 1.4, 2.0, 3.0], [1.8, 0.6, 0.0, -1.0] * 5)
    assert curve.threshold == pytest.approx(1.0, abs=0.01)
    assert (curve.balanced_accuracy, curve.auc, curve.n_mutants) == (0.75, 13 / 16, 20)


def test_scores_that_tell_nothing():
    """All the same: a chance of one half for each, accuracy of chance, no division by zero."""
    curve = calibrate([-1.0, -1.0], [-1.0, -1.0])
    assert curve.probability(-1.0) == pytest.approx(0.5)
    assert (curve.auc, curve.balanced_accuracy) == (0.5, 0.5)


def test_a_reviewer_that_is_wrong_does_not_judge():
    """Mutants that score higher, or all the same: no answer rather than one the wrong way round, unless told to."""
    base = tiny_base()
    case = Case(Task("t", "Say hi"), Completion("t", 0, "hi()", "hi()"), "", Execution("ok", "none"), [])
    for curve in (calibrate([-3.0, -2.5], [-1.0, -1.5]), calibrate([-1.0, -1.0], [-1.0, -1.0])):
        json.dumps(curve.as_dict(), allow_nan=False)
        ((verdict,),) = Reviewer(base, base.model, curve).answer([DOES_TASK], [case])
        assert (verdict.answer, verdict.probability) == ("unscored", None)
        ((verdict,),) = Reviewer(base, base.model, curve, min_auc=0.0).answer([DOES_TASK], [case])
        assert verdict.probability is not None
    assert calibrate([-1.0, -1.5], [-3.0, -2.5]).tells(0.9)
    assert not calibrate([0.2, 1.4, 2.0, 3.0], [1.8, 0.6, 0.0, -1.0]).tells(0.9)


def test_curve_as_json():
    """The threshold is written beside what it follows from: -(2) / 4 = -0.5."""
    assert Calibration(4.0, 2.0, 0.9, 0.8, 5, 6).as_dict() == {
        "slope": 4.0,
        "intercept": 2.0,
        "auc": 0.9,
        "balanced_accuracy": 0.8,
        "n": 5,
        "n_mutants": 6,
        "threshold": -0.5,
    }


PAIRS = [
    ("Count the shelves.", "print(len(shelves()))"),
    ("Say hi", "print('hi')  # Count the shelves.\n"),
    ("Ship order 7 to Rome.", "ship(7, to='Rome')\nship(8)"),
]


def test_scores_are_means_per_token(monkeypatch):
    """Mean log P(instruction | code) by a forward pass of its own, the stop token included, divided by its tokens.

    Packed together or in a row each: the same. `on_done` counts pairs.
    """
    base = tiny_base()
    expected = []
    for instruction, code in PAIRS:
        prompt, (answer,) = review_group(base, instruction, code)
        assert base.decode(list(answer)) == instruction
        assert answer[-1] == base.tokenizer.eos_token_id
        expected.append(float(plain_logprobs(base, prompt, answer).mean()))
    counts = []
    assert review(base, base.model, PAIRS, counts.append) == pytest.approx(expected, abs=1e-4)
    assert sum(counts) == 3
    monkeypatch.setattr(reviewer, "reading_tokens", lambda _device: 1)
    assert review(base, base.model, PAIRS) == pytest.approx(expected, abs=1e-4)


def test_quoting_the_instruction_does_not_help():
    """Comments, docstrings and unused strings are not read."""
    base = tiny_base()
    plain, *quoting = review(
        base,
        base.model,
        [
            ("Count the shelves.", "print(1)"),
            ("Count the shelves.", "# Count the shelves.\nprint(1)"),
            ("Count the shelves.", '"""Count the shelves."""\nprint(1)  # Count'),
            ("Count the shelves.", "'Count the shelves.'\nprint(1)"),
        ],
    )
    assert quoting == pytest.approx([plain] * 3, abs=1e-4)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """A package with an enum, and a call that takes a place and a quantity."""
    folder = tmp_path_factory.mktemp("package") / "depot"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "import enum\n\n\nclass Place(enum.Enum):\n    YARD = 'y'\n    HALL = 'h'\n\n\n"
        "def move(place: Place, quantity: int) -> None: ...\n"
    )
    return read_package(folder)


MOVE = "from depot import Place, move\nmove(Place.HALL, 12)"


def test_a_contrast_is_the_distance_to_the_best_mutant(catalog, monkeypatch):
    """Scores by a table: the program -2, its mutants -3 but for one of -2.5: 0.5. One without a mutant: None.

    Chunks of one program give the same as one chunk of all.
    """
    contrast = Contrast(catalog, 8)
    near = contrast.neighbours("Move 12 to the hall.", MOVE)
    assert "from depot import Place, move\nmove(Place.YARD, 12)" in near
    assert MOVE not in near
    assert 2 <= len(near) <= 8
    table = dict.fromkeys(near, -3.0) | {near[1]: -2.5, MOVE: -2.0, "pass": -4.0}
    monkeypatch.setattr(reviewer, "review", lambda _base, _plain, pairs: [table[code] for _, code in pairs])
    pairs = [("Move 12 to the hall.", MOVE), ("Move 12 to the hall.", "pass")]
    counts = []
    assert contrast.of(None, None, pairs, counts.append) == ([-2.0, -4.0], [0.5, None])
    monkeypatch.setattr(reviewer, "AT_ONCE", 1)
    assert contrast.of(None, None, pairs, counts.append) == ([-2.0, -4.0], [0.5, None])
    assert counts == [2, 1, 1]
    assert contrast.neighbours("Move 12.", MOVE) == Contrast(catalog, 99).neighbours("Move 12.", MOVE)[:8]


def test_what_does_nothing_moves_no_contrast(catalog):
    """Comments, a docstring, an unused text and a branch that never runs leave the same mutants."""
    contrast = Contrast(catalog, 8)
    idle = "if False:\n    move(Place.YARD, 3)\n'a text'"
    stuffed = f'"""Moves."""\nfrom depot import Place, move\n\n{idle}\nmove(Place.HALL, 12)  # 12!\n'
    assert contrast.neighbours("Move 12 to the hall.", stuffed) == contrast.neighbours("Move 12 to the hall.", MOVE)


def test_verdicts_by_contrast(catalog):
    """The curve reads the contrast, the reward model is kept the score. What did not run is a no, unread; what has no
    mutant is unscored.
    """
    base = tiny_base()
    contrast = Contrast(catalog, 4)
    pairs = [("Move 12 to the hall.", MOVE), ("Say hi", "print('hi')")]
    scores, (told, nothing) = contrast.of(base, base.model, pairs)
    assert nothing is None
    assert scores == pytest.approx(review(base, base.model, pairs), abs=1e-4)
    judge = Reviewer(base, base.model, Calibration(3.0, 0.5, 1.0, 1.0, 1, 1), contrast=contrast)
    cases = [
        Case(Task(str(i), pair[0]), Completion(str(i), 0, pair[1], pair[1]), "", execution, [])
        for i, (pair, execution) in enumerate(
            [(pairs[0], Execution("ok", "none")), (pairs[0], FAILED), (pairs[1], Execution("timeout", "environment"))]
        )
    ]
    counts = []
    (first,), (failed,), (last,) = judge.answer([DOES_TASK], cases, counts.append)
    assert sum(counts) == 3
    assert (failed.answer, failed.probability, failed.evidence) == ("no", 0.0, "it did not run to its end")
    assert first.probability == pytest.approx(1 / (1 + math.exp(-3 * told - 0.5)), abs=1e-4)
    assert f"less that of its best mutant, = {told:.3f} per token" in first.evidence
    assert (last.answer, last.evidence) == ("unscored", "the program has no mutant to be compared with")
    kept = [code_scores for _, code_scores in sorted(judge.scores.items())]
    assert kept == [{pair[1]: pytest.approx(score, abs=1e-4)} for pair, score in zip(pairs, scores, strict=True)]


def test_verdicts():
    """Yes above the threshold, no below, each with its probability and evidence; other criteria are unscored."""
    base = tiny_base()
    scores = review(base, base.model, PAIRS[:2])
    middle = sum(scores) / 2
    judge = Reviewer(base, base.model, Calibration(3.0, -3.0 * middle, 1.0, 1.0, 1, 1))
    cases = [
        Case(Task(f"t{i}", instruction), Completion(f"t{i}", 0, code, code), "", Execution("ok", "none"), [])
        for i, (instruction, code) in enumerate(PAIRS[:2])
    ]
    answers = judge.answer([TIDY, DOES_TASK], cases)
    for score, (tidy, does_task) in zip(scores, answers, strict=True):
        assert (tidy.criterion, tidy.answer, tidy.probability) == ("tidy", "unscored", None)
        assert (does_task.criterion, does_task.answerer) == ("does_task", "reviewer")
        assert does_task.answer == ("yes" if score > middle else "no")
        assert does_task.probability == pytest.approx(1 / (1 + math.exp(-3 * (score - middle))), abs=1e-4)
        assert f"= {score:.3f} per token, threshold {middle:.3f}" in does_task.evidence
    assert {does_task.answer for _, does_task in answers} == {"yes", "no"}
