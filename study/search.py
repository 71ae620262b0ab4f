"""The trials of a study on the cluster: Ray Tune, proposals by Optuna, early stops by ASHA.

The driver keeps nothing that the ledger does not: a new driver proposes the same
trials, knows the same rungs, and runs those that have not ended. Tune's own files are
of no use to it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search import Searcher

from study.data.samples import Samples
from study.definition import Study
from study.desk import Desk
from study.errors import StudyFailedError
from study.fold_worker import TrialJob
from study.ledger import Ledger, TrialRecord, trial_name
from study.outcome import conclude, interrupted_stop, split_by_wholeness
from study.plan import Plan
from study.proposal import TWIN, has_twin, missing_trials, propose
from study.splits import Splits
from study.storage import Folder
from study.trial import TrialRunner, milestones

TRIAL_RESTARTS = 3
HEAD_NODE = "node:__internal_head__"


@dataclass
class SearchState:
    """What the search, the scheduler and the callback of one driver share.

    Attributes:
        study: the study.
        results: its results folder.
        ended: records of ended trials by number.
        repaired: records, by number, of ended trials of which folds are lost: they end as
            they had.
        numbers: trial number by Tune's own trial id.
        parameters: searched settings by trial number.
        stopped: epoch of an early stop by trial number.
        failed: why a trial was given up, by number.
        lost: numbers of trials that this run could not finish.
        errors: what keeps the study from going on.
        on_result: called with a trial's number and what its folds report.
        on_ended: called with the record of each trial that ends.
    """

    study: Study
    results: Folder
    ended: dict[int, TrialRecord]
    repaired: dict[int, TrialRecord]
    on_result: Callable[[int, dict[str, Any]], None]
    on_ended: Callable[[TrialRecord], None]
    numbers: dict[str, int] = field(default_factory=dict)
    parameters: dict[int, dict[str, Any]] = field(default_factory=dict)
    stopped: dict[int, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles what it is given; of this nothing is ever read back."""
        return {}

    def conclude(self, number: int) -> None:
        """Write down how a trial ended, or that this run could not finish it.

        What goes wrong is kept for the end: Tune, which calls this, would wait for ever.
        """
        record = None
        try:
            record = conclude(
                Ledger(self.results.folder("ledger")),
                self.results.folder("checkpoints"),
                self.study,
                number,
                self.parameters[number],
                self.stopped.get(number),
                self.failed.get(number, ""),
            )
        except Exception as error:
            self.errors.append(error)
        if record is None:
            self.lost.add(number)
        else:
            self.ended[number] = record
            self.on_ended(record)


