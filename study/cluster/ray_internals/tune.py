"""Of Ray Tune: trials that wait, and what ASHA keeps of trials."""

from typing import Any


def pending_trials(tune_controller: Any) -> list[Any]:
    """Return Tune's trials that wait for a process.

    `Trial` is no public class; schedulers get the controller, and only it knows them.
    """
    from ray.tune.experiment import Trial

    live = tune_controller.get_live_trials()
    return [trial for trial in live if trial.status == Trial.PENDING]


def enter_rung(scheduler: Any, trial_id: str, epoch: int, value: float) -> None:
    """Enter what a trial had at a rung of ASHA's, where no other value of its stands.

    The public `on_trial_result` decides on the trial too, for which it sorts all of the rung.
    """
    (bracket,) = scheduler._brackets
    for rung, recorded in bracket._rungs:
        if rung == epoch:
            recorded.setdefault(trial_id, value)


def forget_trial(scheduler: Any, trial_id: str) -> None:
    """Drop what ASHA keeps of an ended trial, which grows with their number otherwise."""
    scheduler._trial_info.pop(trial_id, None)
