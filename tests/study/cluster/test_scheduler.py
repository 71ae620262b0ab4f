"""Who goes on at a rung; the coordinator learns of every decision at once."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from study.cluster.scheduler import RungScheduler, StopOnError
from study.cluster.search_state import SearchState
from study.cluster.slots import Slots
from study.config.schema import BudgetSettings, StoppingSettings, Study
from study.ledger.fold_files import history_file
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.trial_outcome import split_by_completeness
from study.search.budget import Budget
from study.search.paired import p_of_no_worse
from study.search.rungs import rungs
from study.search.trial import Trial
from tests.study.cluster.searches import state_of
from tests.study.search.searches import searching
from tests.study.trials import record_of, trial_of

STOPPING = StoppingSettings(grace_epochs=2, reduction=2)
CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


class Messages:
    """A coordinator's handle, which keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: self.sent.append((name, *given)))


class Run:
    """A scheduler of a study of six epochs, with rungs at 2 and 4."""

    def __init__(self, state: SearchState, study: Study) -> None:
        self.state, self.study = state, study
        self.messages = Messages()
        self.scheduler = RungScheduler(state, STOPPING, self.messages)

    def start(self, trial: Trial) -> Trial:
        self.state.running[trial.name] = trial
        self.scheduler.on_trial_add(None, SimpleNamespace(trial_id=trial.name))
        return trial

    def report(self, trial: Trial, epoch: int, value: float, state: str = "running") -> str:
        """Return what becomes of the trial; the id that Tune gives it is here its name.

        For Tune a trial that is stopped goes on, until its folds have committed that.
        """
        result = {"epoch": epoch, "value": value, "state": state}
        tune_trial = SimpleNamespace(trial_id=trial.name)
        decision = self.scheduler.on_trial_result(None, tune_trial, result)
        is_stopped = self.state.stopped.get(trial.name) == epoch
        return STOP if is_stopped and decision == CONTINUE else decision

    def trial(self, number: int, **kept: Any) -> Trial:
        return trial_of(self.study, number, **kept)


@pytest.fixture
def run(tmp_path: Path, tiny_study: Callable[..., Study]) -> Run:
    study = tiny_study(search={"trials": 4})
    return Run(state_of(study, tmp_path), study)


@given(st.integers(1, 50), st.integers(2, 16), st.integers(1, 100_000))
def test_rungs_are_those_of_rays_scheduler(grace: int, reduction: int, more: int) -> None:
    epochs = grace + more
    theirs = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="value",
        mode="max",
        max_t=epochs,
        grace_period=grace,
        reduction_factor=reduction,
    )
    (bracket,) = theirs._brackets
    below = sorted(epoch for epoch, _ in bracket._rungs if epoch < epochs)
    assert rungs(StoppingSettings(grace_epochs=grace, reduction=reduction), epochs) == tuple(below)


def test_the_worse_half_is_stopped_at_a_rung_and_the_coordinator_learns_of_it(run: Run) -> None:
    good, bad = run.start(run.trial(0)), run.start(run.trial(1))
    assert run.report(good, 2, 0.6) == CONTINUE
    assert run.report(bad, 2, 0.4) == STOP
    assert run.messages.sent == [("promote", good.name, 2), ("stop_trial", bad.name, 2)]
    assert run.state.stopped == {bad.name: 2}


def test_a_fold_that_fails_where_its_trial_is_stopped_ends_the_trial(run: Run) -> None:
    run.report(run.start(run.trial(0)), 2, 0.6)
    bad = run.start(run.trial(1))
    assert run.report(bad, 2, 0.4) == STOP
    result = {"epoch": 2, "state": "failed", "reason": "fold 0: no"}
    assert run.scheduler.on_trial_result(None, SimpleNamespace(trial_id=bad.name), result) == STOP
    assert run.messages.sent[-1] == ("stop_trial", bad.name, None)


