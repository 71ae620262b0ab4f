"""Trials that start with some of their folds, and get the others at rungs."""

import asyncio
from typing import Any

import pytest

from study.cluster.exchange import Assignment
from study.search.trial import Trial
from tests.study.cluster.bench import (
    END,
    GO_ON,
    NODES,
    STOP,
    STUDY,
    UNKNOWN,
    Bench,
    report,
    task,
    trial,
    waits,
)
from tests.study.cluster.clusters import FewNodes, worker
from tests.study.trials import trial_of

RUNGS = (2, 4)


def bench(**kept: Any) -> Bench:
    """Trials of three folds: one up to epoch 2, two up to epoch 4, then all."""
    return Bench(folds=3, rungs=RUNGS, at_rungs=(1, 2), **kept)


def assigned(
    bench: Bench, group: str, folds: int, after: int = 0, of: Trial | None = None
) -> tuple[Assignment, "asyncio.Task[dict[str, Any]]"]:
    assignment = Assignment.of(of or trial(), folds)
    return assignment, bench.result(group, assignment, after)


def test_a_trial_that_passes_a_rung_gives_its_slot_back_and_goes_on_with_more_folds() -> None:
    async def exchange() -> None:
        at = bench()
        first, result = assigned(at, "a", 1)
        fold = task(at.send(worker("a"), first, report(0.2, epoch=2)))
        assert (await result)["value"] == 0.2
        following = at.result("a", first, 2)
        assert await waits(fold)
        await at.coordinator.promote(trial().name, 2)
        assert await fold is END
        grows = await following
        assert (grows["state"], grows["folds"], grows["epoch"]) == ("grows", 2, 2)
        assert await waits(task(at.take(worker("a"), first.attempt)))
        second, result = assigned(at, "b", 2, after=2)
        for name, value in (("old", 0.2), ("new", 0.9)):  # both pass the rung without a word
            fold = worker("b", int(name == "new"))
            assert await at.take(fold) == second
            assert await at.send(fold, second, report(value, epoch=2)) is GO_ON
        assert await waits(result)
        ends = [
            task(at.send(worker("b", fold), second, report(value), previous=2))
            for fold, value in enumerate((0.4, 0.8))
        ]
        assert (await result)["value"] == pytest.approx(0.6)
        assert await waits(ends[0])
        assert (await at.take(worker("a"), first.attempt)).trial is None  # its group was dismissed

    asyncio.run(exchange())


def test_a_trial_whose_process_died_comes_back_to_the_folds_that_it_had() -> None:
    """Values of epochs before are of the folds that they were of."""

    async def exchange() -> None:
        at = bench()
        await at.coordinator.promote(trial().name, 2)
        _, result = assigned(at, "a", 1)
        grows = await result
        assert (grows["state"], grows["folds"], grows["epoch"]) == ("grows", 2, 0)
        second, result = assigned(at, "b", 2)
        await at.send(worker("b", 1), second, report(0.9, epoch=2))
        assert await waits(result)
        await at.send(worker("b", 0), second, report(0.2, epoch=2))
        merged = await result
        assert (merged["epoch"], merged["value"]) == (2, 0.2)
        assert "fold-1/value" not in merged

    asyncio.run(exchange())


def test_a_new_coordinator_has_the_trial_grow_again() -> None:
    async def exchange() -> None:
        at = bench(cluster=FewNodes(restarted=True))
        first, result = assigned(at, "a", 1, after=2)
        await at.coordinator.restore({trial().name: 2}, {})
        assert ((await result)["state"], (await result)["folds"]) == ("grows", 2)
        grown, result = assigned(at, "b", 2, after=2)
        at.start()
        again = at.result("b", grown, 2)
        await at.coordinator.restore({trial().name: 2}, {})
        assert await waits(again)
        assert first.attempt != grown.attempt

    asyncio.run(exchange())


