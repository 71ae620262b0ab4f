"""The benchmark of recipes: what it reads, and what it draws of what was trained."""

from typing import Any

import numpy as np
import pytest

from benchmarks.recipes import COMPOSITIONS, NOTHING_SEARCHED, curve_of, draw
from study.config.study_file import load_study
from study.config.trial_config import TrialConfig


@pytest.mark.parametrize("name", ["mitbih", "new_patients", "wafer", "quickstart"])
def test_a_shipped_search_is_one_trial(name: str) -> None:
    assert TrialConfig.of(load_study(name, [*NOTHING_SEARCHED])).study == name


def line(name: str, seed: int, fold: int, epoch: int, f1: float) -> dict[str, Any]:
    scores = {composition: {"f1_weighted": f1} for composition in COMPOSITIONS}
    where = {"name": name, "seed": seed, "fold": fold, "epoch": epoch}
    return {**where, "cpu_seconds": 10.0 * epoch + fold, **scores}


def test_a_curve_has_the_mean_over_folds_of_each_seed() -> None:
    values = np.random.default_rng(0).random((2, 3, 2))  # seeds, folds, epochs
    lines = [
        line("fast", seed, fold, 2 * (epoch + 1), values[seed, fold, epoch])
        for seed, fold, epoch in np.ndindex(*values.shape)
    ]
    curve = curve_of(lines, "svm_gamma")
    assert (curve.epochs, curve.cpu_seconds) == ([2, 4], [21.0, 41.0])
    np.testing.assert_allclose(curve.f1, values.mean(axis=1))
    with pytest.raises(ValueError, match="have not ended"):
        curve_of(lines[:-1], "svm_gamma")


def test_every_recipe_is_drawn_over_epochs_and_over_seconds() -> None:
    lines = [line(name, 0, 0, epoch, 0.5) for name in ("paper", "fast") for epoch in (2, 4)]
    for axes in draw(lines, "reconstruction", 0.9).axes:
        labels = [str(each.get_label()) for each in axes.get_lines()]
        assert labels == ["paper", "fast", "the paper, 500 epochs"]
