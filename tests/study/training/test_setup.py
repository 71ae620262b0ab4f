from dataclasses import replace

import numpy as np
import pytest
import torch

from study.data.splits import make_splits
from study.training.setup import build_model, fit_scaling, scale, shared_tensor


@pytest.fixture
def unscaled(tiny_samples):
    samples = tiny_samples()
    values = samples.values * 7 - 3
    values[samples.label == 1] *= 2
    return replace(samples, values=values.astype(np.float32))


@pytest.fixture
def ucr_study(tiny_study):
    def study(scaling):
        dataset = {"name": "ucr", "path": "a.tsv", "normal_labels": [1], "scaling": scaling}
        return tiny_study(dataset=dataset)

    return study


def test_limits_are_those_of_the_training_samples_alone(unscaled, ucr_study):
    study = ucr_study("training")
    fold = make_splits(unscaled, study.split, 0).folds[0]
    scaling = fit_scaling(study, unscaled, fold)
    (limits,) = scaling.limits
    training = unscaled.values[fold.training]
    assert (limits.minimum, limits.maximum) == (training.min(), training.max())

    others = unscaled.values.copy()
    others[fold.test] += 100
    assert fit_scaling(study, replace(unscaled, values=others), fold) == scaling


def test_training_samples_become_0_to_1_and_others_keep_their_distance(unscaled, ucr_study):
    study = ucr_study("training")
    fold = make_splits(unscaled, study.split, 0).folds[0]
    scaled = scale(unscaled, fit_scaling(study, unscaled, fold))
    training = unscaled.values[fold.training]
    low, span = training.min(), training.max() - training.min()
    np.testing.assert_allclose(scaled.values, (unscaled.values - low) / span, atol=1e-6)
    assert scaled.values.dtype == np.float32
    assert scaled.values[fold.training].min() == 0
    assert scaled.values[fold.training].max() == 1
    assert scaled.values.max() > 1


@pytest.mark.parametrize("scaling", ["sample", "none"])
def test_samples_that_are_scaled_already_are_left(unscaled, ucr_study, scaling):
    study = ucr_study(scaling)
    fold = make_splits(unscaled, study.split, 0).folds[0]
    assert fit_scaling(study, unscaled, fold) is None


def test_a_shared_tensor_is_no_copy(unscaled):
    values = unscaled.values
    values.flags.writeable = False
    assert shared_tensor(values).data_ptr() == values.ctypes.data


def test_folds_have_weights_of_their_own_and_the_seed_decides_them(tiny_samples, tiny_study):
    def weights(seed, fold):
        study = tiny_study(seed=seed)
        return build_model(study, tiny_samples(), fold, torch.device("cpu")).weights()

    def equal(first, second):
        return all(torch.equal(first[name], second[name]) for name in first)

    assert equal(weights(0, 0), weights(0, 0))
    assert not equal(weights(0, 0), weights(0, 1))
    assert not equal(weights(0, 0), weights(1, 0))