def test_an_interrupted_stop_is_decided_as_it_was(run: Run) -> None:
    """Though the rung has room by now, and no decision was written down then."""
    trial = run.start(run.trial(0))
    run.state.interrupted[trial.name] = 2
    assert [run.report(trial, epoch, 0.9) for epoch in (1, 2)] == [CONTINUE, STOP]
    assert run.messages.sent == [("stop_trial", trial.name, 2)]


def test_between_rungs_nobody_is_stopped_or_promoted(run: Run) -> None:
    good, bad = run.start(run.trial(0)), run.start(run.trial(1))
    for trial, value in ((good, 0.9), (bad, 0.1)):
        assert run.report(trial, 1, value) == CONTINUE
    assert run.messages.sent == []


def test_a_trial_that_is_complete_is_not_stopped(run: Run) -> None:
    good, bad = run.start(run.trial(0)), run.start(run.trial(1))
    for trial, value in ((good, 0.9), (bad, 0.1)):
        assert run.report(trial, 6, value, "completed") == CONTINUE
    assert not run.state.stopped
    assert not [sent for sent in run.messages.sent if sent[0] == "stop_trial"]


def test_a_failed_trial_is_stopped_at_no_rung(run: Run) -> None:
    trial = run.start(run.trial(0))
    result = {"epoch": 2, "state": "failed", "reason": "fold 0: no"}
    assert run.scheduler.on_trial_result(None, SimpleNamespace(trial_id=trial.name), result) == STOP
    assert run.messages.sent == [("stop_trial", trial.name, None)]
    assert not run.state.stopped
    # It has entered no rung: one that follows is compared with nothing.
    assert run.report(run.start(run.trial(1)), 2, 0.1) == CONTINUE


def test_a_repetition_is_compared_with_nothing(run: Run) -> None:
    run.report(run.start(run.trial(0)), 2, 0.6)
    repetition = run.start(run.trial(0, is_repetition=True))
    assert run.report(repetition, 2, 0.1) == CONTINUE
    assert run.messages.sent[-1] == ("promote", repetition.name, 2)


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


def test_the_pending_trial_that_was_proposed_first_runs_first(run: Run) -> None:
    repetition = run.trial(0, is_repetition=True)
    run.state.running.update(a=run.trial(2), b=run.trial(1), c=run.trial(0), d=repetition)
    pending = TuneTrial.PENDING
    named = {"d": pending, "a": pending, "b": pending, "c": TuneTrial.RUNNING}
    trials = [SimpleNamespace(trial_id=name, status=status) for name, status in named.items()]
    controller = SimpleNamespace(get_live_trials=lambda: trials)
    for expected in ("b", "a", "d"):
        chosen = run.scheduler.choose_trial_to_run(controller)
        assert chosen.trial_id == expected
        trials.remove(chosen)
    assert run.scheduler.choose_trial_to_run(controller) is None


def test_an_ended_trial_leaves_nothing_behind_in_the_scheduler(run: Run) -> None:
    trial = run.start(run.trial(0))
    run.report(trial, 6, 0.5, "completed")
    run.scheduler.on_trial_complete(None, SimpleNamespace(trial_id=trial.name), {})
    assert trial.name not in run.scheduler._trial_info


def test_all_trials_end_when_the_study_cannot_go_on(run: Run) -> None:
    stopper = StopOnError(run.state)
    assert not stopper.stop_all()
    run.state.errors.append(OSError("no space"))
    assert stopper.stop_all()
    assert not stopper("id", {})


def decided(run: Run) -> list[tuple[str, int, bool]]:
    return [(each.trial, each.epoch, each.goes_on) for each in run.state.ledger.decisions()]


