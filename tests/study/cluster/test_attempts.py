import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from study.cluster.attempts import Attempt, merge_reports
from study.cluster.exchange import Assignment, FoldWorker, trial_of
from study.cluster.faults import Fault, Owner
from study.cluster.fold_state import EPOCHS_OF_SILENCE, FIRST_EPOCH_FACTOR, FoldState
from study.config.study_file import load_study
from study.training.validation_report import ValidationReport
from tests.study import trials

STUDY = load_study("quickstart")


def report(value: float, epoch: int = 4, **kept: Any) -> ValidationReport:
    scores = {"phi": value / 2, "generator_loss": 1 - value}
    return replace(ValidationReport(epoch, "running", value=value, scores=scores), **kept)


def test_a_trials_result_has_the_means_of_its_folds_and_what_each_reported() -> None:
    values = [0.2, 0.5, 0.9]
    merged = merge_reports([report(v) for v in values])
    assert (merged["epoch"], merged["state"], merged["reason"]) == (4, "running", "")
    assert merged["value"] == pytest.approx(np.mean(values))
    assert merged["phi"] == pytest.approx(np.mean(values) / 2)
    assert merged["generator_loss"] == pytest.approx(1 - np.mean(values))
    for fold, value in enumerate(values):
        assert merged[f"fold-{fold}/value"] == value
        assert merged[f"fold-{fold}/phi"] == value / 2


def test_one_fold_is_its_own_mean() -> None:
    assert merge_reports([report(0.25, state="completed")])["value"] == 0.25


@pytest.mark.parametrize("failed", [[0], [1], [2], [0, 2], [0, 1, 2]])
def test_a_failed_fold_fails_the_trial_without_a_value(failed: list[int]) -> None:
    gone = {"state": "failed", "reason": "loss is nan", "scores": {}}
    reports = [report(math.nan, **gone) if f in failed else report(0.5) for f in range(3)]
    merged = merge_reports(reports)
    assert merged["state"] == "failed"
    assert merged["reason"] == "; ".join(f"fold {f}: loss is nan" for f in failed)
    assert "value" not in merged
    for fold in set(range(3)) - set(failed):
        assert merged[f"fold-{fold}/value"] == 0.5


def attempt_of(folds: int) -> Attempt:
    return Attempt(Assignment.of(trials.trial_of(STUDY)), [FoldState() for _ in range(folds)])


def test_no_two_attempts_have_a_name_and_each_names_its_trial() -> None:
    trial = trials.trial_of(STUDY, 12)
    names = {Assignment.of(trial).attempt for _ in range(50)}
    assert len(names) == 50
    assert {trial_of(name) for name in names} == {"trial-00012"}
    assert trial_of(Assignment.of(None).attempt) == ""


def test_results_come_in_order_whatever_fold_is_ahead() -> None:
    attempt = attempt_of(2)
    assert not attempt.take(0, [report(0.2, epoch=2), report(0.4, epoch=4)])
    assert attempt.next_result(0) is None
    assert attempt.take(1, [report(0.4, epoch=2)])
    first = attempt.next_result(0)
    assert first
    assert (first["epoch"], first["value"]) == (2, pytest.approx(0.3))
    assert attempt.next_result(2) is None
    assert attempt.take(1, [report(0.6, epoch=4)])
    assert (attempt.next_result(2) or {})["value"] == pytest.approx(0.5)


def test_what_is_reported_again_makes_no_second_result() -> None:
    attempt = attempt_of(1)
    assert attempt.take(0, [report(0.2, epoch=2)])
    assert not attempt.take(0, [report(0.9, epoch=2)])
    assert (attempt.next_result(0) or {})["value"] == 0.2


def test_an_attempt_that_goes_on_knows_all_reports_up_to_its_last_result() -> None:
    attempt = Attempt(Assignment("t/1", None), [FoldState(), FoldState()], epoch=4)
    assert attempt.knows(0, 4)
    assert not attempt.knows(0, 5)
    attempt.take(0, [report(0.5, epoch=6)])
    assert attempt.knows(0, 6)
    assert not attempt.knows(1, 6)


def test_failures_are_forgotten_when_all_folds_get_on() -> None:
    attempt = attempt_of(2)
    for fault in (Fault(Owner.TRIAL, "no"), Fault(Owner.UNKNOWN, "?"), Fault(Owner.CLUSTER, "")):
        attempt.folds[0].fail(fault)
    assert (attempt.folds[0].failures, attempt.folds[0].fault) == (2, Fault(Owner.TRIAL, "no"))
    attempt.take(0, [report(0.5)])
    assert attempt.folds[0].failures == 2
    attempt.take(1, [report(0.5)])
    assert (attempt.folds[0].failures, attempt.folds[0].fault) == (0, None)


def test_a_fold_may_be_silent_for_epochs_of_its_own_and_longer_after_each_hang() -> None:
    fold = FoldState()
    assert fold.silence_allowed(600) == FIRST_EPOCH_FACTOR * 600
    fold.longest_epoch = 1.0
    assert fold.silence_allowed(600) == 600
    fold.longest_epoch = 1000.0
    assert fold.silence_allowed(600) == EPOCHS_OF_SILENCE * 1000
    fold.hangs = 2
    assert fold.silence_allowed(600) == 4 * EPOCHS_OF_SILENCE * 1000


def test_a_trial_waits_for_nodes_until_each_fold_has_a_worker() -> None:
    attempt = attempt_of(2)
    attempt.waits_since = 5.0
    attempt.heartbeat(FoldWorker("a", 0, "n", "10.0.0.1"), now=6.0)
    assert attempt.waits_since == 5.0
    fold = attempt.heartbeat(FoldWorker("a", 1, "n", "10.0.0.1"), now=7.0, longest_epoch=3.0)
    assert attempt.waits_since is None
    assert (fold.last_heartbeat, fold.longest_epoch) == (7.0, 3.0)
    attempt.lose_workers(now=9.0)
    assert attempt.waits_since == 9.0
    assert [(each.worker, each.silent_seconds(99.0)) for each in attempt.folds] == [(None, 0.0)] * 2
