"""Where trials are assigned to groups of fold workers, and where their reports meet.

A group of workers takes trials in turn, since a fresh process costs seconds of imports.
The coordinator is an actor of its own that all of them, and the trials that Ray Tune runs,
talk to. Every exchange names the attempt that it belongs to, so that no message
of one attempt at a trial reaches another.

It keeps nothing that its callers could not send again. Where it dies, Ray starts it anew and
repeats the calls that waited in it: with them the processes of trials name what they train and how
far it has come; workers repeat the reports that a new coordinator lacks, and the driver its
decisions.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from study.cluster.announcements import Announcements
from study.cluster.attempts import Attempt
from study.cluster.decisions import Decisions
from study.cluster.exchange import (
    Answer,
    Assignment,
    FoldWorker,
    LeaveNodeError,
    News,
    Patience,
    Turn,
    trial_of,
)
from study.cluster.faults import Fault
from study.cluster.groups import Groups
from study.cluster.node_faults import NodeFaults
from study.cluster.overseer import Overseer
from study.cluster.ray_cluster import Cluster
from study.search.rungs import FoldSchedule
from study.training.validation_report import ValidationReport

LOOK_SECONDS = 1.0


class Coordinator:
    """An asynchronous actor; see the module.

    Args:
        schedule: the folds of each trial, and the rungs, at which they wait for the search.
        patience: how long folds and nodes are waited for.
        cluster: where they run.
        clock: returns seconds.
    """

    def __init__(
        self,
        schedule: FoldSchedule,
        patience: Patience,
        cluster: Cluster,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schedule, self._cluster, self._clock = schedule, cluster, clock
        self._groups, self._decisions = Groups(), Decisions(schedule.waits)
        self._nodes = NodeFaults(cluster.has_room_without)
        self._announcements = Announcements(is_restarted=cluster.is_restarted())
        self._overseer = Overseer(patience, self._nodes, self._announcements.add, clock)
        self._closed = asyncio.Event()

    # What the processes of trials ask:

    async def next_result(self, group: str, assignment: Assignment, after: int) -> dict[str, Any]:
        """Have a group train an assignment; wait for what all folds report next.

        The group drops the assignment that it had. Another group that had this trial is
        dismissed: the process that ran it died.

        Args:
            group: the group.
            assignment: what it trains.
            after: the epoch of the result before; 0 for none.
        """
        attempt = self._groups.attempts.get(group)
        if attempt is None or attempt.name != assignment.attempt:
            attempt = self._begin(group, assignment, after)
        await self._groups.until(
            group, lambda: attempt.next_result(after) or self._groups.attempts[group] is not attempt
        )
        result = attempt.next_result(after)
        return result or {"epoch": after, "state": "lost", "reason": "others have taken it"}

    def _begin(self, group: str, assignment: Assignment, after: int = 0) -> Attempt:
        trial = assignment.trial.name if assignment.trial else ""
        for other, _ in self._groups.attempts_at(trial) if trial else ():
            if other != group:
                self._begin(other, Assignment.of(None))
        attempt = Attempt.begin(assignment, self._schedule, after, self._clock())
        self._decisions.apply_to(attempt)
        self._groups.assign(group, attempt)
        return attempt

    async def dismiss(self, group: str) -> None:
        """End the workers of a group."""
        self._begin(group, Assignment.of(None))

    # What the driver asks and decides:

    async def promote(self, trial: str, epoch: int) -> None:
        """Let a trial train on past the rung at `epoch`."""
        self._decisions.promote(trial, epoch)
        for group, attempt in self._groups.attempts_at(trial):
            attempt.outgrow(self._decisions.passed(trial))
            self._groups.wake(group)

    async def stop_trial(self, trial: str, epoch: int | None = None) -> None:
        """End a trial for its folds, which wait for the next; the group keeps its workers.

        Args:
            trial: its name.
            epoch: a rung, which its folds have reported: they commit what they have, and report
                it. None: they drop the trial at once.
        """
        self._decisions.stop(trial, epoch)
        for group, attempt in self._groups.attempts_at(trial):
            attempt.stops_at = epoch
            attempt.is_over |= epoch is None
            self._groups.wake(group)
        self._groups.wake_unassigned()

    async def restore(self, promoted: Mapping[str, int], stopped: Mapping[str, int | None]) -> None:
        """Take again what the driver has decided, which a new coordinator lacks."""
        for trial, epoch in promoted.items():
            await self.promote(trial, epoch)
        for trial, stops_at in stopped.items():
            await self.stop_trial(trial, stops_at)

    async def news(self, left_alone: frozenset[str]) -> News:
        """Wait for news for the driver; each is returned once.

        Args:
            left_alone: the nodes of the news before, which a new coordinator lacks.
        """
        self._nodes.leave_alone(left_alone)
        lines, is_restarted = await self._announcements.fetch()
        return News(lines, self._nodes.left_alone, is_restarted)

    async def close(self) -> None:
        """Let the driver's calls return that wait here: the search has ended."""
        self._closed.set()
        self._announcements.close()

    # What workers ask and report:

    async def next_assignment(
        self, worker: FoldWorker, after: str, reported: int, has_ended: bool = False
    ) -> Turn | Answer:
        """Wait for a fold of the attempt `after` whose turn it is, or of the group's next one.

        A worker that replaces a dead one gets the dead one's folds.

        Args:
            worker: who asks.
            after: the attempt that it had; "" for none.
            reported: the last epoch of its fold that it has reported: where a coordinator that is
                new lacks it, the answer is to repeat.
            has_ended: whether the fold was committed by then.

        Raises:
            LeaveNodeError: its node is left alone.
        """
        groups = self._groups
        if current := groups.current(worker.group, after):
            current.folds[worker.fold].last_heartbeat = None  # it waits

        def lacks() -> bool:
            return groups.lacks(worker, after, reported, has_ended)

        def turn() -> Turn | None:
            return groups.turn(worker, after, self._decisions.next_wait)

        await groups.until(worker.group, lambda: lacks() or turn())
        following = turn()
        if lacks() or following is None:
            return Answer.REPEAT
        attempt = groups.attempts[worker.group]
        is_between_trials = after not in ("", attempt.name) and attempt.is_training
        if is_between_trials and worker.node in self._nodes.avoidable():
            raise LeaveNodeError(f"{worker.address} is left alone")
        attempt.heartbeat(replace(worker, fold=following.fold), self._clock())
        return following

    async def report(
        self,
        worker: FoldWorker,
        attempt: str,
        previous: int,
        reports: Sequence[ValidationReport],
        longest_epoch: float,
    ) -> Answer:
        """Take a fold's reports of validation epochs; return what it does next.

        Folds do not wait for each other, but at a rung: there the answer comes when all
        have reported that epoch and the search has decided. Where it stops the trial, the
        trial's last result comes when all folds have committed that. A fold that would wait
        leaves its worker to others whose turn it is, and goes on from its checkpoint later.

        Args:
            worker: who reports.
            attempt: what it trains.
            previous: the epoch that it has reported before; 0 for none.
            reports: what it reports now, in order.
            longest_epoch: seconds of the longest epoch that it has trained; 0 for none.
        """
        await self._groups.until(worker.group, lambda: self._is_known(worker.group, attempt))
        current = self._groups.current(worker.group, attempt)
        if current is None:
            return Answer.END
        fold = current.heartbeat(worker, self._clock(), longest_epoch)
        if not current.knows(worker.fold, previous):
            return Answer.REPEAT
        if longest_epoch:
            self._nodes.got_on(worker.node, current.trial)
        had_ended = fold.has_ended
        if current.take(worker.fold, reports):
            self._groups.wake(worker.group)
        if current.takes_turns and fold.has_ended and not had_ended:
            self._announcements.add(current.progress)
        last = reports[-1]
        fold.last_heartbeat = None  # it waits, or is done
        await self._groups.until(
            worker.group,
            lambda: (
                self._is_decided(worker.group, attempt, last)
                or current.is_turn_of_others(worker, self._decisions.next_wait(current.trial))
            ),
        )
        if self._groups.current(worker.group, attempt) is None or current.is_hopeless(last):
            return Answer.END
        if last.state == "running":
            fold.last_heartbeat = self._clock()
        if not self._is_decided(worker.group, attempt, last):
            return Answer.END
        is_stop = last.state == "running" and last.epoch == current.stops_at
        return Answer.STOP if is_stop else Answer.GO_ON

    def _is_known(self, group: str, attempt: str) -> bool:
        """Return whether it is known what became of an attempt; a new coordinator learns it."""
        trial = trial_of(attempt)
        return (
            group in self._groups.attempts
            or self._decisions.is_dropped(trial)
            or bool(self._groups.attempts_at(trial))
        )

    def _is_decided(self, group: str, attempt: str, report: ValidationReport) -> bool:
        current = self._groups.current(group, attempt)
        if current is None or report.state != "running":
            return True
        is_stopped = current.stops_at is not None and report.epoch >= current.stops_at
        return is_stopped or self._decisions.let_pass(current.trial, report.epoch)

    async def heartbeat(self, worker: FoldWorker, attempt: str, longest_epoch: float) -> None:
        """Take note that a fold gets on, be it within an epoch or while it is scored.

        Nobody waits for the answer, so it may come after the report that follows it: the fold then
        waits, and would count as one that hangs.
        """
        current = self._groups.current(worker.group, attempt)
        if current and not current.is_idle(worker):
            current.heartbeat(worker, self._clock(), longest_epoch)

    async def report_failure(self, worker: FoldWorker, attempt: str, fault: Fault) -> None:
        """Take note of why a fold's worker dies."""
        if current := self._groups.current(worker.group, attempt):
            current.heartbeat(worker, self._clock())
            self._overseer.failed(current, worker.fold, fault)
            self._groups.wake(worker.group)

    # What Ray Train asks, and reports of the workers of a group:

    async def before_start(self, group: str) -> list[str]:
        """Take note that workers of a group are to start, and that none lives now.

        Returns:
            The nodes that they shall not be on, in order.
        """
        attempt = self._groups.attempts.get(group)
        if attempt is None:
            return sorted(self._nodes.avoidable())
        attempt.lose_workers(self._clock())
        return sorted(self._nodes.avoidable(attempt.trial))

    async def report_deaths(self, group: str, faults: dict[int, Fault]) -> None:
        """Take note of the workers, by rank, that died.

        Faults that they have reported, and those that they were killed for, are known already.
        """
        for rank, fault in faults.items():
            attempt = self._groups.attempts.get(group)
            fold = attempt.fold_on(rank) if attempt and attempt.is_training else None
            if attempt and fold is not None:
                self._overseer.failed(attempt, fold, fault)
                self._groups.wake(group)

    # What it does by itself:

    async def look_after(self) -> None:
        """Look after folds and nodes from time to time, until the search has ended."""
        while not self._closed.is_set():
            await asyncio.to_thread(self._cluster.tidy)
            for hung in self.look():
                await asyncio.to_thread(self._cluster.kill, hung)
            before = self._clock()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), LOOK_SECONDS)
            self.forgive(self._clock() - before - LOOK_SECONDS)

    def forgive(self, seconds: float) -> None:
        """Let folds be silent for as much longer as this process itself took no reports."""
        self._overseer.forgive(self._groups.attempts.values(), seconds)

    def look(self) -> list[FoldWorker]:
        """Return workers that hang, to be killed; give up trials that wait too long for nodes."""
        hung = []
        for group, attempt in self._groups.attempts.items():
            if attempt.is_training:
                hung += self._overseer.look_at(attempt)
                if attempt.is_over:
                    self._groups.wake(group)
        return hung
