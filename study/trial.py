"""One trial on the cluster: a Ray Train worker for each fold, side by side.

The trial is a Ray Tune function. It starts the group of fold workers, and its
callback sends Tune what all folds say after each validation: their mean, and the
value of each.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray import train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from study.definition import Study
from study.fold import FoldReport, FoldTask, train_fold
from study.ledger import Ledger, fold_name, trial_name
from study.plan import Plan
from study.storage import open_folder
from study.study_file import configure

WORKER_RESTARTS = 3
CONTROLLER_RESTARTS = 3


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


class FoldMeans(TuneReportCallback):
    """Sends Tune the mean over folds and each fold's value, once all folds have reported."""

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        """See `ray.train.UserCallback.after_report`; `metrics` has a dict for each fold."""
        self._training_actor_item_queue.put(mean_over_folds(metrics))


def mean_over_folds(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what Tune hears of a trial from what its folds say of the same epoch.

    If a fold failed, so has the trial, and there is no `value`.
    """
    merged: dict[str, Any] = {
        "epoch": reports[0]["epoch"],
        "state": reports[0]["state"],
        "reason": "",
    }
    for fold, report in enumerate(reports):
        merged[f"{fold_name(fold)}/value"] = report["value"]
        for name, score in report["scores"].items():
            merged[f"{fold_name(fold)}/{name}"] = score
    failed = [f"fold {f}: {r['reason']}" for f, r in enumerate(reports) if r["state"] == "failed"]
    if failed:
        return {**merged, "state": "failed", "reason": "; ".join(failed)}
    merged["value"] = float(np.mean([report["value"] for report in reports]))
    for name in reports[0]["scores"]:
        merged[name] = float(np.mean([report["scores"][name] for report in reports]))
    return merged


def run_trial(config: dict[str, Any], job: TrialJob) -> None:
    """Train all folds of a trial; the trainable that Ray Tune runs.

    Args:
        config: `number` of the trial and its searched `parameters`.
        job: what all trials share.
    """
    resources = {"CPU": job.plan.cpu} | ({"GPU": job.plan.gpu} if job.plan.gpu else {})
    trainer = DataParallelTrainer(
        run_fold,
        train_loop_config={**config, "job": job},
        scaling_config=ScalingConfig(
            num_workers=job.study.split.folds,
            use_gpu=job.plan.gpu > 0,
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=f"train-{trial_name(config['number'])}",
            storage_path=open_folder(job.results).locate("tune"),
            callbacks=[FoldMeans()],
            failure_config=FailureConfig(
                max_failures=WORKER_RESTARTS, controller_failure_limit=CONTROLLER_RESTARTS
            ),
        ),
    )
    trainer.fit()


def run_fold(config: dict[str, Any]) -> None:
    """Train the fold of this worker's rank; the loop that Ray Train runs."""
    import torch

    from study.tensorboard import FoldWriter

    job: TrialJob = config["job"]
    number, fold = config["number"], train.get_context().get_world_rank()
    torch.set_num_threads(job.plan.threads)
    results = open_folder(job.results)
    place = f"{trial_name(number)}/{fold_name(fold)}"

    def watch(report: FoldReport) -> None:
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


def milestones(study: Study) -> frozenset[int]:
    """Return the rungs of ASHA below the last epoch (Li et al. 2020): grace * reduction^k."""
    stopping = study.search.stopping
    if stopping is None:
        return frozenset()
    rungs, epoch = set(), stopping.grace_epochs
    while epoch < study.training.epochs:
        rungs.add(epoch)
        epoch *= stopping.reduction
    return frozenset(rungs)
