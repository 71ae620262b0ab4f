import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from study.cluster import fold_reporter
from study.cluster.exchange import Assignment, Turn
from study.search.plan import Plan
from study.search.rungs import FoldSchedule
from tests.study.cluster.bench import (
    END,
    GO_ON,
    REPEAT,
    STUDY,
    Bench,
    report,
    task,
    trial,
    waits,
)
from tests.study.cluster.clusters import FewNodes, worker


def test_a_new_coordinator_finishes_a_stop_that_one_fold_has_committed() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, _ = await bench.assign("a", 3)
        past = [report(0.5, epoch=2), report(0.5, epoch=2, state="pruned")]
        bench.start()
        asks = task(bench.take(worker("a", 0), attempt.attempt, 2, has_ended=True))
        sends = task(bench.send(worker("a", 1), attempt, past[1], previous=2))
        last = bench.result("a", attempt, 2)
        assert await asks is REPEAT
        await sends
        await bench.coordinator.restore({}, {trial(3).name: 2})
        await bench.send(worker("a", 0), attempt, *past)
        assert ((await last)["epoch"], (await last)["state"]) == (2, "pruned")

    asyncio.run(exchange())


def test_a_new_coordinator_gets_all_that_the_dead_one_knew() -> None:
    """Fold 0 is done, fold 1 trains, past the epoch of the last result; Ray repeats their calls."""

    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, result = await bench.assign("a")
        past = [report(0.2, epoch=2), report(0.3, epoch=4), report(0.4, epoch=6, state="completed")]
        done, busy = worker("a", 0), worker("a", 1)
        first = [task(bench.send(each, attempt, past[0])) for each in (done, busy)]
        assert (await result)["epoch"] == 2
        await bench.coordinator.promote(trial().name, 2)
        assert await asyncio.gather(*first) == [GO_ON, GO_ON]
        for before, each in itertools.pairwise(past):
            assert await bench.send(done, attempt, each, previous=before.epoch) is GO_ON

        bench.start()
        asks = task(bench.take(done, attempt.attempt, 6))
        sends = task(bench.send(busy, attempt, past[1], previous=2))
        assert [await waits(each) for each in (asks, sends)] == [True, True]
        result = bench.result("a", attempt, 2)
        assert await asks is REPEAT
        assert await sends is GO_ON
        assert await bench.send(done, attempt, *past) is GO_ON
        assert ((await result)["epoch"], (await result)["value"]) == (4, 0.3)
        last = bench.result("a", attempt, 4)
        assert await bench.send(busy, attempt, past[2], previous=4) is GO_ON
        assert (await last)["state"] == "completed"

    asyncio.run(exchange())


def test_a_fold_that_is_ahead_repeats_what_a_new_coordinator_lacks() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2)
        attempt, _ = await bench.assign("a")
        past = [report(0.1 * epoch, epoch=epoch) for epoch in (2, 4, 6)]
        bench.start()
        result = bench.result("a", attempt)
        assert await bench.send(worker("a", 0), attempt, past[2], previous=4) is REPEAT
        assert await bench.send(worker("a", 0), attempt, *past) is GO_ON
        assert await bench.send(worker("a", 1), attempt, past[0]) is GO_ON
        assert (await result)["value"] == pytest.approx(0.2)

    asyncio.run(exchange())


