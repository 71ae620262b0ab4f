import asyncio
import math
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from study.cluster.coordinator import ATTEMPTS, CLOSED, Desk, LostTrialError, mean_over_folds
from study.training.validation_report import FoldReport


def said(value: float, epoch: int = 4, **kept: Any) -> FoldReport:
    scores = {"phi": value / 2, "generator_loss": 1 - value}
    return replace(FoldReport(epoch, "running", value=value, scores=scores), **kept)


def test_a_trial_says_the_means_of_its_folds_and_what_each_said() -> None:
    values = [0.2, 0.5, 0.9]
    merged = mean_over_folds([said(v) for v in values])
    assert (merged["epoch"], merged["state"], merged["reason"]) == (4, "running", "")
    assert merged["value"] == pytest.approx(np.mean(values))
    assert merged["phi"] == pytest.approx(np.mean(values) / 2)
    assert merged["generator_loss"] == pytest.approx(1 - np.mean(values))
    for fold, value in enumerate(values):
        assert merged[f"fold-{fold}/value"] == value
        assert merged[f"fold-{fold}/phi"] == value / 2


def test_one_fold_is_its_own_mean() -> None:
    assert mean_over_folds([said(0.25, state="completed")])["value"] == 0.25


@pytest.mark.parametrize("failed", [[0], [1], [2], [0, 2], [0, 1, 2]])
def test_a_failed_fold_fails_the_trial_without_a_value(failed: list[int]) -> None:
    gone = {"state": "failed", "reason": "loss is nan", "scores": {}}
    reports = [said(math.nan, **gone) if f in failed else said(0.5) for f in range(3)]
    merged = mean_over_folds(reports)
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
        desk = Desk(2, frozenset())
        early = task(desk.take("a", 0, 0))
        assert await waits(early)
        token = await desk.assign("a", 7, {"model.beta": 0.5})
        taken = await early
        assert (taken.token, taken.number, taken.parameters) == (token, 7, {"model.beta": 0.5})
        assert await desk.take("a", 1, 0) == taken
        following = task(desk.take("a", 0, token))
        assert await waits(following)
        await desk.assign("b", 8, {})
        assert await waits(following)
        await desk.assign("a", 9, {})
        assert (await following).number == 9
        await desk.close("a")
        assert (await desk.take("a", 0, (await following).token)).token == CLOSED

    asyncio.run(play())


def test_folds_do_not_wait_for_each_other_and_the_trial_hears_of_all_at_once() -> None:
    async def play() -> None:
        desk = Desk(2, frozenset())
        token = await desk.assign("a", 0, {})
        heard = task(desk.result("a", token, 0))
        for epoch in (2, 4):
            assert await desk.report("a", token, 0, said(0.2, epoch=epoch))
        assert await waits(heard)
        assert await desk.report("a", token, 1, said(0.4, epoch=2))
        assert (await heard)["value"] == pytest.approx(0.3)
        following = task(desk.result("a", token, 1))
        assert await waits(following)
        assert await desk.report("a", token, 1, said(0.6, epoch=4))
        found = await following
        assert (found["epoch"], found["value"]) == (4, pytest.approx(0.4))

    asyncio.run(play())


def test_at_a_milestone_folds_wait_for_the_search() -> None:
    async def play() -> None:
        desk = Desk(2, frozenset({2}))
        token = await desk.assign("a", 3, {})
        folds = [task(desk.report("a", token, f, said(0.5, epoch=2))) for f in (0, 1)]
        assert (await desk.result("a", token, 0))["epoch"] == 2
        await desk.pass_milestone(4, 2)
        await desk.pass_milestone(3, 1)
        assert [await waits(f) for f in folds] == [True, True]
        await desk.pass_milestone(3, 2)
        assert await asyncio.gather(*folds) == [True, True]

    asyncio.run(play())


def test_a_stopped_trial_ends_for_its_folds_when_the_group_gets_another() -> None:
    async def play() -> None:
        desk = Desk(2, frozenset({2}))
        token = await desk.assign("a", 0, {})
        folds = [task(desk.report("a", token, f, said(0.5, epoch=2))) for f in (0, 1)]
        assert await waits(folds[0])
        await desk.assign("a", 1, {})
        assert await asyncio.gather(*folds) == [False, False]
        assert not await desk.report("a", token, 0, said(0.5, epoch=4))

    asyncio.run(play())


