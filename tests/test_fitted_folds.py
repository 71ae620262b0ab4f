"""Curves drawn around what is expected of folds that trained."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor

from benchmarks.fitted_folds import DrawnFolds, FittedFolds
from benchmarks.search_cost import SEARCHES, Race, build
from benchmarks.trained_folds import FoldCurve, RecordedFold
from study.config.study_file import load_study
from study.search.rungs import FoldSchedule
from study.search.sources import trial_source

EPOCHS, FOLDS = 4, 2
STUDY = load_study(
    "mitbih",
    [f"training.epochs={EPOCHS}", f"split.folds={FOLDS}", "search.stopping.grace_epochs=2",
     "search.trials=1000", "search.confirm=0"],
)  # fmt: skip
SPACE = trial_source(STUDY).space


def truth(parameters: Mapping[str, Any], fold: int) -> np.ndarray:
    """A small beta is worth more, and the second fold is easier."""
    worth = 0.8 - 0.02 * (math.log10(parameters["model.beta"]) + 4) ** 2 / 4 + 0.03 * fold
    return worth + 0.01 * np.arange(EPOCHS)


def drawn_trial(generator: np.random.Generator) -> dict[str, Any]:
    return {
        "model.beta": float(10 ** generator.uniform(-6, -1)),
        "model.latent_size": int(generator.integers(2, 65)),
        "training.discriminator_updates": int(generator.integers(1, 6)),
    }


def recorded_folds(deviation: float) -> list[RecordedFold]:
    """Forty trials of two studies; every second one was stopped after two epochs."""
    generator = np.random.default_rng(0)
    recorded = []
    for number in range(40):
        parameters, until = drawn_trial(generator), EPOCHS if number % 2 else 2
        for fold in range(FOLDS):
            values = truth(parameters, fold) + deviation * generator.standard_normal()
            curve = FoldCurve(values[:until].tolist(), values[:until].tolist(), [2.5] * until)
            recorded.append(RecordedFold(parameters, number % 4 // 2, fold, curve))
    return recorded


@pytest.fixture(scope="module")
def fitted() -> FittedFolds:
    return FittedFolds(recorded_folds(0.004), STUDY)


def test_expected_is_what_the_folds_were_drawn_around(fitted: FittedFolds) -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        parameters, fold = drawn_trial(generator), int(generator.integers(FOLDS))
        expected = fitted.expected(parameters, int(generator.integers(2)), fold)
        np.testing.assert_allclose(expected, truth(parameters, fold), atol=0.015)
    assert fitted.seconds == 2.5


def test_deviations_are_those_of_whole_folds_from_a_fit_without_them(fitted: FittedFolds) -> None:
    recorded = recorded_folds(0.004)
    whole = [each for each in recorded if len(each.curve.values) == EPOCHS]
    assert fitted.deviations.shape == (len(whole), EPOCHS)
    last = fitted._processes[-1]
    values = np.array([each.curve.values[-1] for each in whole])
    mean, scale = values.mean(), values.std()
    for left_out in (0, 7, len(whole) - 1):
        others = np.arange(len(whole)) != left_out
        alone = GaussianProcessRegressor(last.kernel_, optimizer=None)
        alone.fit(last.X_train_[others], (values[others] - mean) / scale)
        expected = alone.predict(last.X_train_[left_out][None])[0] * scale + mean
        deviation = fitted.deviations[left_out, -1]
        assert deviation == pytest.approx(values[left_out] - expected, abs=1e-6)


def test_a_drawn_fold_deviates_as_one_that_trained(fitted: FittedFolds) -> None:
    parameters = drawn_trial(np.random.default_rng(2))
    curves = [DrawnFolds(fitted, seed).at(parameters, 1, 1) for seed in (0, 0, 2)]
    assert curves[0] == curves[1]
    assert curves[0].values != curves[2].values
    assert curves[0].test == curves[2].test == fitted.expected(parameters, 0, 1).tolist()
    for curve in curves:
        deviation = np.array(curve.values) - curve.test
        distances = np.abs(fitted.deviations - deviation).max(axis=1)
        assert distances.min() == pytest.approx(0, abs=1e-12)


def test_a_search_runs_on_drawn_folds(fitted: FittedFolds, tmp_path: Path) -> None:
    schedule = FoldSchedule.of(STUDY)
    search, curves = build("study", STUDY, tmp_path), DrawnFolds(fitted, 0)
    incumbents = Race(search, schedule, EPOCHS, curves, 4, 600.0).run()
    best = max(truth({"model.beta": 1e-4}, fold)[-1] for fold in range(FOLDS))
    assert incumbents[-1].test > best - 0.03
    assert set(SEARCHES) >= {"study", "random"}
