"""Decisions are written down, and a driver that takes over decides as the one before."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from study.config.schema import Study
from study.ledger.ledger import Ledger
from tests.study.cluster.scheduling import CONTINUE, STOP, Run, commit_fold
from tests.study.cluster.searches import state_of
from tests.study.search.searches import searching
from tests.study.trials import record_of, trial_of


def test_a_new_driver_knows_the_rungs_of_trials_that_ended(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    study = tiny_study(search={"trials": 4})
    state = state_of(study, tmp_path)
    for number, value in ((0, 0.8), (1, 0.6)):
        record = record_of(trial_of(study, number), values=[(2, value), (4, value), (6, value)])
        state.ended[record.name] = record
    repetition = record_of(trial_of(study, 0, is_repetition=True), values=[(2, 0.99)])
    state.ended[repetition.name] = repetition
    run = Run(state, study)
    worse, between = run.start(run.trial(2)), run.start(run.trial(3))
    assert run.report(worse, 2, 0.5) == STOP
    assert run.report(between, 2, 0.7) == CONTINUE


@pytest.mark.parametrize(("state", "decision"), [("pruned", STOP), ("completed", CONTINUE)])
def test_a_trial_that_lost_a_fold_ends_as_it_had(
    state: Any, decision: str, tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    study = tiny_study(search={"trials": 4})
    search = state_of(study, tmp_path)
    best = record_of(trial_of(study, 0), values=[(2, 0.9)])
    again = record_of(trial_of(study, 1), state, [(2, 0.1)])
    search.ended[best.name], search.incomplete[again.name] = best, again
    run = Run(search, study)
    assert run.report(run.start(run.trial(1)), 2, 0.1) == decision


@pytest.mark.parametrize("folds", [[], [1]])
def test_a_damaged_decision_of_a_trial_that_ended_leaves_its_value_at_the_rung(
    folds: list[int], tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    """Where folds are raced the value is of those of the rung, not the mean that is recorded."""
    stopping = {"grace_epochs": 2, "reduction": 2, "folds": folds}
    study = tiny_study(search={"trials": 4, "stopping": stopping}, training={"epochs": 6})
    state = state_of(study, tmp_path)
    run = Run(state, study)
    trials = [run.start(run.trial(number)) for number in range(2)]
    for trial, of_folds in zip(trials, ((0.3, 0.3), (0.9, 0.1)), strict=True):
        value = of_folds[0] if folds else sum(of_folds) / 2
        for epoch, at_rung in ((2, value), (4, sum(of_folds) / 2)):
            assert run.report(trial, epoch, at_rung) == CONTINUE
            state.take(trial, {"epoch": epoch, "state": "running", "value": at_rung})
        for address, of_fold in zip(trial.folds, of_folds, strict=True):
            commit_fold(state.ledger, address, [of_fold] * 6)
        state.take(trial, {"epoch": 6, "state": "completed", "value": sum(of_folds) / 2})
        state.finalize(trial)
    before = state.ledger.decisions()
    (tmp_path / "ledger" / trials[1].name / "rung-000002.json").unlink()
    again = Run(state, study)
    new = again.start(again.trial(2))
    middle = (0.3 + (0.9 if folds else 0.5)) / 2
    assert again.report(new, 2, middle - 0.01) == STOP
    kept = [each.order for each in before if (each.trial, each.epoch) != (trials[1].name, 2)]
    assert [each.order for each in state.ledger.decisions()] == [*kept, len(before)]


def decided(run: Run) -> list[tuple[str, int, bool]]:
    return [(each.trial, each.epoch, each.goes_on) for each in run.state.ledger.decisions()]


def test_what_is_decided_is_written_down_before_it_is_sent(run: Run) -> None:
    good, bad = run.start(run.trial(0)), run.start(run.trial(1))
    written: list[int] = []
    run.messages.sent = SimpleNamespace(  # type: ignore[assignment]
        append=lambda message: written.append(len(decided(run)))
    )
    run.report(good, 2, 0.6)
    run.report(bad, 2, 0.4)
    assert written == [1, 2]
    assert decided(run) == [(good.name, 2, True), (bad.name, 2, False)]


def test_a_decision_that_cannot_be_written_down_is_not_made(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Ledger, "record_decision", full)
    assert run.report(run.start(run.trial(0)), 2, 0.6) == TrialScheduler.NOOP
    assert run.messages.sent == []
    assert [str(error) for error in run.state.errors] == ["no space"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=16),
    st.integers(0, 16),
)
def test_a_new_driver_decides_nothing_twice_and_the_rest_as_the_dead_one_would(
    reports: list[tuple[int, float]], died_after: int
) -> None:
    """Four trials report every second epoch, in any order; epochs are reported again."""
    study = searching({}, trials=4, stopping={"grace_epochs": 2, "reduction": 2})

    def play(run: Run, reached: dict[int, int], reports: list[tuple[int, float]]) -> list[str]:
        decisions = []
        for number, value in reports:
            epoch = reached.get(number, 0) + 2
            if epoch <= 6 and number not in stopped(run):
                state = "completed" if epoch == 6 else "running"
                decisions.append(run.report(run.trial(number), epoch, value, state))
                reached[number] = epoch
        return decisions

    def stopped(run: Run) -> set[int]:
        return {int(each.trial[-5:]) for each in run.state.ledger.decisions() if not each.goes_on}

    def driver(folder: str) -> Run:
        run = Run(state_of(study, Path(folder)), study)
        for number in range(4):
            run.start(run.trial(number))
        return run

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        alive, dead = driver(folder), driver(other)
        reached: dict[int, int] = {}
        before = play(dead, {}, reports[:died_after])
        assert play(alive, reached, reports[:died_after]) == before
        again = driver(other)
        values = {(each.trial, each.epoch): each for each in dead.state.ledger.decisions()}
        for (name, epoch), decision in values.items():  # resumed trials report their past
            repeated = again.report(again.trial(int(name[-5:])), epoch, decision.value)
            assert repeated == (CONTINUE if decision.goes_on else STOP)
        assert again.state.ledger.decisions() == list(values.values())
        rest = reports[died_after:]
        assert play(again, dict(reached), rest) == play(alive, dict(reached), rest)
        assert again.state.ledger.decisions() == alive.state.ledger.decisions()
