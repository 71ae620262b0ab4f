import asyncio

import pytest

from study.cluster.exchange import LeaveNodeError
from study.cluster.faults import Fault, Owner
from study.cluster.fold_state import FIRST_EPOCH_FACTOR, MOST_FAILURES
from tests.study.cluster.bench import (
    GO_ON,
    NODES,
    SILENCE,
    TRIALS_OWN,
    UNKNOWN,
    WAIT,
    Bench,
    report,
    task,
    trial,
    waits,
)
from tests.study.cluster.clusters import FewNodes, worker


def test_a_trial_whose_workers_raise_again_and_again_fails_with_their_reason() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2)
        attempt, result = await bench.assign("a", 5)
        for _ in range(MOST_FAILURES):
            assert await waits(result)
            await bench.fail(worker("a", 1), attempt, TRIALS_OWN)
        assert await result == {"epoch": 0, "state": "failed", "reason": "fold 1: ValueError: no"}
        last = task(bench.take(worker("a", 1)))
        assert await waits(last), "nobody trains a trial that was given up"
        following, _ = await bench.assign("a", 6)
        assert await last == following

    asyncio.run(exchange())


def test_what_every_trial_would_meet_blocks_the_study() -> None:
    async def exchange() -> None:
        for owner in (Owner.STUDY, Owner.STORE):
            bench = Bench()
            attempt, result = await bench.assign("a", 5)
            for _ in range(MOST_FAILURES):
                await bench.fail(worker("a"), attempt, Fault(owner, "no space"))
            assert (await result)["state"] == "blocked"

    asyncio.run(exchange())


def test_a_trial_whose_workers_die_without_a_word_is_left_to_the_next_run() -> None:
    async def exchange() -> None:
        bench = Bench()
        attempt, result = await bench.assign("a", 5)
        for _ in range(MOST_FAILURES):
            assert await waits(result)
            await bench.take(worker("a"))
            await bench.coordinator.report_deaths("a", {0: UNKNOWN})
        assert (await result)["state"] == "lost"
        assert await waits(task(bench.take(worker("a"), attempt.attempt)))

    asyncio.run(exchange())


def test_what_the_cluster_takes_away_counts_for_nothing() -> None:
    async def exchange() -> None:
        bench = Bench()
        attempt, result = await bench.assign("a", 5)
        for _ in range(10 * MOST_FAILURES):
            await bench.take(worker("a"))
            await bench.coordinator.report_deaths("a", {0: Fault(Owner.CLUSTER, "its node died")})
        assert await waits(result)
        assert await bench.take(worker("a")) == attempt

    asyncio.run(exchange())


def test_a_death_that_a_worker_announced_is_counted_once() -> None:
    async def exchange() -> None:
        bench = Bench()
        attempt, result = await bench.assign("a", 5)
        for _ in range(MOST_FAILURES - 1):
            await bench.fail(worker("a"), attempt, TRIALS_OWN)
            await bench.coordinator.report_deaths("a", {0: UNKNOWN})
        assert await waits(result)

    asyncio.run(exchange())


def test_a_failure_of_an_earlier_attempt_does_not_count() -> None:
    async def exchange() -> None:
        bench = Bench()
        old, _ = await bench.assign("a", 5)
        _, result = await bench.assign("a", 5)
        for _ in range(MOST_FAILURES):
            await bench.coordinator.report_failure(worker("a"), old.attempt, TRIALS_OWN)
        assert await waits(result)

    asyncio.run(exchange())


def test_workers_that_die_now_and_then_are_replaced_as_long_as_the_trial_gets_on() -> None:
    async def exchange() -> None:
        bench = Bench()
        attempt, result = await bench.assign("a")
        for epoch in range(1, 2 * MOST_FAILURES):
            for _ in range(MOST_FAILURES - 1):
                await bench.fail(worker("a"), attempt, TRIALS_OWN)
            assert await bench.send(worker("a"), attempt, report(epoch=epoch)) is GO_ON
            assert (await result)["epoch"] == epoch
            result = bench.result("a", attempt, epoch)

    asyncio.run(exchange())


