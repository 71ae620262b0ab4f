"""Searches with two metrics on fitted curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import fitted_fronts
from benchmarks.fitted_folds import Expected, FittedFolds
from benchmarks.fitted_fronts import CostedSearch, Recorded, TimedFolds, searches_of
from benchmarks.hypervolume import read_searches, trials_in_turn
from benchmarks.search_cost import Race
from benchmarks.trained_folds import FoldCurve, RecordedFold
from study.config.schema import Study
from study.config.study_file import check_study, dump_study, to_yaml
from study.errors import RequestError
from study.search.rungs import FoldSchedule
from study.storage.folder import LocalFolder
from tests.study.search.searches import searching

EPOCHS, FOLDS = 4, 2
SPACE = {"model.width": {"choice": [4, 8, 16]}, "model.latent_size": {"int": [2, 12]}}
STOPPING = {"grace_epochs": 2, "reduction": 2}


def seconds_of(parameters: Mapping[str, Any]) -> float:
    return 0.1 * parameters["model.width"]


def cost_of(parameters: Mapping[str, Any]) -> float:
    return 100.0 * parameters["model.width"] ** 2 + 10 * parameters["model.latent_size"]


def study_of(stopping: Any, **search: Any) -> Study:
    study = searching(SPACE, metrics=["parameters"], stopping=stopping, **search)
    return study.model_copy(
        update={"training": study.training.model_copy(update={"epochs": EPOCHS}),
                "split": study.split.model_copy(update={"folds": FOLDS})}
    )  # fmt: skip


def with_stand_in(study: Study) -> Study:
    """The study with what stands for its further metric where nothing is trained."""
    search = study.search.model_copy(update={"metrics": (fitted_fronts.STANDS_FOR,)})
    return study.model_copy(update={"search": search})


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    """Wide networks with large z are worth more; each trial has all folds and epochs."""
    generator = np.random.default_rng(0)
    folds, costs = [], []
    for _ in range(25):
        parameters = {"model.width": int(generator.choice([4, 8, 16])),
                      "model.latent_size": int(generator.integers(2, 13))}  # fmt: skip
        worth = 0.8 + 0.01 * parameters["model.latent_size"] + 0.002 * parameters["model.width"]
        costs.append((parameters, cost_of(parameters)))
        for fold in range(FOLDS):
            values = worth + 0.01 * np.arange(EPOCHS) + 0.001 * generator.standard_normal()
            curve = FoldCurve(values.tolist(), values.tolist(), [seconds_of(parameters)] * EPOCHS)
            folds.append(RecordedFold(parameters, 0, fold, curve))
    return Recorded(folds, costs)


def test_what_is_expected_of_settings_is_what_was_recorded_there(recorded: Recorded) -> None:
    study = study_of(STOPPING)
    costs = Expected(study, recorded.costs)
    for width in (4, 8, 16):
        parameters = {"model.width": width, "model.latent_size": 7}
        assert costs.at(parameters) == pytest.approx(cost_of(parameters), rel=0.05)


def test_trials_are_paid_for_and_measured_by_their_settings(
    recorded: Recorded, tmp_path: Path
) -> None:
    study = with_stand_in(study_of(STOPPING).model_copy(update={"seed": 3}))
    taken = [(fold.parameters, fold.curve.seconds[0]) for fold in recorded.folds]
    seconds, costs = Expected(study, taken), Expected(study, recorded.costs)
    curves = TimedFolds(FittedFolds(recorded.folds, study), 3, seconds)
    search = CostedSearch(study, tmp_path, seconds, costs)
    race = Race(search, FoldSchedule.of(study), EPOCHS, curves, 1, 60.0)
    race.run()
    records = search.ledger.trials()
    assert {record.state for record in records} == {"completed", "pruned"}
    paid = 0.0
    for record in records:
        parameters = record.parameters
        assert record.objectives == {fitted_fronts.STANDS_FOR: costs.at(parameters)}
        paid += FOLDS * record.values[-1][0] * seconds.at(parameters)
    spent = trials_in_turn(search.ledger, study.search.metrics)
    assert spent[-1].seconds == pytest.approx(paid) == pytest.approx(race.spent)
    assert [s.losses is None for s in spent] == [r.state == "pruned" for r in records]


def test_expected_seconds_do_not_heed_when_a_search_ran(recorded: Recorded, tmp_path: Path) -> None:
    """One of two searches ran on a machine of half the speed."""
    costs, folders = Expected(study_of(None), recorded.costs), []
    for speed in (1.0, 2.0):
        study = with_stand_in(study_of(None))
        taken = [(f.parameters, speed * seconds_of(f.parameters)) for f in recorded.folds]
        seconds, folder = Expected(study, taken), tmp_path / str(speed)
        LocalFolder(folder).write("study.yaml", to_yaml(dump_study(study)).encode())
        curves = TimedFolds(FittedFolds(recorded.folds, study), 0, seconds)
        search = CostedSearch(study, folder, seconds, costs)
        Race(search, FoldSchedule.of(study), EPOCHS, curves, 1, 60.0 * speed).run()
        folders.append(folder)
    fast, slow = (spent[-1].seconds for spent in read_searches(folders).values())
    assert slow == pytest.approx(2 * fast, rel=0.02)
    fast, slow = (spent[-1].seconds for spent in read_searches(folders, expected=True).values())
    assert slow == pytest.approx(fast, rel=0.02)


def test_both_searches_are_the_first_studys_with_and_without_the_stops(tmp_path: Path) -> None:
    for name, stopping in (("a", None), ("b", STOPPING)):
        content = {"name": name, "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"},
                   "search": {"space": SPACE, "metrics": ["bytes"], "stopping": stopping,
                              "startup_trials": 7 if stopping else 5}}  # fmt: skip
        text = to_yaml(dump_study(check_study(content, name)))
        LocalFolder(tmp_path / name).write("study.yaml", text.encode())
    studies = searches_of([tmp_path / "a", tmp_path / "b"])
    assert [bool(study.search.stopping) for study in studies.values()] == [True, False]
    assert {study.search.startup_trials for study in studies.values()} == {5}
    with pytest.raises(RequestError, match=r"search\.stopping"):
        searches_of([tmp_path / "a"])


def test_hypervolumes_are_of_pairs_of_one_seed(recorded: Recorded) -> None:
    studies = {}
    for name, stopping in (("with stops", STOPPING), ("without", None)):
        studies[name] = with_stand_in(study_of(stopping, trials=1000))
    results = fitted_fronts.measure(studies, recorded, seeds=2, slots=2, seconds=40.0)
    assert len(results) == 2
    assert results[0] != results[1]
    for result in results:
        for volumes in result.values():
            assert [v for _, v in volumes] == sorted(v for _, v in volumes)
            assert volumes[-1][1] > 0
