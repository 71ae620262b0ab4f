"""The Ray cluster that a study runs on: a private one on this machine, or one with an address."""

import contextlib
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from study.cluster.fork_server import running_fork_server
from study.errors import StudyFailedError, one_line
from study.storage.locks import locked

LOOPBACK = "127.0.0.1"
FOLDER_PREFIX = "study-ray-"
DRIVER_LOCK = "driver.lock"
VITAL = ("gcs_server", "raylet")
POLL_SECONDS = 0.2
SILENCE_SECONDS = 60.0
"""How long a cluster with an address may be silent before it counts as gone."""

PRIVATE_ENVIRONMENT = {
    # Ray otherwise listens on all interfaces, as other nodes need.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Its one node is not taken away while the driver, which it belongs to, lives.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # A process for each core, of which none has the environment that a fold's worker needs.
    "RAY_prestart_worker_first_driver": "0",
    # Nobody asks for them, and no agent passes them on.
    "RAY_enable_metrics_collection": "0",
}
ENVIRONMENT = {
    # The study has its own display, its own handling of Ctrl-C and its own logs.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A fold that failed has no metric to report.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Its own record of the search is never read: the ledger is.
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",
    # A trial whose processes died is reported in one line.
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
    # How often Ray Train looks whether a fold's worker has died or is done, every 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextlib.contextmanager
def private_folder() -> Iterator[str]:
    """Have a folder for a private cluster, and its fork server running, while the block does.

    The sooner the server begins, the less a cluster's first workers wait for its imports.
    """
    with _temporary_folder() as folder, running_fork_server(Path(folder)):
        yield folder


@contextlib.contextmanager
def connected(
    address: str | None,
    on_lost: Callable[[str], object] = lambda what: None,
    folder: str | None = None,
) -> Iterator[None]:
    """Connect to the cluster at `address`, or start a private one for the time being.

    A private cluster listens on loopback only, and is gone with its folder of
    temporary files when the block is left. Folders of killed drivers are deleted.

    Args:
        address: the cluster's; None for a private one.
        on_lost: called from another thread with what ended, if the cluster ends before
            the block is left. Ray's calls may then not return: end the process.
        folder: for a private one, of `private_folder`; None for one of its own.

    Raises:
        StudyFailedError: no cluster answers at `address`, or none can be started.
    """
    before = dict(os.environ)
    if not address:
        # Ray reads these when it is imported: that happens below and nowhere earlier.
        os.environ.update(PRIVATE_ENVIRONMENT)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with contextlib.ExitStack() as held:
        if not (address or folder):
            folder = held.enter_context(private_folder())
        import ray

        try:
            try:
                _start(address, folder)
            except Exception as error:  # Ray raises no narrower class on a machine too busy
                where = f"no Ray cluster answers at {address}" if address else "Ray did not start"
                reason = one_line(error)[:200]
                raise StudyFailedError(f"{where}: {reason}") from None
            with _watched(address is None, on_lost):
                yield
        finally:
            ray.shutdown()
            os.environ.clear()
            os.environ.update(before)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[str]:
    """Return a folder for a private cluster; delete those whose drivers were killed."""
    base = Path(tempfile.gettempdir())
    for left in base.glob(f"{FOLDER_PREFIX}*"):
        if (left / DRIVER_LOCK).is_file() and not left.is_symlink() and _is_mine(left):
            with contextlib.suppress(TimeoutError), locked(left / DRIVER_LOCK):
                if not _in_use(left):
                    shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX)
    try:
        with locked(Path(folder) / DRIVER_LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    return folder.stat().st_uid == os.getuid()


def _in_use(folder: Path) -> bool:
    """Tell whether a process of Ray's still names the folder on its command line."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in entry.read_bytes():
                return True
    return False


@contextlib.contextmanager
def _watched(is_private: bool, on_lost: Callable[[str], object]) -> Iterator[None]:
    """Look after the cluster in a thread while the block runs."""
    import ray

    ended = threading.Event()
    ended_part = _private_check() if is_private else _remote_check(ray)

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            what = ended_part()
            if what and not ended.is_set():
                on_lost(what)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _private_check() -> Callable[[], str]:
    """Return a function that names the ended process of a private cluster, and ends the others."""
    from study.cluster.ray_internals.private_cluster import private_node

    node = private_node()

    def ended_part() -> str:
        for name in VITAL:
            for each in node.all_processes.get(name, ()):
                if each.process.poll() is not None:
                    node.kill_all_processes(check_alive=False, allow_graceful=False)
                    shutil.rmtree(node.get_temp_dir_path(), ignore_errors=True)
                    return f"Ray's {name} ended"
        return ""

    return ended_part


def _remote_check(ray: Any) -> Callable[[], str]:
    """Return a function that names a cluster whose head has not answered for too long."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    answered = time.monotonic()

    def ended_part() -> str:
        nonlocal answered
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5):
            answered = time.monotonic()
        silent = time.monotonic() - answered
        return f"the Ray cluster at {host}:{port} is silent" if silent > SILENCE_SECONDS else ""

    return ended_part


def _start(address: str | None, folder: str | None) -> None:
    import ray

    common = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        variables = {name: os.environ[name] for name in ENVIRONMENT}
        if address != "auto":
            variables["RAY_ADDRESS"] = address
        ray.init(address, runtime_env={"env_vars": variables}, **common)
        return
    from study.cluster.ray_internals.private_cluster import init_private

    # Its processes inherit this environment. With the address they find their own
    # cluster where several run on one host.
    port = _free_port()
    os.environ["RAY_GCS_SERVER_PORT"] = str(port)
    os.environ["RAY_ADDRESS"] = f"{LOOPBACK}:{port}"
    init_private(LOOPBACK, folder, **common)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])
