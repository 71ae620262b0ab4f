"""Of a node of Ray's: how its workers start, so that they can be forks; see `fork_server`."""

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from study.cluster import worker_program
from study.cluster.worker_program import RAY_PREFIX


@contextlib.contextmanager
def workers_forked() -> Iterator[None]:
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
    of_ray = {
        name: value for name, value in context.env_vars.items() if name.startswith(RAY_PREFIX)
    }
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
