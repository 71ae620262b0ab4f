"""Trials on the cluster: a Ray Train worker for each fold, side by side.

A trial is a Ray Tune trainable. Its process, and the group of fold workers that it
starts, are used again for the trials that follow: a trial then costs its training, and
not the start of a dozen processes.
"""

import contextlib
import threading
import time
import uuid
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.train import (
    ControllerError,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    UserCallback,
)

from study.cluster.exchange import Assignment
from study.cluster.faults import fault_of
from study.cluster.fold_worker import WorkerContext, run_folds
from study.cluster.ray_folder import ray_folder
from study.cluster.ray_internals import deaths, fold_group
from study.search.trial import Trial

POLL_SECONDS = 1.0
LEAVE_SECONDS = 5.0


class DeathReporter(UserCallback):
    """Tells the coordinator of workers that died without a word; runs in the group's controller."""

    def __init__(self, context: WorkerContext, group: str) -> None:
        self._context, self._group = context, group

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """See `UserCallback.after_exception`; ranks are folds."""
        faults = {
            fold: fault_of(error, self._context.outputs)
            for fold, error in deaths(worker_exceptions).items()
        }
        if faults:
            ray.get(self._context.coordinator.report_deaths.remote(self._group, faults))


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
        self._assignment: Assignment | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Return what all folds report of the next validation epoch."""
        if self._workers is None:
            self._workers = threading.Thread(target=self._run_workers, daemon=True)
            self._workers.start()
        if self._assignment is None:
            self._assignment, self._reported = Assignment.of(self._trial), 0
        ask = self._context.coordinator.next_result.remote
        awaited = ask(self._group, self._assignment, self._reported)
        while not ray.wait([awaited], timeout=POLL_SECONDS)[0]:
            if not self._workers.is_alive():
                raise RuntimeError(f"the group of fold workers is gone: {self._error}")
        result: dict[str, Any] = ray.get(awaited)
        self._reported = result["epoch"]
        return {**result, "done": result["state"] in ("completed", "pruned")}

    def cleanup(self) -> None:
        """End the workers."""
        if self._workers is None:
            return
        with contextlib.suppress(RayError):
            ray.get(self._context.coordinator.dismiss.remote(self._group))
        self._workers.join(LEAVE_SECONDS)

    def _run_workers(self) -> None:
        try:
            while True:
                try:
                    with ray_folder(self._context.results, "tune") as storage:
                        self._new_group(storage).fit()
                    return
                except ControllerError as error:
                    # A node that goes while workers start; where they die later, Ray Train
                    # starts them again by itself.
                    if not isinstance(error.controller_failure, RayError):
                        raise
                    time.sleep(POLL_SECONDS)
        except BaseException as error:
            self._error = error
            raise

    def _new_group(self, storage: str) -> Any:
        """Return a trainer of Ray Train's with a worker for each fold."""
        context, group = self._context, self._group
        plan = context.plan
        resources = {"CPU": plan.cpu} | ({"GPU": plan.gpu} if plan.gpu else {})
        coordinator = context.coordinator
        return fold_group(
            run_folds,
            nodes_to_avoid=lambda: ray.get(coordinator.before_start.remote(group)),
            train_loop_config={"context": context, "group": group},
            scaling_config=ScalingConfig(
                num_workers=context.num_folds,
                use_gpu=plan.gpu > 0,
                resources_per_worker=resources,
            ),
            run_config=RunConfig(
                name=group,
                storage_path=storage,
                # Workers that die are replaced, as soon as there are nodes for them: it is the
                # coordinator that counts how often, and whose fault it was.
                failure_config=FailureConfig(max_failures=-1, controller_failure_limit=-1),
                callbacks=[DeathReporter(context, group)],
            ),
        )
