"""Folds that wait their turn: the coordinator, and workers that train in play.

A fold's value follows from its number and the epoch, so that what a trial reports can be computed
without anybody who trains: for every number of workers it must be the same.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.cluster.exchange import Answer, Assignment, FoldWorker, Turn
from study.cluster.faults import Fault, Owner
from study.cluster.fold_state import MOST_FAILURES
from study.training.validation_report import ValidationReport
from tests.study.cluster.bench import GO_ON, SILENCE, Bench, task, trial, waits
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

    has_died = False

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
        coordinator, fold = self.bench.coordinator, who.fold

        async def report(epoch: int, state: Any = "running") -> Answer:
            previous = sent[-1].epoch if sent else 0
            number = math.nan if state == "failed" else value(fold, epoch)
            sent.append(
                ValidationReport(epoch, state, value=number, reason="ill"[: state == "failed"])
            )
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
                await coordinator.epoch_ended(who, attempt, 1.0)
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


def expected(
    bench: Bench, stops_at: int | None, fails: tuple[int, int] | None
) -> list[tuple[int, str, float]]:
    """What a trial reports, whoever trains it."""
    results: list[tuple[int, str, float]] = []
    for epoch in range(1, EPOCHS + 1):
        folds = bench.schedule.at(epoch)
        if fails and fails[0] < folds and fails[1] <= epoch:
            return [*results, (epoch, "failed", math.nan)]
        mean = float(np.mean([value(fold, epoch) for fold in range(folds)]))
        results.append((epoch, "completed" if epoch == EPOCHS else "running", mean))
        if epoch == stops_at:
            return [*results, (epoch, "pruned", mean)]
    return results


def rounded(results: Sequence[tuple[int, str, float]]) -> list[tuple[int, str, str]]:
    return [(epoch, state, f"{number:.9f}") for epoch, state, number in results]


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.lists(st.integers(1, EPOCHS - 1), max_size=3, unique=True).map(sorted),
    st.lists(st.integers(1, 5), max_size=2).map(sorted),
    st.data(),
)
def test_any_number_of_workers_reports_the_same(
    folds: int, workers: int, rungs: list[int], at_rungs: list[int], data: st.DataObject
) -> None:
    """With early stops, folds that join at rungs, one that fails, and processes that die."""
    at_rungs = [min(each, folds) for each in at_rungs][: len(rungs)]
    stops_at = data.draw(st.sampled_from([None, *rungs]))
    places = st.tuples(st.integers(0, folds - 1), st.integers(1, EPOCHS))
    fails = data.draw(st.none() | places)
    deaths = data.draw(st.lists(places, max_size=2, unique=True))
    bench = Bench(folds, rungs, at_rungs)
    play = Play(bench, workers, stops_at, fails, [*deaths], data.draw(st.booleans()))
    results = asyncio.run(asyncio.wait_for(play.run(), timeout=20))
    assert rounded(results) == rounded(expected(bench, stops_at, fails))
    if not deaths:
        assert set(play.trained.values()) <= {1}, "no epoch is trained twice"
    assert all(len(ranks) == 1 for ranks in play.ranks.values()) or at_rungs
    if results[-1][1] in ("completed", "pruned"):
        assert {each.state for each in play.ended.values()} == {results[-1][1]}


def test_a_worker_takes_every_fold_to_a_rung_before_one_goes_past_it() -> None:
    async def exchange() -> None:
        bench = Bench(folds=3, rungs=(2,))
        play = Play(bench, workers=1)
        reached: list[int] = []
        promote = bench.coordinator.promote

        async def promoted(name: str, epoch: int) -> None:
            reached.append(max(trained for _, trained in play.trained))
            assert {fold for fold, trained in play.trained if trained == epoch} == {0, 1, 2}
            await promote(name, epoch)

        bench.coordinator.promote = promoted  # type: ignore[method-assign]
        await play.run()
        assert reached == [2]
        assert sum(play.trained.values()) == 3 * EPOCHS

    asyncio.run(exchange())


def test_folds_that_come_after_one_that_failed_train_no_further_than_it() -> None:
    async def exchange() -> None:
        play = Play(Bench(folds=4), workers=2, fails=(0, 3))
        assert (await play.run())[-1][:2] == (3, "failed")
        assert all(epoch <= 3 for fold, epoch in play.trained if fold in (0, 2))

    asyncio.run(exchange())


def test_the_fold_in_training_is_the_one_that_hangs_and_the_one_that_dies() -> None:
    async def exchange() -> None:
        bench = Bench(folds=3, rungs=(2,))
        assignment = Assignment.of(trial(), workers=1)
        bench.result("a", assignment)
        at = bench.coordinator
        assert await at.next_assignment(worker("a", 0), "", 0) == Turn(assignment, 0)
        first = ValidationReport(2, "running", value=0.5)
        left = await at.report(worker("a", 0), assignment.attempt, 0, [first], 1.0)
        assert left is Answer.END
        bench.now = SILENCE
        assert at.look() == []
        following = await at.next_assignment(worker("a", 0), assignment.attempt, 2)
        assert following == Turn(assignment, 1)
        bench.now = 100 * SILENCE
        assert at.look() == [worker("a", 1)]
        assert "fold 1" in await bench.news()
        await at.report_deaths("a", {0: Fault(Owner.TRIAL, "no")})  # it is known already
        assert await at.before_start("a") == ["n0"]
        for _ in range(MOST_FAILURES - 1):
            again = worker("a", 0, node="n1")
            assert await at.next_assignment(again, "", 0) == Turn(assignment, 1)
            await at.report_deaths("a", {0: Fault(Owner.TRIAL, "no")})
        result = await at.next_result("a", assignment, 0)
        assert (result["state"], result["reason"].startswith("fold 1: ")) == ("failed", True)

    asyncio.run(exchange())


def test_a_worker_that_leaves_a_fold_and_takes_no_other_hangs_and_one_that_waits_does_not() -> None:
    async def exchange() -> None:
        for asks in (False, True):
            bench = Bench(folds=2, rungs=(2,))
            assignment = Assignment.of(trial(), workers=1)
            bench.result("a", assignment)
            await bench.take(worker("a"))
            first = ValidationReport(2, "running", value=0.5)
            left = await bench.send(worker("a"), assignment, first, longest=1.0)
            assert left is Answer.END
            if asks:
                await bench.take(worker("a"), assignment.attempt, 2)
                ill = ValidationReport(1, "failed", reason="ill")
                await bench.send(worker("a", 1), assignment, ill)
                assert await waits(task(bench.take(worker("a", 1), assignment.attempt, 1, True)))
            bench.now = 1e6
            assert bench.coordinator.look() == ([] if asks else [worker("a")])

    asyncio.run(exchange())


def test_a_trial_waits_for_no_more_workers_than_it_has() -> None:
    async def exchange() -> None:
        bench = Bench(folds=5, nodes_seconds=60.0)
        assignment = Assignment.of(trial(), workers=2)
        result = bench.result("a", assignment)
        assert await waits(result)
        for rank in (0, 1):
            await bench.take(worker("a", rank))
        bench.now = 1e4
        await bench.coordinator.epoch_ended(worker("a", 0), assignment.attempt, 1.0)
        await bench.coordinator.epoch_ended(worker("a", 1), assignment.attempt, 1.0)
        assert bench.coordinator.look() == []
        assert await waits(result)

    asyncio.run(exchange())


@pytest.mark.parametrize("ended", [[0], [0, 2], [0, 2, 1, 3]])
def test_people_hear_of_folds_that_have_ended(ended: list[int]) -> None:
    async def exchange() -> None:
        bench = Bench(folds=4)
        assignment = Assignment.of(trial(), workers=2)
        bench.result("a", assignment)
        assert await waits(task(bench.take(worker("b"))))
        for fold in ended:
            last = ValidationReport(EPOCHS, "completed", value=0.5)
            for _ in range(2):  # a worker that is new repeats it
                await bench.coordinator.report(
                    worker("a", fold), assignment.attempt, 0, [last], 1.0
                )
        lines = (await bench.news()).splitlines()
        assert lines == [
            f"trial-00000: {number} of 4 folds have ended" for number in range(1, len(ended) + 1)
        ]

    asyncio.run(exchange())
