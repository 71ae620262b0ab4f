import dataclasses

import numpy as np
import pytest
from sklearn.metrics import f1_score

from study.errors import RequestError
from study.scores.components import CompositionError, FitErrors, SplitErrors
from study.scores.compositions import COMPOSITIONS
from study.scores.rules import applicable, compositions_of, find_composition
from study.scores.settings import LATENT_FORMS, ScoreSettings

from .conftest import random_fold, with_label

R, D, L, OUTLIER = "reconstruction_error", "discrimination_error", "latent_norm", "outlier_score"
OWN = {
    "stated": {"components": [R], "rule": "fixed", "thresholds": [0.03]},
    "stated_together": {"components": [R, D], "rule": "fixed", "thresholds": [0.04, 20.0]},
    "unusual": {"components": [D], "rule": "quantile"},
    "unusual_together": {"components": [R, L, OUTLIER], "rule": "quantile"},
    "weighted": {"components": [D, OUTLIER], "rule": "threshold"},
    "weighted_three": {"components": [R, D, OUTLIER], "rule": "threshold"},
    "svm_own": {"components": [R, D, L, OUTLIER], "rule": "svm"},
    "svm_own_linear": {"components": [OUTLIER, R], "rule": "svm_linear"},
}
SETTINGS = ScoreSettings(lambda_steps=20, gamma_steps=20, compositions=OWN)
ALL = compositions_of(SETTINGS)
CASES = [
    (name, form)
    for name, entry in ALL.items()
    for form in (LATENT_FORMS if entry.uses_latent else ("",))
]
LABELLED = [case for case in CASES if ALL[case[0]].supervision != "none"]
NEEDS_A_SCALE = "unusual_together"
"""Its rule brings components to the scale of normals; `test_rules` has what is without one."""
every = pytest.mark.parametrize(("name", "form"), CASES)
every_fitted = pytest.mark.parametrize(
    ("name", "form"), [case for case in CASES if not case[0].startswith("stated")]
)


def fit(name, form, errors, settings=SETTINGS):
    return ALL[name].fit(errors, settings, form)


def numbers(fitted):
    """All that was fitted, as one flat list of arrays."""
    flat = dataclasses.asdict(fitted)
    flat.update(flat.pop("machine", {}))
    return {name: value for name, value in flat.items() if name not in ("columns", "supervision")}


def f1(fitted, split):
    prediction = fitted.predict(fitted.score(split))
    return f1_score(split.label, prediction, average="weighted", zero_division=0)


@every
def test_scores_are_finite_float64_and_predictions_int8(name, form, fold):
    fitted = fit(name, form, fold.for_fitting())
    score = fitted.score(fold.test)
    assert score.shape == fold.test.label.shape
    assert score.dtype == np.float64
    assert np.isfinite(score).all()
    prediction = fitted.predict(score)
    assert prediction.dtype == np.int8
    np.testing.assert_array_equal(prediction, [int(value > fitted.tau) for value in score])


@every
def test_higher_is_more_abnormal(name, form, fold):
    fitted = fit(name, form, fold.for_fitting())
    score = fitted.score(fold.test)
    assert score[fold.test.label == 1].mean() > score[fold.test.label == 0].mean()


@every
def test_two_fits_are_the_same(name, form, fold):
    one, two = (fit(name, form, random_fold().for_fitting()) for _ in range(2))
    np.testing.assert_equal(numbers(one), numbers(two))
    np.testing.assert_array_equal(one.score(fold.test), two.score(fold.test))


@every
def test_scores_of_a_sample_do_not_depend_on_the_others(name, form, fold):
    fitted = fit(name, form, fold.for_fitting())
    part = SplitErrors(fold.test.label[:5], {k: v[:5] for k, v in fold.test.values.items()})
    np.testing.assert_allclose(
        fitted.score(part), fitted.score(fold.test)[:5], rtol=1e-12, atol=1e-12
    )


@every
def test_scoring_does_not_look_at_labels(name, form, fold):
    fitted = fit(name, form, fold.for_fitting())
    other = with_label(fold.test, 1 - fold.test.label)
    np.testing.assert_array_equal(fitted.score(other), fitted.score(fold.test))


