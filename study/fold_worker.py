"""What runs in the worker of one fold, and what the workers of a study share.

A worker is a fresh process: what it imports is paid for by every fold. So this module
imports little, and `run_fold` the rest when it starts.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray

from study.definition import Study
from study.ledger import Ledger, fold_name, trial_name
from study.plan import Plan
from study.storage import open_folder

if TYPE_CHECKING:
    from study.fold import FoldReport


@dataclass(frozen=True)
class TrialJob:
    """What all trials of a study share.

    Attributes:
        study: the study.
        plan: resources of each fold.
        results: path or URI of the study's results folder.
        milestones: epochs at which the search may stop a trial.
        samples: the dataset, one copy on each node.
        folds: the folds' sample indices.
        gate: opened by the search for trials that may pass a milestone.
    """

    study: Study
    plan: Plan
    results: str
    milestones: frozenset[int]
    samples: "ray.ObjectRef"
    folds: "ray.ObjectRef"
    gate: "ray.actor.ActorHandle"


class Gate:
    """Where folds wait at a milestone for the search's decision."""

    def __init__(self) -> None:
        self._passed: dict[int, int] = {}
        self._changed = asyncio.Condition()

    async def open(self, number: int, epoch: int) -> None:
        """Let trial `number` train on past `epoch`."""
        async with self._changed:
            self._passed[number] = max(epoch, self._passed.get(number, 0))
            self._changed.notify_all()

    async def wait(self, number: int, epoch: int) -> None:
        """Return when trial `number` may train on past `epoch`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._passed.get(number, 0) >= epoch)


def run_fold(config: dict[str, Any]) -> None:
    """Train the fold of this worker's rank; the loop that Ray Train runs."""
    import torch
    from ray import train

    from study.fold import FoldTask, train_fold
    from study.study_file import configure
    from study.tensorboard import FoldWriter

    job: TrialJob = config["job"]
    number, fold = config["number"], train.get_context().get_world_rank()
    torch.set_num_threads(job.plan.threads)
    results = open_folder(job.results)
    place = f"{trial_name(number)}/{fold_name(fold)}"

    def watch(report: "FoldReport") -> None:
        train.report(vars(report))
        if report.epoch in job.milestones and report.state == "running":
            ray.get(job.gate.wait.remote(number, report.epoch))

    writer = FoldWriter(results.locate(f"tensorboard/{place}"))
    try:
        train_fold(
            FoldTask(
                study=configure(job.study, config["parameters"]),
                trial=trial_name(number),
                fold=fold,
                milestones=job.milestones,
                device="cuda" if job.plan.gpu else "cpu",
            ),
            ray.get(job.samples),
            ray.get(job.folds)[fold],
            Ledger(results.folder("ledger")),
            results.folder(f"checkpoints/{place}"),
            watch,
            writer,
        )
    finally:
        writer.close()
