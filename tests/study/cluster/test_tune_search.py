from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from study.cluster import tune_search
from study.cluster.search_state import SearchState
from study.cluster.tune_search import SourceSearcher, TrialFinalizer
from study.config.schema import Study
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.run_time import RunTime
from study.search.plan import Plan
from study.search.trial import Proposal, Trial, TrialRecord
from study.storage.folder import LocalFolder
from tests.study.cluster.searches import Seen, state_of
from tests.study.trials import record_of, trial_of

TUNE_TRIAL = SimpleNamespace(trial_id="id")


@pytest.fixture
def study(tiny_study: Callable[..., Study]) -> Study:
    return tiny_study(split={"protocol": "paper", "beside": "inter_patient", "folds": 2},
                      search={"trials": 2})  # fmt: skip


def end(state: SearchState, trial: Trial, value: float) -> TrialRecord:
    state.ended[trial.name] = record_of(trial, values=[(1, value)])
    return state.ended[trial.name]


def suggested(search: SourceSearcher, name: str) -> Trial:
    given = search.suggest(name)
    assert isinstance(given, dict)
    trial: Trial = given["trial"]
    return trial


def test_tune_gets_whole_trials_and_the_repetition_last_and_once(
    study: Study, tmp_path: Path
) -> None:
    state = state_of(study, tmp_path)
    search = SourceSearcher(state)
    trials = [suggested(search, name) for name in ("a", "b")]
    assert [trial.number for trial in trials] == [0, 1]
    assert search.suggest("c") is None
    end(state, trials[0], 0.4)
    assert search.suggest("c") is None
    end(state, trials[1], 0.6)
    repetition = suggested(search, "c")
    assert (repetition.repeats, repetition.protocol) == ("trial-00001", "inter_patient")
    assert state.running == {"a": trials[0], "b": trials[1], "c": repetition}
    assert search.suggest("d") == Searcher.FINISHED
    end(state, repetition, 0.9)
    assert search.suggest("d") == Searcher.FINISHED


def test_a_search_that_lost_a_trial_has_no_repetition_yet(study: Study, tmp_path: Path) -> None:
    state = state_of(study, tmp_path)
    search = SourceSearcher(state)
    first, second = (suggested(search, name) for name in ("a", "b"))
    end(state, first, 0.4)
    state.lost.add(second.name)
    assert search.suggest("c") == Searcher.FINISHED


def test_a_trial_that_lost_a_fold_is_run_again_as_it_was(study: Study, tmp_path: Path) -> None:
    state = state_of(study, tmp_path)
    stored = trial_of(study, 0, {"model.beta": 0.125})
    state.incomplete[stored.name] = record_of(stored, values=[(1, 0.5)])
    assert suggested(SourceSearcher(state), "a") == stored


def test_no_trial_starts_when_the_study_cannot_go_on(study: Study, tmp_path: Path) -> None:
    state = state_of(study, tmp_path)
    state.errors.append(OSError("no space"))
    assert SourceSearcher(state).suggest("a") == Searcher.FINISHED


def test_a_stop_that_was_being_committed_is_remembered_and_the_trial_run_to_its_end(
    study: Study, tmp_path: Path
) -> None:
    state = state_of(study, tmp_path)
    trial = trial_of(study, 0)
    address = trial.folds[0]
    manifest = FoldManifest(address.trial, address.fold, "pruned", "", 2, 2, {})
    state.ledger.commit_fold(manifest, {})
    state.begun = frozenset({trial.name})
    search = SourceSearcher(state)
    assert [suggested(search, name).number for name in ("a", "b")] == [0, 1]
    assert state.interrupted == {trial.name: 2}


def test_a_stopped_trial_ends_as_its_folds_reported(
    running: SearchState, study: Study, tmp_path: Path
) -> None:
    finalizer, trial = TrialFinalizer(running), trial_of(study)
    for epoch, value in ((2, 0.25), (4, 0.5), (2, 0.25), (4, 0.5)):  # resumed once
        report = {**result("running"), "epoch": epoch, "value": value}
        finalizer.on_trial_result(1, [], TUNE_TRIAL, report)
    for address in trial.folds:
        manifest = FoldManifest(address.trial, address.fold, "pruned", "", 4, 4, {})
        running.ledger.commit_fold(manifest, {})
    ended = {**result("pruned"), "epoch": 4, "value": 0.5}
    finalizer.on_trial_result(1, [], TUNE_TRIAL, ended)
    finalizer.on_trial_complete(1, [], TUNE_TRIAL)
    (record,) = running.ledger.trials()
    assert (record.state, record.values) == ("pruned", [(2, 0.25), (4, 0.5)])
    assert isinstance(running.observer, Seen)
    assert running.observer.results == [("trial-00000", epoch) for epoch in (2, 4, 2, 4)]


