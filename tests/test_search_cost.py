"""Searches for the same CPU seconds: paid for is what was trained, and curves are kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.incumbents import Incumbent
from benchmarks.learning_curves import CurveTable, curve_study
from benchmarks.search_cost import SEARCHES, Race, build
from benchmarks.trained_folds import FoldCurve, TrainedFolds
from study.config.schema import Study
from study.config.study_file import load_study
from study.search.rungs import FoldSchedule

FOLDS, BUDGET = 5, 300.0


class DrawnFolds:
    """Recorded curves with a deviation for each fold; test is validation less 0.01."""

    def __init__(self, study: Study) -> None:
        self._table = CurveTable.read(study)
        self.trained: dict[tuple[str, int], tuple[int, float]] = {}

    def at(self, parameters: Mapping[str, Any], fold: int, epoch: int) -> FoldCurve:
        values, seconds = self._table.at(parameters)
        shifted = [value + 0.001 * fold for value in values[:epoch]]
        test = (np.maximum.accumulate(shifted) - 0.01).tolist()
        key = (str(sorted(parameters.items())), fold)
        _, before = self.trained.get(key, (0, 0.0))
        self.trained[key] = (epoch, max(before, sum(seconds[:epoch])))
        return FoldCurve(shifted, test, seconds[:epoch])

    def forget(self, parameters: Mapping[str, Any]) -> None:
        pass


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_pays_for_what_it_trains(name: str, tmp_path: Path) -> None:
    enqueued = {"model.beta": 1e-4, "model.latent_size": 4,
                "training.discriminator_updates": 3,
                "training.optimizer.learning_rate": 2e-4}  # fmt: skip
    study = curve_study("search.trials=60", f"split.folds={FOLDS}", *SEARCHES[name],
                        f"search.enqueue=[{enqueued}]".replace("'", ""))  # fmt: skip
    curves, schedule = DrawnFolds(study), FoldSchedule.of(study)
    race = Race(build(name, study, tmp_path), schedule, study.training.epochs, curves, 3, BUDGET)
    reported: list[Incumbent] = []
    incumbents = race.run(reported.append)
    assert race.spent == pytest.approx(sum(seconds for _, seconds in curves.trained.values()))
    first = next(iter(curves.trained))
    assert "('model.beta', 0.0001), ('model.latent_size', 4)" in first[0]
    one = sum(CurveTable.read(study).at(enqueued)[1]) * FOLDS
    if name == "enqueued only":
        assert race.spent == pytest.approx(one)
    else:  # three trials more than the budget at the most, each no dearer than four times that one
        assert BUDGET <= race.spent < BUDGET + 4 * 3 * one
    assert incumbents == reported
    values = [best.validation for best in incumbents]
    assert values == sorted(set(values))
    assert all(best.test == pytest.approx(best.validation - 0.01) for best in incumbents)


def test_curves_are_those_of_training_and_are_kept(tmp_path: Path) -> None:
    study = load_study(
        "quickstart", ["dataset.length=32", "dataset.beats_per_patient=12", "model.width=4"]
    )
    parameters = {"model.beta": 1e-3, "model.latent_size": 3}
    threads = torch.get_num_threads()
    trained = TrainedFolds(study, tmp_path, tmp_path / "curves.jsonl")
    first = trained.at(parameters, 1, 1)
    assert len(first.values) == 1
    longer = trained.at(parameters, 1, 3)
    assert longer.values[0] == first.values[0]
    assert len(longer.test) == len(longer.seconds) == 3
    kept = TrainedFolds(study, tmp_path, tmp_path / "curves.jsonl")
    assert kept.at(parameters, 1, 3) == longer
    trained.forget(parameters)
    again = TrainedFolds(study, tmp_path, tmp_path / "other.jsonl").at(parameters, 1, 3)
    assert (again.values, again.test) == (longer.values, longer.test)
    assert torch.get_num_threads() == threads
