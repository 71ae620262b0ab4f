"""Before a study goes on: what a fault left behind is put aside and said, never used.

A damaged file is moved to `damaged/`, with all that belongs to it, under the place that
it had. What is missing then is trained again: the ledger says what that is.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from study.config.schema import Study
from study.ledger.ledger import TRIAL, DamagedError, Ledger, fold_name, trial_name
from study.ledger.trial_outcome import STAGE_PREFIX, split_by_wholeness
from study.storage.folder import Folder

DAMAGED = "damaged"


def recover(results: Folder, study: Study) -> list[str]:
    """Put aside what is damaged in a study's results folder; return a line on each.

    Every file of the ledger and every checkpoint is read. What is of no more use is
    deleted: Ray's state, halves of files, checkpoints of trials that have ended. Nobody
    else may use the folder.
    """
    results.sweep()
    results.remove("tune")
    ledger = Ledger(results.folder("ledger"))
    lines = [*_damaged_trials(results, ledger), *_damaged_folds(results, ledger)]
    for record in split_by_wholeness(ledger, study)[0]:
        results.remove(f"checkpoints/{record.name}")
    return [*lines, *_damaged_checkpoints(results)]


def _damaged_trials(results: Folder, ledger: Ledger) -> Iterator[str]:
    for number in ledger.numbers():
        try:
            ledger.trial(number)
        except DamagedError as error:
            aside = _put_aside(results, "ledger", f"{trial_name(number)}/{TRIAL}")
            yield f"{error}; it is put aside as {aside} and told anew from the trial's folds"


def _damaged_folds(results: Folder, ledger: Ledger) -> Iterator[str]:
    places = [(trial_name(n), f) for n in ledger.numbers() for f in ledger.folds(trial_name(n))]
    with ThreadPoolExecutor() as readers:
        problems = list(readers.map(lambda place: _problem(ledger, *place), places))
    for (trial, fold), problem in zip(places, problems, strict=True):
        if problem:
            aside = _put_aside(results, "ledger", f"{trial}/{fold_name(fold)}")
            yield f"{problem}; the fold is put aside as {aside} and trained again"


def _damaged_checkpoints(results: Folder) -> Iterator[str]:
    """A damaged checkpoint goes alone; a damaged stage takes all of the fold along."""
    checkpoints = results.folder("checkpoints")
    for trial in checkpoints.names():
        for fold in checkpoints.names(trial):
            place = f"{trial}/{fold}"
            problem = _staging_problem(checkpoints.folder(place))
            if problem:
                aside = _put_aside(results, "checkpoints", place)
                yield f"{problem}; the fold's checkpoints are put aside as {aside}"
                continue
            for name in _unsound(checkpoints.folder(place)):
                where = checkpoints.locate(f"{place}/{name}")
                aside = _put_aside(results, "checkpoints", f"{place}/{name}")
                yield f"{where} is not what was written (sha256); it is put aside as {aside}"


def _unsound(folder: Folder) -> list[str]:
    if not any(name.startswith("checkpoint-") for name in folder.names()):
        return []
    from study.ledger.checkpoint import damaged_checkpoints  # imports PyTorch

    return damaged_checkpoints(folder)


def _staging_problem(folder: Folder) -> str:
    for name in folder.names():
        if name.startswith(STAGE_PREFIX):
            stage = Ledger(folder.folder(name))
            for trial in stage.folder.names():
                number = next(iter(stage.folds(trial)), None)
                if number is not None and (problem := _problem(stage, trial, number)):
                    return problem
    return ""


def _problem(ledger: Ledger, trial: str, fold: int) -> str:
    """Return what is wrong with a fold; nothing is with one that is not committed."""
    try:
        manifest = ledger.fold(trial, fold)
        if manifest is not None:
            ledger.verify(manifest)
    except DamagedError as error:
        return str(error)
    return ""


def _put_aside(results: Folder, part: str, path: str) -> str:
    """Move `part`/`path` to where damaged things of its place are kept; return where."""
    number, target = 1, f"{DAMAGED}/{path}"
    while results.exists(target):
        number += 1
        target = f"{DAMAGED}/{path}.{number}"
    results.move(f"{part}/{path}", target)
    return results.locate(target)
