"""Which trials end early: ASHA on the ledger's values, and all when the study cannot go on."""

import math
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from study.cluster.search_state import SearchState
from study.ledger.ledger import TrialRecord
from study.search.sources import TWIN


class MilestoneScheduler(AsyncHyperBandScheduler):
    """ASHA with epochs as its clock, that knows the rungs of trials that ended before.

    A trial with a failed fold is stopped, and enters no rung. Folds wait at a
    milestone; they are let through when the trial may go on.
    """

    def __init__(self, state: SearchState, epochs: frozenset[int], desk: Any) -> None:
        study, stopping = state.study, state.study.search.stopping
        last = max(study.epochs(number) for number in range(study.search.trials))
        super().__init__(
            time_attr="epoch",
            metric="value",
            mode="max",
            max_t=last,
            grace_period=min(stopping.grace_epochs, last) if stopping else last,
            reduction_factor=stopping.reduction if stopping else 2,
        )
        self._state, self._milestones, self._desk = state, epochs, desk
        known = [*state.ended.values(), *state.repaired.values()]
        for record in sorted(known, key=lambda record: record.arrival):
            if record.number < TWIN:
                self._enter_rungs(record)

    def _enter_rungs(self, record: TrialRecord) -> None:
        trial = SimpleNamespace(trial_id=record.name)
        self.on_trial_add(None, trial)
        for epoch, value in record.values:
            super().on_trial_result(None, trial, {"epoch": epoch, "value": value})

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See `TrialScheduler.on_trial_result`."""
        number, epoch = self._state.numbers[trial.trial_id], result["epoch"]
        if not math.isfinite(result.get("value", math.nan)):
            return str(TrialScheduler.STOP)
        if number >= TWIN:  # its values are of other samples: it is compared with nothing
            self._desk.pass_milestone.remote(number, epoch)
            return str(TrialScheduler.CONTINUE)
        if number in self._state.repaired:
            decision = self._as_before(number, epoch)
        else:
            decision = str(super().on_trial_result(tune_controller, trial, result))
        if result["state"] == "completed":  # it ends by itself; a stop would only cut it off
            return str(TrialScheduler.CONTINUE)
        if epoch in self._milestones:
            if decision == TrialScheduler.STOP:
                self._state.stopped[number] = epoch
            else:
                self._desk.pass_milestone.remote(number, epoch)
        return decision

    def _as_before(self, number: int, epoch: int) -> str:
        """Decide on a trial that has ended once as it was decided then."""
        record = self._state.repaired[number]
        is_end = record.state == "pruned" and epoch >= record.values[-1][0]
        return str(TrialScheduler.STOP if is_end else TrialScheduler.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """See `TrialScheduler`; Tune's own looks through all trials that there ever were."""
        pending = [t for t in tune_controller.get_live_trials() if t.status == Trial.PENDING]
        return min(pending, key=lambda t: self._state.numbers[t.trial_id], default=None)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """See `TrialScheduler.on_trial_complete`; every rung was entered on the way."""
        self._trial_info.pop(trial.trial_id, None)


class StopOnError(tune.Stopper):
    """Ends all trials when the study cannot go on."""

    def __init__(self, state: SearchState) -> None:
        self._state = state

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """See `Stopper.__call__`."""
        return False

    def stop_all(self) -> bool:
        """See `Stopper.stop_all`."""
        return bool(self._state.errors)
