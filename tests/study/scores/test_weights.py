import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.scores.components import CompositionError
from study.scores.thresholds import best_threshold, normal_weight
from study.scores.weights import (
    _Bounds,
    _Tiles,
    best_weights,
    lambda_weights,
    simplex_weights,
    weighted_sum,
)

from .labelled import labelled, sklearn_f1


def reached_by(rows, columns, label):
    return [best_threshold(weighted_sum(row, columns), label).f1_weighted for row in rows]


def assert_first_best(columns, label, rows):
    found = best_weights(columns, label, rows)
    reached = reached_by(rows, columns, label)
    assert found.weights == tuple(rows[int(np.argmax(reached))])
    assert found.threshold.f1_weighted == max(reached)
    assert found.threshold == best_threshold(weighted_sum(found.weights, columns), label)


@pytest.mark.parametrize("label", [[0, 0], [1, 1], []])
def test_one_class_has_a_reason(label):
    label = np.array(label, np.int8)
    with pytest.raises(CompositionError, match="both classes"):
        best_weights([np.zeros(len(label))] * 2, label, lambda_weights(3))


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


@pytest.mark.filterwarnings("error::RuntimeWarning")
@given(labelled(columns=3), st.sampled_from([3, 4, 6]))
def test_the_weights_are_the_first_best_of_all(case, steps):
    columns, label = case
    assert_first_best(columns, label, simplex_weights(steps))


@given(labelled(columns=2), st.integers(2, 5))
def test_no_weight_and_no_threshold_has_a_better_f1(case, steps):
    columns, label = case
    best = 0.0
    for row in lambda_weights(steps):
        score = weighted_sum(row, columns)
        best = max(best, *(sklearn_f1(label, score > floor) for floor in [-np.inf, *score]))
    found = best_weights(columns, label, lambda_weights(steps))
    assert found.threshold.f1_weighted == pytest.approx(best, abs=1e-12)
    prediction = weighted_sum(found.weights, columns) > found.threshold.tau
    assert sklearn_f1(label, prediction) == pytest.approx(best, abs=1e-12)


def overlapping(shape, count, seed):
    rng = np.random.default_rng(seed)
    label = (rng.random(count) < 0.3).astype(np.int8)
    columns = [
        rng.gamma(2.0, 1.0, count) + label,
        rng.normal(0.0, 1.0, count) + 0.5 * label,
        np.abs(rng.normal(0.0, 1.0, count)) * (1 + label),
    ]
    if shape == "tied":
        columns = [np.round(column, 1) for column in columns]
    elif shape == "outlier":
        columns[0][0] = 1e12
    elif shape == "reversed":
        columns = [-column for column in columns]
    elif shape == "separable":
        columns = [column + 20.0 * label for column in columns]
    elif shape == "equal":
        columns = [columns[0]] * 3
    elif shape == "nearly equal":
        columns = [1.0 + column * 1e-13 for column in columns]
    elif shape == "huge":
        columns = [1.7e308 - 1e305 * column for column in columns]
    elif shape == "tiny":
        columns = [column * 1e-310 for column in columns]
    return columns, label


SHAPES = [
    "spread",
    "tied",
    "outlier",
    "reversed",
    "separable",
    "equal",
    "nearly equal",
    "huge",
    "tiny",
]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "steps"), [(90, 24), (2000, 12), (40_000, 3)])
def test_ruling_rows_out_changes_nothing(shape, count, steps):
    columns, label = overlapping(shape, count, seed=count)
    assert_first_best(columns, label, simplex_weights(steps))
    assert_first_best(columns[:2], label, lambda_weights(steps))


@given(labelled(columns=3))
def test_bounds_are_never_below_what_a_row_reaches(case):
    columns, label = case
    rows = simplex_weights(5)
    bounds = _Bounds.around(columns, label)
    if bounds is not None:
        reached = np.array(reached_by(rows, columns, label))
        tiles = _Tiles.group(rows)
        assert (bounds.compute(rows) >= reached - 1e-12).all()
        of_tile = bounds.compute(tiles.centres, tiles.radii)[tiles.tile_of_row]
        assert (of_tile >= reached - 1e-12).all()


def test_the_bound_of_a_row_is_close_where_scores_are_spread():
    columns, label = overlapping("spread", 2000, seed=0)
    rows = simplex_weights(10)
    found = _Bounds.around(columns, label).compute(rows)
    np.testing.assert_allclose(found, reached_by(rows, columns, label), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [lambda_weights(7), simplex_weights(2), simplex_weights(9)])
def test_every_row_is_within_the_radii_of_its_tile(rows):
    tiles = _Tiles.group(rows)
    away = np.abs(rows - tiles.centres[tiles.tile_of_row])[:, 1:]
    assert (away <= tiles.radii + 1e-15).all()
    np.testing.assert_allclose(tiles.centres.sum(axis=1), 1.0, rtol=1e-15)


@pytest.mark.parametrize("order", ["turned", "shuffled"])
def test_rows_in_any_order_are_searched(order):
    columns, label = overlapping("tied", 300, seed=4)
    rows = simplex_weights(9)
    rows = rows[::-1] if order == "turned" else np.random.default_rng(0).permutation(rows)
    assert_first_best(columns, label, rows)


@given(labelled(columns=2), st.sampled_from([0.05, 0.9]))
def test_for_a_prevalence_too_the_weights_are_the_first_best_of_all(case, prevalence):
    columns, label = case
    rows, weight = lambda_weights(4), normal_weight(label, prevalence)
    found = best_weights(columns, label, rows, weight)
    reached = [
        best_threshold(weighted_sum(row, columns), label, weight).f1_weighted for row in rows
    ]
    assert found.weights == tuple(rows[int(np.argmax(reached))])
    assert found.threshold.f1_weighted == max(reached)
