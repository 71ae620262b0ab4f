import asyncio
import math
import multiprocessing
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from study.cluster.connection import connected
from study.cluster.coordinator import (
    MOST_STARTS,
    Coordinator,
    LostTrialError,
    Verdict,
    merge_reports,
)
from study.config.study_file import load_study
from study.search.trial import Trial
from study.training.validation_report import ValidationReport
from tests.study.trials import trial_of

STUDY = load_study("quickstart")


def trial(number: int = 0, **parameters: Any) -> Trial:
    return trial_of(STUDY, number, parameters)


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


async def waits(task: "asyncio.Task[Any]") -> bool:
    """Tell whether a task still waits when all that could run has run."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not task.done()


def task(what: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    return asyncio.create_task(what)


def test_workers_take_a_trial_once_and_wait_for_the_next() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, ())
        early = task(coordinator.next_assignment("a", 0, 0))
        assert await waits(early)
        given = trial(7, **{"model.beta": 0.5})
        attempt = await coordinator.assign("a", given)
        assignment = await early
        assert (assignment.attempt, assignment.trial) == (attempt, given)
        assert await coordinator.next_assignment("a", 1, 0) == assignment
        following = task(coordinator.next_assignment("a", 0, attempt))
        assert await waits(following)
        await coordinator.assign("b", trial(8))
        assert await waits(following)
        await coordinator.assign("a", trial(9))
        assert (await following).trial == trial(9)
        await coordinator.dismiss("a")
        assert (await coordinator.next_assignment("a", 0, (await following).attempt)).trial is None

    asyncio.run(play())


def test_folds_do_not_wait_for_each_other_and_a_result_is_of_all() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, ())
        attempt = await coordinator.assign("a", trial())
        result = task(coordinator.result("a", attempt, 0))
        for epoch in (2, 4):
            assert await coordinator.report("a", attempt, 0, report(0.2, epoch=epoch))
        assert await waits(result)
        assert await coordinator.report("a", attempt, 1, report(0.4, epoch=2))
        assert (await result)["value"] == pytest.approx(0.3)
        following = task(coordinator.result("a", attempt, 1))
        assert await waits(following)
        assert await coordinator.report("a", attempt, 1, report(0.6, epoch=4))
        second = await following
        assert (second["epoch"], second["value"]) == (4, pytest.approx(0.4))

    asyncio.run(play())


def test_at_a_rung_folds_wait_for_the_search() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, (2,))
        attempt = await coordinator.assign("a", trial(3))
        folds = [task(coordinator.report("a", attempt, f, report(0.5, epoch=2))) for f in (0, 1)]
        assert (await coordinator.result("a", attempt, 0))["epoch"] == 2
        await coordinator.promote(trial(4).name, 2)
        await coordinator.promote(trial(3).name, 1)
        assert [await waits(f) for f in folds] == [True, True]
        await coordinator.promote(trial(3).name, 2)
        assert await asyncio.gather(*folds) == [True, True]

    asyncio.run(play())


def test_a_stop_ends_the_folds_that_wait_at_a_rung() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, (2,))
        attempt = await coordinator.assign("a", trial(3))
        other = await coordinator.assign("b", trial(4))
        folds = [task(coordinator.report("a", attempt, f, report(0.5, epoch=2))) for f in (0, 1)]
        unconcerned = task(coordinator.report("b", other, 0, report(0.5, epoch=2)))
        assert await waits(folds[0])
        await coordinator.stop_trial(trial(3).name)
        assert await asyncio.gather(*folds) == [False, False]
        assert not await coordinator.report("a", attempt, 0, report(0.5, epoch=4))
        assert await waits(unconcerned)

    asyncio.run(play())


def test_a_stop_at_a_rung_is_committed_by_every_fold_before_the_trial_ends() -> None:
    """Also by one whose worker dies on the way, and repeats what it reported."""

    async def play() -> None:
        coordinator = Coordinator(2, (2, 4))
        attempt = await coordinator.assign("a", trial(3))
        await coordinator.promote(trial(3).name, 2)
        for epoch in (2, 4):
            folds = [
                task(coordinator.report("a", attempt, f, report(0.5, epoch=epoch))) for f in (0, 1)
            ]
            if epoch == 4:
                assert await waits(folds[0])
                await coordinator.stop_trial(trial(3).name, 4)
                assert await asyncio.gather(*folds) == [Verdict.STOP, Verdict.STOP]
        last = task(coordinator.result("a", attempt, 2))
        await coordinator.report("a", attempt, 0, report(0.5, epoch=4, state="pruned"))
        assert await waits(last)
        assert (await coordinator.next_assignment("a", 1, 0)).attempt == attempt
        verdicts = [
            await coordinator.report("a", attempt, 1, report(0.5, epoch=epoch)) for epoch in (2, 4)
        ]
        assert verdicts == [Verdict.GO_ON, Verdict.STOP]
        await coordinator.report("a", attempt, 1, report(0.7, epoch=4, state="pruned"))
        result = await last
        assert (result["epoch"], result["state"], result["value"]) == (4, "pruned", 0.6)
        assert await waits(task(coordinator.next_assignment("a", 0, 0)))

    asyncio.run(play())


def test_a_fold_that_fails_as_it_is_stopped_fails_the_trial() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, (2,))
        attempt = await coordinator.assign("a", trial(3))
        folds = [task(coordinator.report("a", attempt, f, report(0.5, epoch=2))) for f in (0, 1)]
        assert await waits(folds[0])
        await coordinator.stop_trial(trial(3).name, 2)
        await asyncio.gather(*folds)
        await coordinator.report("a", attempt, 0, report(0.5, epoch=2, state="pruned"))
        ill = report(math.nan, epoch=2, state="failed", reason="not finite")
        await coordinator.report("a", attempt, 1, ill)
        result = await coordinator.result("a", attempt, 1)
        assert (result["state"], result["reason"]) == ("failed", "fold 1: not finite")

    asyncio.run(play())


def test_after_a_stop_workers_wait_for_the_next_assignment() -> None:
    async def play() -> None:
        coordinator = Coordinator(1, (2,))
        attempt = await coordinator.assign("a", trial(3))
        await coordinator.stop_trial(trial(3).name)
        following = task(coordinator.next_assignment("a", 0, attempt))
        replaced = task(coordinator.next_assignment("a", 0, 0))
        assert await waits(following)
        assert await waits(replaced), "a worker in a dead one's place gets no stopped trial"
        next_attempt = await coordinator.assign("a", trial(4))
        assert {(await each).attempt for each in (following, replaced)} == {next_attempt}

    asyncio.run(play())


def test_a_stop_that_comes_late_leaves_the_next_trial_alone() -> None:
    async def play() -> None:
        coordinator = Coordinator(1, ())
        await coordinator.assign("a", trial(3))
        attempt = await coordinator.assign("a", trial(4))
        await coordinator.stop_trial(trial(3).name)
        assert await coordinator.report("a", attempt, 0, report(0.5, epoch=2))

    asyncio.run(play())


def test_a_stopped_trial_may_be_assigned_again() -> None:
    """Its stop was decided, and the driver died before it was committed."""

    async def play() -> None:
        coordinator = Coordinator(1, ())
        old = await coordinator.assign("a", trial(3))
        await coordinator.stop_trial(trial(3).name)
        new = await coordinator.assign("a", trial(3))
        assert not await coordinator.report("a", old, 0, report(0.5, epoch=2))
        assert (await coordinator.next_assignment("a", 0, old)).attempt == new
        assert await coordinator.report("a", new, 0, report(0.5, epoch=2))

    asyncio.run(play())


def test_a_trial_ends_for_its_folds_when_the_group_gets_another() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, (2,))
        attempt = await coordinator.assign("a", trial(0))
        folds = [task(coordinator.report("a", attempt, f, report(0.5, epoch=2))) for f in (0, 1)]
        assert await waits(folds[0])
        await coordinator.assign("a", trial(1))
        assert await asyncio.gather(*folds) == [False, False]
        assert not await coordinator.report("a", attempt, 0, report(0.5, epoch=4))

    asyncio.run(play())


def test_a_failed_fold_stops_the_others() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, ())
        attempt = await coordinator.assign("a", trial())
        for epoch in (2, 4):
            assert await coordinator.report("a", attempt, 0, report(0.5, epoch=epoch))
        ill = report(math.nan, epoch=2, state="failed", reason="loss is nan")
        assert not await coordinator.report("a", attempt, 1, ill)
        assert not await coordinator.report("a", attempt, 0, report(0.5, epoch=6))
        assert (await coordinator.result("a", attempt, 0))["state"] == "failed"

    asyncio.run(play())


def test_replaced_workers_repeat_their_reports_and_no_result_comes_twice() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, (2,))
        attempt = await coordinator.assign("a", trial())
        await coordinator.promote(trial().name, 2)
        for epoch in (2, 4):
            folds = [
                task(coordinator.report("a", attempt, f, report(0.5, epoch=epoch))) for f in (0, 1)
            ]
            assert await asyncio.gather(*folds) == [True, True]
        assert await coordinator.report("a", attempt, 0, report(0.1, epoch=6))
        for fold in (0, 1):
            assert (await coordinator.next_assignment("a", fold, 0)).attempt == attempt
            for epoch in (2, 4):
                assert await coordinator.report("a", attempt, fold, report(0.5, epoch=epoch))
        again = [task(coordinator.report("a", attempt, f, report(0.9, epoch=6))) for f in (0, 1)]
        assert await asyncio.gather(*again) == [True, True]
        results = [await coordinator.result("a", attempt, i) for i in range(3)]
        assert [(r["epoch"], r["value"]) for r in results] == [(2, 0.5), (4, 0.5), (6, 0.9)]

    asyncio.run(play())


def test_a_trial_whose_workers_die_again_and_again_is_given_up() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, ())
        attempt = await coordinator.assign("a", trial(5))
        result = task(coordinator.result("a", attempt, 0))
        for _ in range(MOST_STARTS):
            await coordinator.next_assignment("a", 1, 0)
        assert await waits(result)
        await coordinator.next_assignment("a", 1, 0)
        with pytest.raises(LostTrialError, match="workers of trial-00005 died"):
            await result
        attempt = await coordinator.assign("a", trial(6))
        assert await waits(task(coordinator.result("a", attempt, 0)))

    asyncio.run(play())


def test_a_trial_that_another_group_takes_over_ends_for_the_first() -> None:
    async def play() -> None:
        coordinator = Coordinator(1, (2,))
        old = await coordinator.assign("dead", trial())
        waiting = task(coordinator.report("dead", old, 0, report(0.5, epoch=2)))
        assert await waits(waiting)
        new = await coordinator.assign("alive", trial())
        assert not await waiting
        assert (await coordinator.next_assignment("dead", 0, old)).trial is None
        assert (await coordinator.next_assignment("alive", 0, 0)).attempt == new

    asyncio.run(play())


def test_a_trial_whose_workers_raise_again_and_again_fails_with_their_reason() -> None:
    async def play() -> None:
        coordinator = Coordinator(2, ())
        attempt = await coordinator.assign("a", trial(5))
        awaited = task(coordinator.result("a", attempt, 0))
        for _ in range(MOST_STARTS):
            await coordinator.next_assignment("a", 1, 0)
            await coordinator.report_failure("a", attempt, 1, "ValueError: no", blocked=False)
        assert await waits(awaited)
        last = task(coordinator.next_assignment("a", 1, 0))
        result = await awaited
        assert (result["state"], result["reason"]) == ("failed", "fold 1: ValueError: no")
        assert "value" not in result
        assert await waits(last), "nobody trains a trial that was given up"
        await coordinator.assign("a", trial(6))
        assert (await last).trial == trial(6)

    asyncio.run(play())


def test_a_fault_that_is_not_the_trials_blocks_the_study() -> None:
    async def play() -> None:
        coordinator = Coordinator(1, ())
        attempt = await coordinator.assign("a", trial(5))
        for _ in range(MOST_STARTS):
            await coordinator.next_assignment("a", 0, 0)
            await coordinator.report_failure("a", attempt, 0, "OSError: no space", blocked=True)
        task(coordinator.next_assignment("a", 0, 0))
        assert (await coordinator.result("a", attempt, 0))["state"] == "blocked"

    asyncio.run(play())


def test_a_failure_of_an_earlier_attempt_does_not_count() -> None:
    async def play() -> None:
        coordinator = Coordinator(1, ())
        old = await coordinator.assign("a", trial(5))
        new = await coordinator.assign("a", trial(5))
        await coordinator.report_failure("a", old, 0, "OSError: no space", blocked=True)
        for _ in range(MOST_STARTS + 1):
            await coordinator.next_assignment("a", 0, 0)
        with pytest.raises(LostTrialError):
            await coordinator.result("a", new, 0)

    asyncio.run(play())


def test_workers_that_die_now_and_then_are_replaced_as_long_as_the_trial_gets_on() -> None:
    async def play() -> None:
        coordinator = Coordinator(1, ())
        attempt = await coordinator.assign("a", trial())
        for epoch in range(1, 2 * MOST_STARTS):
            await coordinator.next_assignment("a", 0, 0)
            await coordinator.next_assignment("a", 0, 0)
            assert await coordinator.report("a", attempt, 0, report(0.5, epoch=epoch))
            assert (await coordinator.result("a", attempt, epoch - 1))["epoch"] == epoch

    asyncio.run(play())


def answer_beside_waiting_calls(waiting: int) -> int:
    """Return the attempt that the real actor assigns while so many calls wait in it.

    In a process of its own, which has not imported Ray before it connects.
    """
    with connected(None):
        import ray

        from study.cluster.tune_search import start_coordinator

        coordinator = start_coordinator(5, ())
        parked = [
            coordinator.next_assignment.remote(f"group-{n // 5}", n % 5, 0) for n in range(waiting)
        ]
        attempt: int = ray.get(coordinator.assign.remote("group-0", trial()), timeout=120)
        assignments = ray.get(parked[:5], timeout=120)
        assert {assignment.attempt for assignment in assignments} == {attempt}
        assert not ray.wait(parked[5:], timeout=0)[0]
        return attempt


@pytest.mark.cluster
def test_more_trials_are_heard_than_ray_lets_call_an_actor_by_default() -> None:
    """Workers of 400 trials of 5 folds wait for work, and one trial is assigned."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(answer_beside_waiting_calls, 2000).result() == 1
