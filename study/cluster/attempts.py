"""One try at a trial by one group of workers: how far its folds are, and what went wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from study.cluster.exchange import Assignment, FoldWorker, trial_of
from study.cluster.fold_state import FoldState
from study.search.rungs import FoldSchedule
from study.search.trial import fold_name, mean_over_folds
from study.training.validation_report import ValidationReport


@dataclass
class Attempt:
    """Where an assignment stands.

    Attributes:
        assignment: what is trained, and by which name.
        folds: where each fold stands.
        epoch: the last that every fold has reported of those that a result is of.
        waits_since: since when a worker is missing; None if none is.
        present: the workers that have come, by rank.
        reports: by epoch and fold, of epochs that not all folds have reported yet.
        fails_at: the epoch at which the trial fails, once all folds have come to it; infinity where
            none has failed.
        stops_at: the rung at which the search stops the trial, and its folds commit what they
            have; None if it does not.
        ends: what folds report once that is committed, by fold.
        results: what all folds have reported, in order, as far as nobody has fetched it.
        is_over: whether its workers have nothing more to do for it.
        schedule: how many folds a result is of; None: all.
        is_raced: whether trials that grow may take the slots that it waits for.
    """

    assignment: Assignment
    folds: list[FoldState]
    epoch: int = 0
    waits_since: float | None = None
    present: set[int] = field(default_factory=set)
    reports: dict[int, dict[int, ValidationReport]] = field(default_factory=dict)
    fails_at: float = math.inf
    stops_at: int | None = None
    ends: dict[int, ValidationReport] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    is_over: bool = False
    schedule: FoldSchedule | None = None
    is_raced: bool = False

    @classmethod
    def begin(
        cls, assignment: Assignment, schedule: FoldSchedule, after: int, now: float
    ) -> "Attempt":
        """Return an attempt whose workers are to start.

        Args:
            assignment: what is trained.
            schedule: the study's.
            after: the last epoch of which there is a result; 0 for none.
            now: seconds.
        """
        trial, num_folds = assignment.trial, assignment.folds or schedule.all_folds
        return cls(
            assignment,
            [FoldState() for _ in range(num_folds)],
            epoch=after,
            waits_since=now,
            schedule=schedule if trial is not None and schedule.races(trial) else None,
            is_raced=schedule.is_raced,
        )

    @property
    def name(self) -> str:
        """The name of the attempt."""
        return self.assignment.attempt

    @property
    def trial(self) -> str:
        """The name of its trial; "" without one."""
        return trial_of(self.name)

    @property
    def workers(self) -> int:
        """How many workers its group has."""
        return self.assignment.workers or len(self.folds)

    @property
    def takes_turns(self) -> bool:
        """Whether there are more folds than workers."""
        return self.workers < len(self.folds)

    @property
    def is_training(self) -> bool:
        """Whether there is something to do for its workers."""
        return self.assignment.trial is not None and not self.is_over

    def heartbeat(self, worker: FoldWorker, now: float, longest_epoch: float = 0.0) -> FoldState:
        """Take note that a fold's worker is alive; return the fold."""
        for other in self.folds_of(worker.fold):
            self.folds[other].worker = self.folds[other].last_heartbeat = None
        fold = self.folds[worker.fold]
        fold.worker, fold.last_heartbeat = worker, now
        fold.longest_epoch = max(fold.longest_epoch, longest_epoch)
        self.present.add(worker.fold % self.workers)
        if len(self.present) == self.workers:
            self.waits_since = None
        return fold

    def is_idle(self, worker: FoldWorker) -> bool:
        """Return whether a worker is known to wait, or to have another fold by now."""
        known = (self.folds[fold] for fold in self.folds_of(worker.fold))
        return any(
            fold.worker != worker or fold.last_heartbeat is None for fold in known if fold.worker
        )

    def lose_workers(self, now: float) -> None:
        """Take note that no fold has a worker any more: a group is started as a whole."""
        for fold in self.folds:
            fold.worker = fold.last_heartbeat = None
        self.present.clear()
        if self.waits_since is None:
            self.waits_since = now

    def folds_of(self, rank: int) -> range:
        """Return the folds that take turns on the worker of a rank, or of one of these folds."""
        return range(rank % self.workers, len(self.folds), self.workers)

    def is_hopeless(self, report: ValidationReport) -> bool:
        """Return whether a fold need not train on, since its trial fails before it could end."""
        return self.takes_turns and report.state == "running" and report.epoch >= self.fails_at

    @property
    def progress(self) -> str:
        """How many folds have ended, for people."""
        ended = sum(fold.has_ended for fold in self.folds)
        return f"{self.trial}: {ended} of {len(self.folds)} folds have ended"

    def fold_on(self, rank: int) -> int | None:
        """Return the fold that the worker of a rank trains or had last; None if none is known."""
        return next((fold for fold in self.folds_of(rank) if self.folds[fold].worker), None)

    def next_fold(self, worker: FoldWorker, wait: float) -> int | None:
        """Return which of its folds a worker may train now; None if none.

        Args:
            worker: the worker.
            wait: the epoch at which folds wait next, for the search; infinity for none.
        """
        return next((f for f in self.folds_of(worker.fold) if self._may_train(f, wait)), None)

    def is_turn_of_others(self, worker: FoldWorker, wait: float) -> bool:
        """Return whether a worker may train another of its folds than the one that it has."""
        others = (fold for fold in self.folds_of(worker.fold) if fold != worker.fold)
        return any(self._may_train(fold, wait) for fold in others)

    def _may_train(self, fold: int, wait: float) -> bool:
        """Return whether a fold has something to do before `wait`."""
        state = self.folds[fold]
        if state.has_ended:
            return False
        return self.stops_at is not None or state.latest < min(wait, self.fails_at)

    def knows(self, fold: int, epoch: int, has_ended: bool = False) -> bool:
        """Return whether a fold's report of `epoch` has come, or is not needed any more."""
        state = self.folds[fold]
        return epoch <= max(self.epoch, state.latest) and has_ended <= state.has_ended

    def take(self, fold: int, reports: Sequence[ValidationReport]) -> bool:
        """Take a fold's next reports, in order; return whether there is a result by them."""
        before, state = len(self.results), self.folds[fold]
        for report in reports:
            trains_alone = self.takes_turns or report.epoch <= self.epoch  # its turn, or it is late
            if report.epoch > state.latest and trains_alone:
                state.failures, state.fault = 0, None  # it may be long until all folds get on
            state.latest = max(report.epoch, state.latest)
            state.has_ended = report.state != "running"
            if self._is_end_of_stop(report) and not self.is_over:
                self.ends[fold] = report
                if len(self.ends) == len(self.folds):
                    self._end_stop()
            elif report.epoch > self.epoch and not self.is_over:
                epoch_reports = self.reports.setdefault(report.epoch, {})
                epoch_reports[fold] = report
                if report.state == "failed":
                    self.fails_at = min(self.fails_at, report.epoch)
                if all(each in epoch_reports for each in range(self._folds_at(report.epoch))):
                    self._merge(report.epoch)
        return len(self.results) > before

    def _folds_at(self, epoch: int) -> int:
        """Return how many folds the result of an epoch is of: not of those that catch up."""
        return self.schedule.at(epoch) if self.schedule else len(self.folds)

    def outgrow(self, rung: int) -> None:
        """End it if its trial has more folds after `rung`, the last that it was let pass.

        Its workers end: a trial that waits for more slots holds none, so that no number of trials
        can block each other. The folds go on from their checkpoints at the rung.
        """
        needed = self.schedule.after(rung) if self.schedule else 0
        if self.is_training and needed > len(self.folds):
            self.results.append({"epoch": self.epoch, "state": "grows", "folds": needed})
            self.is_over = True

    def _is_end_of_stop(self, report: ValidationReport) -> bool:
        """Return whether a fold reports an epoch again, since it has committed it as its last."""
        reached = max(self.epoch, self.stops_at or 0)
        return report.state in ("pruned", "failed") and report.epoch <= reached

    def _end_stop(self) -> None:
        """End a trial that was stopped, now that all its folds have committed that."""
        self.results.append(merge_reports([self.ends[fold] for fold in range(len(self.folds))]))
        self.is_over = True

    def _merge(self, epoch: int) -> None:
        """Make one result of an epoch that its folds have reported; each reports in order."""
        reports = self.reports.pop(epoch)
        result = merge_reports([reports[fold] for fold in range(self._folds_at(epoch))])
        self.epoch = epoch
        for fold in self.folds:
            fold.failures, fold.fault = 0, None
        self.results.append(result)
        self.is_over = result["state"] == "failed"

    def end(self, state: str, reason: str) -> None:
        """End it for a reason that no fold has reported."""
        self.results.append({"epoch": self.epoch, "state": state, "reason": reason})
        self.is_over = True

    def next_result(self, after: int) -> dict[str, Any] | None:
        """Return the result that follows epoch `after`, and drop those before; None if none."""
        while self.results and self.results[0]["epoch"] <= after:
            if self.results[0]["state"] != "running":  # its end follows its last epoch
                break
            del self.results[0]
        return self.results[0] if self.results else None


def merge_reports(reports: Sequence[ValidationReport]) -> dict[str, Any]:
    """Return the result of a trial from what its folds report of the same epoch.

    If a fold failed, so has the trial, and there is no `value`.
    """
    result: dict[str, Any] = {
        "epoch": reports[0].epoch,
        "state": reports[0].state,
        "reason": "",
    }
    for fold, report in enumerate(reports):
        result[f"{fold_name(fold)}/value"] = report.value
        for name, score in report.scores.items():
            result[f"{fold_name(fold)}/{name}"] = score
    failed = [f"fold {f}: {r.reason}" for f, r in enumerate(reports) if r.state == "failed"]
    if failed:
        return {**result, "state": "failed", "reason": "; ".join(failed)}
    result["value"] = mean_over_folds([report.value for report in reports])
    for name in reports[0].scores:
        if all(name in report.scores for report in reports):  # one may be of before it was measured
            result[name] = mean_over_folds([report.scores[name] for report in reports])
    return result
