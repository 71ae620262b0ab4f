import errno
import math
import os
from collections.abc import Callable
from typing import Any

import pytest

from study.cluster.executor import ClusterExecutor
from study.config.schema import Study
from study.ledger.ledger import DamagedError
from study.report.build import build_report
from study.report.cache import FOLDER
from study.report.parallel import choose_backend, in_order
from tests.study.report.conftest import DrawnLedger, drawn

__all__ = ["drawn"]  # a fixture

OnCluster = Callable[..., Any]


def test_a_process_without_a_connection_has_no_room() -> None:
    assert not ClusterExecutor().has_room()


def report_of_the_cluster(study: Study, *facts_and_results: Any) -> None:
    build_report(study, *facts_and_results, ClusterExecutor())


@pytest.mark.cluster
def test_tables_do_not_depend_on_the_cluster(drawn: DrawnLedger, on_cluster: OnCluster) -> None:
    for number in range(3):
        drawn.commit(number)
    build_report(drawn.study, drawn.facts, drawn.results, "serial")
    alone = drawn.tables()
    drawn.results.remove(FOLDER)
    on_cluster(report_of_the_cluster, drawn.study, drawn.facts, drawn.results)
    assert drawn.tables() == alone


def factorials_of_the_cluster(count: int) -> list[int]:
    return list(in_order(math.factorial, range(count), ClusterExecutor()))


@pytest.mark.cluster
def test_results_of_the_cluster_come_in_the_order_of_their_tasks(on_cluster: OnCluster) -> None:
    products = [math.prod(range(1, n + 1)) for n in range(40)]
    assert on_cluster(factorials_of_the_cluster, 40) == products


def one_of_five_is_damaged() -> list[int]:
    def damaged(number: int) -> int:
        if number == 2:
            raise DamagedError("file 2 is gone")
        return number

    return list(in_order(damaged, range(5), ClusterExecutor()))


@pytest.mark.cluster
def test_what_a_task_on_the_cluster_raises_is_raised(on_cluster: OnCluster) -> None:
    with pytest.raises(DamagedError, match=r"^file 2 is gone$"):
        on_cluster(one_of_five_is_damaged)


def some_are_read_by_the_driver_alone() -> list[int]:
    driver = os.getpid()

    def read(number: int) -> int:
        if os.getpid() != driver and number % 2:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "components.parquet")
        return number

    return list(in_order(read, range(5), ClusterExecutor()))


@pytest.mark.cluster
def test_what_a_node_cannot_read_is_read_by_the_driver(on_cluster: OnCluster) -> None:
    assert on_cluster(some_are_read_by_the_driver_alone) == list(range(5))


def backends_are_of_the_cluster() -> list[bool]:
    executor = ClusterExecutor()
    return [choose_backend(*work, executor) is executor for work in ((100, 5.0), (2, 0.1))]


@pytest.mark.cluster
def test_much_work_goes_to_the_cluster_that_is_connected(on_cluster: OnCluster) -> None:
    assert on_cluster(backends_are_of_the_cluster) == [True, False]