def test_what_is_decided_is_written_down_before_a_trial_is_told(run: Run) -> None:
    good, bad = run.start(run.trial(0)), run.start(run.trial(1))
    told: list[tuple[Any, int]] = []
    tell = run.messages.sent.append
    run.messages.sent = SimpleNamespace(  # type: ignore[assignment]
        append=lambda message: told.append((message, len(decided(run)))) or tell(message)
    )
    run.report(good, 2, 0.6)
    run.report(bad, 2, 0.4)
    assert [written for _, written in told] == [1, 2]
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
            said = again.report(again.trial(int(name[-5:])), epoch, decision.value)
            assert said == (CONTINUE if decision.goes_on else STOP)
        assert again.state.ledger.decisions() == list(values.values())
        rest = reports[died_after:]
        assert play(again, dict(reached), rest) == play(alive, dict(reached), rest)
        assert again.state.ledger.decisions() == alive.state.ledger.decisions()


def test_a_race_writes_down_of_how_many_folds_a_value_is_and_counts_what_goes_on(
    tmp_path: Path,
) -> None:
    stopping = {"grace_epochs": 2, "reduction": 2, "folds": [1, 2]}
    study = searching({}, trials=4, stopping=stopping)
    study = study.model_copy(
        update={"split": study.split.model_copy(update={"folds": 3}),
                "training": study.training.model_copy(update={"epochs": 6})}
    )  # fmt: skip
    state = state_of(study, tmp_path)
    state.slots = Slots(state.slots.schedule, 5)
    run = Run(state, study)
    good, bad = run.trial(0), run.trial(1)
    for trial in (good, bad):
        state.slots.start(run.start(trial))
    assert run.report(good, 2, 0.6) == CONTINUE
    assert run.report(good, 4, 0.7) == CONTINUE
    assert run.report(bad, 2, 0.4) == STOP
    assert [each.folds for each in state.ledger.decisions()] == [1, 2, 1]
    assert state.slots.has_room()  # three folds of one trial and one of the other
    state.slots.start(run.start(run.trial(2)))
    assert not state.slots.has_room()
    # What one has that was stopped is one fold; one that goes on is to have all.
    ledger, ended = state.ledger, {good.name: (3, None), bad.name: (1, 1)}
    for trial in (good, bad):
        folds, recorded = ended[trial.name]
        last, kind = (6, "completed") if trial is good else (2, "pruned")
        for address in trial.folds[:folds]:
            rows = [{"epoch": e, "value": 0.1 * address.fold} for e in range(1, last + 1)]
            manifest = FoldManifest(address.trial, address.fold, kind, "", last, last, {})  # type: ignore[arg-type]
            ledger.commit_fold(manifest, {"history.parquet": history_file(rows)})
        state.take(trial, {"epoch": last, "state": kind, "value": 0.9})
        state.finalize(trial)
        record = state.ended[trial.name]
        assert (record.state, record.num_folds) == (kind, recorded)
        assert record.folds == trial.folds[:folds]
        mean = sum(0.1 * fold for fold in range(folds)) / folds  # not what was reported before
        assert record.values == [(e, pytest.approx(mean)) for e in range(1, last + 1)]
        assert ledger.trial(trial.name) == record
    assert split_by_completeness(ledger)[1] == []


def test_all_folds_from_the_start_write_what_they_always_wrote(tmp_path: Path) -> None:
    """The same decisions, byte by byte, whether `folds` names all of them or is left out."""
    written = []
    for folds in ([], [5, 5]):
        stopping = {"grace_epochs": 2, "reduction": 2, "folds": folds}
        folder = tmp_path / str(len(folds))
        run = Run(state_of(searching({}, stopping=stopping), folder), searching({}))
        for number, value in enumerate((0.5, 0.7, 0.4, 0.6)):
            run.report(run.start(run.trial(number)), 2, value)
        written.append({path.name: path.read_bytes() for path in folder.rglob("rung-*.json")})
        assert all(b"folds" not in content for content in written[-1].values())
    assert written[0] == written[1]