@every
def test_supervision_says_whether_validation_labels_were_seen(name, form, fold):
    errors = fold.for_fitting()
    turned = FitErrors(
        with_label(errors.validation, 1 - errors.validation.label), errors.training, 6
    )
    one, two = fit(name, form, errors), fit(name, form, turned)
    same = np.array_equal(one.predict(one.score(fold.test)), two.predict(two.score(fold.test)))
    assert same == (one.supervision == "none")
    assert one.supervision == ALL[name].supervision
    assert name.startswith("svm") == (one.supervision == "svm")


@every
def test_training_errors_are_needed_where_the_entry_says(name, form, fold):
    without = FitErrors(fold.validation, None, 6)
    if ALL[name].needs_training(SETTINGS, form):
        with pytest.raises(CompositionError, match="training"):
            fit(name, form, without)
    else:
        np.testing.assert_equal(
            numbers(fit(name, form, without)), numbers(fit(name, form, fold.for_fitting()))
        )


@every_fitted
def test_an_absent_component_has_a_reason(name, form, fold):
    for component in ALL[name].components:
        less = {k: v for k, v in fold.validation.values.items() if k != component}
        split = SplitErrors(fold.validation.label, less)
        with pytest.raises(CompositionError, match=f"{component} is needed"):
            fit(name, form, FitErrors(split, SplitErrors(split.label, less), 6))


@pytest.mark.parametrize(("name", "form"), LABELLED)
@pytest.mark.parametrize("value", [0, 1])
def test_validation_of_one_class_has_a_reason(name, form, value, fold):
    validation = with_label(fold.validation, np.full(len(fold.validation), value))
    with pytest.raises(CompositionError, match="both classes"):
        fit(name, form, FitErrors(validation, fold.training, 6))


@every_fitted
def test_validation_that_is_not_finite_has_a_reason(name, form, fold):
    broken = {
        k: np.where(np.arange(len(v)) == 3, np.nan, v) for k, v in fold.training.values.items()
    }
    training = SplitErrors(fold.training.label, broken)
    validation = SplitErrors(fold.training.label, broken)
    with pytest.raises(CompositionError, match="not finite"):
        fit(name, form, FitErrors(validation, training, 6))


@pytest.mark.parametrize(("name", "form"), [case for case in CASES if case[0] != NEEDS_A_SCALE])
def test_constant_components_are_fitted(name, form, fold):
    def constant(split):
        return SplitErrors(split.label, {k: np.full(len(split), 2.5) for k in split.values})

    errors = FitErrors(constant(fold.validation), constant(fold.training), 6)
    score = fit(name, form, errors).score(fold.test)
    assert np.isfinite(score).all()


@pytest.mark.parametrize("form", LATENT_FORMS)
def test_more_freedom_is_never_worse_on_validation(form, fold):
    errors = fold.for_fitting()
    reached = {
        name: f1(fit(name, form if COMPOSITIONS[name].uses_latent else "", errors), fold.validation)
        for name in ("reconstruction", "discrimination", "latent", "lambda_grid", "gamma_grid")
    }
    assert reached["lambda_grid"] >= max(reached["reconstruction"], reached["discrimination"])
    # Equal numbers of steps: the lambda grid is the simplex's edge gamma = 0.
    assert reached["gamma_grid"] >= max(reached["lambda_grid"], reached["latent"])


def test_lambda_grid_scores_by_the_weighted_sum_of_scaled_errors(fold):
    fitted = fit("lambda_grid", "", fold.for_fitting())

    def scaled(name):
        limits = fold.validation.values[name].astype(np.float64)
        return (fold.test.values[name] - limits.min()) / (limits.max() - limits.min())

    expected = (1 - fitted.lambda_) * scaled("reconstruction_error")
    expected += fitted.lambda_ * scaled("discrimination_error")
    np.testing.assert_allclose(fitted.score(fold.test), expected, rtol=1e-9)
    assert fitted.gamma == 0.0