class LedgerSearch(Searcher):
    """Proposes the trials that have not ended, in their order; see `study.proposal`."""

    def __init__(self, state: SearchState) -> None:
        super().__init__(metric="value", mode="max")
        self._state = state
        self._next = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """See `Searcher.suggest`; None while trials that the next one needs still run."""
        state, search = self._state, self._state.study.search
        while self._next < search.trials and not state.errors:
            number = self._next
            needed = range(0 if state.study.systems else number - search.parallel + 1)
            if any(earlier in state.lost for earlier in needed):
                return str(Searcher.FINISHED)
            if any(earlier not in state.ended for earlier in needed):
                return None
            self._next += 1
            if number in state.ended:
                continue
            state.parameters[number] = self._parameters(number)
            if self._finish_stop(number):
                continue
            return self._given(trial_id, number)
        return self._suggest_twin(trial_id)

    def _suggest_twin(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the best trial's twin, if there is to be one; None while others still run."""
        state = self._state
        number = min(missing_trials(state.study, state.ended), default=None)
        if not has_twin(state.study) or state.lost or state.errors or number is None:
            return str(Searcher.FINISHED)
        if number >= TWIN and number in state.parameters:
            return str(Searcher.FINISHED)
        if number < TWIN:
            return None
        state.parameters[number] = propose(state.study, number, list(state.ended.values()))
        return self._given(trial_id, number)

    def _given(self, trial_id: str, number: int) -> dict[str, Any]:
        self._state.numbers[trial_id] = number
        return {"number": number, "parameters": self._state.parameters[number]}

    def _parameters(self, number: int) -> dict[str, Any]:
        state, study = self._state, self._state.study
        if number in state.repaired:
            return state.repaired[number].parameters
        needed = range(0 if study.systems else number - study.search.parallel + 1)
        return propose(study, number, [state.ended[earlier] for earlier in needed])

    def _finish_stop(self, number: int) -> bool:
        """Commit a stop that was being committed when the driver died; tell whether it was."""
        state = self._state
        if number in state.repaired:
            return False
        epoch = interrupted_stop(Ledger(state.results.folder("ledger")), state.study, number)
        if epoch is not None:
            state.stopped[number] = epoch
            state.conclude(number)
        return epoch is not None

    def set_search_properties(self, *_: Any, **__: Any) -> bool:
        """Metric and mode are this class's own."""
        return True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: what ended is read from the ledger."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger holds all there is."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger holds all there is."""


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


class Conclusions(tune.Callback):
    """Writes trials to the ledger as they end, and passes on what they say."""

    def __init__(self, state: SearchState) -> None:
        self._state = state

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        """See `tune.Callback.on_trial_result`."""
        if "epoch" not in result:
            return
        number = self._state.numbers[trial.trial_id]
        lost_again = result["state"] == "failed" and number in self._state.repaired
        if result["state"] == "blocked" or lost_again:
            reason = f"{trial_name(number)}: {result['reason']}"
            self._state.errors.append(StudyFailedError(reason))
            return
        if result["state"] == "failed":
            self._state.failed[number] = result["reason"]
        self._state.on_result(number, result)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """See `tune.Callback.on_trial_complete`."""
        self._state.conclude(self._state.numbers[trial.trial_id])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """See `tune.Callback.on_trial_error`; Tune has given the trial up."""
        self._state.conclude(self._state.numbers[trial.trial_id])


def run_search(
    study: Study,
    plan: Plan,
    samples: Samples,
    splits: Mapping[str, Splits],
    outputs: Folder,
    run: str,
    on_result: Callable[[int, dict[str, Any]], None],
    on_ended: Callable[[TrialRecord], None],
    *,
    is_private: bool,
) -> set[int]:
    """Run all trials of a study that have not ended, on the connected cluster.

    Args:
        study: the study.
        plan: resources of each fold, and trials at a time.
        samples: the dataset.
        splits: the folds, by protocol.
        outputs: the folder of all results.
        run: names this run; see `study.locks`.
        on_result: called with a trial's number and what its folds report.
        on_ended: called with the record of each trial that ends.
        is_private: whether the cluster ends with this driver.

    Returns:
        Numbers of the trials that could not be finished.
    """
    results = outputs.folder(study.name)
    ledger = Ledger(results.folder("ledger"))
    whole, broken = (
        {record.number: record for record in records}
        for records in split_by_wholeness(ledger, study)
    )
    state = SearchState(study, results, whole, broken, on_result, on_ended)
    epochs = milestones(study)
    desk = ray.remote(num_cpus=0, resources={HEAD_NODE: 0.001})(Desk).remote(
        study.split.folds, epochs
    )
    job = TrialJob(
        study=study,
        plan=plan,
        outputs=outputs.locate(),
        run=run,
        milestones=epochs,
        samples=ray.put(samples),
        folds=ray.put({protocol: divided.folds for protocol, divided in splits.items()}),
        desk=desk,
        is_private=is_private,
    )
    # The trial itself only waits for its folds: it takes no CPU from them, and stays
    # with the driver on the head node.
    trainable = tune.with_resources(
        tune.with_parameters(TrialRunner, job=job), {"CPU": 0, HEAD_NODE: 0.001}
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=LedgerSearch(state),
            scheduler=MilestoneScheduler(state, epochs, desk),
            num_samples=study.search.trials + 1,  # with a twin, if there is to be one
            reuse_actors=True,
            max_concurrent_trials=plan.trials_at_a_time,
            trial_name_creator=lambda trial: trial_name(state.numbers[trial.trial_id]),
            trial_dirname_creator=lambda trial: trial_name(state.numbers[trial.trial_id]),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=results.locate(),
            verbose=0,
            stop=StopOnError(state),
            callbacks=[Conclusions(state)],
            # Folds keep checkpoints of their own; a trial has nothing to keep.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=TRIAL_RESTARTS),
        ),
    )
    tuner.fit()
    if state.errors:
        raise state.errors[0]
    unfinished = missing_trials(study, state.ended)
    if not unfinished:
        results.remove("checkpoints")
    return unfinished
