"""How a trial ended, read off its folds: completed, pruned or failed."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from study.ledger.fold_files import TIMINGS, read_history, read_json
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.objectives import measured_objectives
from study.search.ray_up_file import TrialCosts
from study.search.trial import State, Trial, TrialRecord, mean_over_folds
from study.storage.folder import Folder


@dataclass(frozen=True)
class ReportedEnd:
    """What the folds of a trial reported, the last of it once they were committed.

    Attributes:
        state: "completed" or "pruned".
        values: the metric's mean over folds at every epoch that was validated.
    """

    state: State
    values: Sequence[tuple[int, float]]


def finalize(
    ledger: Ledger,
    checkpoints: Folder,
    trial: Trial,
    completion_order: int,
    failure: str = "",
    reported: ReportedEnd | None = None,
    num_folds: int | None = None,
) -> TrialRecord | None:
    """Write down how a trial ended, if it has: all its folds are committed, or one failed.

    Args:
        ledger: the ledger.
        checkpoints: the folder of all trials' checkpoints.
        trial: the trial.
        completion_order: how many trials had ended before it; one that ends again keeps
            what it had.
        failure: why it was given up, with folds missing; "" if it was not.
        reported: what its folds reported, which spares reading it in what they committed.
        num_folds: how many folds it was to have, the first ones; None: all.

    Returns:
        The record, or None if folds are missing: the trial is to be run again.
    """
    committed = ledger.committed(trial.name)
    is_whole = set(committed) >= set(trial.folds[:num_folds])
    if is_whole and reported and not failure:
        end, reason = reported, ""
    else:
        with ThreadPoolExecutor() as readers:
            manifests = [each for each in readers.map(ledger.fold, committed) if each]
        failed = [manifest for manifest in manifests if manifest.state == "failed"]
        reason = "; ".join(f"fold {m.fold}: {m.reason}" for m in failed) or failure
        if not reason and not is_whole:
            return None
        end = ReportedEnd("failed", []) if reason else _end(ledger, manifests)
    objectives: Mapping[str, float] = {}
    if trial.config.metrics and end.state != "failed":
        manifests = [each for each in map(ledger.fold, trial.folds) if each]
        objectives = measured_objectives(ledger, manifests, trial.config.metrics)
    before = ledger.trial(trial.name)
    record = TrialRecord(
        trial=trial,
        state=end.state,
        reason=reason,
        values=list(end.values),
        completion_order=before.completion_order if before else completion_order,
        num_folds=num_folds,
        objectives=objectives,
    )
    ledger.record_trial(record)
    checkpoints.remove(trial.name)
    return record


def split_by_completeness(ledger: Ledger) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Return the records of ended trials whose folds are all committed, and of the others.

    A fold of the others was damaged and put aside, or is lost: it is trained again, and
    the trial ends as it had.
    """
    complete: list[TrialRecord] = []
    incomplete: list[TrialRecord] = []
    for record in ledger.trials():
        is_complete = record.state == "failed" or ledger.has_all_folds(record)
        (complete if is_complete else incomplete).append(record)
    return complete, incomplete


def interrupted_stop(ledger: Ledger, trial: Trial) -> int | None:
    """Return the epoch of a stop that some folds have committed, if others have not; or None."""
    for address in trial.folds:
        manifest = ledger.fold(address)
        if manifest is not None and manifest.state == "pruned":
            return manifest.last_epoch
    return None


def measured_costs(ledger: Ledger, ended: Sequence[TrialRecord]) -> TrialCosts | None:
    """Return what trials that ended, and did not fail, took; None if there is none."""
    hours, devices = [], set()
    for record in ended:
        manifests = [ledger.fold(address) for address in ledger.committed(record.name)]
        timings = [read_json(ledger, each, TIMINGS) for each in manifests if each]
        if record.state != "failed" and timings:
            seconds = max(each["train_seconds"] + each["evaluate_seconds"] for each in timings)
            hours.append(seconds / 3600)
            devices |= {str(each["device"]) for each in timings}
    return (
        TrialCosts(len(hours), sum(hours) / len(hours), tuple(sorted(devices))) if hours else None
    )


def _end(ledger: Ledger, manifests: Sequence[FoldManifest]) -> ReportedEnd:
    """Return what the folds of a trial reported, from what they committed."""
    is_pruned = any(manifest.state == "pruned" for manifest in manifests)
    values = _mean_values(ledger, manifests)
    return ReportedEnd("pruned" if is_pruned else "completed", values)


RowsByFold = Mapping[int, Mapping[int, Mapping[str, Any]]]
"""Rows of histories by epoch and fold."""


def validated_rows(ledger: Ledger, record: TrialRecord) -> RowsByFold:
    """Return the rows of each fold that is committed, at every epoch that was validated."""
    return _validated_rows(ledger, filter(None, map(ledger.fold, record.folds)))


def mean_of_first(ledger: Ledger, record: TrialRecord, folds: int, epoch: int) -> float:
    """Return the metric's mean at an epoch over the first folds, or what is left of them.

    Where all of these are lost it is the mean over all folds, as the record has it.
    """
    rows = validated_rows(ledger, record).get(epoch, {})
    first = [row["value"] for fold, row in rows.items() if fold < folds]
    return mean_over_folds(first) if first else dict(record.values)[epoch]


def _mean_values(ledger: Ledger, manifests: Iterable[FoldManifest]) -> list[tuple[int, float]]:
    """Return the metric's mean over folds at every epoch that was validated."""
    return [
        (epoch, mean_over_folds([row["value"] for row in rows.values()]))
        for epoch, rows in sorted(_validated_rows(ledger, manifests).items())
    ]


def _validated_rows(ledger: Ledger, manifests: Iterable[FoldManifest]) -> RowsByFold:
    by_epoch: dict[int, dict[int, Mapping[str, Any]]] = {}
    for manifest in manifests:
        for row in read_history(ledger, manifest):
            if "value" in row:
                by_epoch.setdefault(int(row["epoch"]), {})[manifest.fold] = row
    return by_epoch
