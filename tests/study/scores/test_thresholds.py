import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from study.scores.components import CompositionError
from study.scores.thresholds import (
    best_threshold,
    best_weights,
    constant_f1,
    lambda_weights,
    simplex_weights,
    weighted_f1,
    weighted_sum,
)


def sklearn_f1(label, prediction):
    return f1_score(label, prediction, average="weighted", zero_division=0)


def brute_force(score, label):
    """Best weighted F1 over every way to divide the scores."""
    floors = [-np.inf, *np.unique(score)]
    return max(sklearn_f1(label, score > floor) for floor in floors)


ulp_ladder = st.integers(0, 6).map(lambda steps: 0.3 + steps * np.spacing(0.3))
tied = st.integers(0, 4).map(float)
anything = st.floats(allow_nan=False, allow_infinity=False)
subnormal = st.integers(-4, 4).map(lambda steps: steps * 5e-324)
huge = st.sampled_from([-1.7e308, -1.6e308, 1.5e308, np.nextafter(1.5e308, 2e308), 1.7e308])


@st.composite
def labelled(draw, columns=1):
    elements = draw(st.sampled_from([ulp_ladder, tied, anything, subnormal, huge]))
    label = [*draw(st.lists(st.sampled_from([0, 1]), max_size=12)), 0, 1]
    size = len(label)
    values = [draw(st.lists(elements, min_size=size, max_size=size)) for _ in range(columns)]
    return [np.array(column) for column in values], np.array(label, np.int8)


@settings(max_examples=150, deadline=None)
@given(labelled())
def test_the_threshold_is_the_best_of_all_and_reproduces_its_f1(case):
    (score,), label = case
    found = best_threshold(score, label)
    assert found.f1_weighted == pytest.approx(brute_force(score, label), abs=1e-12)
    assert found.f1_weighted == pytest.approx(sklearn_f1(label, score > found.tau), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(labelled())
def test_the_threshold_lies_inside_its_gap(case):
    (score,), label = case
    tau = best_threshold(score, label).tau
    below, above = score[score <= tau], score[score > tau]
    if np.isfinite(tau):
        low, high = below.max(), above.min()
        assert low < tau < high or (tau == low and np.nextafter(low, np.inf) == high)
    else:
        assert not len(below) or not len(above)


@settings(max_examples=100, deadline=None)
@given(labelled())
def test_the_order_of_the_samples_does_not_matter(case):
    (score,), label = case
    assert best_threshold(score, label) == best_threshold(score[::-1], label[::-1])


def test_a_perfect_separation_is_found_in_the_middle():
    found = best_threshold(np.array([4.0, 1.0, 2.0, 5.0]), np.array([1, 0, 0, 1], np.int8))
    assert (found.tau, found.f1_weighted) == (3.0, 1.0)


@pytest.mark.parametrize(("score", "tau"), [([0, 1, 2, 10], 6.0), ([0, 9, 9.5, 10], 4.5)])
def test_of_equally_good_gaps_the_widest_is_taken(score, tau):
    score, label = np.array(score, np.float64), np.array([0, 1, 0, 1], np.int8)
    # Either one normal sample is called abnormal or one abnormal sample is not.
    lowest, highest = sklearn_f1(label, score > score[0]), sklearn_f1(label, score > score[2])
    assert lowest == pytest.approx(highest)
    assert best_threshold(score, label).tau == tau


@pytest.mark.parametrize(
    ("label", "tau"), [([0, 0, 1], np.inf), ([0, 1, 1], -np.inf), ([0, 1], -np.inf)]
)
def test_a_constant_score_gives_the_better_constant_answer(label, tau):
    label = np.array(label, np.int8)
    found = best_threshold(np.full(len(label), 0.7), label)
    assert found.tau == tau
    assert found.f1_weighted == pytest.approx(constant_f1(label))


@pytest.mark.parametrize("label", [[0, 0], [1, 1], []])
def test_one_class_has_a_reason(label):
    label = np.array(label, np.int8)
    with pytest.raises(CompositionError, match="both classes"):
        best_threshold(np.zeros(len(label)), label)
    with pytest.raises(CompositionError, match="both classes"):
        best_weights([np.zeros(len(label))] * 2, label, lambda_weights(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_have_a_reason(bad):
    with pytest.raises(CompositionError, match="finite scores"):
        best_threshold(np.array([0.0, bad]), np.array([0, 1], np.int8))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
@settings(deadline=None)
def test_weighted_f1_is_scikit_learns(pairs):
    label, prediction = np.array(pairs).T
    hits = label == prediction
    found = weighted_f1(
        np.sum(hits & (label == 1)), np.sum(hits & (label == 0)), np.sum(label), np.sum(1 - label)
    )
    assert float(found) == pytest.approx(sklearn_f1(label, prediction), abs=1e-12)


def test_lambda_runs_from_zero_to_one():
    weights = lambda_weights(5)
    np.testing.assert_array_equal(weights[:, 1], [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(weights.sum(axis=1), np.ones(5))


@pytest.mark.parametrize("steps", [2, 7, 50])
def test_the_simplex_is_every_pair_once_and_contains_the_lambda_grid(steps):
    rows = simplex_weights(steps)
    pairs = {(i, j) for i in range(steps) for j in range(steps) if i + j <= steps - 1}
    whole = {tuple(np.rint(row[1:] * (steps - 1)).astype(int)) for row in rows}
    assert whole == pairs
    assert len(rows) == len(pairs) == steps * (steps + 1) // 2
    assert rows.min() == 0.0
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_array_equal(rows[:steps, :2], lambda_weights(steps))
    np.testing.assert_array_equal(rows[:steps, 2], np.zeros(steps))


@settings(max_examples=60, deadline=None)
@given(labelled(columns=3))
def test_the_weights_are_the_first_best_of_all(case):
    columns, label = case
    rows = simplex_weights(4)
    found = best_weights(columns, label, rows)
    reached = [best_threshold(weighted_sum(row, columns), label).f1_weighted for row in rows]
    assert found.weights == tuple(rows[int(np.argmax(reached))])
    assert found.threshold.f1_weighted == max(reached)
    prediction = weighted_sum(found.weights, columns) > found.threshold.tau
    assert sklearn_f1(label, prediction) == pytest.approx(max(reached), abs=1e-12)


@pytest.mark.parametrize("shape", ["spread", "tied", "outlier", "reversed"])
def test_binned_search_over_many_samples_is_the_sorted_one(shape):
    rng = np.random.default_rng(3)
    label = (rng.random(6000) < 0.3).astype(np.int8)
    columns = [rng.gamma(2.0, 1.0, 6000) + label, rng.normal(0.0, 1.0, 6000) + 0.5 * label]
    if shape == "tied":
        columns = [np.round(column, 1) for column in columns]
    elif shape == "outlier":
        columns[0][0] = 1e12
    elif shape == "reversed":
        columns = [-column for column in columns]
    rows = lambda_weights(12)
    found = best_weights(columns, label, rows)
    reached = [best_threshold(weighted_sum(row, columns), label).f1_weighted for row in rows]
    assert found.weights == tuple(rows[int(np.argmax(reached))])
    assert found.threshold.f1_weighted == max(reached)
