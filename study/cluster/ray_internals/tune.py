"""Of Ray Tune: trials that wait."""

from typing import Any


def pending_trials(tune_controller: Any) -> list[Any]:
    """Return Tune's trials that wait for a process.

    `Trial` is no public class; schedulers get the controller, and only it knows them.
    """
    from ray.tune.experiment import Trial

    live = tune_controller.get_live_trials()
    return [trial for trial in live if trial.status == Trial.PENDING]