def test_a_stop_is_committed_by_the_folds_that_there_are() -> None:
    async def exchange() -> None:
        at = bench()
        first, result = assigned(at, "a", 1)
        fold = task(at.send(worker("a"), first, report(0.2, epoch=2)))
        await result
        last = at.result("a", first, 2)
        await at.coordinator.stop_trial(trial().name, 2)
        assert await fold is STOP
        end = report(0.2, epoch=2, state="pruned")
        await at.send(worker("a"), first, end, previous=2)
        assert ((await last)["state"], (await last)["value"]) == ("pruned", 0.2)

    asyncio.run(exchange())


@pytest.mark.parametrize(
    "again",
    [trial_of(STUDY, 0, is_repetition=True), trial_of(STUDY, 0, {"model.name": "pca"})],
    ids=["a repetition", "a model that is fitted once"],
)
def test_what_is_compared_at_no_rung_has_all_its_folds_from_the_start(again: Trial) -> None:
    async def exchange() -> None:
        at = bench()
        first, result = assigned(at, "a", 3, of=again)
        for fold in range(3):
            assert not result.done()
            task(at.send(worker("a", fold), first, report(0.3 * fold, epoch=2)))
        assert (await result)["value"] == pytest.approx(0.3)
        await at.coordinator.promote(again.name, 2)
        assert await waits(at.result("a", first, 2))

    asyncio.run(exchange())


@pytest.mark.parametrize("is_repetition", [False, True])
def test_a_trial_that_waits_for_slots_of_others_waits_for_no_nodes(is_repetition: bool) -> None:
    """Only where the living nodes have no room for a trial at all is time counted."""

    async def exchange(nodes: list[str]) -> str:
        at = bench(cluster=FewNodes(nodes), nodes_seconds=60.0)
        waiting = trial_of(STUDY, 0, is_repetition=is_repetition, is_confirmation=is_repetition)
        _, result = assigned(at, "a", 3 if is_repetition else 2, after=2, of=waiting)
        assert await waits(result)
        at.now = 61.0
        at.coordinator.look()
        return "waits" if await waits(result) else (await result)["state"]

    assert asyncio.run(exchange(["n0"])) == "waits"
    assert asyncio.run(exchange([])) == "lost"


def test_a_fold_that_fails_as_it_catches_up_fails_the_trial() -> None:
    async def exchange() -> None:
        at = bench()
        second, result = assigned(at, "b", 2, after=2)
        assert await at.send(worker("b", 0), second, report(0.4, epoch=3)) is GO_ON
        for epoch in (2, 3):  # a committed failure is reported for every epoch that is left
            ill = report(float("nan"), epoch=epoch, state="failed", reason="loss is nan")
            await at.send(worker("b", 1), second, ill, previous=epoch - 1)
        merged = await result
        assert (merged["state"], merged["reason"]) == ("failed", "fold 1: loss is nan")

    asyncio.run(exchange())


@pytest.mark.parametrize("gets_on", [True, False])
def test_a_fold_that_catches_up_may_die_at_every_epoch_but_not_always_at_one(gets_on: bool) -> None:
    """The other is at the rung; until it is there too, its own epochs say that it gets on."""

    async def exchange() -> None:
        at = Bench(folds=2, rungs=(10,), at_rungs=(1,))
        await at.coordinator.promote(trial().name, 10)
        grown, result = assigned(at, "b", 2, after=10)
        for epoch in range(1, 5):
            late = report(0.5, epoch=epoch if gets_on else 1)
            await at.send(worker("b", 1), grown, late)
            await at.coordinator.report_deaths("b", {1: UNKNOWN})
            await at.coordinator.before_start("b")
        assert await waits(result) == gets_on
        assert gets_on or (await result)["state"] == "lost"

    asyncio.run(exchange())


def test_a_node_that_fails_a_fold_is_avoided_by_the_group_that_follows() -> None:
    async def exchange() -> None:
        at = bench()
        first, waiting = assigned(at, "a", 1)
        assert await waits(waiting)
        await at.fail(worker("a"), first, NODES)
        await at.coordinator.promote(trial().name, 2)
        _, waiting = assigned(at, "b", 2)
        assert await waits(waiting)
        assert await at.coordinator.before_start("b") == ["n0"]

    asyncio.run(exchange())
