"""Computing many things side by side: on the connected cluster, or on this machine.

What is computed does not depend on where: arithmetic is single-threaded everywhere,
and results come in the order of their tasks.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

from study.errors import StudyFailedError

Task = TypeVar("Task")
Result = TypeVar("Result")
Means = Literal["serial", "threads", "processes", "cluster"]


def best_means(tasks: int, work: float) -> Means:
    """Return by what means to compute `tasks` tasks.

    Args:
        tasks: their number.
        work: what they take together, in units of what starting processes takes.
    """
    if tasks < 2:
        return "serial"
    if work < 1:
        return "threads"
    # Without a connection Ray has not been imported: nothing here needs it, or starts it.
    if "ray" in sys.modules:
        from study.report.cluster import has_room

        if has_room():
            return "cluster"
    # Threads share Python's lock, which half of the fitting holds.
    return "processes" if _cores() > 1 else "serial"


def in_order(
    function: Callable[[Task], Result], tasks: Sequence[Task], means: Means
) -> Iterator[Result]:
    """Yield `function(task)` for each task, in their order, as they are done.

    Args:
        function: a function of a module, so that other processes find it.
        tasks: what can be pickled, for `processes` and `cluster`.
        means: where to compute.

    Raises:
        StudyFailedError: a process that computed has died.
        Exception: what `function` raises.
    """
    if means == "cluster":
        from study.report.cluster import on_cluster

        return on_cluster(_alone, [(function, task) for task in tasks])
    if means == "processes":
        return _in_processes(_alone, [(function, task) for task in tasks])
    if means == "threads":
        return _in_threads(function, tasks)
    return _one_by_one(function, tasks)


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


def _alone(work: tuple[Callable[[Task], Result], Task]) -> Result:
    """Compute one task in a process that computes no other at the time."""
    function, task = work
    with _single_threaded():
        return function(task)


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Keep linear algebra to one thread in all of this process: several sum otherwise."""
    with _linear_algebra().limit(limits=1):
        yield


@cache
def _linear_algebra() -> Any:
    """Return what tells the libraries of this process, which takes long to find them."""
    import scipy.linalg  # noqa: F401 - its library must be loaded to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _cores() -> int:
    return len(os.sched_getaffinity(0))
