import dataclasses

import numpy as np
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef

from study.errors import RequestError
from study.scores.components import FitErrors, FoldErrors, SplitErrors
from study.scores.compositions import COMPOSITIONS
from study.scores.evaluation import evaluate_fold, fit_on_validation, needs_training
from study.scores.metrics import compute_metrics
from study.scores.settings import LATENT_FORMS, METRIC_NAMES, ScoreSettings

from .conftest import with_label

SETTINGS = ScoreSettings(lambda_steps=15, gamma_steps=8)
EXPECTED = [
    (name, form)
    for name, entry in COMPOSITIONS.items()
    for form in (LATENT_FORMS if entry.uses_latent else ("",))
]


def only(split, *names):
    return SplitErrors(split.label, {name: split.values[name] for name in names})


def without_samples(split):
    return SplitErrors(split.label[:0], {name: v[:0] for name, v in split.values.items()})


def measured(row):
    return np.array([getattr(row, name) for name in METRIC_NAMES])


def test_there_is_a_row_per_composition_and_latent_form_in_table_order(fold):
    rows = evaluate_fold(fold, SETTINGS)
    assert [(row.composition, row.latent_form) for row in rows] == EXPECTED
    assert {row.note for row in rows} == {""}
    assert np.isfinite([measured(row) for row in rows]).all()


def test_the_rows_are_those_of_a_fit_by_hand(fold):
    for row in evaluate_fold(fold, SETTINGS):
        entry = COMPOSITIONS[row.composition]
        fitted = entry.fit(fold.for_fitting(), SETTINGS, row.latent_form)
        score = fitted.score(fold.test)
        metrics = compute_metrics(fold.test.label, score, fitted.predict(score))
        found = dataclasses.asdict(row)
        assert {name: found[name] for name in dataclasses.asdict(metrics)} == pytest.approx(
            dataclasses.asdict(metrics)
        )
        np.testing.assert_equal(
            (row.lambda_, row.gamma, row.tau, row.supervision),
            (fitted.lambda_, fitted.gamma, fitted.tau, entry.supervision),
        )
        prediction = fitted.predict(fitted.score(fold.validation))
        assert row.validation_f1_weighted == pytest.approx(
            f1_score(fold.validation.label, prediction, average="weighted")
        )


def test_test_labels_change_nothing_but_metrics(fold):
    label = np.random.default_rng(5).permutation(fold.test.label)
    shuffled = dataclasses.replace(fold, test=with_label(fold.test, label))
    for one, two in zip(
        evaluate_fold(fold, SETTINGS), evaluate_fold(shuffled, SETTINGS), strict=True
    ):
        kept = ("composition", "latent_form", "lambda_", "gamma", "tau", "validation_f1_weighted")
        np.testing.assert_equal(
            [getattr(one, name) for name in kept], [getattr(two, name) for name in kept]
        )
        assert one.auroc != two.auroc


@pytest.mark.parametrize("solver", ["exact", "nystroem"])
def test_rows_say_which_solver_fitted_their_machine(solver, fold):
    for row in evaluate_fold(fold, SETTINGS.model_copy(update={"svm_solver": solver})):
        assert row.svm_solver == (solver if row.composition.startswith("svm") else "")
        assert row.note == ""


def test_a_machine_that_does_not_converge_has_a_note(fold, monkeypatch):
    monkeypatch.setattr("study.scores.nystroem._NEWTON_STEPS", 1)
    fast = SETTINGS.model_copy(update={"svm_solver": "nystroem"})
    (row,) = evaluate_fold(fold, fast, ["svm_lambda"])
    assert row.note.startswith("fit: the support vector machine did not converge in 1 steps")
    assert (row.svm_solver, np.isfinite(measured(row)).any()) == ("nystroem", False)


def test_named_compositions_come_in_the_order_of_the_request(fold):
    rows = evaluate_fold(fold, SETTINGS, ["svm_linear", "latent"])
    assert [row.composition for row in rows] == ["svm_linear", "latent", "latent", "latent"]


