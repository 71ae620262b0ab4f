"""Where trials are assigned to groups of fold workers, and where their reports meet.

A group of workers takes trials in turn, since a fresh process costs seconds of imports.
The coordinator is an actor of its own that all of them, and the trials that Ray Tune runs,
talk to. Every exchange names the attempt that it belongs to, so that no message
of one attempt at a trial reaches another.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from study.cluster.placement_groups import remove_orphans
from study.search.trial import Trial, fold_name, mean_over_folds
from study.training.validation_report import ValidationReport

MOST_STARTS = 4
"""How often a fold's worker may start on one trial without its getting on."""
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Assignment:
    """A trial for a group to train.

    Attributes:
        attempt: names this attempt at the trial; 0 is none.
        trial: the trial; None ends the workers.
    """

    attempt: int
    trial: Trial | None


class LostTrialError(RuntimeError):
    """The workers of a trial died more often than is worth another start."""


class Verdict(IntEnum):
    """What a fold does after a report."""

    LEAVE = 0
    """It asks for the next assignment."""
    GO_ON = 1
    """It trains on."""
    STOP = 2
    """It commits what there is: the search stops the trial here."""


@dataclass
class _Attempt:
    """Where the folds of one assignment stand.

    Attributes:
        assignment: what they train.
        starts: how often each fold's worker has taken it since all folds last got on.
        failures: why workers died of themselves since then, by fold.
        blocked: whether the last failure was of what keeps every trial from going on.
        reports: by epoch and fold, of epochs that not all folds have reported yet.
        epoch: the last that all have reported.
        failed: whether a fold had failed by then.
        stopped: whether the trial has been stopped, and its folds are committed or of no use.
        stops_at: epoch at which the search stops the trial, and its folds commit what they
            have; None if it does not.
        ends: what folds report once that is committed, by fold.
        results: what all folds have reported, in order.
    """

    assignment: Assignment
    starts: dict[int, int] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    blocked: bool = False
    reports: dict[int, dict[int, ValidationReport]] = field(default_factory=dict)
    epoch: int = 0
    failed: bool = False
    stopped: bool = False
    stops_at: int | None = None
    ends: dict[int, ValidationReport] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether its workers have nothing more to do for it."""
        return self.failed or self.stopped

    @property
    def trial_name(self) -> str:
        """The name of its trial; "" without one."""
        return self.assignment.trial.name if self.assignment.trial else ""


class Coordinator:
    """An asynchronous actor; see the module."""

    def __init__(self, folds: int, rungs: Sequence[int]) -> None:
        self._folds, self._rungs = folds, frozenset(rungs)
        self._attempts = 0
        self._groups: dict[str, _Attempt] = {}
        self._promoted: dict[str, int] = {}
        self._changed = asyncio.Condition()

    async def assign(self, group: str, trial: Trial) -> int:
        """Assign a trial to a group, which drops the one it had; return the attempt.

        Another group that had this trial is dismissed: the process that ran it died.
        """
        for other, attempt in list(self._groups.items()):
            if other != group and attempt.trial_name == trial.name:
                await self.dismiss(other)
        return await self._assign(group, trial)

    async def dismiss(self, group: str) -> None:
        """End the workers of a group."""
        await self._assign(group, None)

    async def _assign(self, group: str, trial: Trial | None) -> int:
        async with self._changed:
            self._attempts += 1
            self._groups[group] = _Attempt(Assignment(self._attempts, trial))
            self._changed.notify_all()
            return self._attempts

    async def remove_orphans(self) -> None:
        """Remove placement groups of dead processes from time to time; does not return."""
        while True:
            await asyncio.to_thread(remove_orphans)
            await asyncio.sleep(POLL_SECONDS)

    async def next_assignment(self, group: str, fold: int, after: int) -> Assignment:
        """Wait for an assignment of `group` other than the attempt `after`.

        A worker that replaces a dead one gets the dead one's.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_work(group, after))
            attempt = self._groups[group]
            attempt.starts[fold] = attempt.starts.get(fold, 0) + 1
            if attempt.failures and attempt.starts[fold] > MOST_STARTS:
                self._give_up(attempt)
                await self._changed.wait_for(lambda: self._has_work(group, after))
                attempt = self._groups[group]
            self._changed.notify_all()
            return attempt.assignment

    def _has_work(self, group: str, after: int) -> bool:
        attempt = self._groups.get(group)
        return attempt is not None and attempt.assignment.attempt != after and not attempt.is_over

    def _give_up(self, attempt: _Attempt) -> None:
        """Fail the trial with the reasons why its folds cannot be trained."""
        attempt.failed = True
        failures = sorted(attempt.failures.items())
        attempt.results.append(
            {
                "epoch": attempt.epoch,
                "state": "blocked" if attempt.blocked else "failed",
                "reason": "; ".join(f"fold {fold}: {reason}" for fold, reason in failures),
            }
        )
        self._changed.notify_all()

    async def report_failure(
        self, group: str, attempt: int, fold: int, reason: str, *, blocked: bool
    ) -> None:
        """Take note of why a fold's worker dies; the last one's reason is the trial's.

        `blocked` says that the fault is not the trial's: no other would fare better.
        """
        current = self._groups[group]
        if current.assignment.attempt == attempt:
            current.failures[fold] = reason
            current.blocked = blocked

    async def report(
        self, group: str, attempt: int, fold: int, report: ValidationReport
    ) -> Verdict:
        """Take a fold's report of a validation epoch; return what it does next.

        Folds do not wait for each other, but at a rung: there the answer comes when all
        have reported that epoch and the search has decided. Where it stops the trial, the
        trial's last result comes when all folds have committed that.
        """
        async with self._changed:
            current = self._groups[group]
            if current.assignment.attempt != attempt:
                return Verdict.LEAVE
            if report.epoch == current.stops_at and report.state != "running":
                current.ends[fold] = report
                if len(current.ends) == self._folds:
                    self._end_stop(current)
            elif report.epoch > current.epoch:
                reports = current.reports.setdefault(report.epoch, {})
                reports[fold] = report
                if len(reports) == self._folds:
                    self._merge(current, report.epoch)
            await self._changed.wait_for(lambda: self._is_decided(group, attempt, report))
            current = self._groups[group]
            if current.assignment.attempt != attempt or current.is_over:
                return Verdict.LEAVE
            is_stop = report.epoch == current.stops_at and report.state == "running"
            return Verdict.STOP if is_stop else Verdict.GO_ON

    def _merge(self, attempt: _Attempt, epoch: int) -> None:
        """Make one result of an epoch that all folds have reported; each reports in order."""
        reports = attempt.reports.pop(epoch)
        result = merge_reports([reports[fold] for fold in range(self._folds)])
        attempt.epoch = epoch
        attempt.failed = result["state"] == "failed"
        attempt.results.append(result)
        attempt.starts.clear()  # it gets on
        attempt.failures.clear()
        self._changed.notify_all()

    def _end_stop(self, attempt: _Attempt) -> None:
        """End a trial that was stopped, now that all its folds have committed that."""
        attempt.stopped = True
        attempt.results.append(merge_reports([attempt.ends[f] for f in range(self._folds)]))
        self._changed.notify_all()

    def _is_decided(self, group: str, attempt: int, report: ValidationReport) -> bool:
        current = self._groups[group]
        if current.assignment.attempt != attempt or current.is_over:
            return True
        if report.epoch not in self._rungs or report.state != "running":
            return True
        if current.stops_at is not None and report.epoch >= current.stops_at:
            return True
        return self._promoted.get(current.trial_name, 0) >= report.epoch

    async def promote(self, trial: str, epoch: int) -> None:
        """Let a trial train on past the rung at `epoch`."""
        async with self._changed:
            self._promoted[trial] = max(epoch, self._promoted.get(trial, 0))
            self._changed.notify_all()

    async def stop_trial(self, trial: str, epoch: int | None = None) -> None:
        """End a trial for its folds, which wait for the next; the group keeps its workers.

        Args:
            trial: its name.
            epoch: a rung, which its folds have reported: they commit what they have, and report
                it. None: they drop the trial at once.
        """
        async with self._changed:
            for attempt in self._groups.values():
                if attempt.trial_name == trial:
                    attempt.stops_at = epoch
                    attempt.stopped |= epoch is None
            self._changed.notify_all()

    async def result(self, group: str, attempt: int, index: int) -> dict[str, Any]:
        """Wait for the result number `index`, from 0, of all folds of an attempt.

        Raises:
            LostTrialError: its workers were started too often.
        """
        current = self._groups[group]
        assert current.assignment.attempt == attempt
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    len(current.results) > index
                    or max(current.starts.values(), default=0) > MOST_STARTS
                )
            )
            if len(current.results) > index:
                return current.results[index]
        raise LostTrialError(
            f"workers of {current.trial_name} died {MOST_STARTS} times at one epoch"
        )


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
        result[name] = mean_over_folds([report.scores[name] for report in reports])
    return result
