"""Of Ray Train: the group of a trial's fold workers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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

    It hands callbacks what workers raised and what became of dead ones alike; the classes
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
