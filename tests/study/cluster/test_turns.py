"""Folds that wait their turn: for every number of workers a trial reports the same."""

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.cluster.exchange import Answer, Assignment, Turn
from study.cluster.faults import Fault, Owner
from study.cluster.fold_state import MOST_FAILURES
from study.training.validation_report import ValidationReport
from tests.study.cluster.bench import SILENCE, Bench, task, trial, waits
from tests.study.cluster.clusters import worker
from tests.study.cluster.play import EPOCHS, Play, value


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
    epochs_of_folds = st.tuples(st.integers(0, folds - 1), st.integers(1, EPOCHS))
    fails = data.draw(st.none() | epochs_of_folds)
    deaths = data.draw(st.lists(epochs_of_folds, max_size=2, unique=True))
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
        await bench.coordinator.heartbeat(worker("a", 0), assignment.attempt, 1.0)
        await bench.coordinator.heartbeat(worker("a", 1), assignment.attempt, 1.0)
        assert bench.coordinator.look() == []
        assert await waits(result)

    asyncio.run(exchange())


@pytest.mark.parametrize("ended", [[0], [0, 2], [0, 2, 1, 3]])
def test_a_line_says_how_many_folds_have_ended(ended: list[int]) -> None:
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
