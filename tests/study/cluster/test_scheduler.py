"""Who goes on at a rung; the coordinator learns of every decision at once."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import AsyncHyperBandScheduler

from study.cluster.scheduler import StopOnError
from study.config.schema import StoppingSettings
from study.search.rungs import AtRung, cutoff, no_worse, rungs
from tests.study.cluster.scheduling import CONTINUE, STOP, Run
from tests.study.trials import record_of


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


def test_a_model_that_is_fitted_once_is_compared_with_nothing(run: Run) -> None:
    """It ends at the first rung of the others, with all that it will come to."""
    stopping = StoppingSettings(grace_epochs=1, reduction=2)
    run = Run(run.state, run.study, stopping)
    fitted = [run.start(run.trial(number, parameters={"model.name": "pca"})) for number in (0, 1)]
    for trial, value in zip(fitted, (0.9, 0.3), strict=True):
        assert run.report(trial, 1, value, "completed") == CONTINUE
        run.state.ended[trial.name] = record_of(trial, values=[(1, value)])
    assert run.state.ledger.decisions() == []
    for driver in (run, Run(run.state, run.study, stopping)):
        network = driver.start(driver.trial(2))
        assert driver.report(network, 1, 0.5) == CONTINUE


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


values = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7, 0.9]), min_size=1, max_size=12)


@given(values, st.integers(2, 5))
def test_of_one_metric_the_decisions_are_those_of_rays_scheduler(
    came: list[float], reduction: int
) -> None:
    theirs = AsyncHyperBandScheduler(
        time_attr="epoch", metric="value", mode="max", max_t=6, grace_period=2,
        reduction_factor=reduction,
    )  # fmt: skip
    before: list[AtRung] = []
    for number, value in enumerate(came):
        trial = SimpleNamespace(trial_id=str(number))
        theirs.on_trial_add(None, trial)
        decided = theirs.on_trial_result(None, trial, {"epoch": 2, "value": value})
        asked = cutoff(no_worse(before, ()), reduction)
        assert (not value < asked) == (decided == CONTINUE)
        before.append(AtRung(value, ()))


def test_all_trials_end_when_the_study_cannot_go_on(run: Run) -> None:
    stopper = StopOnError(run.state)
    assert not stopper.stop_all()
    run.state.errors.append(OSError("no space"))
    assert stopper.stop_all()
    assert not stopper("id", {})
