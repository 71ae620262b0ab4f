"""The trials of a study on the cluster: Ray Tune, with trials from `study.search.sources`.

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

from study.cluster.coordinator_actor import running_coordinator
from study.cluster.fold_worker import WorkerContext
from study.cluster.news_reader import NewsReader
from study.cluster.ray_folder import ray_folder
from study.cluster.ray_internals.core import HEAD_NODE
from study.cluster.scheduler import RungScheduler, StopOnError
from study.cluster.search_state import Observer, SearchState
from study.cluster.slots import Slots
from study.cluster.trainable import TrialRunner
from study.config.schema import Study
from study.data.splits import Splits
from study.data.variants import Variants
from study.errors import StudyFailedError
from study.ledger.ledger import Ledger
from study.ledger.replay import known_proposals
from study.ledger.run_time import RunTime
from study.ledger.trial_outcome import interrupted_stop, split_by_completeness
from study.search.budget import Budget
from study.search.plan import Plan
from study.search.rungs import FoldSchedule
from study.search.sources import trial_source
from study.search.trial import Trial
from study.search.trial_source import NoTrial
from study.storage.folder import Folder

TRIAL_RESTARTS = 3


class SourceSearcher(Searcher):
    """Hands Tune the trials of a source that have not ended."""

    def __init__(self, state: SearchState) -> None:
        super().__init__(metric="value", mode="max")
        self._state = state

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """See `Searcher.suggest`; None while there is no slot, or others must end first."""
        state = self._state
        while not state.errors:
            if not state.slots.has_room():
                return None
            try:
                trial = state.source.next_trial(state.ended, state.lost)
            except Exception as error:  # what cannot be written down is not started
                state.errors.append(error)
                break
            if trial is NoTrial.YET:
                return None
            if trial is NoTrial.MORE:
                break
            assert isinstance(trial, Trial)
            if trial.name in state.incomplete:
                trial = state.incomplete[trial.name].trial
            elif trial.name in state.begun:
                epoch = interrupted_stop(state.ledger, trial)
                if epoch is not None:
                    state.interrupted[trial.name] = epoch
            state.running[trial_id] = trial
            state.slots.start(trial)
            return {"trial": trial}
        return str(Searcher.FINISHED)

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


class TrialFinalizer(tune.Callback):
    """Writes trials to the ledger as they end, and passes on their results."""

    def __init__(self, state: SearchState) -> None:
        self._state = state

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        """See `tune.Callback.on_trial_result`."""
        if "epoch" not in result:
            return
        state, ours = self._state, self._state.running[trial.trial_id]
        if result["state"] == "lost":  # the scheduler stops it, and it ends without a record
            state.observer.on_death(ours, result["reason"], is_replaced=False)
            return
        failed_again = result["state"] == "failed" and ours.name in state.incomplete
        if result["state"] == "blocked" or failed_again:
            state.errors.append(StudyFailedError(f"{ours.name}: {result['reason']}"))
            return
        if result["state"] == "failed":
            state.failed[ours.name] = result["reason"]
        else:
            state.take(ours, result)
        if result["state"] != "pruned":  # what it repeats of its last epoch was shown
            state.observer.on_result(ours, result)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """See `tune.Callback.on_trial_complete`."""
        self._state.finalize(self._state.running[trial.trial_id])

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """See `tune.Callback.on_trial_recover`; its folds have checkpoints of their own."""
        self._report_death(trial, is_replaced=True)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """See `tune.Callback.on_trial_error`; Tune has given the trial up."""
        self._report_death(trial, is_replaced=False)
        self._state.finalize(self._state.running[trial.trial_id])

    def _report_death(self, trial: Any, *, is_replaced: bool) -> None:
        ours = self._state.running[trial.trial_id]
        self._state.observer.on_death(ours, last_failure(trial), is_replaced=is_replaced)


def last_failure(trial: Any) -> str:
    """Return in a few words what ended the processes of a trial of Tune's last."""
    text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    last = text.rpartition("Failure # ")[2].strip()
    # Ray describes the process at length, the point being this, or raises what it raised.
    _, _, exit_detail = last.partition("Worker exit detail: ")
    return (exit_detail or last.splitlines()[-1]).partition(". ")[0].rstrip(".")


