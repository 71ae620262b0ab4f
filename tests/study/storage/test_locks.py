"""One driver for a study, and of its workers only those of the newest run, one for a fold."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from study.errors import RequestError, StudyFailedError
from study.storage import locks
from study.storage.folder import LocalFolder
from study.storage.locks import ForeignRunError, begin_run, fold_of_run, sole_driver

FOLD = "trial-00000/fold-0"
HOLD = """
import sys, time
from study.storage.locks import begin_run, fold_of_run, sole_driver
from study.storage.folder import LocalFolder
with {held}:
    print("held", flush=True)
    time.sleep(600)
"""


def hold(folder: Path, held: str) -> "subprocess.Popen[str]":
    """Start a process that holds a lock of the study until it is killed."""
    text = HOLD.format(
        held=held.format(output=f"LocalFolder(__import__('pathlib').Path({str(folder)!r}))")
    )
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_driver_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    output = LocalFolder(tmp_path)
    first = hold(tmp_path, "sole_driver({output}, 'mine')")
    try:
        refused = pytest.raises(RequestError, match="another process runs this study")
        with refused, sole_driver(output, "mine"):
            pass
        with sole_driver(output, "other"):
            pass
    finally:
        first.kill()
        first.wait()
    with sole_driver(output, "mine"):
        pass


def test_a_run_waits_for_workers_of_the_one_before_and_lets_no_more_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = LocalFolder(tmp_path)
    begin_run(output, "mine", "old")
    worker = hold(tmp_path, f"fold_of_run({{output}}, 'mine', 'old', {FOLD!r})")
    try:
        with monkeypatch.context() as patch:
            patch.setattr(locks, "LEAVE_SECONDS", 0.2)
            with pytest.raises(StudyFailedError, match="workers of an earlier run"):
                begin_run(output, "mine", "new")
        begun = threading.Thread(target=begin_run, args=(output, "mine", "new"))
        begun.start()
        time.sleep(0.2)
        assert begun.is_alive()
    finally:
        worker.kill()
        worker.wait()
    begun.join(60)
    assert not begun.is_alive()
    with pytest.raises(ForeignRunError), fold_of_run(output, "mine", "old", FOLD):
        pass
    with fold_of_run(output, "mine", "new", FOLD):
        pass


def test_nothing_that_is_held_open_lies_in_the_study_and_a_lock_goes_with_its_holder(
    tmp_path: Path,
) -> None:
    output = LocalFolder(tmp_path)
    begin_run(output, "mine", "run")
    with sole_driver(output, "mine"), fold_of_run(output, "mine", "run", FOLD):
        assert not output.exists("mine")
        assert output.names(".mine.locks") == ["driver.lock", "trial-00000.fold-0.lock"]
    assert output.names(".mine.locks") == ["driver.lock"]


def test_workers_that_wait_for_one_fold_have_it_one_after_the_other(tmp_path: Path) -> None:
    """Though each deletes the lock file that the others have opened."""
    output = LocalFolder(tmp_path)
    begin_run(output, "mine", "run")
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(3):
            with fold_of_run(output, "mine", "run", FOLD):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.01)
                inside.remove(number)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as workers:
        patch.setattr(locks, "LOOK_SECONDS", 0.001)
        list(workers.map(work, range(4)))
    assert most == [1] * 12


def test_a_fold_has_one_worker_and_the_next_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = LocalFolder(tmp_path)
    begin_run(output, "mine", "run")
    monkeypatch.setattr(locks, "LEAVE_SECONDS", 0.2)
    with fold_of_run(output, "mine", "run", FOLD):
        with fold_of_run(output, "mine", "run", "trial-00000/fold-1"):
            pass
        refused = pytest.raises(StudyFailedError, match="another worker has trial-00000/fold-0")
        with refused, fold_of_run(output, "mine", "run", FOLD):
            pass
    with fold_of_run(output, "mine", "run", FOLD):
        pass
