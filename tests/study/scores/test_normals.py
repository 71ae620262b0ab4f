from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.scores.components import CompositionError, FitErrors, SplitErrors
from study.scores.compositions import COMPOSITIONS
from study.scores.normals import conformal_quantile, quantile_over_patients
from study.scores.settings import ScoreSettings

QUANTILES = st.sampled_from([0.3, 0.5, 0.75, 0.9])
SCORES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=30)


def promised(quantile):
    """The quantile as it is written: 0.9 is nine tenths."""
    return Fraction(str(quantile))


@given(SCORES, QUANTILES)
def test_so_many_held_out_normals_are_at_most_tau_as_split_conformal_wants(scores, quantile):
    share = {tau: Fraction(sum(s <= tau for s in scores), len(scores) + 1) for tau in scores}
    enough = [tau for tau in scores if share[tau] >= promised(quantile)]
    if not enough:
        with pytest.raises(CompositionError, match="allow no quantile above"):
            conformal_quantile(np.array(scores), quantile)
        return
    assert conformal_quantile(np.array(scores), quantile) == min(enough)


@given(st.lists(SCORES, min_size=1, max_size=6), QUANTILES)
def test_every_patient_weighs_the_same_and_one_more_is_infinite(by_patient, quantile):
    def share(tau):
        own = [Fraction(sum(s <= tau for s in scores), len(scores)) for scores in by_patient]
        return sum(own) / (len(by_patient) + 1)

    score = np.concatenate([np.array(scores) for scores in by_patient])
    patient = np.repeat([f"p{k}" for k in range(len(by_patient))], [len(s) for s in by_patient])
    order = np.random.default_rng(0).permutation(len(score))
    enough = [tau for tau in score.tolist() if share(tau) >= promised(quantile)]
    if not enough:
        with pytest.raises(CompositionError, match="patients allow no quantile above"):
            quantile_over_patients(score[order], patient[order], quantile)
        return
    assert quantile_over_patients(score[order], patient[order], quantile) == min(enough)


def test_new_patients_have_as_many_false_alarms_as_promised_in_the_mean():
    """Patients differ in their level; samples of one are alike."""
    rng = np.random.default_rng(1)

    def patients(count):
        sizes = rng.integers(20, 200, count)
        levels = rng.normal(0.0, 2.0, count)
        return [
            level + rng.normal(0.0, 0.3, size) for level, size in zip(levels, sizes, strict=True)
        ]

    by_patient, pooled = [], []
    for _ in range(300):
        known = patients(20)
        (new,) = patients(1)
        score = np.concatenate(known)
        patient = np.repeat(np.arange(20).astype(str), [len(part) for part in known])
        by_patient.append((new > quantile_over_patients(score, patient, 0.9)).mean())
        pooled.append((new > conformal_quantile(score, 0.9)).mean())
    assert np.mean(by_patient) <= 0.1 + 2 * np.std(by_patient) / 300**0.5
    # One patient is 1 of 21: promised with a margin of that, and no more.
    assert np.mean(by_patient) >= 0.1 - 1 / 21 - 2 * np.std(by_patient) / 300**0.5
    assert np.mean(pooled) > np.mean(by_patient)


def fitted(errors, **settings):
    return COMPOSITIONS["reconstruction_quantile"].fit(errors, ScoreSettings(**settings))


def test_held_out_normals_are_those_of_validation_and_abnormal_ones_are_not_read(fold):
    values = fold.validation.values["reconstruction_error"].astype(np.float64)
    normals = np.sort(values[fold.validation.label == 0])
    own = fitted(FitErrors(fold.validation), quantile_of="held_out", quantile=0.9)
    assert own.tau == normals[int(np.ceil(121 * 0.9)) - 1]
    assert own.supervision == "none"
    wild = np.where(fold.validation.label == 1, 1e6, values)
    split = SplitErrors(fold.validation.label, {"reconstruction_error": wild})
    assert fitted(FitErrors(split), quantile_of="held_out", quantile=0.9).tau == own.tau


def test_patients_that_are_not_known_have_a_reason(fold):
    with pytest.raises(CompositionError, match="patients of the normal"):
        fitted(fold.for_fitting(), quantile_of="held_out_patients")


def test_patients_of_the_normals_weigh_the_same(fold):
    patient = np.where(np.arange(len(fold.validation)) < 20, "few", "many")
    split = SplitErrors(fold.validation.label, fold.validation.values, patient)
    normals = fold.validation.label == 0
    values = fold.validation.values["reconstruction_error"].astype(np.float64)[normals]
    own = fitted(FitErrors(split), quantile_of="held_out_patients", quantile=0.5)
    assert own.tau == quantile_over_patients(values, patient[normals], 0.5)
    assert own.tau != fitted(FitErrors(split), quantile_of="held_out", quantile=0.5).tau
