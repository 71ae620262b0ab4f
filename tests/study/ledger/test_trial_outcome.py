from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study.config.schema import Study
from study.ledger.fold_contents import history_file
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.trial_outcome import (
    ReportedEnd,
    finalize,
    interrupted_stop,
    split_by_completeness,
)
from study.search.trial import State, mean_over_folds
from study.storage.folder import LocalFolder
from tests.study.trials import trial_of

TRIAL = "trial-00003"
PARAMETERS = {"model.beta": 0.5}


class Outcome:
    """A ledger and checkpoints of a trial of three folds."""

    def __init__(self, root: Path, study: Study) -> None:
        self.trial = trial_of(study, 3, PARAMETERS)
        self.ledger = Ledger(LocalFolder(root / "ledger"))
        self.checkpoints = LocalFolder(root / "checkpoints")

    def fold(
        self, fold: int, values: dict[int, float], state: State = "completed", reason: str = ""
    ) -> tuple[FoldManifest, dict[str, bytes]]:
        last = max(values, default=1)
        rows = [
            {"epoch": e, "loss": 0.5, **({"value": values[e]} if e in values else {})}
            for e in range(1, last + 1)
        ]
        manifest = FoldManifest(TRIAL, fold, state, reason, last, last, {})
        return manifest, {"history.parquet": history_file(rows), "x": bytes([fold])}

    def commit(self, fold: int, values: dict[int, float], **kept: Any) -> None:
        self.ledger.commit_fold(*self.fold(fold, values, **kept))

    def finalize(self, completion_order: int = 0, **kept: Any) -> Any:
        return finalize(self.ledger, self.checkpoints, self.trial, completion_order, **kept)


@pytest.fixture
def outcome(tmp_path: Path, tiny_study: Any) -> Outcome:
    return Outcome(tmp_path, tiny_study(split={"folds": 3}))


VALUES = [{2: 0.1, 4: 0.9}, {2: 0.2, 4: 0.6}, {2: 0.6, 4: 0.3}]
MEANS = [(2, 0.3), (4, 0.6)]


def assert_values(actual: list[tuple[int, float]], expected: list[tuple[int, float]]) -> None:
    assert [epoch for epoch, _ in actual] == [epoch for epoch, _ in expected]
    np.testing.assert_allclose([v for _, v in actual], [v for _, v in expected], rtol=1e-12)


def test_all_folds_completed_is_a_completed_trial(outcome: Outcome) -> None:
    for fold, values in enumerate(VALUES):
        outcome.commit(fold, values)
    outcome.checkpoints.write(f"{TRIAL}/fold-0/checkpoint-000002.state", b"1")
    outcome.checkpoints.write("trial-00004/fold-0/checkpoint-000002.state", b"1")
    record = outcome.finalize()
    assert (record.trial, record.name, record.state) == (outcome.trial, TRIAL, "completed")
    assert (record.reason, record.completion_order) == ("", 0)
    assert_values(record.values, MEANS)
    assert record.best_value == pytest.approx(0.6)
    assert outcome.ledger.trial(TRIAL) == record
    assert outcome.checkpoints.names() == ["trial-00004"]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_fold_is_no_end(missing: int, outcome: Outcome) -> None:
    for fold, values in enumerate(VALUES):
        if fold != missing:
            outcome.commit(fold, values)
    outcome.checkpoints.write(f"{TRIAL}/fold-{missing}/checkpoint-000002.state", b"1")
    assert outcome.finalize() is None
    assert outcome.ledger.trials() == []
    assert outcome.checkpoints.exists(f"{TRIAL}/fold-{missing}/checkpoint-000002.state")


def test_one_failed_fold_is_a_failed_trial_even_if_others_are_missing(outcome: Outcome) -> None:
    outcome.commit(0, VALUES[0])
    outcome.commit(2, {}, state="failed", reason="loss is nan")
    record = outcome.finalize()
    assert record.state == "failed"
    assert record.reason == "fold 2: loss is nan"
    assert record.values == []
    assert outcome.ledger.trial(TRIAL) == record


def test_failed_beats_pruned(outcome: Outcome) -> None:
    outcome.commit(0, {2: 0.5}, state="pruned")
    outcome.commit(1, {}, state="failed", reason="r")
    assert outcome.finalize().state == "failed"


@pytest.mark.parametrize("state", ["completed", "pruned"])
def test_what_folds_reported_makes_the_record_that_their_files_make(
    state: State, outcome: Outcome
) -> None:
    for fold, values in enumerate(VALUES):
        outcome.commit(fold, values, state=state)
    read = outcome.finalize()
    means = [(epoch, mean_over_folds([values[epoch] for values in VALUES])) for epoch in (2, 4)]
    assert outcome.finalize(reported=ReportedEnd(state, means)) == read
    assert read.state == state
    assert_values(read.values, MEANS)


@pytest.mark.parametrize("done", [1, 2])
def test_an_interrupted_stop_is_recognised_and_is_no_end(done: int, outcome: Outcome) -> None:
    for fold in range(done):
        outcome.commit(fold, VALUES[fold], state="pruned")
    assert interrupted_stop(outcome.ledger, outcome.trial) == 4
    assert outcome.finalize() is None
    assert outcome.finalize(reported=ReportedEnd("pruned", MEANS)) is None
    assert outcome.ledger.trials() == []


def test_without_pruned_folds_there_was_no_stop(outcome: Outcome) -> None:
    assert interrupted_stop(outcome.ledger, outcome.trial) is None
    outcome.commit(0, VALUES[0])
    outcome.commit(1, {}, state="failed", reason="r")
    assert interrupted_stop(outcome.ledger, outcome.trial) is None


def test_a_trial_that_ends_again_keeps_its_completion_order(outcome: Outcome) -> None:
    for fold, values in enumerate(VALUES):
        outcome.commit(fold, values)
    assert outcome.finalize(completion_order=5).completion_order == 5
    assert outcome.finalize(completion_order=7).completion_order == 5


def test_a_trial_that_was_stopped_before_it_had_all_folds_has_the_means_of_those(
    outcome: Outcome,
) -> None:
    outcome.commit(0, VALUES[0], state="pruned")
    assert outcome.finalize(num_folds=2) is None
    outcome.commit(1, VALUES[1], state="pruned")
    record = outcome.finalize(num_folds=2)
    assert (record.state, record.num_folds) == ("pruned", 2)
    assert record.folds == outcome.trial.folds[:2]
    assert_values(record.values, [(2, 0.15), (4, 0.75)])
    assert split_by_completeness(outcome.ledger) == ([record], [])
    outcome.ledger.folder.remove(f"{TRIAL}/fold-1")
    assert split_by_completeness(outcome.ledger) == ([], [record])
