"""Searches of several folds in virtual time: what is counted is what the ledger has."""

from pathlib import Path

import pytest

from benchmarks.fold_racing import FOLDS, FoldCurves, measure, play
from benchmarks.learning_curves import CurveTable, curve_study
from study.ledger.ledger import Ledger
from study.search.rungs import FoldSchedule
from study.search.trial import best_trial
from study.storage.folder import LocalFolder

SLOTS = 7


@pytest.mark.parametrize("race", [(), (1, 2)])
def test_fold_epochs_are_those_of_the_folds_that_trials_had(
    race: tuple[int, ...], tmp_path: Path
) -> None:
    study = curve_study("search.trials=9", f"split.folds={FOLDS}", "search.sampler=random",
                        f"search.stopping.folds={list(race)}")  # fmt: skip
    curves = FoldCurves(CurveTable.read(study), 0, 0.01, 0.01)
    raced = play(study, SLOTS, curves, tmp_path)
    ledger, schedule = Ledger(LocalFolder(tmp_path / "ledger")), FoldSchedule.of(study)
    records = ledger.trials()
    assert len(records) == 9
    assert raced.winner == best_trial(records).name  # type: ignore[union-attr]
    assert raced.fold_epochs == sum(len(r.folds) * r.values[-1][0] for r in records)
    assert 0 < raced.occupancy <= 1
    for record in records:
        last = record.values[-1][0]
        expected = FOLDS if record.state == "completed" else schedule.at(last)
        assert len(record.folds) == len(ledger.committed(record.name)) == expected
    for decision in ledger.decisions():
        assert (decision.folds or FOLDS) == schedule.at(decision.epoch)


@pytest.mark.slow
def test_a_race_with_all_folds_at_every_rung_is_none() -> None:
    plain, raced = measure(6, SLOTS, (FOLDS, FOLDS), seed=1, sampler="random")
    assert vars(plain) | {"folds": ()} == vars(raced) | {"folds": ()}


@pytest.mark.slow
def test_a_race_trains_fewer_folds() -> None:
    plain, raced = measure(12, SLOTS, (1, 2), seed=0, sampler="random")
    assert raced.fold_epochs < plain.fold_epochs
