import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from study.search.paired import p_of_no_worse

VALUES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=7, unique_by=abs).filter(
    lambda values: 0 not in values
)


@given(VALUES)
def test_wilcoxon_counts_the_signs_that_are_at_least_as_bad(differences: list[int]) -> None:
    """All signs of the ranks are as likely as each other where a trial is no worse."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    positive = sum(rank for rank, each in zip(ranks, differences, strict=True) if each > 0)
    signs = itertools.product((0, 1), repeat=len(ranks))
    sums = [sum(rank for rank, sign in zip(ranks, each, strict=True) if sign) for each in signs]
    expected = sum(each <= positive for each in sums) / len(sums)
    p = p_of_no_worse([float(d) for d in differences], [0.0] * len(ranks), "wilcoxon", 9.0)
    assert p == pytest.approx(expected)


@given(VALUES, st.floats(0, 2))
def test_the_corrected_t_is_students_with_a_larger_variance(
    differences: list[int], ratio: float
) -> None:
    count = len(differences)
    mean = math.fsum(differences) / count
    variance = math.fsum((each - mean) ** 2 for each in differences) / (count - 1)
    statistic = mean / math.sqrt(variance * (1 / count + ratio))
    others = [10.0 * fold for fold in range(count)]
    values = [d + other for d, other in zip(differences, others, strict=True)]
    p = p_of_no_worse(values, others, "corrected_t", ratio)
    assert p == pytest.approx(student.cdf(statistic, count - 1), abs=1e-9)


@pytest.mark.parametrize("test", ["corrected_t", "wilcoxon"])
def test_what_cannot_be_told_is_no_reason_to_stop(test: str) -> None:
    for values, others in (([], []), ([0.1], [0.9]), ([0.5] * 5, [0.5] * 5)):
        assert p_of_no_worse(values, others, test, 0.3) == 1.0  # type: ignore[arg-type]


def test_the_same_difference_in_every_fold_is_beyond_chance() -> None:
    assert p_of_no_worse([0.25] * 3, [0.5] * 3, "corrected_t", 0.3) == 0.0
    assert p_of_no_worse([0.5] * 3, [0.25] * 3, "corrected_t", 0.3) == 1.0
