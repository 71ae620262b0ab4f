"""A process of its own that is the driver of a private cluster, for what needs Ray alone.

It has not imported Ray before it connects, as drivers of studies have not.
"""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from study.cluster.connection import connected

_connection = contextlib.ExitStack()


@contextlib.contextmanager
def driver_process() -> Iterator[Callable[..., Any]]:
    """Yield what calls a function of a module in that process and returns its result."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:

        def call(function: Callable[..., Any], *arguments: Any) -> Any:
            return pool.submit(function, *arguments).result()

        call(_connect)
        try:
            yield call
        finally:
            call(_connection.close)


def _connect() -> None:
    _connection.enter_context(connected(None))
