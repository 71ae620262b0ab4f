"""One trial with its driver and its workers in play, on a coordinator that is a plain object.

A fold's value follows from its number and the epoch, so that what a trial reports can be computed
without anybody who trains.
"""

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from study.cluster.exchange import Answer, Assignment, FoldWorker, Turn
from study.cluster.faults import Fault, Owner
from study.training.validation_report import ValidationReport
from tests.study.cluster.bench import GO_ON, Bench, task, trial
from tests.study.cluster.clusters import worker

EPOCHS = 8


def value(fold: int, epoch: int) -> float:
    return fold + epoch / 100


@dataclass
class Play:
    """One trial, its driver and its workers.

    Attributes:
        bench: has the coordinator.
        workers: how many train at a time.
        stops_at: the rung at which the driver stops the trial.
        fails: a fold, and the epoch at which it fails.
        deaths: folds, and the epochs in which their worker dies, each once.
        restarts: whether the coordinator dies with the first of them.
    """

    bench: Bench
    workers: int
    stops_at: int | None = None
    fails: tuple[int, int] | None = None
    deaths: list[tuple[int, int]] = field(default_factory=list)
    restarts: bool = False

    def __post_init__(self) -> None:
        self.has_died = False
        self.checkpoints: Counter[int] = Counter()
        self.ended: dict[int, ValidationReport] = {}
        self.trained: Counter[tuple[int, int]] = Counter()
        self.ranks: dict[int, set[int]] = {}
        self.results: list[tuple[int, str, float]] = []
        self.passed: dict[str, int] = {}

    async def run(self) -> list[tuple[int, str, float]]:
        """Return epoch, state and value of each result."""
        number, after, folds = 0, 0, self.bench.schedule.after(0)
        while True:
            group = f"group-{number}"
            size = min(folds, self.workers)
            assignment = Assignment.of(trial(), folds, size)
            alive = task(self.group(group, size))
            result = await self.follow(group, assignment, after)
            await self.bench.coordinator.dismiss(group)
            await alive
            if result["state"] != "grows":
                return self.results
            number, after, folds = number + 1, result["epoch"], result["folds"]

    async def follow(self, group: str, assignment: Assignment, after: int) -> dict[str, Any]:
        """Take results as the driver does, until the group is to end."""
        name = trial().name
        while True:
            awaited = self.bench.result(group, assignment, after)
            while not awaited.done():
                await asyncio.sleep(0)
                if self.restarts and self.has_died:
                    self.restarts = False
                    awaited.cancel()
                    self.bench.start()
                    awaited = self.bench.result(group, assignment, after)
                    stopped = {name: self.stops_at} if after == self.stops_at else {}
                    await self.bench.coordinator.restore(self.passed, stopped)
            result = await awaited
            if result["state"] == "grows":
                return result
            after = result["epoch"]
            self.results.append((after, result["state"], result.get("value", math.nan)))
            if result["state"] != "running":
                return result
            if after == self.stops_at:
                await self.bench.coordinator.stop_trial(name, after)
            elif after in self.bench.schedule.waits:
                self.passed[name] = after
                await self.bench.coordinator.promote(name, after)

    async def group(self, name: str, size: int) -> None:
        """Run workers until they are dismissed, all again where one dies, as Ray Train does."""
        while True:
            await self.bench.coordinator.before_start(name)
            works = [task(self.work(worker(name, rank), rank)) for rank in range(size)]
            done, others = await asyncio.wait(works, return_when=asyncio.FIRST_EXCEPTION)
            for each in others:
                each.cancel()
            died = [rank for rank, each in enumerate(works) if each in done and each.exception()]
            for rank in died:
                works[rank].exception()
                fault = Fault(Owner.UNKNOWN, "died")
                await self.bench.coordinator.report_deaths(name, {rank: fault})
            if not died:
                return
            self.has_died = True

    async def work(self, who: FoldWorker, rank: int) -> None:
        """Train folds as `run_folds` does."""
        attempt, sent = "", list[ValidationReport]()
        while True:
            has_ended = bool(sent) and sent[-1].state != "running"
            last = sent[-1].epoch if sent else 0
            turn = await self.bench.coordinator.next_assignment(who, attempt, last, has_ended)
            if turn is Answer.REPEAT:
                await self.bench.coordinator.report(who, attempt, 0, sent, 1.0)
                continue
            assert isinstance(turn, Turn)
            if turn.assignment.trial is None:
                return
            self.ranks.setdefault(turn.fold, set()).add(rank)
            attempt, sent = turn.assignment.attempt, []
            who = worker(who.group, turn.fold)
            await self.train(who, attempt, sent)

    async def train(self, who: FoldWorker, attempt: str, sent: list[ValidationReport]) -> None:
        """Train a fold from its checkpoint as `train_fold` does."""
        fold = who.fold

        async def report(epoch: int, state: Any = "running") -> Answer:
            previous = sent[-1].epoch if sent else 0
            if state == "failed":
                sent.append(ValidationReport(epoch, state, value=math.nan, reason="ill"))
            else:
                sent.append(ValidationReport(epoch, state, value=value(fold, epoch)))
            coordinator = self.bench.coordinator
            answer = await coordinator.report(who, attempt, previous, sent[-1:], 1.0)
            if answer is Answer.REPEAT:
                answer = await coordinator.report(who, attempt, 0, sent, 1.0)
            return answer

        async def is_left(epoch: int, state: Any = "running") -> bool:
            answer = await report(epoch, state)
            if answer is Answer.STOP:
                self.ended.setdefault(fold, ValidationReport(epoch, "pruned"))
                await report(epoch, "pruned")
            return answer is not GO_ON

        if ended := self.ended.get(fold):
            for epoch in range(1, ended.epoch):
                if await is_left(epoch):
                    return
            if ended.state == "pruned":
                await is_left(ended.epoch)
            elif ended.state == "failed":
                await self.fail(report, ended.epoch)
            else:
                await report(EPOCHS, "completed")
            return
        for epoch in range(1, EPOCHS + 1):
            if epoch > self.checkpoints[fold]:
                await self.bench.coordinator.heartbeat(who, attempt, 1.0)
                self.trained[fold, epoch] += 1
                if (fold, epoch) in self.deaths:
                    self.deaths.remove((fold, epoch))
                    raise RuntimeError("killed")
                if self.fails == (fold, epoch):
                    self.ended[fold] = ValidationReport(epoch, "failed")
                    await self.fail(report, epoch)
                    return
                if epoch == EPOCHS:
                    self.ended[fold] = ValidationReport(epoch, "completed")
                    await report(epoch, "completed")
                    return
                if epoch in self.bench.schedule.waits:
                    self.checkpoints[fold] = epoch
            if await is_left(epoch):
                return

    async def fail(self, report: Any, since: int) -> None:
        for epoch in range(since, EPOCHS + 1):
            await report(epoch, "failed")
