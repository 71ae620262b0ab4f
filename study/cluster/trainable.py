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

from study.cluster.fold_worker import WorkerContext, run_folds
from study.cluster.ray_internals import fold_group
from study.search.trial import Trial

CONTROLLER_RESTARTS = 3
POLL_SECONDS = 1.0
LEAVE_SECONDS = 5.0


class TrialRunner(tune.Trainable):
    """Trains all folds of one trial after the other; each step is a validation epoch.

    Nothing begins before the first step: Tune may start a process for a trial, and then give
    that trial to a process which has become free.
    """

    def setup(self, config: dict[str, Any], context: WorkerContext) -> None:
        """Remember the first trial.

        Args:
            config: the `trial`.
            context: what all trials share.
        """
        self._context = context
        self._group = f"group-{uuid.uuid4().hex[:8]}"
        self._error: BaseException | None = None
        self._workers: threading.Thread | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Remember another trial; the group drops the one it had at the next step."""
        self._trial: Trial = new_config["trial"]
        self._attempt: int | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Return what all folds report of the next validation epoch."""
        coordinator = self._context.coordinator
        if self._workers is None:
            self._workers = threading.Thread(target=self._run_workers, daemon=True)
            self._workers.start()
        if self._attempt is None:
            self._attempt = ray.get(coordinator.assign.remote(self._group, self._trial))
            self._num_results = 0
        awaited = coordinator.result.remote(self._group, self._attempt, self._num_results)
        while not ray.wait([awaited], timeout=POLL_SECONDS)[0]:
            if not self._workers.is_alive():
                raise RuntimeError(f"the group of fold workers is gone: {self._error}")
        result: dict[str, Any] = ray.get(awaited)
        self._num_results += 1
        return {**result, "done": result["state"] in ("completed", "pruned")}

    def cleanup(self) -> None:
        """End the workers."""
        if self._workers is None:
            return
        with contextlib.suppress(RayError):
            ray.get(self._context.coordinator.dismiss.remote(self._group))
        self._workers.join(LEAVE_SECONDS)

    def _run_workers(self) -> None:
        plan = self._context.plan
        resources = {"CPU": plan.cpu} | ({"GPU": plan.gpu} if plan.gpu else {})
        trainer = fold_group(
            run_folds,
            train_loop_config={"context": self._context, "group": self._group},
            scaling_config=ScalingConfig(
                num_workers=self._context.num_folds,
                use_gpu=plan.gpu > 0,
                resources_per_worker=resources,
            ),
            run_config=RunConfig(
                name=self._group,
                storage_path=self._context.results.locate("tune"),
                # A worker that dies is replaced; the coordinator counts how often.
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
