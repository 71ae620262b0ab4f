"""Which trials end early: ASHA on the ledger's values, and all when the study cannot go on.

Each decision is written down before it is sent to the trial, in order, so that a driver that takes
over knows what each rung held, and decides nothing twice.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.cluster.paired_rule import Comparison, PairedRule
from study.cluster.ray_internals.tune import pending_trials
from study.cluster.search_state import SearchState
from study.config.schema import Objective, StoppingSettings
from study.ledger.trial_outcome import mean_of_first
from study.search.objectives import other_bounds, other_losses
from study.search.rungs import AtRung, cutoff, no_worse, rungs
from study.search.trial import RungDecision, Trial, TrialRecord, best_trial


class RungScheduler(FIFOScheduler):
    """ASHA (Li et al. 2020) in epochs, that knows the rungs of trials that ended before.

    Ray Tune's own knows neither those nor several metrics; of one metric the decisions are its.

    A trial with a failed fold is stopped, and enters no rung. Folds wait at a rung until
    the coordinator has the decision, and so they do between rungs where trials are compared with
    the best one.

    Args:
        state: what the parts of the search share.
        stopping: the study's.
        coordinator: the actor's handle.
        ratio: validation samples to training samples, for the comparison.
        metrics: what the search improves beside its metric: then trials are held only against
            those that are no worse in any of them.
    """

    def __init__(
        self,
        state: SearchState,
        stopping: StoppingSettings | None,
        coordinator: Any,
        ratio: float = 0.0,
        metrics: Sequence[Objective] = (),
    ) -> None:
        last = state.source.longest
        self._rungs = rungs(stopping, last)
        self._waits = frozenset((*self._rungs, *state.slots.schedule.checks))
        self._reduction = stopping.reduction if stopping else 2
        self._paired = PairedRule(stopping.paired if stopping else None, state, ratio, metrics)
        super().__init__()
        self._state, self._coordinator = state, coordinator
        self._metrics = metrics
        self._at_rungs: dict[int, dict[str, AtRung]] = {rung: {} for rung in self._rungs}
        decisions = state.ledger.decisions()
        self._decided = {(decision.trial, decision.epoch): decision for decision in decisions}
        for decided in decisions:
            self._enter_rungs(decided.trial, [(decided.epoch, decided.value)], decided.objectives)
        for record in state.known_ended.values():
            if not record.trial.is_repetition:
                self._enter_rungs(record.name, self._undecided(record), record.objectives)

    def _undecided(self, record: TrialRecord) -> list[tuple[int, float]]:
        """Return what an ended trial had at rungs that it passed and no decision is known of.

        The decision was damaged, or the trial is of before decisions were written down.
        """
        last, values = record.trial.config.training.epochs, []
        for epoch, value in record.values:
            if epoch in self._rungs and epoch < last and (record.name, epoch) not in self._decided:
                folds = self._state.slots.schedule.at(epoch)
                if folds < len(record.folds):  # the others came later
                    value = mean_of_first(self._state.ledger, record, folds, epoch)
                values.append((epoch, value))
        return values

    def _enter_rungs(
        self, trial: str, values: Sequence[tuple[int, float]], objectives: Mapping[str, float]
    ) -> None:
        for epoch, value in values:
            if epoch in self._rungs:
                losses = other_losses(objectives, self._metrics)
                self._at_rungs[epoch].setdefault(trial, AtRung(value, losses))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See `TrialScheduler.on_trial_result`."""
        ours = self._state.running[trial.trial_id]
        decision = self._decide(ours, result)
        if decision == TrialScheduler.STOP:
            stops_at = self._state.stopped.get(ours.name) if _is_sound(result) else None
            self._coordinator.stop_trial.remote(ours.name, stops_at)
            if stops_at is not None:  # its folds commit that, and report it as their last
                return str(TrialScheduler.CONTINUE)
        elif decision == TrialScheduler.CONTINUE and result["epoch"] in self._waits:
            self._state.promoted[ours.name] = result["epoch"]
            self._state.slots.grow(ours, result["epoch"])
            self._coordinator.promote.remote(ours.name, result["epoch"])
        return decision

    def _decide(self, ours: Trial, result: dict[str, Any]) -> str:
        """Decide whether a trial goes on; where the search stops it, remember at which epoch."""
        epoch = result["epoch"]
        if not _is_sound(result):
            return str(TrialScheduler.STOP)
        # A repetition's values are of other samples; a trial's last would be held against earlier
        # ones of trials that go on. Neither is compared with anything.
        if ours.is_repetition or result["state"] == "completed":
            return str(TrialScheduler.CONTINUE)
        if ours.name in self._state.interrupted:
            decision = _verdict(epoch < self._state.interrupted[ours.name])
        elif ours.name in self._state.incomplete:
            decision = self._as_before(self._state.incomplete[ours.name], epoch)
        elif epoch not in self._waits:
            decision = str(TrialScheduler.CONTINUE)
        elif decided := self._decided.get((ours.name, epoch)):
            decision = _verdict(decided.goes_on)
        elif epoch in self._rungs:
            decision = self._written_down(ours, result, self._is_among_best(ours, result))
        else:
            decision = self._compared(ours, result)
        if epoch in self._waits and decision == TrialScheduler.STOP:
            self._state.stopped[ours.name] = epoch
        return decision

    def _is_among_best(self, ours: Trial, result: Mapping[str, Any]) -> bool:
        """Enter what a trial has at a rung; return whether it is among the best there."""
        epoch, value = result["epoch"], result["value"]
        values = no_worse(self._at_rungs[epoch].values(), other_bounds(result, self._metrics))
        self._enter_rungs(ours.name, [(epoch, value)], result)
        return not value < cutoff(values, self._reduction)

    def _compared(self, ours: Trial, result: dict[str, Any]) -> str:
        """Compare a trial with the best one; nothing is decided where that cannot be read."""
        try:
            compared = self._paired.compare(result)
        except Exception as error:
            self._state.errors.append(error)
            return str(TrialScheduler.NOOP)
        return self._written_down(ours, result, not compared.is_worse, compared)

    def _is_budget_spent(self) -> bool:
        """Return whether what runs is to end; not before a trial has completed."""
        ended = self._state.known_ended
        return self._state.budget.is_spent(ended) and best_trial(ended.values()) is not None

    def _written_down(
        self,
        ours: Trial,
        result: dict[str, Any],
        may_go_on: bool,
        compared: Comparison | None = None,
    ) -> str:
        """Write down what was decided, unless a spent budget ends it; nothing where that fails."""
        is_cut = may_go_on and self._is_budget_spent()
        goes_on, epoch = may_go_on and not is_cut, result["epoch"]
        decided = RungDecision(
            trial=ours.name,
            epoch=epoch,
            value=result["value"],
            goes_on=goes_on,
            order=1 + max((each.order for each in self._decided.values()), default=-1),
            folds=self._state.slots.schedule.some_at(epoch),
            rule="budget" if is_cut else "paired" if compared else None,
            against=compared.against if compared else None,
            p=compared.p if compared else None,
            objectives={name: result[name] for name in self._metrics if name in result},
        )
        try:
            self._state.ledger.record_decision(decided)
        except Exception as error:
            self._state.errors.append(error)
            return str(TrialScheduler.NOOP)
        self._decided[ours.name, epoch] = decided
        return _verdict(goes_on)

    def _as_before(self, record: TrialRecord, epoch: int) -> str:
        """Decide on a trial that has ended once as it was decided then."""
        is_end = record.state == "pruned" and epoch >= record.values[-1][0]
        return _verdict(not is_end)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """See `TrialScheduler`; Tune's own looks through all trials that there ever were."""
        return min(
            pending_trials(tune_controller),
            key=lambda trial: self._state.running[trial.trial_id].order,
            default=None,
        )


def _verdict(goes_on: bool) -> str:
    """Return what Tune calls it that a trial goes on, or does not."""
    return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)


def _is_sound(result: dict[str, Any]) -> bool:
    """Return whether no fold failed, and the value is a number."""
    return math.isfinite(result.get("value", math.nan))


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