def test_a_failed_fold_stops_the_others() -> None:
    async def play() -> None:
        desk = Desk(2, frozenset())
        token = await desk.assign("a", 0, {})
        for epoch in (2, 4):
            assert await desk.report("a", token, 0, said(0.5, epoch=epoch))
        ill = said(math.nan, epoch=2, state="failed", reason="loss is nan")
        assert not await desk.report("a", token, 1, ill)
        assert not await desk.report("a", token, 0, said(0.5, epoch=6))
        assert (await desk.result("a", token, 0))["state"] == "failed"

    asyncio.run(play())


def test_replaced_workers_repeat_what_was_heard_and_nobody_hears_it_twice() -> None:
    async def play() -> None:
        desk = Desk(2, frozenset({2}))
        token = await desk.assign("a", 0, {})
        await desk.pass_milestone(0, 2)
        for epoch in (2, 4):
            folds = [task(desk.report("a", token, f, said(0.5, epoch=epoch))) for f in (0, 1)]
            assert await asyncio.gather(*folds) == [True, True]
        assert await desk.report("a", token, 0, said(0.1, epoch=6))
        for fold in (0, 1):
            assert (await desk.take("a", fold, 0)).token == token
            for epoch in (2, 4):
                assert await desk.report("a", token, fold, said(0.5, epoch=epoch))
        again = [task(desk.report("a", token, f, said(0.9, epoch=6))) for f in (0, 1)]
        assert await asyncio.gather(*again) == [True, True]
        results = [await desk.result("a", token, i) for i in range(3)]
        assert [(r["epoch"], r["value"]) for r in results] == [(2, 0.5), (4, 0.5), (6, 0.9)]

    asyncio.run(play())


def test_a_trial_whose_workers_die_again_and_again_is_given_up() -> None:
    async def play() -> None:
        desk = Desk(2, frozenset())
        token = await desk.assign("a", 5, {})
        heard = task(desk.result("a", token, 0))
        for _ in range(ATTEMPTS):
            await desk.take("a", 1, 0)
        assert await waits(heard)
        await desk.take("a", 1, 0)
        with pytest.raises(LostTrialError, match="workers of trial 5 died"):
            await heard
        token = await desk.assign("a", 6, {})
        assert await waits(task(desk.result("a", token, 0)))

    asyncio.run(play())


def test_a_trial_that_another_group_takes_over_ends_for_the_first() -> None:
    async def play() -> None:
        desk = Desk(1, frozenset({2}))
        old = await desk.assign("dead", 0, {})
        waiting = task(desk.report("dead", old, 0, said(0.5, epoch=2)))
        assert await waits(waiting)
        new = await desk.assign("alive", 0, {})
        assert not await waiting
        assert (await desk.take("dead", 0, old)).token == CLOSED
        assert (await desk.take("alive", 0, 0)).token == new

    asyncio.run(play())


def test_a_trial_whose_workers_raise_again_and_again_fails_with_their_reason() -> None:
    async def play() -> None:
        desk = Desk(2, frozenset())
        token = await desk.assign("a", 5, {})
        heard = task(desk.result("a", token, 0))
        for _ in range(ATTEMPTS):
            await desk.take("a", 1, 0)
            await desk.complain("a", token, 1, "ValueError: no", blocked=False)
        assert await waits(heard)
        last = task(desk.take("a", 1, 0))
        result = await heard
        assert (result["state"], result["reason"]) == ("failed", "fold 1: ValueError: no")
        assert "value" not in result
        assert await waits(last), "nobody trains a trial that was given up"
        await desk.assign("a", 6, {})
        assert (await last).number == 6

    asyncio.run(play())


def test_a_fault_that_is_not_the_trials_is_told_apart() -> None:
    async def play() -> None:
        desk = Desk(1, frozenset())
        token = await desk.assign("a", 5, {})
        for _ in range(ATTEMPTS):
            await desk.take("a", 0, 0)
            await desk.complain("a", token, 0, "OSError: no space", blocked=True)
        task(desk.take("a", 0, 0))
        assert (await desk.result("a", token, 0))["state"] == "blocked"

    asyncio.run(play())


def test_workers_that_die_now_and_then_are_replaced_as_long_as_the_trial_gets_on() -> None:
    async def play() -> None:
        desk = Desk(1, frozenset())
        token = await desk.assign("a", 0, {})
        for epoch in range(1, 2 * ATTEMPTS):
            await desk.take("a", 0, 0)
            await desk.take("a", 0, 0)
            assert await desk.report("a", token, 0, said(0.5, epoch=epoch))
            assert (await desk.result("a", token, epoch - 1))["epoch"] == epoch

    asyncio.run(play())
