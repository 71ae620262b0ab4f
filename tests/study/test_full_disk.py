"""A disk that is full at one moment after the other: the old report stays, and work goes on."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.config.schema import Study
from study.data.leakage import refuse_leakage
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger.ledger import Ledger
from study.ledger.recovery import recover
from study.ledger.study_folder import SplitFacts
from study.ledger.trial_outcome import finalize, split_by_completeness
from study.report.build import build_report
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from tests.study.trials import trial_of

pytestmark = pytest.mark.slow
MOMENTS = 5
AMPLE_BYTES = 2**29


class Disk:
    """A file system in memory whose size can be changed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def mount(self) -> bool:
        options = ["-t", "tmpfs", "-o", f"size={AMPLE_BYTES}", "tmpfs", str(self.place)]
        return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0

    def resize(self, size: int) -> None:
        options = ["-o", f"remount,size={size}", str(self.place)]
        subprocess.run(["mount", *options], capture_output=True, check=True)

    @property
    def used(self) -> int:
        found = os.statvfs(self.place)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    disk = Disk(place)
    try:
        mounted = disk.mount()
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a file system of a given size cannot be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def attempt(work: Callable[[], object]) -> OSError | None:
    """Return what the disk refused, None if nothing."""
    try:
        work()
    except OSError as error:
        return error
    return None


def test_a_disk_that_is_full_at_one_moment_after_the_other_loses_nothing(
    disk: Disk,
    tmp_path: Path,
    tiny_samples: Callable[..., Samples],
    tiny_study: Callable[..., Study],
) -> None:
    study = tiny_study(training={"epochs": 3, "validation_interval": 1})
    samples = tiny_samples()
    splits = make_splits(samples, study.split, 0)
    facts = {"paper": SplitFacts(splits.split_hash, refuse_leakage(samples, splits))}

    def go_on(root: Path, trials: int) -> None:
        """Do what a driver and its workers do, until it is done or cannot be."""
        results = LocalFolder(root)
        recover(results)
        ledger, checkpoints = Ledger(results.folder("ledger")), results.folder("checkpoints")
        ended = {record.trial.number for record in split_by_completeness(ledger)[0]}
        for number in sorted(set(range(trials)) - ended):
            trial = trial_of(study, number)
            for address, members in zip(trial.folds, splits.folds, strict=True):
                task = FoldTask(trial.config, address)
                train_fold(task, samples, members, ledger, checkpoints.folder(address.path))
            finalize(ledger, checkpoints, trial, number)
        build_report(study, facts, results)

    go_on(tmp_path / "undisturbed", 2)
    expected = (tmp_path / "undisturbed/scores.parquet").read_bytes()
    go_on(disk.place, 1)
    old = (disk.place / "scores.parquet").read_bytes()
    assert old != expected
    size, refused, step = disk.used, 0, disk.used // 2
    while True:
        disk.resize(size)
        refusal = attempt(lambda: go_on(disk.place, 2))
        if refusal is None:
            break
        assert refusal.errno == errno.ENOSPC
        assert str(disk.place) in str(refusal)
        assert (disk.place / "scores.parquet").read_bytes() == old
        refused += 1
        size += step
    assert refused >= MOMENTS
    assert (disk.place / "scores.parquet").read_bytes() == expected
    assert not list(disk.place.rglob(".*.tmp"))