def test_a_new_coordinator_learns_of_rungs_that_were_passed() -> None:
    """Fold 0 had its answer, and its worker has died since; fold 1 had none yet."""

    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, _ = await bench.assign("a", 3)
        bench.start()
        bench.result("a", attempt, 2)
        sends = [task(bench.send(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert [await waits(each) for each in sends] == [True, True]
        await bench.coordinator.restore({trial(3).name: 2}, {})
        assert await asyncio.gather(*sends) == [GO_ON, GO_ON]

    asyncio.run(exchange())


def test_a_new_coordinator_learns_of_stops_and_of_groups_that_lost_their_trial() -> None:
    async def exchange() -> None:
        bench = Bench(rungs=(2,))
        attempt, _ = await bench.assign("a", 3)
        other, _ = await bench.assign("b", 4)
        bench.start()
        stopped = task(bench.send(worker("a"), attempt, report(epoch=2)))
        taken = task(bench.send(worker("b"), other, report(epoch=2)))
        assert [await waits(each) for each in (stopped, taken)] == [True, True]
        await bench.coordinator.restore({}, {trial(3).name: None})
        assert await stopped is END
        await bench.assign("c", 4)
        assert await taken is END

    asyncio.run(exchange())


def test_the_driver_learns_that_the_coordinator_is_new_and_once() -> None:
    async def exchange() -> None:
        bench = Bench(cluster=FewNodes(restarted=True))
        news = await bench.coordinator.news(frozenset({"n1"}))
        assert news.is_restarted
        assert news.left_alone == {"n1"}
        assert news.lines == ("the coordinator died and was started again; the folds train on",)
        assert await waits(task(bench.coordinator.news(frozenset())))
        assert await bench.coordinator.before_start("a") == ["n1"]

    asyncio.run(exchange())


def answers_of_the_real_actor(waiting: int) -> list[bool]:
    """Kill the real actor while so many calls wait in it, and have it assign a trial.

    Returns:
        Whether the workers of the trial got it, whether the others wait, whether the news
        is that the coordinator is new, and what `reports_through_a_death` returns.
    """
    import ray

    from study.cluster.coordinator_actor import start_coordinator

    coordinator = start_coordinator(FoldSchedule(5), Plan(1, 0, 1), STUDY.resources)
    parked = [
        coordinator.next_assignment.remote(worker(f"group-{n // 5}", n % 5), "", 0)
        for n in range(waiting)
    ]
    assert not ray.wait([*parked], timeout=1)[0]
    ray.kill(coordinator, no_restart=False)
    assignment = Assignment.of(trial())
    coordinator.next_result.remote("group-0", assignment, 0)
    got = ray.get(parked[:5], timeout=120)
    others = ray.wait(parked[5:], timeout=0)[0]
    news = ray.get(coordinator.news.remote(frozenset()), timeout=120)
    return [
        got == [Turn(assignment, fold) for fold in range(5)],
        not others,
        news.is_restarted,
        reports_through_a_death(start_coordinator(FoldSchedule(1), Plan(1, 0, 1), STUDY.resources)),
    ]


def reports_through_a_death(coordinator: Any) -> bool:
    """Report a fold's epochs to the real actor, which is killed on the way and knows nothing then.

    Returns:
        Whether the trial got each result once, and the fold was stopped at the end.
    """
    import ray

    from study.cluster.fold_reporter import FoldReporter, StoppedError

    assignment, reporter = Assignment.of(trial()), FoldReporter(coordinator, worker("a"))
    first = coordinator.next_result.remote("a", assignment, 0)
    assert reporter.next_turn() == (trial(), 0)
    reporter.epoch_ended()
    reporter.validated(report(0.1, epoch=1))
    reporter.validated(report(0.2, epoch=2))
    assert ray.get(first)["epoch"] == 1
    second = coordinator.next_result.remote("a", assignment, 1)
    assert ray.get(second)["epoch"] == 2
    third = coordinator.next_result.remote("a", assignment, 2)
    ray.kill(coordinator, no_restart=False)
    reporter.validated(report(0.3, epoch=3))
    assert ray.get(third)["value"] == 0.3
    ray.get(coordinator.stop_trial.remote(trial().name))
    with pytest.raises(StoppedError):
        reporter.validated(report(0.4, epoch=4))
    return True


def test_a_fold_says_that_it_gets_on_every_ten_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, sent = SimpleNamespace(now=0.0), []
    monkeypatch.setattr(fold_reporter, "time", SimpleNamespace(monotonic=lambda: clock.now))
    heartbeat = SimpleNamespace(remote=lambda *_: sent.append(clock.now))
    coordinator = SimpleNamespace(heartbeat=heartbeat)
    reporter = fold_reporter.FoldReporter(coordinator, worker("a"))
    for seconds in np.arange(0, 40, 0.5):
        clock.now = seconds
        reporter.got_on()
    np.testing.assert_array_equal(sent, [10.5, 21.0, 31.5])


@pytest.mark.cluster
def test_a_killed_coordinator_gets_all_that_waited_and_more_than_ray_allows_by_default(
    on_cluster: Callable[..., Any],
) -> None:
    """Workers of 400 trials of 5 folds wait for work, and one trial is assigned."""
    assert on_cluster(answers_of_the_real_actor, 2000) == [True] * 4
