"""Trials on the cluster: a Ray Train worker for each fold, side by side.

A trial is a Ray Tune trainable. Its process, and the group of fold workers that it
starts, are used again for the trials that follow: a trial then costs its training, and
not the start of a dozen processes.
"""

import contextlib
import threading
import uuid
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from study.cluster.fold_worker import TrialJob, run_folds
from study.config.schema import Study

CONTROLLER_RESTARTS = 3
LOOK_SECONDS = 1.0
LEAVE_SECONDS = 5.0


class FoldGroup(DataParallelTrainer):
    """A group of fold workers, without what is of no use to them.

    Ray Data is left out, since every worker would import it, and Ray's own cleaner of
    placement groups; see `study.cluster.placement_groups`.
    """

    def _create_default_callbacks(self) -> list[Any]:
        left_out = (DatasetsCallback, PlacementGroupCleanerCallback)
        callbacks = super()._create_default_callbacks()
        return [each for each in callbacks if not isinstance(each, left_out)]


class TrialRunner(tune.Trainable):
    """Trains all folds of one trial after the other; each step is a validation epoch.

    Nothing begins before the first step: Tune may start a process for a trial, and then give
    that trial to a process which has become free.
    """

    def setup(self, config: dict[str, Any], job: TrialJob) -> None:
        """Remember the first trial.

        Args:
            config: `number` of the trial and its searched `parameters`.
            job: what all trials share.
        """
        self._job = job
        self._group = f"group-{uuid.uuid4().hex[:8]}"
        self._error: BaseException | None = None
        self._workers: threading.Thread | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Remember another trial; the group drops the one it had at the next step."""
        self._config = new_config
        self._token: int | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Return what all folds say of the next validation epoch."""
        if self._workers is None:
            self._workers = threading.Thread(target=self._run_workers, daemon=True)
            self._workers.start()
        if self._token is None:
            self._assign()
        awaited = self._job.desk.result.remote(self._group, self._token, self._heard)
        while not ray.wait([awaited], timeout=LOOK_SECONDS)[0]:
            if not self._workers.is_alive():
                raise RuntimeError(f"the group of fold workers is gone: {self._error}")
        result: dict[str, Any] = ray.get(awaited)
        self._heard += 1
        return {**result, "done": result["state"] == "completed"}

    def cleanup(self) -> None:
        """Send the workers home."""
        if self._workers is None:
            return
        with contextlib.suppress(RayError):
            ray.get(self._job.desk.close.remote(self._group))
        self._workers.join(LEAVE_SECONDS)

    def _assign(self) -> None:
        """Hand the group its trial."""
        number, parameters = self._config["number"], self._config["parameters"]
        self._heard = 0
        self._token = ray.get(self._job.desk.assign.remote(self._group, number, parameters))

    def _run_workers(self) -> None:
        plan = self._job.plan
        resources = {"CPU": plan.cpu} | ({"GPU": plan.gpu} if plan.gpu else {})
        trainer = FoldGroup(
            run_folds,
            train_loop_config={"job": self._job, "group": self._group},
            scaling_config=ScalingConfig(
                num_workers=self._job.study.split.folds,
                use_gpu=plan.gpu > 0,
                resources_per_worker=resources,
            ),
            run_config=RunConfig(
                name=self._group,
                storage_path=self._job.results.locate("tune"),
                # A worker that dies is replaced; the desk counts how often.
                failure_config=FailureConfig(
                    max_failures=-1, controller_failure_limit=CONTROLLER_RESTARTS
                ),
            ),
        )
        try:
            trainer.fit()
        except BaseException as error:
            self._error = error
            raise


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
