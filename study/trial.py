"""One trial on the cluster: a Ray Train worker for each fold, side by side.

The trial is a Ray Tune function. It starts the group of fold workers, and its
callback sends Tune what all folds say after each validation: their mean, and the
value of each.
"""

from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from study.definition import Study
from study.fold_means import FoldMeans
from study.fold_worker import TrialJob, run_fold
from study.ledger import trial_name
from study.storage import open_folder

WORKER_RESTARTS = 3
CONTROLLER_RESTARTS = 3


class FoldGroup(DataParallelTrainer):
    """A group of fold workers without Ray Data, which each of them would import otherwise."""

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [each for each in callbacks if not isinstance(each, DatasetsCallback)]


def run_trial(config: dict[str, Any], job: TrialJob) -> None:
    """Train all folds of a trial; the trainable that Ray Tune runs.

    Args:
        config: `number` of the trial and its searched `parameters`.
        job: what all trials share.
    """
    resources = {"CPU": job.plan.cpu} | ({"GPU": job.plan.gpu} if job.plan.gpu else {})
    trainer = FoldGroup(
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
            callbacks=[FoldMeans(TuneReportCallback()._training_actor_item_queue)],
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
