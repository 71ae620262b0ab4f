"""The coordinator as an actor on the head of the cluster, from its start to its end."""

import contextlib
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import RayError

from study.cluster.coordinator import Coordinator
from study.cluster.exchange import Patience
from study.cluster.ray_cluster import RayCluster
from study.cluster.ray_internals.core import HEAD_NODE
from study.config.schema import ResourceSettings
from study.search.plan import Plan
from study.search.rungs import FoldSchedule

MOST_WAITING_CALLS = 1_000_000
"""Calls that may wait in the coordinator, one of each running trial and of each of its folds.

Ray's default is 1,000; those beyond wait until one of these ends."""
CLOSE_SECONDS = 5.0


@contextlib.contextmanager
def running_coordinator(
    schedule: FoldSchedule, plan: Plan, resources: ResourceSettings
) -> Iterator[Any]:
    """Have a study's coordinator run while the block does; yield its handle."""
    coordinator = start_coordinator(schedule, plan, resources)
    looking = coordinator.look_after.remote()
    try:
        yield coordinator
    finally:
        # Calls that wait in it when the cluster ends are errors that Ray writes to the terminal.
        with contextlib.suppress(RayError):
            coordinator.close.remote()
            ray.get(looking, timeout=CLOSE_SECONDS)


def start_coordinator(schedule: FoldSchedule, plan: Plan, resources: ResourceSettings) -> Any:
    """Start a study's coordinator on the head of the connected cluster; return its handle.

    Where it dies, Ray starts another in its place and repeats to it the calls that waited in it.
    """
    on_the_head = ray.remote(
        num_cpus=0,
        resources={HEAD_NODE: 0.001},
        max_concurrency=MOST_WAITING_CALLS,
        max_restarts=-1,
        max_task_retries=-1,
    )
    minutes = resources.wait_for_nodes_minutes
    patience = Patience(60 * resources.silence_minutes, None if minutes is None else 60 * minutes)
    cluster = RayCluster(plan.workers_for(schedule.all_folds), plan)
    return on_the_head(Coordinator).remote(schedule, patience, cluster)
