"""A file system of several hosts: what is deleted while somebody has it open stays for a while."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger.ledger import Ledger
from study.ledger.recovery import recover
from study.ledger.trial_outcome import finalize
from study.storage.folder import LocalFolder
from study.storage.locks import begin_run, fold_of_run, sole_driver
from study.training.events import FoldWriter
from study.training.fold import FoldTask, train_fold
from study.training.validation_report import StoppedEarly, ValidationReport
from tests.nfs_folder import NfsFolder
from tests.study.trials import trial_of


@pytest.fixture
def nfs(tmp_path: Path) -> Iterator[NfsFolder]:
    with NfsFolder(tmp_path) as folder:
        yield folder


def test_a_folder_with_an_open_file_disappears_and_its_rest_is_swept_later(nfs: NfsFolder) -> None:
    folder = LocalFolder(nfs.root)
    folder.write_all({"a/b/f": b"1", "a/g": b"2"})
    with (nfs.root / "a/b/f").open("rb") as held:
        folder.remove("a")
        assert nfs.denied == 1
        assert folder.names() == []
        folder.sweep()  # somebody has it still
        folder.write("a/b/f", b"new")
        assert held.read() == b"1"
    folder.sweep()
    assert folder.read("a/b/f") == b"new"
    assert not nfs.left()
    assert [path.name for path in nfs.root.iterdir()] == ["a"]


def test_a_trial_is_stopped_and_ended_while_its_workers_hold_their_locks_and_files(
    nfs: NfsFolder, tiny_study: Callable[..., Study], tiny_samples: Callable[..., Samples]
) -> None:
    """A driver that finds a folder not empty would end the study."""
    study, samples, output = tiny_study(), tiny_samples(), LocalFolder(nfs.root)
    results, trial = output.folder("tiny"), trial_of(study)
    ledger, checkpoints = Ledger(results.folder("ledger")), results.folder("checkpoints")
    folds = make_splits(samples, study.split, 0).folds

    def stop(report: ValidationReport) -> None:
        if report.state == "running":
            raise StoppedEarly

    with sole_driver(output, "tiny"):
        begin_run(output, "tiny", "run")
        for address, fold in zip(trial.folds, folds, strict=True):
            with fold_of_run(output, "tiny", "run", address.path):
                writer = FoldWriter(results.folder(f"tensorboard/{address.path}"))
                task = FoldTask(trial.config, address, (2,))
                own = checkpoints.folder(address.path)
                own.write("held", b"read by somebody")
                with (nfs.root / "tiny/checkpoints" / address.path / "held").open("rb"):
                    train_fold(task, samples, fold, ledger, own, stop, writer)
                    if address.fold == 1:
                        record = finalize(ledger, checkpoints, trial, 0)
                writer.close()
        assert record is not None
        assert record.state == "pruned"
        assert nfs.denied
        assert recover(results) == []
    begin_run(output, "tiny", "another")
    assert not results.exists("checkpoints/trial-00000")
    assert not nfs.left()
    assert not [path for path in nfs.root.rglob(".*") if path.suffix == ".tmp"]