@pytest.fixture
def running(study: Study, tmp_path: Path) -> SearchState:
    """A search with a running trial, known to Tune by an id."""
    state = state_of(study, tmp_path)
    state.running[TUNE_TRIAL.trial_id] = trial_of(study)
    return state


def result(state: str, **kept: Any) -> dict[str, Any]:
    return {"epoch": 2, "state": state, "reason": "fold 0: no", **kept}


def test_results_are_shown(running: SearchState) -> None:
    TrialFinalizer(running).on_trial_result(1, [], TUNE_TRIAL, result("running", value=0.5))
    assert isinstance(running.observer, Seen)
    assert running.observer.results == [("trial-00000", 2)]
    assert not running.failed
    assert not running.errors


def test_a_failed_trial_ends_with_its_reason(running: SearchState) -> None:
    finalizer = TrialFinalizer(running)
    finalizer.on_trial_result(1, [], TUNE_TRIAL, result("failed"))
    finalizer.on_trial_complete(1, [], TUNE_TRIAL)
    (record,) = running.ledger.trials()
    assert (record.state, record.reason) == ("failed", "fold 0: no")
    assert running.ended == {record.name: record}


@pytest.mark.parametrize("state", ["blocked", "failed"])
def test_what_keeps_every_trial_from_going_on_ends_the_study(
    state: str, running: SearchState, study: Study
) -> None:
    """So does a trial that ended once, lost a fold, and now fails."""
    trial = trial_of(study)
    if state == "failed":
        running.incomplete[trial.name] = record_of(trial, values=[(2, 0.5)])
    TrialFinalizer(running).on_trial_result(1, [], TUNE_TRIAL, result(state))
    assert [str(error) for error in running.errors] == ["trial-00000: fold 0: no"]
    assert not running.failed


@pytest.mark.parametrize("proposed", [1, 2])
def test_checkpoints_go_with_the_run_but_those_of_trials_that_are_not_asked_for_now(
    proposed: int, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`search.trials` was lowered to one that has ended: raised again, the other goes on."""
    search = study.search.model_copy(update={"trials": 1})
    split = study.split.model_copy(update={"beside": None})
    study = study.model_copy(update={"search": search, "split": split})
    outputs = LocalFolder(tmp_path)
    results = outputs.folder(study.name)
    ledger = Ledger.of(results)
    trials = [trial_of(study, number) for number in range(proposed)]
    for trial in trials:
        ledger.record_proposal(Proposal(trial, 0, (), 0))
        results.write(f"checkpoints/{trial.name}/fold-0/checkpoint-000002.state", b"1")
    ledger.record_trial(record_of(trials[0], "failed"))
    for part in ("running_coordinator", "ray_folder", "NewsReader"):
        monkeypatch.setattr(tune_search, part, lambda *_: nullcontext())
    monkeypatch.setattr(tune_search, "ray", SimpleNamespace(put=lambda each: each))
    monkeypatch.setattr(tune_search, "_tuner", lambda *_: SimpleNamespace(fit=lambda: None))
    fold = SimpleNamespace(validation=[0], training=[1])
    splits: Any = {study.split.protocol: SimpleNamespace(folds=[fold])}
    variants: Any = SimpleNamespace(settings=(), samples=())
    run_time, plan = RunTime(ledger), Plan(1, 0, 1)
    missing = tune_search.run_search(
        study, plan, variants, splits, outputs, "run", Seen(), ledger, run_time
    )
    assert missing == []
    assert results.exists("checkpoints") == (proposed == 2)


def test_a_trial_that_this_run_cannot_finish_is_shown_and_ends_without_a_record(
    running: SearchState,
) -> None:
    finalizer = TrialFinalizer(running)
    finalizer.on_trial_result(1, [], TUNE_TRIAL, result("lost"))
    finalizer.on_trial_complete(1, [], TUNE_TRIAL)
    assert isinstance(running.observer, Seen)
    assert running.observer.deaths == [("trial-00000", "fold 0: no", False)]
    assert running.lost == {"trial-00000"}
    assert not running.ledger.trials()
