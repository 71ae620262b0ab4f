"""How a trial ended, read off its folds: completed, pruned or failed."""

from typing import Any

import numpy as np

from study.config.schema import Study
from study.ledger.fold_files import read_history
from study.ledger.ledger import (
    FoldManifest,
    Ledger,
    State,
    TrialRecord,
    fold_name,
    promote,
    trial_name,
)
from study.storage.folder import Folder

STAGE_PREFIX = "stage-"


def stage_name(epoch: int) -> str:
    """Return the folder, beside a fold's checkpoints, of what would be committed at `epoch`."""
    return f"{STAGE_PREFIX}{epoch:06d}"


def conclude(
    ledger: Ledger,
    checkpoints: Folder,
    study: Study,
    number: int,
    parameters: dict[str, Any],
    stopped_epoch: int | None,
    arrival: int,
    failure: str = "",
) -> TrialRecord | None:
    """Write down how trial `number` ended, if it has.

    Its state follows from the folds that the ledger holds. Of a trial that was
    stopped early, what its folds staged at `stopped_epoch` is committed first.

    Args:
        ledger: the ledger.
        checkpoints: the folder of all trials' checkpoints.
        study: the study.
        number: the trial's number.
        parameters: its searched settings.
        stopped_epoch: epoch at which the search stopped it, None if it did not.
        arrival: how many trials had ended before it; one that ends again keeps what it had.
        failure: why it was given up, with folds missing; "" if it was not.

    Returns:
        The record, or None if folds are missing: the trial is to be run again.
    """
    trial = trial_name(number)
    folds = range(study.split.folds)
    manifests = [ledger.fold(trial, fold) for fold in folds]
    failed = [m for m in manifests if m is not None and m.state == "failed"]
    reason = "; ".join(f"fold {m.fold}: {m.reason}" for m in failed) or failure
    if not reason and any(manifest is None for manifest in manifests):
        if stopped_epoch is None:
            return None
        _commit_stages(ledger, checkpoints, trial, manifests, stopped_epoch)
        manifests = [ledger.fold(trial, fold) for fold in folds]
    before = ledger.trial(number)
    record = TrialRecord(
        number=number,
        parameters=parameters,
        state="failed" if reason else _state(manifests),
        reason=reason,
        values=[] if reason else _mean_values(ledger, manifests),
        arrival=before.arrival if before else arrival,
    )
    ledger.record_trial(record)
    checkpoints.remove(trial)
    return record


def split_by_wholeness(ledger: Ledger, study: Study) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Return the records of ended trials whose folds are all there, and of the others.

    A fold of the others was damaged and put aside, or is lost: it is trained again, and
    the trial ends as it had.
    """
    whole: list[TrialRecord] = []
    broken: list[TrialRecord] = []
    for record in ledger.trials():
        there = set(ledger.committed(record.name))
        is_whole = record.state == "failed" or there >= set(range(study.split.folds))
        (whole if is_whole else broken).append(record)
    return whole, broken


def interrupted_stop(ledger: Ledger, study: Study, number: int) -> int | None:
    """Return the epoch of a stop that was being committed when the driver died, or None."""
    trial = trial_name(number)
    for fold in range(study.split.folds):
        manifest = ledger.fold(trial, fold)
        if manifest is not None and manifest.state == "pruned":
            return manifest.last_epoch
    return None


def _commit_stages(
    ledger: Ledger,
    checkpoints: Folder,
    trial: str,
    manifests: list[FoldManifest | None],
    epoch: int,
) -> None:
    for fold, committed in enumerate(manifests):
        if committed is None:
            place = checkpoints.folder(f"{trial}/{fold_name(fold)}/{stage_name(epoch)}")
            stage = Ledger(place)
            staged = stage.fold(trial, fold)
            if staged is None:
                raise RuntimeError(f"{place.locate()} holds no staged fold")
            promote(stage, ledger, staged)


def _state(manifests: list[FoldManifest | None]) -> State:
    pruned = any(manifest is not None and manifest.state == "pruned" for manifest in manifests)
    return "pruned" if pruned else "completed"


def _mean_values(ledger: Ledger, manifests: list[FoldManifest | None]) -> list[tuple[int, float]]:
    """Return the metric's mean over folds at every epoch that was validated."""
    by_epoch: dict[int, list[float]] = {}
    for manifest in manifests:
        assert manifest is not None
        for row in read_history(ledger, manifest):
            if "value" in row:
                by_epoch.setdefault(int(row["epoch"]), []).append(row["value"])
    return [(epoch, float(np.mean(values))) for epoch, values in sorted(by_epoch.items())]
