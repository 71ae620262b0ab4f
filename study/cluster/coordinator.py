"""Where trials are handed to groups of fold workers, and where their reports meet.

A group of workers takes trials in turn, since a fresh process costs seconds of imports.
The desk is an actor of its own that all of them, and the trials that Ray Tune runs,
talk to. Every exchange names the assignment it belongs to, so that nobody hears what
was meant for another attempt at the same trial.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from study.cluster.placement_groups import give_back_orphans
from study.ledger.ledger import fold_name
from study.training.validation_report import FoldReport

ATTEMPTS = 4
LOOK_SECONDS = 1.0
CLOSED = -1


@dataclass(frozen=True)
class Assignment:
    """A trial for a group to train.

    Attributes:
        token: names this handing out; -1 tells workers to go home.
        number: the trial's number.
        parameters: its searched settings.
    """

    token: int
    number: int = -1
    parameters: dict[str, Any] = field(default_factory=dict)


class LostTrialError(RuntimeError):
    """The workers of a trial died more often than is worth another try."""


@dataclass
class _Progress:
    """What the folds of one assignment have said.

    Attributes:
        assignment: what they train.
        attempts: how often each fold's worker has taken it.
        complaints: why workers died of themselves since the last such epoch, by fold.
        blocked: whether the last complaint was of what keeps every trial from going on.
        reports: by epoch and fold, what not all folds have said yet.
        epoch: the last that all have said.
        failed: whether a fold had failed by then.
        merged: what all have said, in order.
    """

    assignment: Assignment
    attempts: dict[int, int] = field(default_factory=dict)
    complaints: dict[int, str] = field(default_factory=dict)
    blocked: bool = False
    reports: dict[int, dict[int, FoldReport]] = field(default_factory=dict)
    epoch: int = 0
    failed: bool = False
    merged: list[dict[str, Any]] = field(default_factory=list)


class Desk:
    """An asynchronous actor; see the module."""

    def __init__(self, folds: int, milestones: frozenset[int]) -> None:
        self._folds, self._milestones = folds, milestones
        self._tokens = 0
        self._groups: dict[str, _Progress] = {}
        self._passed: dict[int, int] = {}
        self._changed = asyncio.Condition()

    async def assign(self, group: str, number: int, parameters: dict[str, Any]) -> int:
        """Hand a trial to a group, which drops the one it had; return the token.

        Another group that had this trial is sent home: the process that ran it died.
        """
        self._tokens += 1
        token = self._tokens
        for other, progress in list(self._groups.items()):
            if other != group and progress.assignment.number == number:
                await self.close(other)
        await self._hand(group, Assignment(token, number, parameters))
        return token

    async def close(self, group: str) -> None:
        """Send the workers of a group home."""
        await self._hand(group, Assignment(CLOSED))

    async def _hand(self, group: str, assignment: Assignment) -> None:
        async with self._changed:
            self._groups[group] = _Progress(assignment)
            self._changed.notify_all()

    async def tidy(self) -> None:
        """Give back what groups of dead processes hold of the cluster; does not return."""
        while True:
            await asyncio.to_thread(give_back_orphans)
            await asyncio.sleep(LOOK_SECONDS)

    async def take(self, group: str, fold: int, after: int) -> Assignment:
        """Wait for an assignment of `group` other than that with the token `after`.

        A worker that takes the place of a dead one gets the dead one's.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_work(group, after))
            progress = self._groups[group]
            progress.attempts[fold] = progress.attempts.get(fold, 0) + 1
            if progress.complaints and progress.attempts[fold] > ATTEMPTS:
                self._give_up(progress)
                await self._changed.wait_for(lambda: self._has_work(group, after))
                progress = self._groups[group]
            self._changed.notify_all()
            return progress.assignment

    def _has_work(self, group: str, after: int) -> bool:
        progress = self._groups.get(group)
        return progress is not None and progress.assignment.token != after and not progress.failed

    def _give_up(self, progress: _Progress) -> None:
        """Let the trial hear why its folds cannot be trained."""
        progress.failed = True
        said = sorted(progress.complaints.items())
        progress.merged.append(
            {
                "epoch": progress.epoch,
                "state": "blocked" if progress.blocked else "failed",
                "reason": "; ".join(f"fold {fold}: {reason}" for fold, reason in said),
            }
        )
        self._changed.notify_all()

    async def complain(
        self, group: str, token: int, fold: int, reason: str, *, blocked: bool
    ) -> None:
        """Hear why a fold's worker dies; the last one's reason is the trial's.

        `blocked` says that the fault is not the trial's: no other would fare better.
        """
        progress = self._groups[group]
        if progress.assignment.token == token:
            progress.complaints[fold] = reason
            progress.blocked = blocked

    async def report(self, group: str, token: int, fold: int, report: FoldReport) -> bool:
        """Hear of a fold's validation epoch; tell whether the fold shall train on.

        Folds do not wait for each other, but at a milestone: there the answer comes when
        all have said that epoch and the search has decided.
        """
        async with self._changed:
            progress = self._groups[group]
            if progress.assignment.token != token:
                return False
            if report.epoch > progress.epoch:
                said = progress.reports.setdefault(report.epoch, {})
                said[fold] = report
                if len(said) == self._folds:
                    self._merge(progress, report.epoch)
            await self._changed.wait_for(lambda: self._answered(group, token, report))
            current = self._groups[group]
            return current.assignment.token == token and not current.failed

    def _merge(self, progress: _Progress, epoch: int) -> None:
        """Tell of an epoch that all folds have said; each says its epochs in order."""
        said = progress.reports.pop(epoch)
        merged = mean_over_folds([said[fold] for fold in range(self._folds)])
        progress.epoch = epoch
        progress.failed = merged["state"] == "failed"
        progress.merged.append(merged)
        progress.attempts.clear()  # it gets on
        progress.complaints.clear()
        self._changed.notify_all()

    def _answered(self, group: str, token: int, report: FoldReport) -> bool:
        progress = self._groups[group]
        if progress.assignment.token != token or progress.failed:
            return True
        if report.epoch not in self._milestones or report.state != "running":
            return True
        return self._passed.get(progress.assignment.number, 0) >= report.epoch

    async def pass_milestone(self, number: int, epoch: int) -> None:
        """Let trial `number` train on past `epoch`."""
        async with self._changed:
            self._passed[number] = max(epoch, self._passed.get(number, 0))
            self._changed.notify_all()

    async def result(self, group: str, token: int, index: int) -> dict[str, Any]:
        """Wait for the result number `index`, from 0, of all folds of an assignment.

        Raises:
            LostTrialError: its workers were started too often.
        """
        progress = self._groups[group]
        assert progress.assignment.token == token
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    len(progress.merged) > index
                    or max(progress.attempts.values(), default=0) > ATTEMPTS
                )
            )
            if len(progress.merged) > index:
                return progress.merged[index]
        raise LostTrialError(
            f"workers of trial {progress.assignment.number} died {ATTEMPTS} times at one epoch"
        )


def mean_over_folds(reports: Sequence[FoldReport]) -> dict[str, Any]:
    """Return what Tune hears of a trial from what its folds say of the same epoch.

    If a fold failed, so has the trial, and there is no `value`.
    """
    merged: dict[str, Any] = {
        "epoch": reports[0].epoch,
        "state": reports[0].state,
        "reason": "",
    }
    for fold, report in enumerate(reports):
        merged[f"{fold_name(fold)}/value"] = report.value
        for name, score in report.scores.items():
            merged[f"{fold_name(fold)}/{name}"] = score
    failed = [f"fold {f}: {r.reason}" for f, r in enumerate(reports) if r.state == "failed"]
    if failed:
        return {**merged, "state": "failed", "reason": "; ".join(failed)}
    merged["value"] = float(np.mean([report.value for report in reports]))
    for name in reports[0].scores:
        merged[name] = float(np.mean([report.scores[name] for report in reports]))
    return merged
