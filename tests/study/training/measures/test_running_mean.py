import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.training.measures.running_mean import running_mean

measured = st.floats(-1e6, 1e6)


def test_a_hand_worked_case():
    assert running_mean([1, 2, 3, 4, 5, 6, 7], 5) == [1, 1.5, 2, 2.5, 3, 4, 5]


@given(st.lists(measured | st.just(math.nan), max_size=30), st.integers(1, 40))
def test_it_is_the_rolling_mean_of_pandas(values, window):
    expected = pd.Series(values, dtype=float).rolling(window, min_periods=1).mean()
    assert running_mean(values, window) == pytest.approx(expected.tolist(), abs=1e-6, nan_ok=True)


def test_what_was_not_measured_is_left_out():
    found = running_mean([math.nan, 2.0, math.nan, math.nan, 5.0], window=2)
    np.testing.assert_equal(found, [math.nan, 2.0, 2.0, math.nan, 5.0])


def test_a_window_without_values_is_refused():
    with pytest.raises(ValueError, match="window must be at least 1, is 0"):
        running_mean([1.0], window=0)
