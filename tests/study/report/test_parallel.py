import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from threadpoolctl import threadpool_info

from study.errors import StudyFailedError
from study.ledger.ledger import DamagedError
from study.report import parallel
from study.report.parallel import Backend, choose_backend, in_order

LOCAL: tuple[Backend, ...] = ("serial", "threads", "processes")


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


@pytest.mark.parametrize("backend", LOCAL)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_come_in_the_order_of_their_tasks(backend: Backend, count: int) -> None:
    assert list(in_order(cube, range(count), backend)) == [n * n * n for n in range(count)]


@pytest.mark.parametrize("backend", LOCAL)
def test_what_a_task_raises_is_raised(backend: Backend) -> None:
    results = in_order(root, [4, -1, 9], backend)
    with pytest.raises(DamagedError, match=r"^-1 has no root$"):
        list(results)


@pytest.mark.parametrize("backend", LOCAL)
def test_linear_algebra_has_one_thread_while_computing(backend: Backend) -> None:
    before = most_threads(0)
    assert set(in_order(most_threads, range(3), backend)) == {1}
    assert most_threads(0) == before


@pytest.mark.slow
def test_a_process_that_died_is_one_line() -> None:
    with pytest.raises(StudyFailedError, match="run the same again"):
        list(in_order(end_process, range(2), "processes"))
    assert list(in_order(cube, range(3), "processes")) == [0, 1, 8]


class OtherMachines:
    """An executor with room, or without."""

    def __init__(self, has_room: bool) -> None:
        self._has_room = has_room

    def has_room(self) -> bool:
        return self._has_room

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        return map(function, tasks)


def test_processes_are_started_for_much_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_cores", lambda: 2)
    assert choose_backend(0, 0.0) == choose_backend(1, 100.0) == "serial"
    assert choose_backend(2, 0.5) == "threads"
    assert choose_backend(2, 1.5) == "processes"


def test_one_core_computes_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_cores", lambda: 1)
    assert choose_backend(50, 10.0) == "serial"


def test_an_executor_gets_much_work_if_it_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_cores", lambda: 2)
    free, full = OtherMachines(True), OtherMachines(False)
    assert choose_backend(2, 1.5, free) is free
    assert choose_backend(2, 0.5, free) == "threads"
    assert choose_backend(2, 1.5, full) == "processes"
    assert list(in_order(cube, range(4), free)) == [0, 1, 8, 27]
