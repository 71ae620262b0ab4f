"""Of Ray's core: heads, the nodes of clusters, placement groups."""

from collections.abc import Iterator
from typing import Any

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup

HEAD_NODE = "node:__internal_head__"
"""The resource of the head node alone; no option of a public kind places an actor there."""


def orphaned_placement_groups() -> Iterator[PlacementGroup]:
    """Return the placement groups that were made by actors of this job which have died.

    Ray's public table of placement groups does not tell who made them.

    Raises:
        RayError: the head does not answer in time.
    """
    job = ray.get_runtime_context().get_job_id()
    for row in state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(row)
        if group.creator_job_id.hex() == job and _is_orphan(group):
            yield PlacementGroup(ray.PlacementGroupID(group.placement_group_id))


def _is_orphan(group: PlacementGroupTableData) -> bool:
    # Where no actor but a driver was the creator, its `creator_actor_dead` is true as well.
    by_actor = group.creator_actor_id not in (b"", ray.ActorID.nil().binary())
    return by_actor and group.creator_actor_dead and group.state != group.REMOVED


def autoscaler_description() -> Any:
    """Return what a platform has reported to Ray of nodes that may come; None if nothing.

    `ray.nodes()` has living nodes only, and `ray.autoscaler.sdk` only takes requests.
    """
    return state.get_cluster_config()


def kuberay_description(namespace: str, name: str) -> dict[str, Any]:
    """Return Ray's own reading of a cluster that KubeRay runs, from inside one of its pods.

    The reading belongs to the autoscaler; there is no public one.
    """
    from ray.autoscaler._private.kuberay import autoscaling_config, node_provider

    cluster = node_provider.KubernetesHttpApiClient(namespace).get(f"rayclusters/{name}")
    description: dict[str, Any] = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    return description


def find_head(address: str) -> str:
    """Return the address of a cluster's head as `ray.init` takes it; `auto` is this machine's.

    Raises:
        ConnectionError: there is none on this machine.
    """
    from ray._private.services import canonicalize_bootstrap_address

    return str(canonicalize_bootstrap_address(address))


def ask_head(address: str) -> None:
    """Ask the head at `address` for the cluster's name; try for 40 seconds.

    `ray.init` tries for minutes, and what asks with a limit (`ray status`) asks the dashboard.

    Raises:
        RayError: there is no answer.
        AuthenticationError: the token is missing or another.
    """
    ray._raylet.GcsClient(address=address)
