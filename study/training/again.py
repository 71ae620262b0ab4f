"""Training a committed fold again, beside its study, to see whether it becomes the same."""

import math
from collections.abc import Iterator, Mapping

import torch

from study.data.splits import Splits
from study.data.variants import Variants
from study.errors import RequestError
from study.ledger import fold_files
from study.ledger.differences import first_difference
from study.ledger.ledger import FoldManifest, Ledger
from study.search.trial import FoldAddress, TrialRecord
from study.storage.folder import Folder
from study.training.fold import FoldTask, train_fold
from study.training.validation_report import StoppedEarly, ValidationReport

COMPARED = (
    fold_files.HISTORY,
    fold_files.TRAINING_COMPONENTS,
    fold_files.COMPONENTS,
    fold_files.WEIGHTS,
    fold_files.RECONSTRUCTIONS,
    fold_files.EXTREMES,
    fold_files.INTERPOLATION,
)
"""Files of a fold that training again repeats, as far as it has them; `model.json` is what it is
trained from, and `TIMINGS` are of the machine."""


def spread(records: list[TrialRecord], count: int) -> list[tuple[TrialRecord, FoldAddress]]:
    """Return `count` folds of trials that did not fail, evenly chosen; all if there are fewer."""
    folds = [
        (record, address)
        for record in records
        if record.state != "failed"
        for address in record.folds
    ]
    count = min(count, len(folds))
    return [folds[(2 * number + 1) * len(folds) // (2 * count)] for number in range(count)]


def trained_again(
    ledger: Ledger,
    record: TrialRecord,
    address: FoldAddress,
    variants: Variants,
    splits: Mapping[str, Splits],
    scratch: Folder,
    tolerance: float,
) -> str:
    """Train a fold again, and return in what it first differs; "" in nothing.

    A fold that was stopped early is stopped again at the same epoch. On the CPU it is trained
    with as many threads as it was, since sums depend on them.

    Args:
        ledger: holds the fold.
        record: its trial.
        address: the fold.
        variants: the dataset, in each variant that trials of the study can have.
        splits: the folds, by protocol.
        scratch: a folder for the fold that is trained again.
        tolerance: share by which numbers may differ.

    Raises:
        RequestError: it was trained on a device that is not here.
        DamagedError: a file is not what was committed.
    """
    stored = ledger.fold(address)
    if stored is None:
        return f"{ledger.folder.locate(address.path)} is missing"
    timings = fold_files.read_json(ledger, stored, fold_files.TIMINGS)
    device = _device(str(timings["device"]))
    validated = [int(r["epoch"]) for r in fold_files.read_history(ledger, stored) if "value" in r]
    task = FoldTask(record.trial.config, address, tuple(validated), device, math.inf)
    samples = variants.of(record.trial.config.dataset)
    fold = splits[record.trial.protocol].folds[address.fold]
    target = Ledger.of(scratch)

    def stop(report: ValidationReport) -> None:
        is_last = report.state == "running" and report.epoch == stored.last_epoch
        if stored.state == "pruned" and is_last:
            raise StoppedEarly

    threads = torch.get_num_threads()
    torch.set_num_threads(int(timings["threads"]))
    try:
        again = train_fold(task, samples, fold, target, scratch.folder("checkpoints"), stop)
    finally:
        torch.set_num_threads(threads)
    return next(_differences(ledger, stored, target, again, tolerance), "")


def _differences(
    ledger: Ledger, stored: FoldManifest, target: Ledger, again: FoldManifest, tolerance: float
) -> Iterator[str]:
    where = ledger.folder.locate(stored.address.path)
    for name in ("state", "reason", "best_epoch", "last_epoch"):
        before, now = getattr(stored, name), getattr(again, name)
        if before != now:
            yield f"{where}: {name} {before!r}, made again {now!r}"
    for name in COMPARED:
        if name in stored.files:
            if name not in again.files:
                yield f"{where}/{name}: is not made again"
            contents = ledger.read(stored, name), target.read(again, name)
            difference = first_difference(name, *contents, tolerance)
            if difference:
                yield f"{where}/{name}: {difference}"


def _device(name: str) -> str:
    """Return the kind of device that is named so.

    Raises:
        RequestError: there is none here.
    """
    if name.startswith("cpu"):
        return "cpu"
    here = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    if here != name:
        raise RequestError(f"--train: the study was trained on {name}, found {here}: leave it out")
    return "cuda"
