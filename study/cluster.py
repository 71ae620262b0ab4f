"""The Ray cluster that a study runs on: a private one on this machine, or a given one."""

import contextlib
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator

from study.errors import StudyFailedError
from study.plan import NodeCapacity

LOOPBACK = "127.0.0.1"

PRIVATE_ENVIRONMENT = {
    # Ray otherwise listens on all interfaces, as other nodes need.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Its one node is not taken away while the driver, which it belongs to, lives.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
ENVIRONMENT = {
    # The study has its own display, its own handling of Ctrl-C and its own logs.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A fold that failed has no metric to report.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the cluster at `address`, or start a private one for the time being.

    A private cluster listens on loopback only, and is gone with its folder of
    temporary files when the block is left.

    Raises:
        StudyFailedError: no cluster answers at `address`, or none can be started.
    """
    before = dict(os.environ)
    if not address:
        # Ray reads these when it is imported: that happens below and nowhere earlier.
        os.environ.update(PRIVATE_ENVIRONMENT)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    folder = None if address else tempfile.mkdtemp(prefix="study-ray-")
    try:
        try:
            _start(address, folder)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            where = f"no Ray cluster answers at {address}" if address else "Ray did not start"
            raise StudyFailedError(f"{where}: {' '.join(str(error).split())[:200]}") from None
        yield
    finally:
        ray.shutdown()
        os.environ.clear()
        os.environ.update(before)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def capacity() -> list[NodeCapacity]:
    """Return what each living node of the connected cluster has."""
    import ray

    return [
        NodeCapacity(
            cpus=float(node["Resources"].get("CPU", 0)),
            gpus=float(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def _start(address: str | None, folder: str | None) -> None:
    import ray

    common = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        variables = {name: os.environ[name] for name in ENVIRONMENT}
        if address != "auto":
            variables["RAY_ADDRESS"] = address
        ray.init(address, runtime_env={"env_vars": variables}, **common)
        return
    # Its processes inherit this environment. With the address they find their own
    # cluster where several run on one host.
    port = _free_port()
    os.environ["RAY_GCS_SERVER_PORT"] = str(port)
    os.environ["RAY_ADDRESS"] = f"{LOOPBACK}:{port}"
    ray.init(
        address="local",
        include_dashboard=False,  # a dozen processes, which nobody here asks anything
        _node_ip_address=LOOPBACK,
        _temp_dir=folder,
        **common,
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])
