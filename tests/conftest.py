from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.s3_server import ACCESS_KEY, S3Server

STORE_SECRET = "planted-c07a1e"
"""Stands in the environment of whatever reaches the store."""
CLUSTER = ("tests/golden",)
"""Folders whose tests start Ray, and that do not mark them themselves."""
REAL_DATA = {"real_mitdb", "real_wafer", "mitbih"}
"""Fixtures whose data take long to read."""

hypothesis.settings.register_profile("short", max_examples=25, deadline=None)
hypothesis.settings.register_profile("long", max_examples=500, deadline=None)
hypothesis.settings.load_profile("short")


@pytest.hookimpl(tryfirst=True)  # before the markers are read
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what starts Ray, and say what must run in one process if there are several.

    One process has all that starts Ray, one after the other; a file's tests share fixtures.
    """
    folders = [config.rootpath / folder for folder in CLUSTER]
    for item in items:
        if any(Path(item.path).is_relative_to(folder) for folder in folders):
            item.add_marker(pytest.mark.cluster)
        if REAL_DATA & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        if config.pluginmanager.hasplugin("xdist"):
            on_cluster = item.get_closest_marker("cluster") is not None
            item.add_marker(pytest.mark.xdist_group("cluster" if on_cluster else str(item.path)))
    # The longest begins first.
    items.sort(key=lambda item: item.get_closest_marker("cluster") is None)


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
