"""All that is used of Ray's insides, each with its reason and the public way that is missing.

Tests of the cluster run on the Ray of `constraints.txt`; whoever raises its version reads
this file against the new one. Ray's parts are imported where they are used, since the
coordinator needs none but the core, and an import costs a second.
"""

from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup

HEAD_NODE = "node:__internal_head__"
"""The resource of the head node alone; no option of a public kind places an actor there."""


def fold_group(train_loop: Callable[[dict[str, Any]], None], **options: Any) -> Any:
    """Return a trainer of Ray Train's whose workers have nothing that is of no use to folds.

    Ray Data is left out, since every worker would import it, and Ray's own cleaner of
    placement groups, which asks the dashboard. No argument leaves a default callback out,
    and `TorchTrainer`, the public class, starts a process group that folds do not need.

    Args:
        train_loop: what each worker runs.
        options: others of `DataParallelTrainer`.
    """
    from ray.train.v2._internal.callbacks import datasets, placement_group_callback
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    left_out = (
        datasets.DatasetsCallback,
        placement_group_callback.PlacementGroupCleanerCallback,
    )

    class FoldGroup(DataParallelTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [each for each in callbacks if not isinstance(each, left_out)]

    return FoldGroup(train_loop, **options)


def is_node_leaving() -> bool:
    """Return whether a node of this fold worker's group is about to be taken away.

    Ray Train watches for nodes that are drained, as on notice of preemption, and tells its
    workers. Its public `get_preemption_info` waits until all workers of the group ask, and
    folds do not keep step.
    """
    from ray.train.v2._internal.execution.context import get_train_context

    return get_train_context().preemption_context.preemption_info is not None


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
    """Return what a platform told Ray of the nodes that may come; None if nothing.

    `ray.nodes()` has living nodes only, and `ray.autoscaler.sdk` only takes requests.
    """
    return ray._private.state.state.get_cluster_config()


def kuberay_description(namespace: str, name: str) -> dict[str, Any]:
    """Return Ray's own reading of a cluster that KubeRay runs, from inside one of its pods.

    The reading belongs to the autoscaler; there is no public one.
    """
    from ray.autoscaler._private.kuberay import autoscaling_config, node_provider

    cluster = node_provider.KubernetesHttpApiClient(namespace).get(f"rayclusters/{name}")
    description: dict[str, Any] = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    return description


def init_private(address: str, folder: str | None, **options: Any) -> None:
    """Start a cluster on this machine that listens on `address` only.

    Args:
        address: of an interface; no public argument names one.
        folder: for the cluster's temporary files; no public argument names it either.
        options: others of `ray.init`.
    """
    ray.init(
        address="local",
        include_dashboard=False,  # a dozen processes, which nobody here asks anything
        _node_ip_address=address,
        _temp_dir=folder,
        **options,
    )


def private_node() -> Any:
    """Return the node that `ray.init` started in this process, with its `all_processes`.

    Ray tells nobody when one of its own processes ends.
    """
    return ray._private.worker._global_node


def pending_trials(tune_controller: Any) -> list[Any]:
    """Return Tune's trials that wait for a process.

    `Trial` is no public class; schedulers get the controller, and only it knows them.
    """
    from ray.tune.experiment import Trial

    live = tune_controller.get_live_trials()
    return [trial for trial in live if trial.status == Trial.PENDING]


def forget_trial(scheduler: Any, trial_id: str) -> None:
    """Drop what ASHA keeps of an ended trial, which grows with their number otherwise."""
    scheduler._trial_info.pop(trial_id, None)
