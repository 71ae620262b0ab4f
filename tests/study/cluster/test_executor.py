import errno
import math
import os
from collections.abc import Iterator

import pytest

from study.cluster.connection import connected
from study.cluster.executor import ClusterExecutor
from study.ledger.ledger import DamagedError
from study.report.build import build_report
from study.report.cache import FOLDER
from study.report.parallel import choose_backend, in_order
from tests.study.report.conftest import DrawnLedger, drawn

__all__ = ["drawn"]  # a fixture


def test_a_process_without_a_connection_has_no_room() -> None:
    assert not ClusterExecutor().has_room()


pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with connected(None):
        yield


@pytest.mark.usefixtures("cluster")
def test_tables_do_not_depend_on_the_cluster(drawn: DrawnLedger) -> None:
    for number in range(3):
        drawn.commit(number)
    build_report(drawn.study, drawn.facts, drawn.results, "serial")
    alone = drawn.tables()
    drawn.results.remove(FOLDER)
    build_report(drawn.study, drawn.facts, drawn.results, ClusterExecutor())
    assert drawn.tables() == alone


@pytest.mark.usefixtures("cluster")
def test_results_of_the_cluster_come_in_the_order_of_their_tasks() -> None:
    assert list(in_order(math.factorial, range(40), ClusterExecutor())) == [
        math.prod(range(1, n + 1)) for n in range(40)
    ]


@pytest.mark.usefixtures("cluster")
def test_what_a_task_on_the_cluster_raises_is_raised() -> None:
    def damaged(number: int) -> int:
        if number == 2:
            raise DamagedError("file 2 is gone")
        return number

    with pytest.raises(DamagedError, match=r"^file 2 is gone$"):
        list(in_order(damaged, range(5), ClusterExecutor()))


@pytest.mark.usefixtures("cluster")
def test_what_a_node_cannot_read_is_read_by_the_driver() -> None:
    driver = os.getpid()

    def read(number: int) -> int:
        if os.getpid() != driver and number % 2:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "components.parquet")
        return number

    assert list(in_order(read, range(5), ClusterExecutor())) == list(range(5))


@pytest.mark.usefixtures("cluster")
def test_much_work_goes_to_the_cluster_that_is_connected() -> None:
    executor = ClusterExecutor()
    assert choose_backend(100, 5.0, executor) is executor
    assert choose_backend(2, 0.1, executor) == "threads"
