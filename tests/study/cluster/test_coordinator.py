import asyncio
import math

import pytest

from tests.study.cluster.bench import (
    END,
    GO_ON,
    STOP,
    Bench,
    report,
    task,
    trial,
    waits,
)
from tests.study.cluster.clusters import worker


def test_workers_take_a_trial_once_and_wait_for_the_next() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2)
        early = task(bench.take(worker("a", 0)))
        assert await waits(early)
        first, _ = await bench.assign("a", 7)
        assert await early == first
        assert await bench.take(worker("a", 1)) == first
        following = task(bench.take(worker("a", 0), first.attempt))
        assert await waits(following)
        await bench.assign("b", 8)
        assert await waits(following)
        second, _ = await bench.assign("a", 9)
        assert await following == second
        await bench.coordinator.dismiss("a")
        assert (await bench.take(worker("a", 0), second.attempt)).trial is None

    asyncio.run(exchange())


def test_folds_do_not_wait_for_each_other_and_a_result_is_of_all() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2)
        attempt, result = await bench.assign("a")
        assert await bench.send(worker("a", 0), attempt, report(0.2, epoch=2)) is GO_ON
        assert await bench.send(worker("a", 0), attempt, report(0.2, epoch=4), previous=2) is GO_ON
        assert await waits(result)
        assert await bench.send(worker("a", 1), attempt, report(0.4, epoch=2)) is GO_ON
        assert (await result)["value"] == pytest.approx(0.3)
        following = bench.result("a", attempt, 2)
        assert await waits(following)
        assert await bench.send(worker("a", 1), attempt, report(0.6, epoch=4), previous=2) is GO_ON
        assert (await following)["value"] == pytest.approx(0.4)

    asyncio.run(exchange())