def test_a_trial_goes_on_elsewhere_and_a_node_that_fails_two_is_left_alone() -> None:
    async def exchange() -> None:
        bench = Bench()
        attempts = [await bench.assign(group, number) for number, group in enumerate("abc")]
        await bench.fail(worker("a"), attempts[0][0], NODES)
        assert await bench.coordinator.before_start("a") == ["n0"]
        assert await bench.coordinator.before_start("b") == []
        await bench.fail(worker("b"), attempts[1][0], NODES)
        assert [await bench.coordinator.before_start(group) for group in "abc"] == [["n0"]] * 3
        assert await bench.news() == (
            "node address of n0 failed folds of trial-00000 and trial-00001 (RuntimeError: CUDA"
            " error): it is left alone for the rest of this run"
        )
        assert all([await waits(result) for _, result in attempts])

    asyncio.run(exchange())


def test_a_group_leaves_a_node_that_is_left_alone_before_its_next_trial() -> None:
    async def exchange() -> None:
        bench = Bench()
        attempts = [(await bench.assign(group, n))[0] for n, group in enumerate("abc")]
        assert await bench.take(worker("c")) == attempts[2]
        for group, attempt in zip("ab", attempts, strict=False):
            await bench.fail(worker(group), attempt, NODES)
        await bench.assign("c", 9)
        with pytest.raises(LeaveNodeError):
            await bench.take(worker("c"), attempts[2].attempt)
        assert (await bench.take(worker("c", node="n1"))).trial == trial(9)

    asyncio.run(exchange())


def test_a_fault_that_a_trial_meets_where_others_get_on_is_its_own_and_no_nodes() -> None:
    async def exchange() -> None:
        bench = Bench()
        healthy, _ = await bench.assign("b", 1)
        assert await bench.send(worker("b", node="n1"), healthy, report(), longest=9.0) is GO_ON
        attempt, result = await bench.assign("a", 0)
        for node in ("n0", "n1", "n2", "n0"):
            await bench.fail(worker("a", node=node), attempt, NODES)
        assert (await result)["state"] == "failed"
        third, _ = await bench.assign("c", 2)
        await bench.fail(worker("c", node="n1"), third, NODES)
        assert await bench.coordinator.before_start("b") == []

    asyncio.run(exchange())


def test_a_fault_of_the_only_node_ends_the_study_unless_memory_was_short() -> None:
    async def exchange() -> None:
        short = Fault(Owner.NODE, "CUDA out of memory", Owner.TRIAL)
        for fault, state in ((NODES, "blocked"), (short, "failed")):
            bench = Bench(cluster=FewNodes(["n0"]))
            attempt, result = await bench.assign("a")
            for _ in range(MOST_FAILURES):
                await bench.fail(worker("a"), attempt, fault)
                assert await bench.coordinator.before_start("a") == []
            assert (await result)["state"] == state

    asyncio.run(exchange())


def test_a_fold_that_is_scored_for_long_is_not_killed_while_it_gets_on() -> None:
    async def exchange() -> None:
        bench = Bench()
        attempt, _ = await bench.assign("a")
        await bench.take(worker("a"))
        for _ in range(4):
            bench.now += FIRST_EPOCH_FACTOR * SILENCE
            await bench.coordinator.heartbeat(worker("a"), attempt.attempt, 0.0)
            assert bench.coordinator.look() == []
        bench.now += FIRST_EPOCH_FACTOR * SILENCE + 1
        assert bench.coordinator.look() == [worker("a")]

    asyncio.run(exchange())


