"""Trials on the cluster: a Ray Train worker for each fold, side by side, or fewer in turn.

A trial is a Ray Tune trainable. Its process, and the group of fold workers that it
starts, are used again for the trials that follow: a trial then costs its training, and
not the start of a dozen processes. Where a trial needs more workers, or fewer, another group
is started in place of the one that there was.
"""

import math
import threading
from typing import Any

import ray
from ray import tune

from study.cluster.exchange import Assignment
from study.cluster.fold_worker import WorkerContext
from study.cluster.worker_group import WorkerGroup
from study.search.trial import Trial

POLL_SECONDS = 1.0
IDLE_SECONDS = 2.0
"""How long workers without a trial are kept that others may wait for."""


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
        self._group: WorkerGroup | None = None
        self._turn = threading.Lock()
        self._idle: threading.Timer | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Remember another trial; the group drops the one it had at the next step."""
        self._trial: Trial = new_config["trial"]
        self._assignment: Assignment | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Return what all folds report of the next validation epoch."""
        if self._idle:
            self._idle.cancel()
        with self._turn:
            if self._assignment is None:
                folds = self._context.schedule.at_start(self._trial)
                self._assignment, self._reported = self._of_folds(folds), 0
            result = self._next_result(self._assignment)
            while result["state"] == "grows":
                self._assignment = self._of_folds(result["folds"])
                result = self._next_result(self._assignment)
        self._reported = result["epoch"]
        is_over = result["state"] != "running" or not math.isfinite(result["value"])
        if is_over and self._context.plan.slots is not None:
            self._idle = threading.Timer(IDLE_SECONDS, self._let_go, [self._assignment])
            self._idle.daemon = True
            self._idle.start()
        return {**result, "done": result["state"] in ("completed", "pruned")}

    def _of_folds(self, folds: int) -> Assignment:
        """Return a new attempt at the first folds of the trial."""
        return Assignment.of(self._trial, folds, self._context.plan.workers_for(folds))

    def _next_result(self, assignment: Assignment) -> dict[str, Any]:
        """Have as many workers as an assignment needs; wait for their next result."""
        size = assignment.workers or self._context.schedule.all_folds
        if self._group is None or self._group.size != size:
            self.cleanup()
            self._group = WorkerGroup(self._context, size)
        group, ask = self._group, self._context.coordinator.next_result.remote
        awaited = ask(group.name, assignment, self._reported)
        while not ray.wait([awaited], timeout=POLL_SECONDS)[0]:
            if not group.is_alive:
                raise RuntimeError(f"the group of fold workers is gone: {group.error}")
        result: dict[str, Any] = ray.get(awaited)
        return result

    def _let_go(self, ended: Assignment) -> None:
        """End the workers if no other trial has come: one that grows may wait for their slots.

        Tune keeps a process for the trial that comes next, and proposes none while one grows.
        """
        with self._turn:
            if self._assignment is None or self._assignment is ended:
                self.cleanup()

    def cleanup(self) -> None:
        """End the workers."""
        group, self._group = self._group, None
        if group is not None:
            group.dismiss()