def test_gamma_grid_scores_by_equation_7(fold):
    fitted = fit("gamma_grid", "chi_mode", fold.for_fitting())

    def scaled(read):
        limits = read(fold.validation)
        return (read(fold.test) - limits.min()) / (limits.max() - limits.min())

    r = scaled(lambda split: split.values["reconstruction_error"].astype(np.float64))
    d = scaled(lambda split: split.values["discrimination_error"].astype(np.float64))
    latent = scaled(lambda split: abs(split.values["latent_norm"].astype(np.float64) - 5**0.5))
    assert fitted.lambda_ + fitted.gamma <= 1 + 1e-15
    expected = (1 - fitted.lambda_ - fitted.gamma) * r + fitted.lambda_ * d + fitted.gamma * latent
    np.testing.assert_allclose(fitted.score(fold.test), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("name", ["reconstruction", "discrimination", "outlier_score"])
def test_a_quantile_leaves_that_share_of_training_normals_below(name, share, fold):
    settings = ScoreSettings(quantile=share)
    fitted = fit(f"{name}_quantile", "", fold.for_fitting(), settings)
    called = fitted.predict(fitted.score(fold.training))
    assert called.sum() == round((1 - share) * len(fold.training))


def test_a_quantile_is_of_normal_training_samples_only(fold):
    training = with_label(fold.training, np.arange(200) % 2)
    fitted = fit("reconstruction_quantile", "", FitErrors(fold.validation, training, 6))
    normals = np.sort(fold.training.values["reconstruction_error"][::2].astype(np.float64))
    assert fitted.tau == normals[94]


def test_the_weights_of_equation_7_are_said_where_they_are_fixed(fold):
    errors = fold.for_fitting()
    weights = {
        name: (fit(name, form, errors).lambda_, fit(name, form, errors).gamma)
        for name, form in [("reconstruction", ""), ("discrimination", ""), ("latent", "implicit")]
    }
    assert weights == {
        "reconstruction": (0.0, 0.0),
        "discrimination": (1.0, 0.0),
        "latent": (0.0, 1.0),
    }
    machine = fit("svm_gamma", "implicit", errors)
    assert np.isnan([machine.lambda_, machine.gamma]).all()
    assert machine.tau == 0.0


def test_a_composition_applies_where_its_components_are():
    assert applicable(["reconstruction_error"]) == ("reconstruction", "reconstruction_quantile")
    assert applicable(["outlier_score"]) == ("outlier_score", "outlier_score_quantile")
    assert applicable([]) == ()
    three = applicable(["latent_norm", "discrimination_error", "reconstruction_error"])
    assert three == tuple(name for name in COMPOSITIONS if not name.startswith("outlier"))


def test_every_model_with_an_error_has_a_composition_without_supervision():
    for component in {name for entry in COMPOSITIONS.values() for name in entry.components}:
        assert "none" in {COMPOSITIONS[name].supervision for name in applicable([component])}


def test_an_unknown_name_is_answered_with_the_valid_ones():
    with pytest.raises(RequestError, match=r"did you mean 'svm_lambda'\? valid names: recon.*svm"):
        find_composition("svm_lamda")
    with pytest.raises(RequestError, match="unknown composition 'zzz'; valid names"):
        find_composition("zzz")


def test_an_entry_that_was_not_fitted_cannot_score(fold):
    for entry in COMPOSITIONS.values():
        assert not hasattr(entry, "score")


@every
def test_labels_of_validation_are_those_of_its_scores(name, form):
    errors = random_fold(3).for_fitting()
    fitted = fit(name, form, errors)
    expected = fitted.predict(fitted.score(errors.validation))
    found = fitted.predict_validation(errors.validation)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, expected)
    assert 0 < expected.sum() < len(expected)


@pytest.mark.parametrize("name", ["svm_lambda", "svm_linear"])
@pytest.mark.parametrize("penalty", [0.01, 1.0, 1e3])
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_labels_of_validation_hold_with_ties_and_any_penalty(name, penalty, levels):
    rng = np.random.default_rng(levels)
    label = (rng.random(150) < 0.3).astype(np.int8)
    values = np.floor(levels * rng.random((2, 150)) * (1 + label)) / levels
    names = ("reconstruction_error", "discrimination_error")
    errors = FitErrors(SplitErrors(label, dict(zip(names, values, strict=True))))
    fitted = fit(name, "", errors, ScoreSettings(svm_c=penalty))
    expected = fitted.predict(fitted.score(errors.validation))
    np.testing.assert_array_equal(fitted.predict_validation(errors.validation), expected)
