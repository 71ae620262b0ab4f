"""Computing on the cluster that a study is connected to."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4  # tasks that are given out for each CPU, so that none waits for the driver
LEAVE_SECONDS = 10.0  # workers of the last trials may take as long to be gone
LOOK_SECONDS = 0.5


def has_room() -> bool:
    """Tell whether this process is connected to a cluster that has a CPU to give.

    A task on a cluster without would wait for ever.
    """
    if not ray.is_initialized():
        return False
    until = time.monotonic() + LEAVE_SECONDS
    while ray.available_resources().get("CPU", 0) < ray.cluster_resources().get("CPU", 0):
        if time.monotonic() > until:
            break
        time.sleep(LOOK_SECONDS)
    return bool(ray.available_resources().get("CPU", 0) >= 1)


def on_cluster(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    """Yield `function(task)` for each task, in their order, a CPU of the cluster for each.

    Ray repeats a task whose process or node is lost.

    Raises:
        Exception: what `function` raises.
    """
    compute = ray.remote(num_cpus=1)(function)
    ahead = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    given: deque[Any] = deque()
    try:
        for task in tasks:
            given.append(compute.remote(task))
            if len(given) >= ahead:
                yield _result(given.popleft())
        while given:
            yield _result(given.popleft())
    finally:
        for reference in given:
            ray.cancel(reference)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause or error) from None
