import asyncio
import itertools
import math
import multiprocessing
from collections.abc import Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from study.cluster.attempts import FIRST_EPOCH_FACTOR, MOST_FAILURES
from study.cluster.connection import connected
from study.cluster.coordinator import Coordinator
from study.cluster.exchange import Answer, Assignment, FoldWorker, LeaveNodeError, Patience
from study.cluster.faults import Fault, Owner
from study.config.study_file import load_study
from study.search.plan import Plan
from study.search.trial import Trial
from study.training.validation_report import ValidationReport
from tests.study.cluster.clusters import FewNodes, worker
from tests.study.trials import trial_of

STUDY = load_study("quickstart")
GO_ON, END, STOP, REPEAT = Answer.GO_ON, Answer.END, Answer.STOP, Answer.REPEAT
SILENCE, WAIT = 600.0, 7200.0
TRIALS_OWN = Fault(Owner.TRIAL, "ValueError: no")
NODES = Fault(Owner.NODE, "RuntimeError: CUDA error")
UNKNOWN = Fault(Owner.UNKNOWN, "ActorDiedError")


def trial(number: int = 0, **parameters: Any) -> Trial:
    return trial_of(STUDY, number, parameters)


def report(value: float = 0.5, epoch: int = 4, **kept: Any) -> ValidationReport:
    return replace(ValidationReport(epoch, "running", value=value, scores={"phi": value}), **kept)


