import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.report.paired_tests import PairedTest, fold_errors, holm

FIRST, SECOND = [0.9, 0.8, 0.95, 0.7], [0.8, 0.75, 0.7, 0.72]


def matrix(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def test_errors_over_folds_are_those_of_the_corrected_t_test() -> None:
    """SciPy's paired test, its variance 1 / n replaced by 1 / n + test / training."""
    plain = stats.ttest_rel(FIRST, SECOND)
    error, freedom = fold_errors(matrix(FIRST) - matrix(SECOND), np.full((1, 4), 20 / 40))
    difference = np.mean(np.subtract(FIRST, SECOND))
    t = difference / error[0]
    assert t == pytest.approx(plain.statistic * math.sqrt((1 / 4) / (1 / 4 + 20 / 40)))
    assert freedom.tolist() == [3]
    found = PairedTest.of(np.array([difference]), error, freedom)
    assert found.p[0] == pytest.approx(2 * stats.t.sf(abs(t), 3))
    expected = stats.t.interval(0.95, 3, loc=difference, scale=error[0])
    assert (found.low[0], found.high[0]) == pytest.approx(expected)
    assert (found.p_holm[0], found.low_holm[0]) == (found.p[0], found.low[0])


def test_folds_that_one_side_lacks_are_left_out() -> None:
    nan = math.nan
    ratios = matrix([10 / 40, 20 / 50, 30 / 40, 900])
    differences = matrix([*FIRST[:3], 0.1]) - matrix([*SECOND[:3], nan])
    error, freedom = fold_errors(differences, ratios)
    difference = np.subtract(FIRST, SECOND)[:3]
    ratio = (10 / 40 + 20 / 50 + 30 / 40) / 3
    assert error[0] == pytest.approx(difference.std(ddof=1) * math.sqrt(1 / 3 + ratio))
    assert freedom.tolist() == [2]


def test_a_single_fold_has_no_test() -> None:
    error, freedom = fold_errors(matrix([0.5]), matrix([0.5]))
    found = PairedTest.of(np.array([0.5]), error, freedom)
    assert np.isnan([*vars(found).values()]).all()


def test_differences_without_any_error_are_certain() -> None:
    found = PairedTest.of(np.array([0.0, 0.1, -0.9]), np.zeros(3), np.full(3, 4.0))
    assert found.p.tolist() == [1.0, 0.0, 0.0]
    for low, high in ((found.low, found.high), (found.low_holm, found.high_holm)):
        np.testing.assert_array_equal(low, [0.0, 0.1, -0.9])
        np.testing.assert_array_equal(high, [0.0, 0.1, -0.9])


def test_differences_of_rounding_have_no_error() -> None:
    first = matrix([0.3, 0.7, 0.9])
    error, _ = fold_errors(first - np.nextafter(first, 1), np.full((1, 3), 0.5))
    assert error.tolist() == [0.0]


def test_intervals_end_where_no_difference_can_be() -> None:
    tests = PairedTest.of(np.array([0.9, -0.2]), np.array([0.3, 0.4]), np.full(2, 1.0))
    cut = tests.cut(1.0)
    assert tests.high[0] > 1
    for name in ("low", "high", "low_holm", "high_holm"):
        whole, ends = getattr(tests, name), getattr(cut, name)
        np.testing.assert_array_equal(ends, [min(max(end, -1.0), 1.0) for end in whole])
    np.testing.assert_array_equal(cut.p_holm, tests.p_holm)


@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(1e-3, 1), st.integers(1, 40)), min_size=1, max_size=9
    )
)
def test_an_interval_holds_nothing_where_its_p_says_so_and_only_there(
    drawn: list[tuple[float, float, int]],
) -> None:
    difference, error, freedom = np.array(drawn, dtype=float).T
    found = PairedTest.of(difference, error, freedom)
    for p, low, high in (
        (found.p, found.low, found.high),
        (found.p_holm, found.low_holm, found.high_holm),
    ):
        sure = np.abs(p - 0.05) > 1e-6
        outside = (low > 0) | (high < 0)
        np.testing.assert_array_equal(outside[sure], (p < 0.05)[sure])
    wider = found.high_holm - found.low_holm >= found.high - found.low - 1e-9
    assert wider.all()


def test_holm_on_a_hand_worked_case() -> None:
    # 0.01 x 4, then 0.02 x 3, 0.03 x 2 is no smaller, 0.04 x 1 is raised to it.
    p = np.array([0.04, 0.01, math.nan, 0.03, 0.02])
    np.testing.assert_allclose(holm(p), [0.06, 0.04, math.nan, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1.0, 1.0])
    assert len(holm(np.empty(0))) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_rejects_step_by_step(drawn: list[float]) -> None:
    p = np.array(drawn)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= 1).all()
    order = np.argsort(p)
    assert (np.diff(corrected[order]) >= 0).all()
    for level in (0.01, 0.05, 0.2):
        rejected = np.zeros(len(p), dtype=bool)
        for left, place in zip(range(len(p), 0, -1), order, strict=True):
            if left * p[place] > level:
                break
            rejected[place] = True
        assert (corrected <= level).tolist() == rejected.tolist()
