"""What a driver asks of a store does not grow with the trials that have ended, but to list them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import requests
from benchmarks.requests import fill, measure_at, started, write_index
from study.cluster.tune_search import SourceSearcher
from study.storage.folder import open_folder
from tests.s3_server import S3Server

FOLDS, PAGE = 5, 1000
MOST_REQUESTS, OF_TRIALS, MOST_PER_END = 1000, 10_000, 10


@contextmanager
def filled(trials: int) -> Iterator[S3Server]:
    server = S3Server("bucket")
    try:
        fill(server.objects, trials, FOLDS)
        yield server
    finally:
        server.close()


def start_requests(trials: int) -> int:
    with filled(trials) as server:
        outputs = open_folder(server.uri("results"))
        write_index(outputs)
        before = len(server.requests)
        with started(outputs, trials, FOLDS) as state:
            SourceSearcher(state).suggest("0")
            return len(server.requests) - before


@pytest.mark.usefixtures("store")  # for its credentials
@pytest.mark.slow
def test_a_start_and_the_end_of_a_trial_take_as_few_requests_as_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(requests, "ENDS", requests.IN_A_ROW)
    with filled(32) as server:
        files = len(server.objects) // 32
        uri = server.uri("results")
        measured = measure_at(uri, lambda delay: len(server.requests), 32, FOLDS, 0.0)
    assert start_requests(16) == measured.requests
    assert measured.requests + files * OF_TRIALS / PAGE <= MOST_REQUESTS
    assert measured.requests_per_end <= MOST_PER_END
