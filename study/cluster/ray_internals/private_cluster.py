"""Of a node of Ray's: the cluster that a study starts on its own machine."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import ray

from study.cluster.ray_internals.forked_workers import workers_forked


def init_private(address: str, folder: str | None, **options: Any) -> None:
    """Start a cluster on this machine that listens on `address` only, with the processes it needs.

    Args:
        address: of an interface; no public argument names one.
        folder: for the cluster's temporary files; no public argument names it either.
        options: others of `ray.init`.
    """
    _ask_for_token()
    with _without_services(), workers_forked():
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


def private_node() -> Any:
    """Return the node that `ray.init` started in this process, with its `all_processes`.

    Ray tells nobody when one of its own processes ends.
    """
    return ray._private.worker._global_node
