"""What the parts of one driver's search share; the ledger is what outlives it."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from study.ledger.ledger import Ledger
from study.ledger.trial_outcome import finalize
from study.search.sources import TrialSource
from study.search.trial import Trial, TrialRecord
from study.storage.folder import Folder


class Observer(Protocol):
    """Follows a search."""

    def on_result(self, trial: Trial, result: dict[str, Any]) -> None:
        """Take what the folds of a trial report of an epoch."""
        ...

    def on_ended(self, record: TrialRecord) -> None:
        """Take the record of a trial that ends."""
        ...

    def on_death(self, trial: Trial, reason: str, *, is_replaced: bool) -> None:
        """Take why processes of a trial died, and whether others replace them."""
        ...


@dataclass
class SearchState:
    """What the search, the scheduler and the callback of one driver share.

    Attributes:
        source: where trials come from.
        results: the study's results folder.
        ended: records of ended trials by name.
        incomplete: records, by name, of ended trials of which folds are lost: they end as
            they had.
        observer: follows the search.
        running: trials by Tune's own trial id.
        stopped: epoch of an early stop by the trial's name.
        failed: why a trial was given up, by name.
        lost: names of trials that this run could not finish.
        errors: what keeps the study from going on.
    """

    source: TrialSource
    results: Folder
    ended: dict[str, TrialRecord]
    incomplete: dict[str, TrialRecord]
    observer: Observer
    running: dict[str, Trial] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles what it is given; of this nothing is ever read back."""
        return {}

    @property
    def ledger(self) -> Ledger:
        """The study's ledger."""
        return Ledger(self.results.folder("ledger"))

    def finalize(self, trial: Trial) -> None:
        """Write down how a trial ended, or that this run could not finish it.

        What goes wrong is kept for the end: Tune, which calls this, would wait for ever.
        """
        record = None
        try:
            record = finalize(
                self.ledger,
                self.results.folder("checkpoints"),
                trial,
                self.stopped.get(trial.name),
                len(self.ended.keys() | self.incomplete.keys()),
                self.failed.get(trial.name, ""),
            )
        except Exception as error:
            self.errors.append(error)
        if record is None:
            self.lost.add(trial.name)
        else:
            self.ended[trial.name] = record
            self.observer.on_ended(record)