def run_search(
    study: Study,
    plan: Plan,
    variants: Variants,
    splits: Mapping[str, Splits],
    outputs: Folder,
    run: str,
    observer: Observer,
    ledger: Ledger,
    run_time: RunTime,
) -> list[str]:
    """Run all trials of a study that have not ended, on the connected cluster.

    Args:
        study: the study.
        plan: resources of each fold, and trials at a time.
        variants: the dataset, in each variant that trials can have.
        splits: the folds, by protocol.
        outputs: the folder of all results.
        run: names this run; see `study.storage.locks`.
        observer: follows it.
        ledger: the study's.
        run_time: for how long the study has run; its budget is counted by it.

    Returns:
        Names of the trials that could not be finished.
    """
    results = outputs.folder(study.name)
    schedule = FoldSchedule.of(study)
    slots = Slots(schedule, plan.slots, plan.workers)
    state = search_state(study, results, ledger, observer, slots, run_time.seconds)
    try:
        with (
            running_coordinator(schedule, plan, study.resources) as coordinator,
            ray_folder(results) as storage,
            NewsReader(state, coordinator, run_time),
        ):
            context = WorkerContext(
                study=study.name,
                schedule=schedule,
                plan=plan,
                outputs=outputs.locate(),
                run=run,
                variants=variants.settings,
                samples=tuple(ray.put(samples) for samples in variants.samples),
                folds=ray.put({protocol: each.folds for protocol, each in splits.items()}),
                coordinator=coordinator,
                checkpoint_seconds=60 * study.resources.checkpoint_minutes,
            )
            _tuner(state, study, context, storage, _validation_ratio(study, splits)).fit()
    finally:
        run_time.save()
        ledger.save()
    if state.errors:
        raise state.errors[0]
    missing = state.source.missing(state.ended)
    if not missing:
        state.remove_checkpoints()
    return missing


def search_state(
    study: Study,
    results: Folder,
    ledger: Ledger,
    observer: Observer,
    slots: Slots | None = None,
    seconds: Callable[[], float] = lambda: 0.0,
) -> SearchState:
    """Return what a driver knows of a study's trials when it comes.

    Args:
        study: the study.
        results: its results folder.
        ledger: its ledger.
        observer: follows the search.
        slots: what its trials take; None: they are not bounded.
        seconds: returns for how long the study has run, by which its budget is counted.
    """
    complete, incomplete = (
        {record.name: record for record in records} for records in split_by_completeness(ledger)
    )
    known = known_proposals(ledger, incomplete.values())
    budget = Budget(study.search.budget, seconds, incomplete.values())
    source = trial_source(study, known, ledger.record_proposal, ledger.learned(), budget.is_spent)
    begun = frozenset(ledger.names())
    return SearchState(
        source,
        results,
        ledger,
        complete,
        incomplete,
        observer,
        slots=slots or Slots(FoldSchedule.of(study)),
        budget=budget,
        begun=begun,
    )


def _validation_ratio(study: Study, splits: Mapping[str, Splits]) -> float:
    """Return validation samples to training samples, on average over folds."""
    folds = splits[study.split.protocol].folds
    return sum(len(fold.validation) / len(fold.training) for fold in folds) / len(folds)


def _tuner(
    state: SearchState, study: Study, context: WorkerContext, storage: str, ratio: float
) -> tune.Tuner:
    # The trial itself only waits for its folds: it takes no CPU from them, and stays
    # with the driver on the head node.
    trainable = tune.with_resources(
        tune.with_parameters(TrialRunner, context=context), {"CPU": 0, HEAD_NODE: 0.001}
    )

    def name(trial: Any) -> str:
        return state.running[trial.trial_id].name

    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=SourceSearcher(state),
            scheduler=RungScheduler(
                state, study.search.stopping, context.coordinator, ratio, study.search.metrics
            ),
            num_samples=state.source.size + state.source.repetitions,
            reuse_actors=True,
            max_concurrent_trials=context.plan.trials_at_a_time,
            trial_name_creator=name,
            trial_dirname_creator=name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=storage,
            verbose=0,
            stop=StopOnError(state),
            callbacks=[TrialFinalizer(state)],
            # Folds keep checkpoints of their own; a trial has nothing to keep.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=TRIAL_RESTARTS),
        ),
    )