def test_an_unknown_composition_is_a_wrong_request(fold):
    with pytest.raises(RequestError, match="did you mean 'latent'"):
        evaluate_fold(fold, SETTINGS, ["latnet"])


def test_a_composition_that_does_not_apply_has_a_note(fold):
    less = FoldErrors(
        *(only(s, "reconstruction_error") for s in (fold.training, fold.validation, fold.test)),
        latent_size=None,
    )
    (row,) = evaluate_fold(less, SETTINGS, ["svm_lambda"])
    assert row.note == "fit: discrimination_error is needed, found reconstruction_error"
    assert np.isnan(measured(row)).all()
    assert np.isnan([row.tau, row.validation_f1_weighted]).all()
    assert (row.num_samples, row.supervision) == (len(fold.test), "svm")


def test_without_a_latent_size_only_chi_mode_has_no_numbers(fold):
    rows = evaluate_fold(dataclasses.replace(fold, latent_size=None), SETTINGS, ["latent"])
    assert [bool(row.note) for row in rows] == [False, True, False]


def test_validation_of_one_class_leaves_only_what_needs_no_labels(fold):
    validation = with_label(fold.validation, np.zeros(len(fold.validation)))
    for row in evaluate_fold(dataclasses.replace(fold, validation=validation), SETTINGS):
        assert (row.note == "") == (row.supervision == "none")
        assert np.isfinite(measured(row)).all() == (row.supervision == "none")


def test_test_errors_that_are_not_finite_have_a_note_and_keep_the_fit(fold):
    values = dict(fold.test.values)
    values["reconstruction_error"] = np.full(len(fold.test), np.inf)
    broken = dataclasses.replace(fold, test=SplitErrors(fold.test.label, values))
    (row,) = evaluate_fold(broken, SETTINGS, ["lambda_grid"])
    assert row.note == "test: 180 of 180 values of reconstruction_error are not finite"
    assert np.isnan(measured(row)).all()
    assert np.isfinite([row.lambda_, row.tau, row.validation_f1_weighted]).all()


@pytest.mark.parametrize("split", ["training", "validation", "test"])
def test_a_split_without_samples_is_never_a_crash(split, fold):
    empty = dataclasses.replace(fold, **{split: without_samples(getattr(fold, split))})
    rows = evaluate_fold(empty, SETTINGS)
    lost = {row.composition for row in rows if row.note}
    if split == "training":
        assert "reconstruction_quantile" in lost
        assert "svm_lambda" not in lost
    elif split == "validation":
        assert lost == {name for name, entry in COMPOSITIONS.items() if entry.supervision != "none"}
    else:
        assert lost == set(COMPOSITIONS)


@pytest.mark.parametrize(("name", "form"), EXPECTED)
def test_validation_metrics_are_those_of_the_fit_on_validation(name, form, fold):
    fitted = COMPOSITIONS[name].fit(fold.for_fitting(), SETTINGS, form)
    prediction = fitted.predict(fitted.score(fold.validation))
    found = fit_on_validation(fold.for_fitting(), name, SETTINGS, form or "implicit").metrics
    label = fold.validation.label
    assert found.f1_weighted == pytest.approx(f1_score(label, prediction, average="weighted"))
    assert found.phi == pytest.approx(matthews_corrcoef(label, prediction))


@pytest.mark.parametrize(("name", "form"), EXPECTED)
@pytest.mark.parametrize("value", [0, 1])
def test_validation_metrics_of_one_class_are_nan(name, form, value, fold):
    one = with_label(fold.validation, np.full(len(fold.validation), value))
    errors = dataclasses.replace(fold.for_fitting(), validation=one)
    assert np.isnan(fit_on_validation(errors, name, SETTINGS, form or "implicit").metrics.phi)


@pytest.mark.parametrize(("name", "form"), EXPECTED)
@pytest.mark.parametrize("scale", [1e-320, 1e300, 0.0])
def test_extreme_but_finite_errors_have_metrics(name, form, scale, fold):
    def scaled(split):
        values = {k: v.astype(np.float64) * scale for k, v in split.values.items()}
        return SplitErrors(split.label, values)

    errors = FitErrors(scaled(fold.validation), scaled(fold.training), 6)
    found = fit_on_validation(errors, name, SETTINGS, form or "implicit").metrics
    assert 0.0 <= found.f1_weighted <= 1.0


