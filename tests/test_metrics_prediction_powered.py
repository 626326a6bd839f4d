"""A judge's rate corrected by people's labels."""

import numpy as np
import pytest

from kohai.metrics.prediction_powered import prediction_powered_rate


def test_by_hand():
    """Labels 1, 1, 0, 0, judged 1, 1, 1, 0, alone 1, 1, 0, 0. cov = (1/8 + 1/8 - 1/8 + 3/8) / 3 = 1/6, variance of all
    eight verdicts 15/64, power = (1/6) / (2 * 15/64) = 0.3556; value = 0.5 - 0.3556 * 0.75 + 0.3556 * 0.5 = 0.4111.
    label - power * judge: 0.6444, 0.6444, -0.3556, 0, variance 0.2464; variance 0.2464 / 4 + 0.3556^2 * (1/3) / 4 =
    0.0721, so up to 0.4111 + 1.96 * 0.2686 = 0.9375.
    """
    found = prediction_powered_rate([True, True, False, False], [1, 1, 1, 0], [1, 1, 0, 0])
    assert found.power == pytest.approx(0.3556, abs=1e-4)
    assert found.value == pytest.approx(0.4111, abs=1e-4)
    assert found.high == pytest.approx(0.9375, abs=1e-4)
    assert found.low == 0
    assert (found.n_labels, found.n_judged, found.dropped) == (4, 4, 0)


def test_power_may_be_given():
    """The same at 1, as published first: 0.5 - 0.75 + 0.5 = 0.25; label - judge: 0, 0, -1, 0, variance 1/4; up to
    0.25 + 1.96 * sqrt(1/16 + 1/12) = 0.9985. At 0 the labels alone: 0.5 + 1.96 * sqrt(1/3 / 4) = 1.07, cut to 1.
    """
    case = [True, True, False, False], [1, 1, 1, 0], [1, 1, 0, 0]
    first = prediction_powered_rate(*case, power=1)
    assert (first.value, first.power) == (pytest.approx(0.25), 1)
    assert first.high == pytest.approx(0.9985, abs=1e-4)
    labels = prediction_powered_rate(*case, power=0)
    assert (labels.value, labels.low, labels.high) == (0.5, 0, 1)
    assert prediction_powered_rate(*case[:2], [1], power=1).power == 0  # nothing tells how far one verdict strays
    with pytest.raises(ValueError, match="power"):
        prediction_powered_rate(*case, power=1.5)


def test_labels_that_are_all_alike():
    """10 of 10: Wilson's interval of the labels, from 1 / (1 + 3.8415 / 10) = 0.7225, not one without width."""
    found = prediction_powered_rate([True] * 10, [1] * 9 + [0], [1, 0] * 50)
    assert (found.value, found.high, found.power) == (1, 1, 0)
    assert found.low == pytest.approx(0.7225, abs=1e-4)


def test_unscored_is_left_out():
    """A missing label or verdict drops the case and is counted; a judge who says nothing leaves the labels' mean."""
    found = prediction_powered_rate([True, None, False, True], [1, 1, None, 0], [None, 1])
    assert (found.n_labels, found.n_judged, found.dropped) == (2, 1, 3)
    plain = prediction_powered_rate([True, False, True, True], [0, 0, 0, 0], [0, 0])
    assert (plain.value, plain.power) == (0.75, 0)
    with pytest.raises(ValueError, match="at least two"):
        prediction_powered_rate([True, None], [1, 1], [1, 0])


@pytest.mark.parametrize(("right", "narrower"), [(0.95, 0.75), (0.5, 1.02)])
def test_covers_and_is_as_narrow_as_the_judge_is_good(right, narrower):
    """Truth 0.6, 100 labels, 2,000 judged: 92 to 98 % of 400 intervals hold it (three standard errors). A judge who is
    right 95 % of the time makes them a quarter narrower and more than labels alone; one at chance no wider by 2 %.
    """
    rng = np.random.default_rng(7)
    held, width, alone_width = 0, 0.0, 0.0
    for _ in range(400):
        truth = rng.random(2100) < 0.6
        said = np.where(rng.random(2100) < right, truth, ~truth)
        found = prediction_powered_rate(truth[:100].tolist(), said[:100].tolist(), said[100:].tolist())
        held += found.low <= 0.6 <= found.high
        width += found.high - found.low
        alone_width += 2 * 1.96 * truth[:100].std(ddof=1) / 10
    assert 0.92 < held / 400 < 0.98
    assert width / alone_width < narrower


def test_a_biased_judge_is_corrected():
    """One that says yes to three quarters of what is wrong: its own rate is far off, the corrected one is not."""
    rng = np.random.default_rng(7)
    truth = rng.random(4400) < 0.4
    said = truth | (rng.random(4400) < 0.75)
    found = prediction_powered_rate(truth[:400].tolist(), said[:400].tolist(), said[400:].tolist())
    assert abs(said.mean() - 0.4) > 0.4
    assert found.low < 0.4 < found.high