def test_a_spent_budget_stops_what_runs_at_its_next_rung_once_a_trial_has_completed(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    study, seconds = tiny_study(search={"trials": 4}, training={"epochs": 6}), [0.0]
    run = Run(state_of(study, tmp_path), study)
    run.state.budget = Budget(BudgetSettings(hours=1), lambda: seconds[0])
    first, second = run.start(run.trial(0)), run.start(run.trial(1))
    assert run.report(first, 2, 0.6) == CONTINUE
    seconds[0] = 3601.0
    assert run.report(second, 1, 0.7) == CONTINUE
    assert run.report(second, 2, 0.7) == CONTINUE  # something must complete
    assert run.report(second, 6, 0.7, "completed") == CONTINUE
    run.state.ended[second.name] = record_of(second, values=[(6, 0.7)])
    assert run.report(first, 3, 0.9) == CONTINUE
    assert run.report(first, 4, 0.9) == STOP
    assert run.messages.sent[-1] == ("stop_trial", first.name, 4)
    assert [each.rule for each in run.state.ledger.decisions()] == [None, None, "budget"]
    # Who takes over with more of it decides nothing twice.
    seconds[0] = 0.0
    again = Run(run.state, run.study)
    assert again.report(first, 4, 0.9) == STOP


def test_between_rungs_a_trial_ends_that_is_worse_than_the_best_fold_by_fold(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    """Rungs at 2 and 4, comparisons at 3 and 5, of six epochs and three folds."""
    paired = {"test": "corrected_t", "level": 0.05, "interval": 1}
    stopping = {"grace_epochs": 2, "reduction": 2, "paired": paired}
    study = tiny_study(
        search={"trials": 4, "stopping": stopping}, training={"epochs": 6}, split={"folds": 3}
    )
    run = Run(state_of(study, tmp_path), study)
    ratio = 0.5

    def report(trial: Trial, epoch: int, folds: list[float]) -> str:
        values = {f"fold-{fold}/value": value for fold, value in enumerate(folds)}
        result = {"epoch": epoch, "value": sum(folds) / 3, "state": "running", **values}
        tune_trial = SimpleNamespace(trial_id=trial.name)
        decision = run.scheduler.on_trial_result(None, tune_trial, result)
        return STOP if run.state.stopped.get(trial.name) == epoch else decision

    def scheduler() -> RungScheduler:
        return RungScheduler(run.state, study.search.stopping, run.messages, ratio)

    run.scheduler = scheduler()
    early = run.start(run.trial(3))
    assert report(early, 3, [0.0, 0.0, 0.0]) == CONTINUE  # nothing has completed
    assert run.messages.sent == [("promote", early.name, 3)]
    best, ledger = run.trial(0), run.state.ledger
    of_best = [0.8, 0.6, 0.7]
    for address, value in zip(best.folds, of_best, strict=True):
        rows = [{"epoch": epoch, "value": value} for epoch in range(1, 7)]
        manifest = FoldManifest(address.trial, address.fold, "completed", "", 6, 6, {})
        ledger.commit_fold(manifest, {"history.parquet": history_file(rows)})
    run.state.ended[best.name] = record_of(best, values=[(6, 0.7)])
    # Far better on one fold and worse on two; worse on all, by about as much.
    mixed, worse = run.start(run.trial(1)), run.start(run.trial(2))
    assert report(mixed, 3, [0.7, 0.5, 0.9]) == CONTINUE
    folds = [0.61, 0.4, 0.52]
    assert report(worse, 3, folds) == STOP
    assert run.messages.sent[-1] == ("stop_trial", worse.name, 3)
    decisions = ledger.decisions()
    assert [(each.rule, each.against, each.goes_on) for each in decisions] == [
        ("paired", None, True),
        ("paired", best.name, True),
        ("paired", best.name, False),
    ]
    assert decisions[-1].p == p_of_no_worse(folds, of_best, "corrected_t", ratio)
    # Whoever takes over decides nothing twice, whatever is best by then.
    run.state.ended.clear()
    run.scheduler = scheduler()
    run.state.stopped.clear()
    assert report(run.start(run.trial(2)), 3, folds) == STOP
    assert ledger.decisions() == decisions