def test_errors_that_are_not_finite_have_metrics_that_are_nan(fold):
    values = {"reconstruction_error": np.full(len(fold.validation), np.nan)}
    broken = FitErrors(SplitErrors(fold.validation.label, values))
    assert np.isnan(fit_on_validation(broken, "reconstruction", SETTINGS).metrics.phi)


@pytest.mark.parametrize(
    ("name", "form", "reason"),
    [
        ("recon", "implicit", "unknown composition 'recon'"),
        ("svm_gamma", "chi_mode", "needs the latent size"),
        ("svm_gamma", "empirical_mode", "needs training errors"),
        ("latent_quantile", "implicit", "needs training errors"),
    ],
)
def test_metrics_that_cannot_be_asked_for_are_a_wrong_request(name, form, reason, fold):
    with pytest.raises(RequestError, match=reason):
        fit_on_validation(FitErrors(fold.validation), name, SETTINGS, form)


@pytest.mark.parametrize(("name", "form"), EXPECTED)
def test_what_needs_training_cannot_be_fitted_without_it(name, form, fold):
    errors = dataclasses.replace(fold.for_fitting(), training=None)
    if needs_training(name, SETTINGS, form or "implicit"):
        with pytest.raises(RequestError, match="needs training errors"):
            fit_on_validation(errors, name, SETTINGS, form or "implicit")
    else:
        found = fit_on_validation(errors, name, SETTINGS, form or "implicit").metrics
        assert np.isfinite(found.f1_weighted)


def test_a_composition_of_another_model_is_a_wrong_request(fold):
    split = only(fold.validation, "outlier_score")
    with pytest.raises(RequestError, match=r"needs reconstruction_error, .* allow: outlier_score"):
        fit_on_validation(FitErrors(split), "svm_lambda", SETTINGS)


def test_many_samples_are_fitted_on_landmarks_while_a_fold_trains(fold):
    """Above the number that is set; exactly where landmarks do not do, as with any C."""

    def fitted(solver, **settings):
        chosen = SETTINGS.model_copy(update={"svm_solver": solver, **settings})
        return fit_on_validation(fold.for_fitting(), "svm_gamma", chosen).metrics

    many = len(fold.validation)
    exact, near = fitted("exact", svm_nystroem_from=None), fitted("nystroem")
    assert fitted("exact", svm_nystroem_from=many + 1) == exact
    assert fitted("exact", svm_nystroem_from=many) == near != exact
    hard = {"svm_c": 1e20}
    assert np.isnan(fitted("nystroem", **hard).phi)
    again = fitted("exact", svm_nystroem_from=many, **hard)
    assert again == fitted("exact", svm_nystroem_from=None, **hard)


def test_a_fold_that_trains_holds_normals_out_one_by_one_where_its_patients_are_too_few(fold):
    by_patient = SETTINGS.model_copy(update={"quantile_of": "held_out_patients", "quantile": 0.9})
    errors = fold.for_fitting()
    patient = np.where(np.arange(len(errors.validation)) % 2, "one", "other")
    few = SplitErrors(errors.validation.label, errors.validation.values, patient)
    (refused,) = evaluate_fold(
        dataclasses.replace(fold, validation=few), by_patient, ["reconstruction_quantile"]
    )
    assert "normals of 2 patients allow no quantile above" in refused.note
    score = few.values["reconstruction_error"].astype(np.float64)
    tau = np.sort(score[few.label == 0])[int(np.ceil(121 * 0.9)) - 1]  # of 120 and a new one
    fitted = fit_on_validation(
        dataclasses.replace(errors, validation=few), "reconstruction_quantile", by_patient
    )
    expected = f1_score(few.label, score > tau, average="weighted")
    assert fitted.metrics.f1_weighted == pytest.approx(expected)
    assert fitted.note == ""
