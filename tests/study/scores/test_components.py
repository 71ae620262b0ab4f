import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from study.scores.components import CompositionError, FitErrors, Limits, SplitErrors

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_a_hand_worked_scaling_leaves_the_unit_interval_on_other_samples():
    limits = Limits.fit(np.array([2.0, 4.0, 3.0]))
    np.testing.assert_array_equal(limits.apply(np.array([2.0, 4.0, 3.0])), [0.0, 1.0, 0.5])
    np.testing.assert_array_equal(limits.apply(np.array([0.0, 6.0])), [-1.0, 2.0])


def test_a_constant_component_becomes_zeros_on_every_sample():
    limits = Limits.fit(np.full(3, 7.0))
    np.testing.assert_array_equal(limits.apply(np.array([7.0, 8.0, -1e9])), np.zeros(3))


@given(arrays.arrays(np.float64, st.integers(1, 20), elements=FINITE), FINITE)
def test_scaled_values_stay_finite_and_keep_their_order(values, other):
    scaled = Limits.fit(values).apply(np.append(values, other))
    assert np.isfinite(scaled).all()
    assert scaled[:-1].min() >= 0.0
    assert scaled[:-1].max() <= 1.0
    order = np.argsort(np.append(values, other))
    assert (np.diff(scaled[order]) >= 0).all()


@pytest.mark.parametrize(("low", "high"), [(np.nan, 1.0), (0.0, np.inf), (2.0, 1.0)])
def test_limits_that_were_not_fitted_cannot_be_made(low, high):
    with pytest.raises(ValueError, match=r"finite|exceed"):
        Limits(low, high)
    with pytest.raises(TypeError):
        Limits()


def test_limits_of_nothing_have_a_reason():
    with pytest.raises(CompositionError, match="at least one sample"):
        Limits.fit(np.array([]))


@pytest.mark.parametrize("label", [[0, 2], [-1, 1], [[0, 1]]])
def test_labels_are_zero_and_one(label):
    with pytest.raises(ValueError, match="0 or 1"):
        SplitErrors(np.array(label), {})


def test_components_are_as_long_as_the_labels():
    with pytest.raises(ValueError, match=r"latent_norm must have shape \(2,\)"):
        SplitErrors(np.array([0, 1], np.int8), {"latent_norm": np.zeros(3)})


def test_an_absent_or_unfinished_component_has_a_reason():
    split = SplitErrors(np.array([0, 1], np.int8), {"x": np.array([1.0, np.nan])})
    with pytest.raises(CompositionError, match="1 of 2 values of x are not finite"):
        split.component("x")
    with pytest.raises(CompositionError, match="y is needed, found x"):
        split.component("y")


def test_normals_are_the_samples_labelled_zero():
    split = SplitErrors(np.array([0, 1, 0], np.int8), {"x": np.array([1.0, 2.0, 3.0])})
    np.testing.assert_array_equal(split.normals().component("x"), [1.0, 3.0])
    with pytest.raises(CompositionError, match="normal training samples"):
        FitErrors(split, None).training_normals()


def test_what_is_fitted_on_has_no_test_split(fold):
    held = fold.for_fitting()
    assert held.validation is fold.validation
    assert held.training is fold.training
    assert "test" not in {field.name for field in dataclasses.fields(held)}
