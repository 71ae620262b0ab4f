"""Reading a whole ledger: every file is what was committed, or it is named."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from study.ledger.ledger import DamagedError, Ledger
from study.ledger.run_time import stored_seconds
from study.search.trial import FoldAddress

AT_A_TIME = 32
"""Files that are read at the same time: a store takes its time for each."""


def damages(ledger: Ledger) -> Iterator[str]:
    """Yield what is wrong with each file that is damaged, of the study, a trial or a fold."""
    yield from _study_damages(ledger)
    names = ledger.names()
    with ThreadPoolExecutor(AT_A_TIME) as readers:
        yield from filter(None, readers.map(lambda name: _trial_damage(ledger, name), names))
        addresses = [address for folds in readers.map(ledger.folds, names) for address in folds]
        yield from filter(None, readers.map(lambda each: fold_damage(ledger, each), addresses))


def _study_damages(ledger: Ledger) -> Iterator[str]:
    """Yield what is wrong with what is written of the whole study."""
    for read in (ledger.learned, partial(stored_seconds, ledger)):
        try:
            read()
        except DamagedError as error:
            yield str(error)


def fold_damage(ledger: Ledger, address: FoldAddress) -> str:
    """Return how a committed fold is damaged; "" if it is not, or is not committed."""
    try:
        manifest = ledger.fold(address)
        if manifest is not None:
            ledger.verify(manifest)
    except DamagedError as error:
        return str(error)
    return ""


def _trial_damage(ledger: Ledger, name: str) -> str:
    """Return what is wrong with what is written of a trial beside its folds; "" if nothing is."""
    try:
        ledger.trial(name)
        ledger.proposal(name)
        for decision in ledger.decision_names(name):
            ledger.decision(name, decision)
    except DamagedError as error:
        return str(error)
    return ""
