"""All that is used of Ray's insides, each with its reason and the public way that is missing.

Tests of the cluster run on the Ray of `constraints.txt`; whoever raises its version reads
this file against the new one. Ray's parts are imported where they are used, since the
coordinator needs none but the core, and an import costs a second.
"""

import argparse
import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup

from study.cluster import worker_program

HEAD_NODE = "node:__internal_head__"
"""The resource of the head node alone; no option of a public kind places an actor there."""

NODE_ID_LABEL = "ray.io/node-id"
"""A label that Ray gives each node; documented, but there is no public constant for it."""


def fold_group(
    train_loop: Callable[[dict[str, Any]], None],
    nodes_to_avoid: Callable[[], Sequence[str]],
    **options: Any,
) -> Any:
    """Return a trainer of Ray Train's that starts nothing that is of no use to folds.

    Ray Data is left out, since every worker would import it, and Ray's own cleaner of
    placement groups, which asks the dashboard. No argument leaves a default callback out,
    and `TorchTrainer`, the public class, starts a process group that folds do not need.

    Its controller runs in this process, which only waits for it, and not in an actor of its own:
    that is 0.13 GB less on the head for every trial at a time. No actor asks the autoscaler for
    what the group's placement group asks it for already. And there is none at which workers meet to
    report to Ray Train together, since folds report to the coordinator, each for itself. Each would
    be a process more, of 0.1 GB, before the first epoch; no option of a public kind leaves one out.

    `ScalingConfig.label_selector`, the public way to choose nodes, is the same for all starts of
    a group; a callback of the controller's is asked before each.

    Args:
        train_loop: what each worker runs.
        nodes_to_avoid: called before the workers start, and before they start again; returns
            the ids of nodes that they shall not be on.
        options: others of `DataParallelTrainer`.
    """
    from ray.train.v2._internal.callbacks import datasets, placement_group_callback
    from ray.train.v2._internal.execution.callback import ControllerCallback
    from ray.train.v2._internal.execution.controller import TrainController
    from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class SilentScalingPolicy(FixedScalingPolicy):
        def after_controller_start(self, train_run_context: Any) -> None:
            pass

        def _maybe_send_resource_request(self) -> None:
            pass

    class AvoidNodes(ControllerCallback):
        def on_controller_start_worker_group(self, **_: Any) -> dict[str, str] | None:
            nodes = nodes_to_avoid()
            return {NODE_ID_LABEL: f"!in({','.join(nodes)})"} if nodes else None

    left_out = (
        datasets.DatasetsCallback,
        placement_group_callback.PlacementGroupCleanerCallback,
    )

    class FoldGroup(DataParallelTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [*(c for c in callbacks if not isinstance(c, left_out)), AvoidNodes()]

        def _initialize_and_run_controller(self, **parts: Any) -> Any:
            _leave_synchronization_out()
            parts["scaling_policy"] = SilentScalingPolicy(self.scaling_config)
            controller = TrainController(**parts)
            asyncio.run(controller.run())
            return controller.get_result()

    return FoldGroup(train_loop, **options)


def _leave_synchronization_out() -> None:
    """Have the groups of this process start without Ray Train's `SynchronizationActor`."""
    from ray.train.v2._internal.execution.worker_group import state, worker_group

    class NoActor:
        """What a group makes of an actor's class."""

        @classmethod
        def options(cls, **_: Any) -> type["NoActor"]:
            return cls

        @staticmethod
        def remote(**_: Any) -> str:
            return "left out"

    worker_group.SynchronizationActor = NoActor
    state._shutdown_sync_actor = lambda actor: None


def deaths(worker_exceptions: Mapping[int, Exception]) -> dict[int, Exception]:
    """Return, by rank, what became of workers that died, of all that Ray Train says of a group.

    It gives callbacks what workers raised and what it found of dead ones alike; the classes
    that tell them apart are no public ones.
    """
    from ray.train.v2._internal import exceptions

    of_death = (
        exceptions.WorkerHealthCheckFailedError,
        exceptions.WorkerHealthCheckTimeoutError,
    )
    return {rank: e for rank, e in worker_exceptions.items() if isinstance(e, of_death)}


def is_node_leaving() -> bool:
    """Return whether a node of this fold worker's group is about to be taken away.

    Ray Train watches for nodes that are drained, as on notice of preemption, and tells its
    workers. Its public `get_preemption_info` waits until all workers of the group ask, and
    folds do not keep step. The first versions of the range have neither: they notice nothing.
    """
    from ray.train.v2._internal.execution.context import get_train_context

    notice = getattr(get_train_context(), "preemption_context", None)
    return notice is not None and notice.preemption_info is not None


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


def init_private(address: str, folder: str | None, **options: Any) -> None:
    """Start a cluster on this machine that listens on `address` only, with the processes it needs.

    Args:
        address: of an interface; no public argument names one.
        folder: for the cluster's temporary files; no public argument names it either.
        options: others of `ray.init`.
    """
    _ask_for_token()
    with _without_services(), _workers_forked():
        ray.init(
            address="local",
            include_dashboard=False,  # a dozen processes, which nobody here asks anything
            _node_ip_address=address,
            _temp_dir=folder,
            **options,
        )


def _ask_for_token() -> None:
    """Have a new cluster ask every client for a token, unless the user wants none.

    The last versions of the range do so by themselves; the first ones have read their environment
    by now, and no public call has them read it again.
    """
    from ray._private.authentication import authentication_token_setup

    by_itself = hasattr(authentication_token_setup, "enable_token_auth_by_default")
    if not by_itself and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        ray._raylet.Config.initialize("")


@contextlib.contextmanager
def _without_services() -> Iterator[None]:
    """Have a node started without autoscaler, log monitor and API server, with a small agent.

    They cost 6 CPU seconds at each start, a third of which Ray waits for, and serve nobody on a
    machine of its own whose workers' output is not shown. `ray.init` has no argument for them;
    without the packages of `ray[default]` the agent is as small.
    """
    from ray._private import utils
    from ray._private.node import Node

    left_out = ("start_monitor", "start_log_monitor", "start_api_server")
    kept = {name: getattr(Node, name) for name in left_out}
    find_error = utils.get_dashboard_dependency_error

    def start_nothing(node: Any, **_: Any) -> None:
        node._webui_url = ""

    try:
        for name in left_out:
            setattr(Node, name, start_nothing)
        utils.get_dashboard_dependency_error = lambda: ImportError("it is not wanted")
        yield
    finally:
        for name, method in kept.items():
            setattr(Node, name, method)
        utils.get_dashboard_dependency_error = find_error


@contextlib.contextmanager
def _workers_forked() -> Iterator[None]:
    """Have a node start workers by `worker_program` if there is a fork server to ask for them.

    The public `py_executable` of a runtime environment comes too late: Ray's own setup of such an
    environment has imported Ray by then. The raylet has the path of the setup program as the first
    argument of each worker's command, and drops one that it knows where there is no environment.
    """
    from ray._private.node import Node

    start_raylet = Node.start_raylet

    def start_with_program(node: Any, *arguments: Any, **options: Any) -> None:
        if worker_program.ADDRESS in os.environ:
            node._ray_params.setup_worker_path = worker_program.__file__
        start_raylet(node, *arguments, **options)

    Node.start_raylet = start_with_program
    try:
        yield
    finally:
        Node.start_raylet = start_raylet


def can_be_forked(arguments: Sequence[str]) -> bool:
    """Return whether a worker's runtime environment has nothing but variables.

    Among them none that Ray reads as it is imported, unless this process has the same.

    Args:
        arguments: the worker's program and its arguments, as the raylet has them.
    """
    _, context = _worker_command(arguments)
    only_variables = type(context)(env_vars=context.env_vars)
    of_ray = {name: value for name, value in context.env_vars.items() if name.startswith("RAY_")}
    has_more = context.serialize() != only_variables.serialize()
    return not has_more and of_ray.items() <= os.environ.items()


def set_up_worker(arguments: Sequence[str]) -> list[str]:
    """Set the variables of a worker's runtime environment; return its program and arguments.

    No public function does what Ray's `setup_worker.py` does for a fresh process.
    """
    from ray._private.utils import update_envs

    command, context = _worker_command(arguments)
    update_envs(context.env_vars)
    return command


def _worker_command(arguments: Sequence[str]) -> tuple[list[str], Any]:
    """Return a worker's program and arguments, and its runtime environment."""
    from ray._private.runtime_env.context import RuntimeEnvContext

    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--serialized-runtime-env-context", default="{}")
    parser.add_argument("--language")
    options, command = parser.parse_known_args(arguments)
    return command, RuntimeEnvContext.deserialize(options.serialized_runtime_env_context)


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


def enter_rung(scheduler: Any, trial_id: str, epoch: int, value: float) -> None:
    """Enter what a trial had at a rung of ASHA's, where no other value of its stands.

    The public `on_trial_result` decides on the trial too, for which it sorts all of the rung.
    """
    (bracket,) = scheduler._brackets
    for rung, recorded in bracket._rungs:
        if rung == epoch:
            recorded.setdefault(trial_id, value)


def forget_trial(scheduler: Any, trial_id: str) -> None:
    """Drop what ASHA keeps of an ended trial, which grows with their number otherwise."""
    scheduler._trial_info.pop(trial_id, None)
