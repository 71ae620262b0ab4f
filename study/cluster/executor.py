"""Computing many tasks on the cluster that this process is connected to."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

from study.errors import StudyFailedError

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_AHEAD_PER_CPU = 4  # so that no CPU waits for the driver
RELEASE_SECONDS = 10.0  # workers of the last trials may take as long to release their CPUs
POLL_SECONDS = 0.5


class ClusterExecutor:
    """Maps functions over tasks on the connected cluster, one CPU for each task."""

    def has_room(self) -> bool:
        """Return whether this process is connected to a cluster with a CPU that is free.

        A task on a cluster without would wait for ever.
        """
        if not ray.is_initialized():
            return False
        deadline = time.monotonic() + RELEASE_SECONDS
        while ray.available_resources().get("CPU", 0) < ray.cluster_resources().get("CPU", 0):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        return bool(ray.available_resources().get("CPU", 0) >= 1)

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield `function(task)` for each task, in their order.

        Ray repeats a task whose process or node is lost. What a node cannot read, since its mount
        or its disk is ill, is computed here.

        Raises:
            Exception: what `function` raises.
        """
        remote_function = ray.remote(num_cpus=1)(function)
        most_ahead = TASKS_AHEAD_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
        submitted: deque[tuple[Task, Any]] = deque()

        def next_result() -> Result:
            task, reference = submitted.popleft()
            try:
                result: Result = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, OSError | StudyFailedError):
                    raise (error.cause or error) from None
                result = function(task)
            return result

        try:
            for task in tasks:
                submitted.append((task, remote_function.remote(task)))
                if len(submitted) >= most_ahead:
                    yield next_result()
            while submitted:
                yield next_result()
        finally:
            for _, reference in submitted:
                ray.cancel(reference)
