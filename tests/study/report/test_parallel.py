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


def cube(number: int) -> tuple[int, int]:
    """Return a cube, and how many threads linear algebra had at most meanwhile."""
    time.sleep(0.01 * (number % 3))  # they end in another order
    return number**3, most_threads()


def root(number: int) -> float:
    if number < 0:
        raise DamagedError(f"{number} has no root")
    return math.sqrt(number)


def most_threads() -> int:
    return max(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")


def end_process(_: int) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("backend", LOCAL)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_come_in_the_order_of_their_tasks_with_one_thread_of_linear_algebra(
    backend: Backend, count: int
) -> None:
    before = most_threads()
    assert list(in_order(cube, range(count), backend)) == [(n * n * n, 1) for n in range(count)]
    assert most_threads() == before


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_what_a_task_raises_is_raised(backend: Backend) -> None:
    results = in_order(root, [4, -1, 9], backend)
    with pytest.raises(DamagedError, match=r"^-1 has no root$"):
        list(results)


@pytest.mark.slow
def test_a_process_that_died_is_one_line_and_those_after_it_raise_what_a_task_raises() -> None:
    with pytest.raises(StudyFailedError, match="run the same again"):
        list(in_order(end_process, range(2), "processes"))
    results = in_order(root, [4, -1, 9], "processes")
    with pytest.raises(DamagedError, match=r"^-1 has no root$"):
        list(results)


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
    assert [result for result, _ in in_order(cube, range(4), free)] == [0, 1, 8, 27]
