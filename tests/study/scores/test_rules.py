import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import f1_score
from sklearn.svm import SVC

from study.errors import RequestError
from study.scores.components import FitErrors, FoldErrors, SplitErrors
from study.scores.evaluation import evaluate_fold
from study.scores.rules import applicable, compositions_of, find_composition
from study.scores.settings import ScoreSettings
from study.scores.thresholds import best_threshold, normal_weight

from .conftest import random_fold

R, D, OUTLIER = "reconstruction_error", "discrimination_error", "outlier_score"


def settings_of(**own):
    return ScoreSettings(lambda_steps=20, gamma_steps=8, compositions={"own": own})


def fitted(fold, **own):
    settings = settings_of(**own)
    return find_composition("own", settings).fit(fold.for_fitting(), settings, "")


def unlabelled(fold):
    """The same errors, with no sample of validation abnormal."""
    zeros = np.zeros(len(fold.validation), np.int8)
    return FitErrors(SplitErrors(zeros, fold.validation.values), fold.training, 6)


def test_one_stated_threshold_is_tau_and_decides_as_stated(fold):
    own = fitted(fold, components=[R], rule="fixed", thresholds=[0.03])
    assert (own.tau, own.supervision) == (0.03, "none")
    values = fold.test.values[R].astype(np.float64)
    np.testing.assert_array_equal(own.score(fold.test), values)
    np.testing.assert_array_equal(own.predict(own.score(fold.test)), values > 0.03)


def test_of_several_stated_thresholds_any_decides(fold):
    own = fitted(fold, components=[R, D], rule="fixed", thresholds=[0.05, 25.0])
    r, d = (fold.test.values[name].astype(np.float64) for name in (R, D))
    np.testing.assert_array_equal(own.predict(own.score(fold.test)), (r > 0.05) | (d > 25.0))
    np.testing.assert_allclose(own.score(fold.test), np.maximum(r / 0.05, d / 25.0))


def test_the_most_unusual_component_leaves_the_quantile_of_normals_below(fold):
    own = fitted(fold, components=[R, D, OUTLIER], rule="quantile")
    normals, parts = len(fold.training), []
    for name in (R, D, OUTLIER):
        rising = np.sort(fold.training.values[name].astype(np.float64))
        low, high = rising[normals // 2 - 1], rising[int(0.95 * normals) - 1]
        parts.append((fold.test.values[name].astype(np.float64) - low) / (high - low))
    np.testing.assert_allclose(own.score(fold.test), np.max(parts, axis=0), rtol=1e-9)
    assert own.predict(own.score(fold.training)).sum() == 0.05 * normals
    settings = settings_of(components=[R, D, OUTLIER], rule="quantile")
    other = find_composition("own", settings).fit(unlabelled(fold), settings, "")
    assert other.tau == own.tau


def test_a_component_that_most_normals_have_one_value_of_has_no_scale(fold):
    """All anomalies have 5 of it, 98 % of normals 0: left out, they would pass unseen."""

    def with_count(split):
        count = np.where(split.label == 1, 5.0, np.arange(len(split)) % 50 == 0)
        return SplitErrors(split.label, {R: split.values[R], "count": count})

    parts = (with_count(each) for each in (fold.training, fold.validation, fold.test))
    counted = FoldErrors(*parts, fold.latent_size)
    settings = settings_of(components=[R, "count"], rule="quantile")
    (row,) = evaluate_fold(counted, settings, ["own"])
    assert row.note == (
        "fit: the median and the 0.95 quantile of normals must differ, found one value of count"
    )
    assert np.isnan(row.f1_weighted)


def test_weights_of_two_components_are_the_best_of_the_grid(fold):
    from sklearn.metrics import f1_score

    own = fitted(fold, components=[D, OUTLIER], rule="threshold")
    label, scaled = fold.validation.label, []
    for name in (D, OUTLIER):
        values = fold.validation.values[name].astype(np.float64)
        scaled.append((values - values.min()) / np.ptp(values))
    reached = f1_score(
        label, own.predict(own.score(fold.validation)), average="weighted", zero_division=0
    )
    every = [
        f1_score(label, score > tau, average="weighted", zero_division=0)
        for weight in np.arange(11) / 10
        for score in [(1 - weight) * scaled[0] + weight * scaled[1]]
        for tau in np.sort(score)[::9]
    ]
    assert reached >= max(every)
    assert np.isnan(own.gamma), "there is no third component"


def test_a_machine_is_scikit_learns_on_the_scaled_components(fold):
    own = fitted(fold, components=[OUTLIER, R], rule="svm")

    def matrix(split):
        columns = []
        for name in (OUTLIER, R):
            limits = fold.validation.values[name].astype(np.float64)
            columns.append((split.values[name] - limits.min()) / np.ptp(limits))
        return np.stack(columns, axis=1)

    machine = SVC().fit(matrix(fold.validation), fold.validation.label)
    expected = machine.decision_function(matrix(fold.test))
    np.testing.assert_allclose(own.score(fold.test), expected, rtol=1e-6, atol=1e-8)


def test_own_compositions_have_rows_after_those_of_the_table_where_their_components_are(fold):
    settings = settings_of(components=[R, D], rule="svm_linear")
    names = list(dict.fromkeys(row.composition for row in evaluate_fold(fold, settings)))
    assert names == list(compositions_of(settings))
    assert names[-1] == "own"
    assert applicable([R], settings) == ("reconstruction", "reconstruction_quantile")
    own, linear = (row for row in evaluate_fold(fold, settings, ["own", "svm_linear"]))
    assert (own.f1_weighted, own.auroc) == (linear.f1_weighted, linear.auroc)


def test_own_names_are_among_the_valid_ones():
    with pytest.raises(RequestError, match=r"valid names: .*outlier_score_quantile, own$"):
        find_composition("zzz", settings_of(components=[R], rule="svm"))


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"components": [], "rule": "svm"}, "at least 1"),
        ({"components": [R, R], "rule": "svm"}, "must differ"),
        (
            {"components": [R, D, OUTLIER, "pause"], "rule": "threshold"},
            "at most 3 components, found 4",
        ),
        ({"components": [R], "rule": "fixed"}, "thresholds belong to rule fixed"),
        ({"components": [R], "rule": "svm", "thresholds": [1.0]}, "thresholds belong"),
        ({"components": [R, D], "rule": "fixed", "thresholds": [1.0]}, "each of 2.*found 1"),
        ({"components": [R, D], "rule": "fixed", "thresholds": [1.0, 0.0]}, "above 0"),
        ({"components": [R], "rule": "median"}, "quantile"),
        ({"components": ["R(x)"], "rule": "svm"}, "pattern"),
    ],
)
def test_a_rule_that_does_not_fit_its_components_is_refused(own, message):
    with pytest.raises(ValidationError, match=message):
        settings_of(**own)


