"""Searches in virtual time: what is counted, and that the real parts play their whole part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.learning_curves import CurveTable, LearningCurve, curve_study
from benchmarks.occupancy import OurSearch, StockSearch, play
from study.ledger.ledger import Ledger
from study.search.rungs import rungs
from study.storage.folder import LocalFolder

STUDY = curve_study("search.trials=12", "split.folds=1")


class Listed:
    """Proposes trials that take as many seconds an epoch as is listed; stops some at an epoch."""

    name = "listed"

    def __init__(self, seconds: list[float], stops: dict[str, int]) -> None:
        self.seconds, self.stops = iter(seconds), stops
        self.ended: list[str] = []

    def propose(self, name: str) -> Mapping[str, Any] | None:
        seconds = next(self.seconds, None)
        return None if seconds is None else {"seconds": seconds}

    def goes_on(self, name: str, epoch: int, value: float) -> bool:
        return self.stops.get(name) != epoch

    def end(self, name: str, folds: Sequence[Sequence[float]] = ()) -> None:
        self.ended.append(name)


class Even:
    """Curves of which every epoch takes a trial's seconds."""

    def at(self, parameters: Mapping[str, Any]) -> tuple[list[float], list[float]]:
        return [0.5, 0.75], [parameters["seconds"]] * 2


def test_slots_are_counted_as_they_are_on_a_clock() -> None:
    """Two slots: a has 0 to 6, b 0 to 2, c stops at 3 (of 2 to 4), d has 3 to 11."""
    search = Listed([3.0, 1.0, 1.0, 4.0], {"trial-2": 1})
    schedule = play(search, 2, Even(), 2)
    assert search.ended == ["trial-1", "trial-2", "trial-0", "trial-3"]
    assert (schedule.makespan, schedule.epochs, schedule.best) == (11.0, 7, 0.75)
    assert schedule.occupancy == pytest.approx((6 + 2 + 1 + 8) / 22)
    assert schedule.filled == 1.0
    assert schedule.bound == pytest.approx(17 / (2 * 8.5))


def curve(beta: float, value: float) -> LearningCurve:
    others = {
        "model.latent_size": 2,
        "training.discriminator_updates": 1,
        "training.optimizer.learning_rate": 1e-4,
    }
    return LearningCurve({"model.beta": beta, **others}, [value] * 12, [1.0] * 12)


def test_curves_are_those_recorded_and_between_them_in_between() -> None:
    curves = [curve(1e-6, 0.2), curve(1e-4, 0.4), curve(1e-1, 0.8)]
    table = CurveTable(curves, STUDY)
    values, seconds = table.at(curves[1].parameters)
    assert values == pytest.approx([0.4] * 12)
    assert seconds == pytest.approx([1.0] * 12)
    between, _ = table.at({**curves[0].parameters, "model.beta": 1e-5})
    # Logarithms: one decade from two of them, and four from the third.
    assert between[0] == pytest.approx((0.2 + 0.4 + 0.8 / 4) / (1 + 1 + 1 / 4))


def test_our_parts_end_every_trial_once_and_leave_no_slot_empty(tmp_path: Path) -> None:
    search = OurSearch(STUDY, tmp_path)
    schedule = play(search, 3, CurveTable.read(STUDY), 12)
    assert (schedule.trials, schedule.filled) == (12, pytest.approx(1.0))
    ledger = Ledger(LocalFolder(tmp_path / "ledger"))
    records = ledger.trials()
    assert sorted(record.trial.number for record in records) == list(range(12))
    assert {p.trial.name for p in ledger.proposals()} == {record.name for record in records}
    at = rungs(STUDY.search.stopping, 12)
    ends = {record.name: record.values[-1][0] for record in records}
    stopped = {d.trial: d.epoch for d in ledger.decisions() if not d.goes_on}
    assert stopped
    assert set(stopped.values()) <= set(at)
    assert ends == {record.name: stopped.get(record.name, 12) for record in records}
    assert schedule.epochs == sum(ends.values())


def test_ray_tunes_own_parts_play_the_same(tmp_path: Path) -> None:
    schedule = play(StockSearch(STUDY, tmp_path), 3, CurveTable.read(STUDY), 12)
    assert (schedule.trials, schedule.filled) == (12, pytest.approx(1.0))
    assert schedule.epochs < 12 * 12
