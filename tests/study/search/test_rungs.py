import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import StoppingSettings
from study.config.study_file import load_study
from study.search.rungs import FoldSchedule, rungs
from tests.study.trials import trial_of


@pytest.mark.parametrize(
    ("grace", "reduction", "epochs", "expected"),
    [
        (10, 3, 500, (10, 30, 90, 270)),
        (1, 2, 8, (1, 2, 4)),
        (1, 2, 9, (1, 2, 4, 8)),
        (6, 2, 12, (6,)),
        (12, 2, 12, ()),
        (40, 4, 12, ()),
    ],
)
def test_rungs_are_multiples_of_grace_below_the_last_epoch(
    grace: int, reduction: int, epochs: int, expected: tuple[int, ...]
) -> None:
    assert rungs(StoppingSettings(grace_epochs=grace, reduction=reduction), epochs) == expected


@given(st.integers(1, 10**6))
def test_without_early_stops_there_are_no_rungs(epochs: int) -> None:
    assert rungs(None, epochs) == ()


@st.composite
def schedules(draw: st.DrawFn) -> FoldSchedule:
    all_folds = draw(st.integers(1, 8))
    at = sorted(draw(st.sets(st.integers(1, 60), max_size=6)))
    folds = sorted(draw(st.lists(st.integers(1, all_folds), max_size=8)))
    return FoldSchedule(all_folds, tuple(at), tuple(folds))


@given(schedules())
def test_folds_come_where_rungs_are_passed_and_are_never_fewer(schedule: FoldSchedule) -> None:
    """A trial is walked through epoch by epoch; the schedule is asked for each by itself."""
    named = dict(zip(schedule.rungs, schedule.at_rungs, strict=False))
    has = schedule.after(0)
    for epoch in range(1, 70):
        rung = next((rung for rung in schedule.rungs if rung >= epoch), None)
        assert schedule.at(epoch) == has == named.get(rung, schedule.all_folds)
        assert (schedule.some_at(epoch) or schedule.all_folds) == has
        if epoch in schedule.rungs:
            assert schedule.after(epoch) >= has
            has = schedule.after(epoch)
    assert has == schedule.all_folds
    assert schedule.is_raced == (schedule.after(0) < schedule.all_folds)


def test_a_studys_schedule_has_its_rungs_and_folds() -> None:
    stopping = {"grace_epochs": 2, "reduction": 2, "folds": [1, 3]}
    study = load_study("wafer", [f"search.stopping={stopping}", "training.epochs=20"])
    schedule = FoldSchedule.of(study)
    assert [schedule.at(epoch) for epoch in (1, 2, 3, 4, 5, 8, 16, 20)] == [1, 1, 3, 3, 5, 5, 5, 5]
    best = trial_of(study, 0)
    assert schedule.at_start(best) == 1
    assert schedule.at_start(trial_of(study, 0, is_repetition=True)) == 5


def test_what_comes_to_no_rung_has_all_its_folds_from_the_start() -> None:
    """A model that is fitted once, in a search that includes networks, has one epoch."""
    stopping = {"grace_epochs": 2, "reduction": 2, "folds": [1]}
    study = load_study("wafer", [f"search.stopping={stopping}", "training.epochs=6"])
    schedule = FoldSchedule.of(study)
    network, fitted_once = trial_of(study, 0), trial_of(study, 1, {"model.name": "pca"})
    assert [schedule.races(trial) for trial in (network, fitted_once)] == [True, False]
    assert [schedule.at_start(trial) for trial in (network, fitted_once)] == [1, 5]
    earlier = FoldSchedule(5, (1, 2), (1,))  # it ends at that rung, and does not wait there
    assert [earlier.at_start(trial) for trial in (network, fitted_once)] == [1, 5]


def test_comparisons_are_between_rungs_and_folds_wait_at_both() -> None:
    stopping = {"grace_epochs": 4, "reduction": 2, "paired": {"interval": 3}}
    study = load_study("wafer", [f"search.stopping={stopping}", "training.epochs=20"])
    schedule = FoldSchedule.of(study)
    assert schedule.rungs == (4, 8, 16)
    assert schedule.checks == (7, 10, 13, 19)
    assert schedule.waits == (4, 7, 8, 10, 13, 16, 19)


@pytest.mark.parametrize("folds", [[], [5], [5, 5, 5]])
def test_with_all_folds_from_the_start_nothing_is_raced(folds: list[int]) -> None:
    study = load_study("wafer", [f"search.stopping.folds={folds}"])
    schedule = FoldSchedule.of(study)
    assert not schedule.is_raced
    assert {schedule.some_at(epoch) for epoch in range(1, study.training.epochs + 1)} == {None}
