"""Computing many tasks side by side: on a cluster, or on this machine.

What is computed does not depend on where: arithmetic is single-threaded everywhere,
and results come in the order of their tasks.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal, Protocol, TypeVar

from study.errors import StudyFailedError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Computes tasks on other machines; `study.cluster.executor` has Ray's."""

    def has_room(self) -> bool:
        """Return whether a task that is submitted now would start."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield `function(task)` for each task, in their order."""


Backend = Literal["serial", "threads", "processes"] | Executor
"""Where tasks are computed: on this machine, in one of three ways, or by an executor."""


def choose_backend(num_tasks: int, work: float, executor: Executor | None = None) -> Backend:
    """Return where tasks are best computed.

    Args:
        num_tasks: their number.
        work: what they take together, in units of what starting processes takes.
        executor: takes much work, if it has room.
    """
    if num_tasks < 2:
        return "serial"
    if work < 1:
        return "threads"
    if executor is not None and executor.has_room():
        return executor
    # Threads share Python's lock, which half of the fitting holds.
    return "processes" if _cores() > 1 else "serial"


def in_order(
    function: Callable[[Task], Result], tasks: Sequence[Task], backend: Backend
) -> Iterator[Result]:
    """Yield `function(task)` for each task, in their order, as they are done.

    Args:
        function: a function of a module, so that other processes can import it.
        tasks: picklable, for `processes` and an executor.
        backend: where to compute.

    Raises:
        StudyFailedError: a process that computed has died.
        Exception: what `function` raises.
    """
    if backend == "serial":
        return _one_by_one(function, tasks)
    if backend == "threads":
        return _in_threads(function, tasks)
    calls = [(function, task) for task in tasks]
    if backend == "processes":
        return _in_processes(_single_threaded_call, calls)
    return backend.map(_single_threaded_call, calls)


def _one_by_one(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    with _single_threaded():
        yield from map(function, tasks)


def _in_threads(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    from concurrent.futures import ThreadPoolExecutor

    with _single_threaded(), ThreadPoolExecutor(_cores()) as pool:
        yield from pool.map(function, tasks)


def _in_processes(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    import joblib
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    jobs = max(1, min(len(tasks), _cores()))
    try:
        parallel = joblib.Parallel(n_jobs=jobs, backend="loky", return_as="generator")
        yield from parallel(joblib.delayed(function)(task) for task in tasks)
    except TerminatedWorkerError:
        raise StudyFailedError(
            "a process that fits compositions was ended, perhaps for lack of memory;"
            " what is fitted is kept, run the same again"
        ) from None
    finally:
        # Idle processes would keep their memory while tables are made.
        get_reusable_executor(reuse=True).shutdown(wait=True)


def _single_threaded_call(call: tuple[Callable[[Task], Result], Task]) -> Result:
    """Compute one task in a process that computes no other at the time."""
    function, task = call
    with _single_threaded():
        return function(task)


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Keep linear algebra to one thread in all of this process: several sum otherwise."""
    with _linear_algebra().limit(limits=1):
        yield


@cache
def _linear_algebra() -> Any:
    """Return a controller of this process's linear algebra libraries, which is slow to make."""
    import scipy.linalg  # noqa: F401 - the controller sees libraries that are loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _cores() -> int:
    return len(os.sched_getaffinity(0))