def test_defaults_are_not_written_down():
    """So that tables and hashes of studies that leave them alone stay as they are."""
    before = {
        "latent_distance", "quantile", "lambda_steps", "gamma_steps", "svm_solver",
        "svm_nystroem_from", "svm_c", "svm_gamma",
    }  # fmt: skip
    assert set(ScoreSettings().model_dump(mode="json")) == before
    changed = ScoreSettings(
        scale="log",
        prevalence=0.05,
        reference="record",
        compositions={"own": {"components": [R], "rule": "svm"}},
    )
    written = changed.model_dump(mode="json")
    assert {"scale", "prevalence", "reference", "compositions"} == set(written) - before
    assert ScoreSettings.model_validate(written) == changed


def test_a_fold_without_the_component_has_no_row_of_it():
    fold = random_fold(3)
    settings = settings_of(components=["prematurity"], rule="fixed", thresholds=[0.15])
    assert "own" not in {row.composition for row in evaluate_fold(fold, settings)}
    (row,) = evaluate_fold(fold, settings, ["own"])
    assert row.note == "test: prematurity is needed, found " + ", ".join(fold.test.values)


def beats(random, count, outliers):
    """Beats of which the early ones are abnormal, and some after a signal that failed."""
    label = (random.random(count) < 0.15).astype(np.int8)
    interval = np.where(label == 1, 0.72, 1.0) * np.exp(random.normal(0, 0.05, count))
    after = np.exp(random.normal(0, 0.05, count))
    interval[:outliers], after[:outliers], label[:outliers] = 97.0, 108.0, 0
    return SplitErrors(label, {"prematurity": 1 - interval, "pause": after - 1})


@pytest.mark.parametrize("scale", ["min_max", "log"])
@pytest.mark.parametrize("rule", ["svm", "svm_linear", "threshold"])
def test_a_few_lost_beats_do_not_take_away_what_prematurity_tells(rule, scale):
    """scikit-learn's SVC, on the logarithms of intervals without any outlier, decides the same."""
    random = np.random.default_rng(11)
    settings = ScoreSettings(
        scale=scale, compositions={"own": {"components": ["prematurity", "pause"], "rule": rule}}
    )
    validation, test = beats(random, 1200, outliers=3), beats(random, 1200, outliers=0)
    own = find_composition("own", settings).fit(FitErrors(validation), settings, "")

    def intervals(split, first=0):
        rows = [1 - split.values["prematurity"][first:], 1 + split.values["pause"][first:]]
        return np.log(np.stack(rows, axis=1))

    machine = SVC(kernel="rbf").fit(intervals(validation, 3), validation.label[3:])
    expected = machine.predict(intervals(test))
    assert np.mean(own.predict(own.score(test)) == expected) > 0.985
    assert np.mean(own.predict(own.score(test)) == test.label) > 0.985


def test_octaves_move_no_threshold_of_a_single_interval():
    random = np.random.default_rng(12)
    validation, test = beats(random, 400, outliers=3), beats(random, 400, outliers=3)
    settings = settings_of(components=["prematurity"], rule="threshold")
    own = find_composition("own", settings).fit(FitErrors(validation), settings, "")
    tau = best_threshold(validation.values["prematurity"], validation.label).tau
    np.testing.assert_array_equal(own.predict(own.score(test)), test.values["prematurity"] > tau)


@pytest.mark.parametrize("name", ["reconstruction", "lambda_grid"])
def test_a_stated_prevalence_decides_thresholds_and_weights(name, fold):
    plain, own = (
        find_composition(name).fit(fold.for_fitting(), ScoreSettings(prevalence=share), "")
        for share in (None, 0.02)
    )
    label = fold.validation.label
    weight = np.where(label == 1, 1.0, normal_weight(label, 0.02))

    def weighted_f1(predicted):
        return f1_score(label, predicted, average="weighted", sample_weight=weight, zero_division=0)

    score = own.score(fold.validation)
    reached = weighted_f1(own.predict(score))
    assert reached >= max(weighted_f1(score > tau) for tau in score) - 1e-12
    assert reached > weighted_f1(plain.predict(plain.score(fold.validation)))
