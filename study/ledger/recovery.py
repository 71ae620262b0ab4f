"""Before a study goes on: what a fault left damaged is put aside and reported, never used.

A damaged file is moved to `damaged/`, with all that belongs to it, under the path that
it had. What the ledger then lacks is trained again.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from study.ledger import run_time
from study.ledger.ledger import LEARNED, PROPOSAL, TRIAL, DamagedError, Ledger
from study.ledger.trial_outcome import split_by_completeness
from study.ledger.verification import AT_A_TIME, fold_damage
from study.storage.folder import Folder

DAMAGED = "damaged"


def recover(results: Folder, ledger: Ledger | None = None) -> list[str]:
    """Put aside what is damaged in a study's results folder; return a line on each.

    Every file of the ledger is read, but for trials that the ledger knows to be sound, and
    every checkpoint. What is of no more use is deleted: Ray's state, halves of files,
    checkpoints of trials that have ended. Nobody else may use the folder.

    Args:
        results: the study's results folder.
        ledger: the one that the driver uses, which remembers what ended trials are sound.
    """
    results.sweep()
    results.remove("tune")
    ledger = ledger or Ledger.of(results)
    names = [name for name in ledger.names() if not ledger.is_known(name)]
    lines = [
        *_damaged_run_time(results, ledger),
        *_damaged_trials(results, ledger, names),
        *_damaged_folds(results, ledger, names),
        *_damaged_learned(results, ledger),
    ]
    ended = {record.name for record in split_by_completeness(ledger)[0]}
    with ThreadPoolExecutor(AT_A_TIME) as workers:
        left = ended.intersection(results.names("checkpoints"))
        list(workers.map(lambda name: results.remove(f"checkpoints/{name}"), left))
        list(workers.map(ledger.remember, [name for name in names if name in ended]))
    ledger.save()
    return [*lines, *_damaged_checkpoints(results)]


def _damaged_run_time(results: Folder, ledger: Ledger) -> Iterator[str]:
    try:
        run_time.stored_seconds(ledger)
    except DamagedError as error:
        aside = _put_aside(results, "ledger", run_time.FILE)
        yield f"{error}; it is put aside as {aside}, and a budget does not count what was before"


def _damaged_trials(results: Folder, ledger: Ledger, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        try:
            ledger.trial(name)
        except DamagedError as error:
            aside = _put_trial_aside(results, ledger, f"{name}/{TRIAL}")
            yield f"{error}; it is put aside as {aside} and made again from the trial's folds"
        yield from _damaged_search(results, ledger, name)


def _damaged_search(results: Folder, ledger: Ledger, name: str) -> Iterator[str]:
    """Put aside what the search wrote of a trial; with its proposal a trial has lost itself."""
    try:
        ledger.proposal(name)
    except DamagedError as error:
        if ledger.trial(name) is None:
            results.remove(f"checkpoints/{name}")
            aside = _put_trial_aside(results, ledger, name)
            yield f"{error}; the trial is put aside as {aside} and proposed anew"
            return
        aside = _put_trial_aside(results, ledger, f"{name}/{PROPOSAL}")
        yield f"{error}; it is put aside as {aside}"
    for decision in ledger.decision_names(name):
        try:
            ledger.decision(name, decision)
        except DamagedError as error:
            aside = _put_trial_aside(results, ledger, f"{name}/{decision}")
            again = "" if ledger.trial(name) else " and decided anew"
            yield f"{error}; it is put aside as {aside}{again}"


def _damaged_learned(results: Folder, ledger: Ledger) -> Iterator[str]:
    try:
        ledger.learned()
    except DamagedError as error:
        aside = _put_aside(results, "ledger", LEARNED)
        yield f"{error}; it is put aside as {aside} and learned anew"


def _damaged_folds(results: Folder, ledger: Ledger, names: Sequence[str]) -> Iterator[str]:
    with ThreadPoolExecutor(AT_A_TIME) as readers:
        folds = list(readers.map(ledger.folds, names))
        addresses = [address for each in folds for address in each]
        problems = list(readers.map(lambda address: fold_damage(ledger, address), addresses))
    for address, problem in zip(addresses, problems, strict=True):
        if problem:
            aside = _put_trial_aside(results, ledger, address.path)
            yield f"{problem}; the fold is put aside as {aside} and trained again"


def _damaged_checkpoints(results: Folder) -> Iterator[str]:
    checkpoints = results.folder("checkpoints")
    for trial in checkpoints.names():
        for fold in checkpoints.names(trial):
            path = f"{trial}/{fold}"
            for name in _damaged_checkpoint_names(checkpoints.folder(path)):
                where = checkpoints.locate(f"{path}/{name}")
                aside = _put_aside(results, "checkpoints", f"{path}/{name}")
                yield f"{where} is not what was written (sha256); it is put aside as {aside}"


def _damaged_checkpoint_names(folder: Folder) -> list[str]:
    if not any(name.startswith("checkpoint-") for name in folder.names()):
        return []
    from study.ledger.checkpoint import damaged_checkpoints  # imports PyTorch

    return damaged_checkpoints(folder)


def _put_trial_aside(results: Folder, ledger: Ledger, path: str) -> str:
    """Put a trial, or a part of it, aside; the ledger knows nothing of it any more."""
    aside = _put_aside(results, "ledger", path)
    ledger.forget(path.partition("/")[0])
    return aside


def _put_aside(results: Folder, part: str, path: str) -> str:
    """Move `part`/`path` below `damaged/`; return where it is now."""
    number, target = 1, f"{DAMAGED}/{path}"
    while results.exists(target):
        number += 1
        target = f"{DAMAGED}/{path}.{number}"
    results.move(f"{part}/{path}", target)
    return results.locate(target)
