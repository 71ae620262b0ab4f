"""A coordinator as a plain object, and those who talk to it."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from study.cluster.coordinator import Coordinator
from study.cluster.exchange import Answer, Assignment, FoldWorker, Patience, Turn
from study.cluster.faults import Fault, Owner
from study.config.study_file import load_study
from study.search.rungs import FoldSchedule
from study.search.trial import Trial
from study.training.validation_report import ValidationReport
from tests.study.cluster.clusters import FewNodes
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


class Bench:
    """A coordinator, those who talk to it, and a clock that stands until it is set."""

    def __init__(
        self,
        folds: int = 1,
        rungs: Sequence[int] = (),
        at_rungs: Sequence[int] = (),
        cluster: FewNodes | None = None,
        nodes_seconds: float | None = None,
    ) -> None:
        self.now = 0.0
        self.cluster = cluster or FewNodes()
        self.schedule = FoldSchedule(folds, tuple(rungs), at_rungs)
        self.nodes_seconds = nodes_seconds
        self.start()

    def start(self) -> None:
        """Start a coordinator, in place of one if there was one."""
        patience = Patience(SILENCE, self.nodes_seconds)
        self.coordinator = Coordinator(self.schedule, patience, self.cluster, lambda: self.now)

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
        """Return the assignment of the turn that a worker gets, or another answer."""
        turn = await self.coordinator.next_assignment(who, after, reported, has_ended)
        return turn.assignment if isinstance(turn, Turn) else turn

    async def send(
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
