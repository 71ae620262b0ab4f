"""The trials of a study on the cluster: Ray Tune, proposals by Optuna, early stops by ASHA.

The driver keeps nothing that the ledger does not: a new driver proposes the same
trials, knows the same rungs, and runs those that have not ended. Tune's own files are
of no use to it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from study.cluster.capacity import HEAD_NODE
from study.cluster.coordinator import Desk
from study.cluster.fold_worker import TrialJob
from study.cluster.scheduler import MilestoneScheduler, StopOnError
from study.cluster.search_state import SearchState
from study.cluster.trainable import TrialRunner, milestones
from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import Splits
from study.errors import StudyFailedError
from study.ledger.ledger import Ledger, TrialRecord, trial_name
from study.ledger.trial_outcome import interrupted_stop, split_by_wholeness
from study.search.plan import Plan
from study.search.sources import TWIN, has_twin, missing_trials, propose
from study.storage.folder import Folder

TRIAL_RESTARTS = 3


class LedgerSearch(Searcher):
    """Proposes the trials that have not ended, in their order; see `study.search.sources`."""

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
        return propose(study, number, [state.ended[n] for n in needed], state.history)

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

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """See `tune.Callback.on_trial_recover`; its folds have checkpoints of their own."""
        self._state.on_death(self._state.numbers[trial.trial_id], last_failure(trial), True)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """See `tune.Callback.on_trial_error`; Tune has given the trial up."""
        number = self._state.numbers[trial.trial_id]
        self._state.on_death(number, last_failure(trial), False)
        self._state.conclude(number)


def last_failure(trial: Any) -> str:
    """Return in a few words what ended the processes of a trial of Tune's last."""
    text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    said = text.rpartition("Failure # ")[2].strip()
    # Ray tells the story of a process, from which this is the point, or raises what it raised.
    _, _, exit_detail = said.partition("Worker exit detail: ")
    return (exit_detail or said.splitlines()[-1]).partition(". ")[0].rstrip(".")


def run_search(
    study: Study,
    plan: Plan,
    samples: Samples,
    splits: Mapping[str, Splits],
    outputs: Folder,
    run: str,
    on_result: Callable[[int, dict[str, Any]], None],
    on_ended: Callable[[TrialRecord], None],
    on_death: Callable[[int, str, bool], None],
) -> set[int]:
    """Run all trials of a study that have not ended, on the connected cluster.

    Args:
        study: the study.
        plan: resources of each fold, and trials at a time.
        samples: the dataset.
        splits: the folds, by protocol.
        outputs: the folder of all results.
        run: names this run; see `study.storage.locks`.
        on_result: called with a trial's number and what its folds report.
        on_ended: called with the record of each trial that ends.
        on_death: called with the number of a trial whose processes died, with the reason, and
            whether others take their place.

    Returns:
        Numbers of the trials that could not be finished.
    """
    results = outputs.folder(study.name)
    ledger = Ledger(results.folder("ledger"))
    whole, broken = (
        {record.number: record for record in records}
        for records in split_by_wholeness(ledger, study)
    )
    state = SearchState(study, results, whole, broken, on_result, on_ended, on_death)
    epochs = milestones(study)
    desk = ray.remote(num_cpus=0, resources={HEAD_NODE: 0.001})(Desk).remote(
        study.split.folds, epochs
    )
    desk.tidy.remote()
    job = TrialJob(
        study=study,
        plan=plan,
        outputs=outputs.locate(),
        run=run,
        milestones=epochs,
        samples=ray.put(samples),
        folds=ray.put({protocol: divided.folds for protocol, divided in splits.items()}),
        desk=desk,
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