def test_at_a_rung_folds_wait_for_the_search() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, result = await bench.assign("a", 3)
        folds = [task(bench.send(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert (await result)["epoch"] == 2
        bench.result("a", attempt, 2)
        await bench.coordinator.promote(trial(4).name, 2)
        await bench.coordinator.promote(trial(3).name, 1)
        assert [await waits(fold) for fold in folds] == [True, True]
        await bench.coordinator.promote(trial(3).name, 2)
        assert await asyncio.gather(*folds) == [GO_ON, GO_ON]

    asyncio.run(exchange())


def test_a_stop_ends_the_folds_that_wait_at_a_rung_and_no_others() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, _ = await bench.assign("a", 3)
        other, _ = await bench.assign("b", 4)
        folds = [task(bench.send(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        unconcerned = task(bench.send(worker("b"), other, report(epoch=2)))
        assert await waits(folds[0])
        await bench.coordinator.stop_trial(trial(3).name)
        assert await asyncio.gather(*folds) == [END, END]
        assert await bench.send(worker("a"), attempt, report(), previous=2) is END
        assert await waits(unconcerned)
        for after in (attempt.attempt, ""):  # a worker in a dead one's place gets no stopped trial
            assert await waits(task(bench.take(worker("a"), after)))
        following, _ = await bench.assign("a", 5)
        assert await bench.take(worker("a"), attempt.attempt) == following

    asyncio.run(exchange())


def test_a_stop_at_a_rung_is_committed_by_every_fold_before_the_trial_ends() -> None:
    """Also by one whose worker dies on the way, and repeats what it reported."""

    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2, 4))
        attempt, _ = await bench.assign("a", 3)
        await bench.coordinator.promote(trial(3).name, 2)
        folds = [worker("a", fold) for fold in (0, 1)]
        for each in folds:
            assert await bench.send(each, attempt, report(epoch=2)) is GO_ON
        at_rung = [task(bench.send(each, attempt, report(), previous=2)) for each in folds]
        assert await waits(at_rung[0])
        assert (await bench.result("a", attempt, 2))["epoch"] == 4
        last = bench.result("a", attempt, 4)
        await bench.coordinator.stop_trial(trial(3).name, 4)
        assert await asyncio.gather(*at_rung) == [STOP, STOP]
        await bench.send(folds[0], attempt, report(0.5, state="pruned"), previous=4)
        assert await waits(last)
        again = worker("a", 1, node="n1")
        assert await bench.take(again) == attempt
        answers = [
            await bench.send(again, attempt, report(epoch=epoch), previous=epoch - 2)
            for epoch in (2, 4)
        ]
        assert answers == [GO_ON, STOP]
        await bench.send(again, attempt, report(0.7, state="pruned"), previous=4)
        assert ((await last)["epoch"], (await last)["state"]) == (4, "pruned")
        assert (await last)["value"] == pytest.approx(0.6)
        assert await waits(task(bench.take(folds[0])))

    asyncio.run(exchange())


def test_a_fold_that_fails_as_it_is_stopped_fails_the_trial() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, _ = await bench.assign("a", 3)
        folds = [task(bench.send(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert await waits(folds[0])
        await bench.coordinator.stop_trial(trial(3).name, 2)
        await asyncio.gather(*folds)
        ill = report(math.nan, epoch=2, state="failed", reason="not finite")
        for fold, end in enumerate((report(epoch=2, state="pruned"), ill)):
            await bench.send(worker("a", fold), attempt, end, previous=2)
        result = await bench.result("a", attempt, 2)
        assert (result["state"], result["reason"]) == ("failed", "fold 1: not finite")

    asyncio.run(exchange())


def test_a_stop_that_comes_late_leaves_the_next_trial_alone() -> None:
    async def exchange() -> None:
        bench = Bench()
        await bench.assign("a", 3)
        attempt, _ = await bench.assign("a", 4)
        await bench.coordinator.stop_trial(trial(3).name)
        assert await bench.send(worker("a"), attempt, report()) is GO_ON

    asyncio.run(exchange())


def test_a_stopped_trial_may_be_assigned_again() -> None:
    """Its stop was decided, and the driver died before it was committed."""

    async def exchange() -> None:
        bench = Bench()
        old, _ = await bench.assign("a", 3)
        await bench.coordinator.stop_trial(trial(3).name)
        new, _ = await bench.assign("a", 3)
        assert new != old
        assert await bench.send(worker("a"), old, report()) is END
        assert await bench.take(worker("a"), old.attempt) == new
        assert await bench.send(worker("a"), new, report()) is GO_ON

    asyncio.run(exchange())


def test_a_trial_ends_for_its_folds_when_the_group_gets_another() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, _ = await bench.assign("a", 0)
        folds = [task(bench.send(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert await waits(folds[0])
        await bench.assign("a", 1)
        assert await asyncio.gather(*folds) == [END, END]

    asyncio.run(exchange())


def test_a_trial_that_another_group_takes_over_ends_for_the_first() -> None:
    async def exchange() -> None:
        bench = Bench(rungs=(2,))
        old, result = await bench.assign("dead")
        waiting = task(bench.send(worker("dead"), old, report(epoch=2)))
        assert (await result)["epoch"] == 2
        new, _ = await bench.assign("alive")
        assert await waiting is END
        assert (await bench.take(worker("dead"), old.attempt)).trial is None
        assert await bench.take(worker("alive")) == new

    asyncio.run(exchange())


def test_a_failed_fold_stops_the_others() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2)
        attempt, result = await bench.assign("a")
        assert await bench.send(worker("a", 0), attempt, report(epoch=2)) is GO_ON
        ill = report(math.nan, epoch=2, state="failed", reason="loss is nan")
        assert await bench.send(worker("a", 1), attempt, ill) is END
        assert await bench.send(worker("a", 0), attempt, report(), previous=2) is END
        assert (await result)["state"] == "failed"

    asyncio.run(exchange())


def test_replaced_workers_repeat_their_reports_and_no_result_comes_twice() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, result = await bench.assign("a")
        for fold in (0, 1):
            task(bench.send(worker("a", fold), attempt, report(0.5, epoch=2)))
        assert (await result)["epoch"] == 2
        await bench.coordinator.promote(trial().name, 2)
        second = bench.result("a", attempt, 2)
        await bench.send(worker("a", 0), attempt, report(0.1), previous=2)
        for fold in (0, 1):
            again = worker("a", fold, node="n1")
            assert await bench.take(again) == attempt
            for epoch, value in ((2, 0.7), (4, 0.9)):
                answer = await bench.send(
                    again, attempt, report(value, epoch=epoch), previous=epoch - 2
                )
                assert answer is GO_ON
        assert ((await second)["epoch"], (await second)["value"]) == (4, 0.9)
        assert await waits(bench.result("a", attempt, 4))

    asyncio.run(exchange())


def test_what_the_driver_waits_for_returns_when_the_search_has_ended() -> None:
    async def exchange() -> None:
        bench = Bench()
        looks, news = task(bench.coordinator.look_after()), task(bench.news())
        assert [await waits(each) for each in (looks, news)] == [True, True]
        await bench.coordinator.close()
        assert await asyncio.wait_for(looks, timeout=60) is None
        assert await news == ""

    asyncio.run(exchange())
