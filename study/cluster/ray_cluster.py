"""What the coordinator asks of the cluster, and Ray's answers."""

import contextlib
from dataclasses import dataclass
from typing import Protocol

import ray
from ray.exceptions import RayError

from study.cluster.exchange import FoldWorker
from study.cluster.placement_groups import remove_orphans
from study.search.node_types import capacity_of
from study.search.plan import Plan, folds_on


class Cluster(Protocol):
    """What the coordinator asks of the cluster."""

    def is_restarted(self) -> bool:
        """Return whether the actor that asks replaces one that died."""
        ...

    def tidy(self) -> None:
        """Give back what dead processes have reserved."""
        ...

    def has_room_without(self, nodes: frozenset[str]) -> bool:
        """Return whether the workers of a trial fit on the living nodes but `nodes`."""
        ...

    def kill(self, worker: FoldWorker) -> None:
        """Kill a worker, also one that answers nothing."""
        ...


@dataclass(frozen=True)
class RayCluster:
    """The cluster that this process is part of.

    Attributes:
        workers: of a trial, at most.
        plan: resources of each fold.
    """

    workers: int
    plan: Plan

    def is_restarted(self) -> bool:
        """See `Cluster.is_restarted`."""
        return bool(ray.get_runtime_context().was_current_actor_reconstructed)

    def tidy(self) -> None:
        """See `Cluster.tidy`."""
        remove_orphans()

    def has_room_without(self, nodes: frozenset[str]) -> bool:
        """See `Cluster.has_room_without`."""
        others = [n for n in ray.nodes() if n["Alive"] and n["NodeID"] not in nodes]
        return self.workers <= sum(
            folds_on(capacity_of(node["Resources"]), self.plan.cpu, self.plan.gpu)
            for node in others
        )

    def kill(self, worker: FoldWorker) -> None:
        """See `Cluster.kill`: Ray asks, and after five seconds does not ask any more."""
        with contextlib.suppress(RayError, ValueError):  # it is gone already
            ray.kill(worker.actor)
