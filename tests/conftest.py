import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.s3_server import ACCESS_KEY, S3Server

STORE_SECRET = "planted-c07a1e"
"""Stands in the environment of whatever reaches the store."""
ON_CLUSTER = ("tests/chaos/", "tests/cluster/", "tests/study/cluster/")
"""Where tests are that start Ray: they run one after the other."""
REAL_DATA = {"real_mitdb", "real_wafer", "mitbih"}
"""Fixtures whose data take long to read."""

MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 4 * 2**30

# Ray's workers would wait for the tests of the other process; theirs take longest.
os.environ.update({"RAY_worker_niceness": "0"})
# Processes of tests would compile the sources anew, each of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Ledgers sync thousands of small files, which takes a disk a hundred times as long.
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

hypothesis.settings.register_profile("short", max_examples=15, deadline=None, derandomize=True)
hypothesis.settings.register_profile("long", max_examples=500, deadline=None)
hypothesis.settings.load_profile("short")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if REAL_DATA & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: work_of(item.nodeid) != "cluster")  # the longest begins first


def pytest_collection_finish() -> None:
    """Let garbage be looked for seldom, and not in what has been imported: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def work_of(nodeid: str) -> str:
    """Return what one process does in one go: all that starts Ray, or the tests of a file."""
    return "cluster" if nodeid.startswith(ON_CLUSTER) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        """Gives each process a file at a time, and one of them all that starts Ray."""

        def _split_scope(self, nodeid: str) -> str:
            return work_of(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def store() -> Iterator[S3Server]:
    """An S3 server with an empty bucket, and the environment with its credentials."""
    server = S3Server("bucket")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", STORE_SECRET)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield server
    server.close()
