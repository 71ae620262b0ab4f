"""The nodes that a cluster's description allows: a file of `ray up`, read before or on the head."""

from collections.abc import Mapping
from typing import Any

from study.search.plan import Growth, NodeCapacity, NodeKind

RAYS_MOST = 2
"""Workers of all kinds, if a description names no `max_workers`: Ray's own default."""


def growth_of(description: Mapping[str, Any]) -> Growth:
    """Return the workers that a description allows.

    Node types without CPUs or GPUs are left out: what such nodes have is known when they are
    there.

    Args:
        description: a `ray up` file, or what Ray made of it.
    """
    most = description.get("max_workers", RAYS_MOST)
    kinds = [
        NodeKind(name, capacity, int(kind.get("max_workers", most)))
        for name, kind in description.get("available_node_types", {}).items()
        if name != description.get("head_node_type")
        and (capacity := capacity_of(kind.get("resources") or {})) != NodeCapacity(0, 0)
    ]
    return Growth(tuple(kinds), int(most))


def capacity_of(resources: Mapping[str, Any]) -> NodeCapacity:
    """Return the CPUs and GPUs among Ray's resources of a node."""
    return NodeCapacity(cpus=float(resources.get("CPU", 0)), gpus=float(resources.get("GPU", 0)))


def not_there_yet(growth: Growth, living: list[NodeCapacity]) -> Growth:
    """Return what may be added still, where some nodes live.

    A living node is of the first kind that has the same.

    Args:
        growth: all that may be there at a time.
        living: nodes that are there, but for the head.
    """
    unmatched, kinds = list(living), []
    for kind in growth.kinds:
        matched = min(kind.most, unmatched.count(kind.node))
        for _ in range(matched):
            unmatched.remove(kind.node)
        kinds.append(NodeKind(kind.name, kind.node, kind.most - matched))
    return Growth(tuple(kinds), max(0, growth.most - len(living)))
