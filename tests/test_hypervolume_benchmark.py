"""Fronts for the same seconds: who is paid for what, and when a trial counts."""

import numpy as np
import pytest

from benchmarks.hypervolume import Spent, growth


def test_volumes_are_of_one_box_and_of_trials_that_had_completed() -> None:
    searches = {
        "one": [Spent(4.0, np.array([-0.9, 10.0])), Spent(8.0, np.array([-1.0, 20.0]))],
        "other": [Spent(1.0, None), Spent(4.0, np.array([-0.5, 5.0])), Spent(16.0, None)],
    }
    volumes = growth(searches)
    # The box: 0.5 to 1.0 of the metric, 5 to 20 of the other; 8 seconds were spent by all.
    first = 0.8 * (2 / 3)
    assert [seconds for seconds, _ in volumes["one"]] == [2.0, 4.0, 6.0, 8.0]
    assert [v for _, v in volumes["one"]] == pytest.approx([0.0, first, first, first])
    # The worst of one metric is on the border of the box: it dominates nothing.
    assert [v for _, v in volumes["other"]] == [0.0, 0.0, 0.0, 0.0]
