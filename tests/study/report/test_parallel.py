import math
import sys
import time
from collections.abc import Callable

import pytest
from threadpoolctl import threadpool_info

from study.errors import StudyFailedError
from study.ledger.ledger import DamagedError
from study.report import parallel
from study.report.parallel import Means, best_means, in_order

LOCAL: tuple[Means, ...] = ("serial", "threads", "processes")


def cube(number: int) -> int:
    time.sleep(0.01 * (number % 3))  # they end in another order
    return number**3


def root(number: int) -> float:
    if number < 0:
        raise DamagedError(f"{number} has no root")
    return math.sqrt(number)


def most_threads(_: int) -> int:
    return max(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")


def end_process(_: int) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("means", LOCAL)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_come_in_the_order_of_their_tasks(means: Means, count: int) -> None:
    assert list(in_order(cube, range(count), means)) == [n * n * n for n in range(count)]


@pytest.mark.parametrize("means", LOCAL)
def test_what_a_task_raises_is_raised(means: Means) -> None:
    results = in_order(root, [4, -1, 9], means)
    with pytest.raises(DamagedError, match=r"^-1 has no root$"):
        list(results)


@pytest.mark.parametrize("means", LOCAL)
def test_linear_algebra_has_one_thread_while_computing(means: Means) -> None:
    before = most_threads(0)
    assert set(in_order(most_threads, range(3), means)) == {1}
    assert most_threads(0) == before


def test_a_process_that_died_is_one_line() -> None:
    with pytest.raises(StudyFailedError, match="run the same again"):
        list(in_order(end_process, range(2), "processes"))
    assert list(in_order(cube, range(3), "processes")) == [0, 1, 8]


def means_without_cluster(monkeypatch: pytest.MonkeyPatch, cores: int) -> Callable[..., Means]:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr(parallel, "_cores", lambda: cores)
    return best_means


def test_processes_are_started_for_much_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    means = means_without_cluster(monkeypatch, 2)
    assert means(0, 0.0) == means(1, 100.0) == "serial"
    assert means(2, 0.5) == "threads"
    assert means(2, 1.5) == "processes"
    assert "ray" not in sys.modules


def test_one_core_computes_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert means_without_cluster(monkeypatch, 1)(50, 10.0) == "serial"
