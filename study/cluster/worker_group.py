"""A group of fold workers of Ray Train's, run by a thread of the process of a trial."""

import contextlib
import threading
import time
import uuid
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import (
    ControllerError,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    UserCallback,
)

from study.cluster.faults import fault_of
from study.cluster.fold_worker import WorkerContext, run_folds
from study.cluster.ray_folder import ray_folder
from study.cluster.ray_internals.train import deaths, fold_group

RETRY_SECONDS = 1.0
LEAVE_SECONDS = 5.0


class DeathReporter(UserCallback):
    """Tells the coordinator of workers that died without a word; runs in the group's controller."""

    def __init__(self, context: WorkerContext, group: str) -> None:
        self._context, self._group = context, group

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """See `UserCallback.after_exception`; by rank."""
        faults = {
            rank: fault_of(error, self._context.outputs)
            for rank, error in deaths(worker_exceptions).items()
        }
        if faults:
            ray.get(self._context.coordinator.report_deaths.remote(self._group, faults))


class WorkerGroup:
    """Workers for the folds of one trial after the other, until they are dismissed.

    Attributes:
        name: the group's, by which the coordinator knows it.
        size: how many workers it has.
        error: why it is gone, if it is not dismissed.
    """

    def __init__(self, context: WorkerContext, size: int) -> None:
        self._context, self.size = context, size
        self.name = f"group-{uuid.uuid4().hex[:8]}"
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether workers train, start, or wait for slots."""
        return self._thread.is_alive()

    def dismiss(self) -> None:
        """End the workers, and wait a moment for that."""
        with contextlib.suppress(RayError):
            ray.get(self._context.coordinator.dismiss.remote(self.name))
        self._thread.join(LEAVE_SECONDS)

    def _run(self) -> None:
        try:
            while True:
                try:
                    with ray_folder(self._context.results, "tune") as storage:
                        self._trainer(storage).fit()
                    return
                except ControllerError as error:
                    # A node that goes while workers start; where they die later, Ray Train
                    # starts them again by itself.
                    if not isinstance(error.controller_failure, RayError):
                        raise
                    time.sleep(RETRY_SECONDS)
        except BaseException as error:
            self.error = error
            raise

    def _trainer(self, storage: str) -> Any:
        """Return a trainer of Ray Train's with these workers."""
        context, group, plan = self._context, self.name, self._context.plan
        resources = {"CPU": plan.cpu} | ({"GPU": plan.gpu} if plan.gpu else {})
        coordinator = context.coordinator
        return fold_group(
            run_folds,
            nodes_to_avoid=lambda: ray.get(coordinator.before_start.remote(group)),
            train_loop_config={"context": context, "group": group},
            scaling_config=ScalingConfig(
                num_workers=self.size,
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