async def waits(task: "asyncio.Task[Any]") -> bool:
    """Tell whether a task still waits when all that could run has run."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not task.done()


def task(what: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    return asyncio.create_task(what)


class Play:
    """A coordinator, those who talk to it, and a clock that stands until it is set."""

    def __init__(
        self,
        folds: int = 1,
        rungs: Sequence[int] = (),
        cluster: FewNodes | None = None,
        nodes_seconds: float | None = None,
    ) -> None:
        self.now = 0.0
        self.cluster = cluster or FewNodes()
        self.folds, self.rungs, self.nodes_seconds = folds, rungs, nodes_seconds
        self.start()

    def start(self) -> None:
        """Start a coordinator, in place of one if there was one."""
        patience = Patience(SILENCE, self.nodes_seconds)
        self.coordinator = Coordinator(
            self.folds, self.rungs, patience, self.cluster, lambda: self.now
        )

    async def assign(self, group: str, number: int = 0) -> tuple[Assignment, "asyncio.Task[Any]"]:
        """Have a group train a trial; return the attempt, and who waits for its first result."""
        assignment = Assignment.of(trial(number))
        awaited = self.result(group, assignment)
        assert await waits(awaited)
        return assignment, awaited

    def result(
        self, group: str, assignment: Assignment, passed: int = 0
    ) -> "asyncio.Task[dict[str, Any]]":
        return task(self.coordinator.next_result(group, assignment, passed))

    async def take(
        self, who: FoldWorker, after: str = "", reported: int = 0, has_ended: bool = False
    ) -> Any:
        return await self.coordinator.next_assignment(who, after, reported, has_ended)

    async def say(
        self, who: FoldWorker, assignment: Assignment, *reports: ValidationReport, **kept: Any
    ) -> Answer:
        previous, longest = kept.get("previous", 0), kept.get("longest", 0.0)
        return await self.coordinator.report(who, assignment.attempt, previous, reports, longest)

    async def fail(self, who: FoldWorker, assignment: Assignment, fault: Fault) -> None:
        """Take the assignment as a worker that fails with it."""
        await self.take(who)
        await self.coordinator.report_failure(who, assignment.attempt, fault)

    async def news(self) -> str:
        return "\n".join((await self.coordinator.news(frozenset())).lines)


def test_workers_take_a_trial_once_and_wait_for_the_next() -> None:
    async def scene() -> None:
        play = Play(folds=2)
        early = task(play.take(worker("a", 0)))
        assert await waits(early)
        first, _ = await play.assign("a", 7)
        assert await early == first
        assert await play.take(worker("a", 1)) == first
        following = task(play.take(worker("a", 0), first.attempt))
        assert await waits(following)
        await play.assign("b", 8)
        assert await waits(following)
        second, _ = await play.assign("a", 9)
        assert await following == second
        await play.coordinator.dismiss("a")
        assert (await play.take(worker("a", 0), second.attempt)).trial is None

    asyncio.run(scene())


def test_folds_do_not_wait_for_each_other_and_a_result_is_of_all() -> None:
    async def scene() -> None:
        play = Play(folds=2)
        attempt, result = await play.assign("a")
        assert await play.say(worker("a", 0), attempt, report(0.2, epoch=2)) is GO_ON
        assert await play.say(worker("a", 0), attempt, report(0.2, epoch=4), previous=2) is GO_ON
        assert await waits(result)
        assert await play.say(worker("a", 1), attempt, report(0.4, epoch=2)) is GO_ON
        assert (await result)["value"] == pytest.approx(0.3)
        following = play.result("a", attempt, 2)
        assert await waits(following)
        assert await play.say(worker("a", 1), attempt, report(0.6, epoch=4), previous=2) is GO_ON
        assert (await following)["value"] == pytest.approx(0.4)

    asyncio.run(scene())


def test_at_a_rung_folds_wait_for_the_search() -> None:
    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, result = await play.assign("a", 3)
        folds = [task(play.say(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert (await result)["epoch"] == 2
        play.result("a", attempt, 2)
        await play.coordinator.promote(trial(4).name, 2)
        await play.coordinator.promote(trial(3).name, 1)
        assert [await waits(fold) for fold in folds] == [True, True]
        await play.coordinator.promote(trial(3).name, 2)
        assert await asyncio.gather(*folds) == [GO_ON, GO_ON]

    asyncio.run(scene())


def test_a_stop_ends_the_folds_that_wait_at_a_rung_and_no_others() -> None:
    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, _ = await play.assign("a", 3)
        other, _ = await play.assign("b", 4)
        folds = [task(play.say(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        unconcerned = task(play.say(worker("b"), other, report(epoch=2)))
        assert await waits(folds[0])
        await play.coordinator.stop_trial(trial(3).name)
        assert await asyncio.gather(*folds) == [END, END]
        assert await play.say(worker("a"), attempt, report(), previous=2) is END
        assert await waits(unconcerned)
        for after in (attempt.attempt, ""):  # a worker in a dead one's place gets no stopped trial
            assert await waits(task(play.take(worker("a"), after)))
        following, _ = await play.assign("a", 5)
        assert await play.take(worker("a"), attempt.attempt) == following

    asyncio.run(scene())


def test_a_stop_at_a_rung_is_committed_by_every_fold_before_the_trial_ends() -> None:
    """Also by one whose worker dies on the way, and repeats what it reported."""

    async def scene() -> None:
        play = Play(folds=2, rungs=(2, 4))
        attempt, _ = await play.assign("a", 3)
        await play.coordinator.promote(trial(3).name, 2)
        folds = [worker("a", fold) for fold in (0, 1)]
        for each in folds:
            assert await play.say(each, attempt, report(epoch=2)) is GO_ON
        at_rung = [task(play.say(each, attempt, report(), previous=2)) for each in folds]
        assert await waits(at_rung[0])
        assert (await play.result("a", attempt, 2))["epoch"] == 4
        last = play.result("a", attempt, 4)
        await play.coordinator.stop_trial(trial(3).name, 4)
        assert await asyncio.gather(*at_rung) == [STOP, STOP]
        await play.say(folds[0], attempt, report(0.5, state="pruned"), previous=4)
        assert await waits(last)
        again = worker("a", 1, node="n1")
        assert await play.take(again) == attempt
        answers = [
            await play.say(again, attempt, report(epoch=epoch), previous=epoch - 2)
            for epoch in (2, 4)
        ]
        assert answers == [GO_ON, STOP]
        await play.say(again, attempt, report(0.7, state="pruned"), previous=4)
        assert ((await last)["epoch"], (await last)["state"]) == (4, "pruned")
        assert (await last)["value"] == pytest.approx(0.6)
        assert await waits(task(play.take(folds[0])))

    asyncio.run(scene())


def test_a_fold_that_fails_as_it_is_stopped_fails_the_trial() -> None:
    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, _ = await play.assign("a", 3)
        folds = [task(play.say(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert await waits(folds[0])
        await play.coordinator.stop_trial(trial(3).name, 2)
        await asyncio.gather(*folds)
        ill = report(math.nan, epoch=2, state="failed", reason="not finite")
        for fold, end in enumerate((report(epoch=2, state="pruned"), ill)):
            await play.say(worker("a", fold), attempt, end, previous=2)
        result = await play.result("a", attempt, 2)
        assert (result["state"], result["reason"]) == ("failed", "fold 1: not finite")

    asyncio.run(scene())


def test_a_new_coordinator_finishes_a_stop_that_one_fold_has_committed() -> None:
    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, _ = await play.assign("a", 3)
        past = [report(0.5, epoch=2), report(0.5, epoch=2, state="pruned")]
        play.start()
        asks = task(play.take(worker("a", 0), attempt.attempt, 2, has_ended=True))
        says = task(play.say(worker("a", 1), attempt, past[1], previous=2))
        last = play.result("a", attempt, 2)
        assert await asks is REPEAT
        await says
        await play.coordinator.restore({}, {trial(3).name: 2})
        await play.say(worker("a", 0), attempt, *past)
        assert ((await last)["epoch"], (await last)["state"]) == (2, "pruned")

    asyncio.run(scene())


def test_a_stop_that_comes_late_leaves_the_next_trial_alone() -> None:
    async def scene() -> None:
        play = Play()
        await play.assign("a", 3)
        attempt, _ = await play.assign("a", 4)
        await play.coordinator.stop_trial(trial(3).name)
        assert await play.say(worker("a"), attempt, report()) is GO_ON

    asyncio.run(scene())


def test_a_stopped_trial_may_be_assigned_again() -> None:
    """Its stop was decided, and the driver died before it was committed."""

    async def scene() -> None:
        play = Play()
        old, _ = await play.assign("a", 3)
        await play.coordinator.stop_trial(trial(3).name)
        new, _ = await play.assign("a", 3)
        assert new != old
        assert await play.say(worker("a"), old, report()) is END
        assert await play.take(worker("a"), old.attempt) == new
        assert await play.say(worker("a"), new, report()) is GO_ON

    asyncio.run(scene())


def test_a_trial_ends_for_its_folds_when_the_group_gets_another() -> None:
    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, _ = await play.assign("a", 0)
        folds = [task(play.say(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert await waits(folds[0])
        await play.assign("a", 1)
        assert await asyncio.gather(*folds) == [END, END]

    asyncio.run(scene())


def test_a_trial_that_another_group_takes_over_ends_for_the_first() -> None:
    async def scene() -> None:
        play = Play(rungs=(2,))
        old, result = await play.assign("dead")
        waiting = task(play.say(worker("dead"), old, report(epoch=2)))
        assert (await result)["epoch"] == 2
        new, _ = await play.assign("alive")
        assert await waiting is END
        assert (await play.take(worker("dead"), old.attempt)).trial is None
        assert await play.take(worker("alive")) == new

    asyncio.run(scene())


def test_a_failed_fold_stops_the_others() -> None:
    async def scene() -> None:
        play = Play(folds=2)
        attempt, result = await play.assign("a")
        assert await play.say(worker("a", 0), attempt, report(epoch=2)) is GO_ON
        ill = report(math.nan, epoch=2, state="failed", reason="loss is nan")
        assert await play.say(worker("a", 1), attempt, ill) is END
        assert await play.say(worker("a", 0), attempt, report(), previous=2) is END
        assert (await result)["state"] == "failed"

    asyncio.run(scene())


def test_replaced_workers_repeat_their_reports_and_no_result_comes_twice() -> None:
    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, result = await play.assign("a")
        for fold in (0, 1):
            task(play.say(worker("a", fold), attempt, report(0.5, epoch=2)))
        assert (await result)["epoch"] == 2
        await play.coordinator.promote(trial().name, 2)
        second = play.result("a", attempt, 2)
        await play.say(worker("a", 0), attempt, report(0.1), previous=2)
        for fold in (0, 1):
            again = worker("a", fold, node="n1")
            assert await play.take(again) == attempt
            for epoch, value in ((2, 0.7), (4, 0.9)):
                said = await play.say(
                    again, attempt, report(value, epoch=epoch), previous=epoch - 2
                )
                assert said is GO_ON
        assert ((await second)["epoch"], (await second)["value"]) == (4, 0.9)
        assert await waits(play.result("a", attempt, 4))

    asyncio.run(scene())


def test_a_new_coordinator_is_told_all_that_the_dead_one_knew() -> None:
    """Fold 0 is done, fold 1 trains, past the epoch of the last result; Ray repeats their calls."""

    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, result = await play.assign("a")
        past = [report(0.2, epoch=2), report(0.3, epoch=4), report(0.4, epoch=6, state="completed")]
        done, busy = worker("a", 0), worker("a", 1)
        first = [task(play.say(each, attempt, past[0])) for each in (done, busy)]
        assert (await result)["epoch"] == 2
        await play.coordinator.promote(trial().name, 2)
        assert await asyncio.gather(*first) == [GO_ON, GO_ON]
        for before, each in itertools.pairwise(past):
            assert await play.say(done, attempt, each, previous=before.epoch) is GO_ON

        play.start()
        asks = task(play.take(done, attempt.attempt, 6))
        says = task(play.say(busy, attempt, past[1], previous=2))
        assert [await waits(each) for each in (asks, says)] == [True, True]
        result = play.result("a", attempt, 2)
        assert await asks is REPEAT
        assert await says is GO_ON
        assert await play.say(done, attempt, *past) is GO_ON
        assert ((await result)["epoch"], (await result)["value"]) == (4, 0.3)
        last = play.result("a", attempt, 4)
        assert await play.say(busy, attempt, past[2], previous=4) is GO_ON
        assert (await last)["state"] == "completed"

    asyncio.run(scene())


def test_a_fold_that_is_ahead_repeats_what_a_new_coordinator_lacks() -> None:
    async def scene() -> None:
        play = Play(folds=2)
        attempt, _ = await play.assign("a")
        past = [report(0.1 * epoch, epoch=epoch) for epoch in (2, 4, 6)]
        play.start()
        result = play.result("a", attempt)
        assert await play.say(worker("a", 0), attempt, past[2], previous=4) is REPEAT
        assert await play.say(worker("a", 0), attempt, *past) is GO_ON
        assert await play.say(worker("a", 1), attempt, past[0]) is GO_ON
        assert (await result)["value"] == pytest.approx(0.2)

    asyncio.run(scene())


def test_a_new_coordinator_learns_of_rungs_that_were_passed() -> None:
    """Fold 0 was told, and its worker has died since; fold 1 was not told yet."""

    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, _ = await play.assign("a", 3)
        play.start()
        play.result("a", attempt, 2)
        says = [task(play.say(worker("a", f), attempt, report(epoch=2))) for f in (0, 1)]
        assert [await waits(each) for each in says] == [True, True]
        await play.coordinator.restore({trial(3).name: 2}, {})
        assert await asyncio.gather(*says) == [GO_ON, GO_ON]

    asyncio.run(scene())


def test_a_new_coordinator_learns_of_stops_and_of_groups_that_lost_their_trial() -> None:
    async def scene() -> None:
        play = Play(rungs=(2,))
        attempt, _ = await play.assign("a", 3)
        other, _ = await play.assign("b", 4)
        play.start()
        stopped = task(play.say(worker("a"), attempt, report(epoch=2)))
        taken = task(play.say(worker("b"), other, report(epoch=2)))
        assert [await waits(each) for each in (stopped, taken)] == [True, True]
        await play.coordinator.restore({}, {trial(3).name: None})
        assert await stopped is END
        await play.assign("c", 4)
        assert await taken is END

    asyncio.run(scene())


def test_the_driver_is_told_that_the_coordinator_is_new_and_once() -> None:
    async def scene() -> None:
        play = Play(cluster=FewNodes(restarted=True))
        news = await play.coordinator.news(frozenset({"n1"}))
        assert news.is_restarted
        assert news.left_alone == {"n1"}
        assert news.lines == ("the coordinator died and was started again; the folds train on",)
        assert await waits(task(play.coordinator.news(frozenset())))
        assert await play.coordinator.before_start("a") == ["n1"]

    asyncio.run(scene())


def test_a_trial_whose_workers_raise_again_and_again_fails_with_their_reason() -> None:
    async def scene() -> None:
        play = Play(folds=2)
        attempt, result = await play.assign("a", 5)
        for _ in range(MOST_FAILURES):
            assert await waits(result)
            await play.fail(worker("a", 1), attempt, TRIALS_OWN)
        assert await result == {"epoch": 0, "state": "failed", "reason": "fold 1: ValueError: no"}
        last = task(play.take(worker("a", 1)))
        assert await waits(last), "nobody trains a trial that was given up"
        following, _ = await play.assign("a", 6)
        assert await last == following

    asyncio.run(scene())


def test_what_every_trial_would_meet_blocks_the_study() -> None:
    async def scene() -> None:
        for owner in (Owner.STUDY, Owner.STORE):
            play = Play()
            attempt, result = await play.assign("a", 5)
            for _ in range(MOST_FAILURES):
                await play.fail(worker("a"), attempt, Fault(owner, "no space"))
            assert (await result)["state"] == "blocked"

    asyncio.run(scene())


def test_a_trial_whose_workers_die_without_a_word_is_left_to_the_next_run() -> None:
    async def scene() -> None:
        play = Play()
        attempt, result = await play.assign("a", 5)
        for _ in range(MOST_FAILURES):
            assert await waits(result)
            await play.take(worker("a"))
            await play.coordinator.report_deaths("a", {0: UNKNOWN})
        assert (await result)["state"] == "lost"
        assert await waits(task(play.take(worker("a"), attempt.attempt)))

    asyncio.run(scene())


def test_what_the_cluster_takes_away_counts_for_nothing() -> None:
    async def scene() -> None:
        play = Play()
        attempt, result = await play.assign("a", 5)
        for _ in range(10 * MOST_FAILURES):
            await play.take(worker("a"))
            await play.coordinator.report_deaths("a", {0: Fault(Owner.CLUSTER, "its node died")})
        assert await waits(result)
        assert await play.take(worker("a")) == attempt

    asyncio.run(scene())


def test_a_death_that_a_worker_announced_is_counted_once() -> None:
    async def scene() -> None:
        play = Play()
        attempt, result = await play.assign("a", 5)
        for _ in range(MOST_FAILURES - 1):
            await play.fail(worker("a"), attempt, TRIALS_OWN)
            await play.coordinator.report_deaths("a", {0: UNKNOWN})
        assert await waits(result)

    asyncio.run(scene())


def test_a_failure_of_an_earlier_attempt_does_not_count() -> None:
    async def scene() -> None:
        play = Play()
        old, _ = await play.assign("a", 5)
        _, result = await play.assign("a", 5)
        for _ in range(MOST_FAILURES):
            await play.coordinator.report_failure(worker("a"), old.attempt, TRIALS_OWN)
        assert await waits(result)

    asyncio.run(scene())


def test_workers_that_die_now_and_then_are_replaced_as_long_as_the_trial_gets_on() -> None:
    async def scene() -> None:
        play = Play()
        attempt, result = await play.assign("a")
        for epoch in range(1, 2 * MOST_FAILURES):
            for _ in range(MOST_FAILURES - 1):
                await play.fail(worker("a"), attempt, TRIALS_OWN)
            assert await play.say(worker("a"), attempt, report(epoch=epoch)) is GO_ON
            assert (await result)["epoch"] == epoch
            result = play.result("a", attempt, epoch)

    asyncio.run(scene())


def test_a_trial_goes_on_elsewhere_and_a_node_that_fails_two_is_left_alone() -> None:
    async def scene() -> None:
        play = Play()
        attempts = [await play.assign(group, number) for number, group in enumerate("abc")]
        await play.fail(worker("a"), attempts[0][0], NODES)
        assert await play.coordinator.before_start("a") == ["n0"]
        assert await play.coordinator.before_start("b") == []
        await play.fail(worker("b"), attempts[1][0], NODES)
        assert [await play.coordinator.before_start(group) for group in "abc"] == [["n0"]] * 3
        assert await play.news() == (
            "node address of n0 failed folds of trial-00000 and trial-00001 (RuntimeError: CUDA"
            " error): it is left alone for the rest of this run"
        )
        assert all([await waits(result) for _, result in attempts])

    asyncio.run(scene())


def test_a_group_leaves_a_node_that_is_left_alone_before_its_next_trial() -> None:
    async def scene() -> None:
        play = Play()
        attempts = [(await play.assign(group, n))[0] for n, group in enumerate("abc")]
        assert await play.take(worker("c")) == attempts[2]
        for group, attempt in zip("ab", attempts, strict=False):
            await play.fail(worker(group), attempt, NODES)
        await play.assign("c", 9)
        with pytest.raises(LeaveNodeError):
            await play.take(worker("c"), attempts[2].attempt)
        assert (await play.take(worker("c", node="n1"))).trial == trial(9)

    asyncio.run(scene())


def test_a_fault_that_a_trial_meets_where_others_get_on_is_its_own_and_no_nodes() -> None:
    async def scene() -> None:
        play = Play()
        healthy, _ = await play.assign("b", 1)
        assert await play.say(worker("b", node="n1"), healthy, report(), longest=9.0) is GO_ON
        attempt, result = await play.assign("a", 0)
        for node in ("n0", "n1", "n2", "n0"):
            await play.fail(worker("a", node=node), attempt, NODES)
        assert (await result)["state"] == "failed"
        third, _ = await play.assign("c", 2)
        await play.fail(worker("c", node="n1"), third, NODES)
        assert await play.coordinator.before_start("b") == []

    asyncio.run(scene())


def test_a_fault_of_the_only_node_ends_the_study_unless_memory_was_short() -> None:
    async def scene() -> None:
        short = Fault(Owner.NODE, "CUDA out of memory", Owner.TRIAL)
        for fault, state in ((NODES, "blocked"), (short, "failed")):
            play = Play(cluster=FewNodes(["n0"]))
            attempt, result = await play.assign("a")
            for _ in range(MOST_FAILURES):
                await play.fail(worker("a"), attempt, fault)
                assert await play.coordinator.before_start("a") == []
            assert (await result)["state"] == state

    asyncio.run(scene())


def test_a_fold_that_says_nothing_is_killed_and_takes_its_trial_up_again() -> None:
    async def scene() -> None:
        play = Play(folds=2)
        attempt, result = await play.assign("a")
        for fold in (0, 1):
            await play.take(worker("a", fold))
        play.now = FIRST_EPOCH_FACTOR * SILENCE
        assert play.coordinator.look() == [], "the first epoch may take longer"
        await play.say(worker("a", 0), attempt, report(), longest=1.0)
        await play.coordinator.epoch_ended(worker("a", 1), attempt.attempt, 1.0)
        play.now += SILENCE
        assert play.coordinator.look() == []
        await play.say(worker("a", 0), attempt, report(epoch=6), previous=4, longest=1.0)
        play.now += 60
        play.coordinator.forgive(60)  # the coordinator itself slept
        assert play.coordinator.look() == []
        play.now += 1
        assert play.coordinator.look() == [worker("a", 1)]
        assert play.coordinator.look() == []
        assert await play.news() == (
            "trial-00000: fold 1 on address of n0 hangs, it said nothing for 10.0 minutes; it is"
            " killed, and goes on elsewhere from its checkpoint"
        )
        await play.coordinator.report_deaths("a", {1: UNKNOWN})
        assert await play.coordinator.before_start("a") == ["n0"]
        assert await play.take(worker("a", 1, node="n1")) == attempt
        assert await play.say(worker("a", 1, node="n1"), attempt, report(), longest=1.0) is GO_ON
        assert (await result)["epoch"] == 4

    asyncio.run(scene())


def test_a_fold_that_waits_or_is_done_does_not_hang() -> None:
    async def scene() -> None:
        play = Play(folds=2, rungs=(2,))
        attempt, _ = await play.assign("a")
        waiting = task(play.say(worker("a", 0), attempt, report(epoch=2), longest=1.0))
        assert await waits(waiting)
        done = report(epoch=8, state="completed")
        assert await play.say(worker("a", 1), attempt, report(epoch=8), done, longest=1.0) is GO_ON
        play.now = 1e9
        assert play.coordinator.look() == []

    asyncio.run(scene())


def test_folds_that_wait_for_a_node_beside_one_that_died_do_not_hang() -> None:
    async def scene() -> None:
        play = Play(folds=2)
        attempt, result = await play.assign("a")
        for fold in (0, 1):
            await play.say(worker("a", fold), attempt, report(), longest=1.0)
        assert (await result)["epoch"] == 4
        await play.coordinator.report_deaths("a", {1: Fault(Owner.CLUSTER, "gone")})
        assert await play.coordinator.before_start("a") == []
        play.now = 1e9
        assert play.coordinator.look() == []

    asyncio.run(scene())


def test_lost_nodes_are_waited_for_as_long_as_is_asked() -> None:
    async def scene() -> None:
        for limit, state in ((None, ""), (WAIT, "lost")):
            play = Play(nodes_seconds=limit)
            _, result = await play.assign("a")
            await play.take(worker("a"))
            play.now = 2 * WAIT
            play.coordinator.look()
            assert await waits(result), "it has a node"
            await play.coordinator.report_deaths("a", {0: Fault(Owner.CLUSTER, "gone")})
            await play.coordinator.before_start("a")
            play.now += WAIT + 60
            play.coordinator.look()
            assert await waits(result) == (limit is None)
            assert limit is None or (await result)["state"] == state

    asyncio.run(scene())


def answers_of_the_real_actor(waiting: int) -> list[bool]:
    """Kill the real actor while so many calls wait in it, and have it assign a trial.

    In a process of its own, which has not imported Ray before it connects.

    Returns:
        Whether the workers of the trial got it, whether the others wait, whether it was told
        that the coordinator is new, and what `reports_through_a_death` says.
    """
    with connected(None):
        import ray

        from study.cluster.tune_search import start_coordinator

        coordinator = start_coordinator(5, (), Plan(1, 0, 1), STUDY.resources)
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
            got == [assignment] * 5,
            not others,
            news.is_restarted,
            reports_through_a_death(start_coordinator(1, (), Plan(1, 0, 1), STUDY.resources)),
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
    assert reporter.next_trial() == trial()
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


@pytest.mark.cluster
def test_a_killed_coordinator_hears_all_that_waited_and_more_than_ray_allows_by_default() -> None:
    """Workers of 400 trials of 5 folds wait for work, and one trial is assigned."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(answers_of_the_real_actor, 2000).result() == [True] * 4
