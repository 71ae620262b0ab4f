"""One trial on the cluster: a Ray Train worker for each fold, side by side.

The trial is a Ray Tune function. It starts the group of fold workers, and its
callback sends Tune what all folds say after each validation: their mean, and the
value of each.
"""

from typing import Any

import numpy as np
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from study.definition import Study
from study.fold_worker import TrialJob, run_fold
from study.ledger import fold_name, trial_name
from study.storage import open_folder

WORKER_RESTARTS = 3
CONTROLLER_RESTARTS = 3


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
