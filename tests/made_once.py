"""What one process of a session makes, and the others copy."""

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

Result = TypeVar("Result")


def made_once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Result]
) -> tuple[Path, Result]:
    """Make something in a folder, in the first process that asks.

    Args:
        factory: the process's own.
        name: of what is made.
        make: makes it in an empty folder; what it returns can be pickled.

    Returns:
        The folder, a copy that only this process has, and what `make` returned.
    """
    original = of_all_processes(factory) / name
    kept = original.with_suffix(".pickle")
    with alone(original):
        if not kept.exists():
            original.mkdir()
            kept.write_bytes(pickle.dumps(make(original)))
    own = shutil.copytree(original, factory.mktemp(name), dirs_exist_ok=True)
    result: Result = pickle.loads(kept.read_bytes())
    return own, result


def of_all_processes(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all processes of a session have together."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "of-all-processes"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time make something at `path`."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
