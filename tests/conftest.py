from collections.abc import Iterator

import pytest

from tests.s3_server import ACCESS_KEY, S3Server

STORE_SECRET = "planted-c07a1e"
"""Stands in the environment of whatever reaches the store."""


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
