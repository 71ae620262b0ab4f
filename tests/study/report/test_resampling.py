"""The paired bootstrap: against SciPy's, and in simulations of which the truth is known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from scipy import stats

from study.report.paired_tests import PairedTest
from study.report.resampling import (
    FoldSamples,
    Key,
    Resampled,
    Units,
    resampled,
    units_of_patients,
    units_of_samples,
)

A, B, C = (("a", "last", "r", ""), ("b", "last", "r", ""), ("c", "last", "r", ""))


def decided(label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """`(4, n, 1)` counts of single samples."""
    sides = label == 0, label == 1
    counts = [*sides, *(side & (prediction == 1) for side in sides)]
    return np.array(counts, dtype=np.float32)[:, :, None]


def predictions(rng: np.random.Generator, label: np.ndarray, error: Any) -> np.ndarray:
    return np.where(rng.random(len(label)) < error, 1 - label, label)


def p_value(drawn: Resampled, difference: float, first: Key, second: Key) -> float:
    error = np.array([drawn.error("f1_weighted", first, second)])
    test = PairedTest.of(np.array([difference]), error, np.array([drawn.size - 1.0]))
    return float(test.p[0])


@pytest.mark.slow
def test_the_standard_error_is_that_of_scipys_bootstrap() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random(300) < 0.4).astype(int)
    one, other = (predictions(rng, label, error) for error in (0.1, 0.2))

    def statistic(*columns: np.ndarray) -> float:
        y, a, b = columns
        f1 = [sklearn.metrics.f1_score(y, each, average="weighted") for each in (a, b)]
        return float(f1[0] - f1[1])

    truth = stats.bootstrap(
        (label, one, other), statistic, paired=True, vectorized=False, n_resamples=200,
        method="percentile", rng=np.random.default_rng(1),
    )  # fmt: skip
    units = Units("sample", {A: decided(label, one), B: decided(label, other)})
    error = resampled(units, [A, B], seed=0).error("f1_weighted", A, B)
    assert error == pytest.approx(truth.standard_error, rel=0.2)


def test_draws_are_the_same_for_both_sides_and_all_folds() -> None:
    """A system less itself has no error, and a fold that is there again changes none."""
    rng = np.random.default_rng(1)
    label = (rng.random(100) < 0.4).astype(int)
    counts, other = (decided(label, predictions(rng, label, error)) for error in (0.2, 0.3))
    drawn = resampled(Units("sample", {A: counts, B: counts, C: other}), [A, B, C], seed=0)
    assert drawn.error("phi", A, B) == 0
    thrice = {A: np.repeat(counts, 3, axis=2), C: np.repeat(other, 3, axis=2)}
    again = resampled(Units("sample", thrice), [A, C], seed=0)
    assert again.error("phi", A, C) == pytest.approx(drawn.error("phi", A, C), rel=1e-12)


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    label = (rng.random(40) < 0.4).astype(int)
    counts = {key: decided(label, predictions(rng, label, 0.2)) for key in (A, B)}
    before = resampled(Units("sample", counts), [A, B], 3).drawn["phi"]
    monkeypatch.setattr("study.report.resampling._VALUES_AT_ONCE", 130)
    after = resampled(Units("sample", counts), [A, B], 3).drawn["phi"]
    assert all(np.array_equal(before[key], after[key]) for key in (A, B))


def test_an_error_is_of_the_folds_that_have_both() -> None:
    """One that decides nothing in a fold, or on no abnormal sample, has no metric there."""
    rng = np.random.default_rng(4)
    label = (rng.random(80) < 0.4).astype(int)
    one, other = (
        np.concatenate([decided(label, predictions(rng, label, error)) for _ in range(3)], axis=2)
        for error in (0.1, 0.3)
    )
    none, normals_alone = other.copy(), other.copy()
    none[:, :, 2] = 0
    normals_alone[[1, 3], :, 2] = 0
    both = Units("sample", {A: one[:, :, :2], B: other[:, :, :2]})
    expected = resampled(both, [A, B], seed=0)
    for part in (none, normals_alone):
        drawn = resampled(Units("sample", {A: one, B: part}), [A, B], seed=0)
        for metric in ("f1_weighted", "phi"):
            error = drawn.error(metric, A, B)
            assert error == pytest.approx(expected.error(metric, A, B), rel=1e-12)
    nowhere = resampled(Units("sample", {A: one, B: np.zeros_like(one)}), [A, B], seed=0)
    assert np.isnan(nowhere.error("phi", A, B))


def test_a_fold_of_which_nothing_is_drawn_has_no_difference() -> None:
    """Of recordings that one fold each tests, all with one difference, no draw has another."""
    recordings, folds = 6, 3
    fold = np.arange(recordings) % folds
    counts = {}
    for key, share in ((A, 0.9), (B, 0.8)):
        table = np.zeros((4, recordings, folds), dtype=np.float32)
        table[:, np.arange(recordings), fold] = np.array(
            [[50], [50], [50 * (1 - share)], [50 * share]]
        )
        counts[key] = table
    # Of the first fold's two recordings one has no abnormal sample, of the second's no normal one.
    for key in (A, B):
        counts[key][[1, 3], 0, 0] = 0
        counts[key][[0, 2], 1, 1] = 0
    drawn = resampled(Units("patient", counts), [A, B], seed=0)
    for values in drawn.drawn["f1_weighted"].values():
        assert 0 < np.isnan(values).mean() < 0.6
        assert np.nanmin(values) > 0.5
    assert drawn.error("phi", A, B) < 0.02
    for key in (A, B):
        counts[key][:, :2, :2] = 0
    assert resampled(Units("patient", counts), [A, B], seed=0).error("phi", A, B) < 1e-6


def test_what_is_unknown_or_alone_has_no_error() -> None:
    counts = decided(np.array([0, 1]), np.array([0, 1]))
    drawn = resampled(Units("sample", {A: counts}), [A, B], 0)
    assert np.isnan(drawn.error("phi", A, B))
    assert np.isnan(drawn.error("auroc", A, A))
    alone = resampled(Units("patient", {A: counts[:, :1]}), [A], 0)
    assert np.isnan(alone.error("phi", A, A))


def simulated(seed: int, worse_by: float) -> float:
    """p of a study of 20 patients, whose errors differ more from person to person than by chance.

    Two systems make mistakes of their own on the same beats; the second has more in all patients.
    """
    rng = np.random.default_rng(seed)
    patients, beats = 20, 100
    label = (rng.random((patients, beats)) < 0.3).astype(int)
    counts = {}
    means = []
    for key, more in ((A, 0.0), (B, worse_by)):
        rate = np.clip(rng.beta(2, 12, size=(patients, 1)) + more, 0, 1)
        wrong = rng.random(label.shape) < rate
        called = np.where(wrong, 1 - label, label)
        each = [label == 0, label == 1, (label == 0) & (called == 1), (label == 1) & (called == 1)]
        counts[key] = np.array([cell.sum(axis=1) for cell in each], dtype=np.float32)[:, :, None]
        means.append(sklearn.metrics.f1_score(label.ravel(), called.ravel(), average="weighted"))
    drawn = resampled(Units("patient", counts), [A, B], seed, draws=200)
    return p_value(drawn, means[0] - means[1], A, B)


@pytest.mark.slow
def test_where_nothing_differs_five_in_a_hundred_are_rejected() -> None:
    rejected = np.mean([simulated(seed, 0.0) < 0.05 for seed in range(200)])
    # Two binomial deviations about 0.05, and as much again for so few patients.
    assert 0.02 <= rejected <= 0.09


def test_what_differs_is_found() -> None:
    assert np.mean([simulated(seed, 0.12) < 0.05 for seed in range(30)]) > 0.8


def test_patients_that_a_fold_does_not_test_count_nothing_there() -> None:
    names = ("trial", "epoch_rule", "composition", "latent_form")
    rows = [
        {**dict(zip(names, A, strict=True)), "fold": fold, "stratum": stratum, "value": value,
         "normal": normal, "abnormal": 2, "false_alarms": 1, "hits": 1}
        for fold, stratum, value, normal in (
            (0, "patient", "p", 5), (0, "kind", "N", 99), (1, "patient", "p", 6),
            (1, "patient", "q", 7),
        )
    ]  # fmt: skip
    units = units_of_patients(pd.DataFrame(rows))
    assert units is not None
    assert (units.unit, units.size) == ("patient", 2)
    assert units.counts[A][0].tolist() == [[5, 6], [0, 7]]
    assert units_of_patients(pd.DataFrame(rows[1:2])) is None


def test_samples_of_several_folds_are_drawn_together() -> None:
    tested = {
        0: FoldSamples(np.array([10, 30]), np.array([0, 1], np.int8)),
        1: FoldSamples(np.array([10, 20]), np.array([0, 1], np.int8)),
    }
    names = ("trial", "epoch_rule", "composition", "latent_form")
    rows = [
        {**dict(zip(names, A, strict=True)), "fold": fold,
         "predicted": np.packbits(np.array(called, bool)).tobytes()}
        for fold, called in ((0, [1, 1]), (1, [0, 1]))
    ]  # fmt: skip
    units = units_of_samples(pd.DataFrame(rows), tested)
    assert units is not None
    assert (units.unit, units.size) == ("sample", 3)
    normal, abnormal, alarms, hits = units.counts[A]
    assert normal.tolist() == [[1, 1], [0, 0], [0, 0]]
    assert abnormal.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert alarms.tolist() == [[1, 0], [0, 0], [0, 0]]
    assert hits.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert units_of_samples(pd.DataFrame(rows[:0]), tested) is None
