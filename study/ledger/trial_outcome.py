"""How a trial ended, read off its folds: completed, pruned or failed."""

from collections.abc import Iterable, Sequence

from study.ledger.fold_files import TIMINGS, read_history, read_json
from study.ledger.ledger import FoldManifest, Ledger, promote
from study.search.ray_up_file import TrialCosts
from study.search.trial import FoldAddress, State, Trial, TrialRecord, mean_over_folds
from study.storage.folder import Folder

STAGE_PREFIX = "stage-"


def stage_name(epoch: int) -> str:
    """Return the folder, beside a fold's checkpoints, of what would be committed at `epoch`."""
    return f"{STAGE_PREFIX}{epoch:06d}"


def finalize(
    ledger: Ledger,
    checkpoints: Folder,
    trial: Trial,
    stopped_epoch: int | None,
    completion_order: int,
    failure: str = "",
) -> TrialRecord | None:
    """Write down how a trial ended, if it has.

    Its state follows from the folds that the ledger holds. Of a trial that was
    stopped early, what its folds staged at `stopped_epoch` is committed first.

    Args:
        ledger: the ledger.
        checkpoints: the folder of all trials' checkpoints.
        trial: the trial.
        stopped_epoch: epoch at which the search stopped it, None if it did not.
        completion_order: how many trials had ended before it; one that ends again keeps
            what it had.
        failure: why it was given up, with folds missing; "" if it was not.

    Returns:
        The record, or None if folds are missing: the trial is to be run again.
    """
    manifests = {address: ledger.fold(address) for address in trial.folds}
    failed = [m for m in manifests.values() if m is not None and m.state == "failed"]
    reason = "; ".join(f"fold {m.fold}: {m.reason}" for m in failed) or failure
    missing = [address for address, manifest in manifests.items() if manifest is None]
    if not reason and missing:
        if stopped_epoch is None:
            return None
        for address in missing:
            manifests[address] = _commit_stage(ledger, checkpoints, address, stopped_epoch)
    committed = [manifest for manifest in manifests.values() if manifest is not None]
    before = ledger.trial(trial.name)
    record = TrialRecord(
        trial=trial,
        state="failed" if reason else _state(committed),
        reason=reason,
        values=[] if reason else _mean_values(ledger, committed),
        completion_order=before.completion_order if before else completion_order,
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
        committed = set(ledger.committed(record.name))
        is_complete = record.state == "failed" or committed >= set(record.trial.folds)
        (complete if is_complete else incomplete).append(record)
    return complete, incomplete


def interrupted_stop(ledger: Ledger, trial: Trial) -> int | None:
    """Return the epoch of a stop that was being committed when the driver died, or None."""
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


def _commit_stage(
    ledger: Ledger, checkpoints: Folder, address: FoldAddress, epoch: int
) -> FoldManifest:
    folder = checkpoints.folder(f"{address.path}/{stage_name(epoch)}")
    stage = Ledger(folder)
    staged = stage.fold(address)
    if staged is None:
        raise RuntimeError(f"{folder.locate()} holds no staged fold")
    return promote(stage, ledger, staged)


def _state(manifests: Iterable[FoldManifest]) -> State:
    return "pruned" if any(m.state == "pruned" for m in manifests) else "completed"


def _mean_values(ledger: Ledger, manifests: Iterable[FoldManifest]) -> list[tuple[int, float]]:
    """Return the metric's mean over folds at every epoch that was validated."""
    by_epoch: dict[int, list[float]] = {}
    for manifest in manifests:
        for row in read_history(ledger, manifest):
            if "value" in row:
                by_epoch.setdefault(int(row["epoch"]), []).append(row["value"])
    return [(epoch, mean_over_folds(values)) for epoch, values in sorted(by_epoch.items())]