def test_a_sign_of_life_that_comes_late_makes_no_fold_hang_that_waits_at_a_rung() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(4,))
        attempt, _ = await bench.assign("a")
        for fold in (0, 1):
            await bench.take(worker("a", fold))
        waiting = task(bench.send(worker("a", 0), attempt, report(epoch=4)))
        assert await waits(waiting)
        await bench.coordinator.heartbeat(worker("a", 0), attempt.attempt, 1.0)
        bench.now += 1e6
        await bench.coordinator.heartbeat(worker("a", 1), attempt.attempt, 1.0)
        assert bench.coordinator.look() == []

    asyncio.run(exchange())


def test_a_fold_that_says_nothing_is_killed_and_takes_its_trial_up_again() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2)
        attempt, result = await bench.assign("a")
        for fold in (0, 1):
            await bench.take(worker("a", fold))
        bench.now = FIRST_EPOCH_FACTOR * SILENCE
        assert bench.coordinator.look() == [], "the first epoch may take longer"
        await bench.send(worker("a", 0), attempt, report(), longest=1.0)
        await bench.coordinator.heartbeat(worker("a", 1), attempt.attempt, 1.0)
        bench.now += SILENCE
        assert bench.coordinator.look() == []
        await bench.send(worker("a", 0), attempt, report(epoch=6), previous=4, longest=1.0)
        bench.now += 60
        bench.coordinator.forgive(60)  # the coordinator itself slept
        assert bench.coordinator.look() == []
        bench.now += 1
        assert bench.coordinator.look() == [worker("a", 1)]
        assert bench.coordinator.look() == []
        assert await bench.news() == (
            "trial-00000: fold 1 on address of n0 hangs, it said nothing for 10.0 minutes; it is"
            " killed, and goes on elsewhere from its checkpoint"
        )
        await bench.coordinator.report_deaths("a", {1: UNKNOWN})
        assert await bench.coordinator.before_start("a") == ["n0"]
        assert await bench.take(worker("a", 1, node="n1")) == attempt
        assert await bench.send(worker("a", 1, node="n1"), attempt, report(), longest=1.0) is GO_ON
        assert (await result)["epoch"] == 4

    asyncio.run(exchange())


def test_a_fold_that_waits_or_is_done_does_not_hang() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2, rungs=(2,))
        attempt, _ = await bench.assign("a")
        waiting = task(bench.send(worker("a", 0), attempt, report(epoch=2), longest=1.0))
        assert await waits(waiting)
        done = report(epoch=8, state="completed")
        assert (
            await bench.send(worker("a", 1), attempt, report(epoch=8), done, longest=1.0) is GO_ON
        )
        bench.now = 1e9
        assert bench.coordinator.look() == []

    asyncio.run(exchange())


def test_folds_that_wait_for_a_node_beside_one_that_died_do_not_hang() -> None:
    async def exchange() -> None:
        bench = Bench(folds=2)
        attempt, result = await bench.assign("a")
        for fold in (0, 1):
            await bench.send(worker("a", fold), attempt, report(), longest=1.0)
        assert (await result)["epoch"] == 4
        await bench.coordinator.report_deaths("a", {1: Fault(Owner.CLUSTER, "gone")})
        assert await bench.coordinator.before_start("a") == []
        bench.now = 1e9
        assert bench.coordinator.look() == []

    asyncio.run(exchange())


def test_lost_nodes_are_waited_for_as_long_as_is_asked() -> None:
    async def exchange() -> None:
        for limit, state in ((None, ""), (WAIT, "lost")):
            bench = Bench(nodes_seconds=limit)
            _, result = await bench.assign("a")
            await bench.take(worker("a"))
            bench.now = 2 * WAIT
            bench.coordinator.look()
            assert await waits(result), "it has a node"
            await bench.coordinator.report_deaths("a", {0: Fault(Owner.CLUSTER, "gone")})
            await bench.coordinator.before_start("a")
            bench.now += WAIT + 60
            bench.coordinator.look()
            assert await waits(result) == (limit is None)
            assert limit is None or (await result)["state"] == state

    asyncio.run(exchange())
