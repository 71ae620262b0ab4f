"""What the parts of one driver's search share; the ledger is what outlives it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from study.config.schema import Study
from study.ledger.ledger import Ledger, TrialRecord
from study.ledger.trial_outcome import conclude
from study.search.sources import History
from study.storage.folder import Folder


@dataclass
class SearchState:
    """What the search, the scheduler and the callback of one driver share.

    Attributes:
        study: the study.
        results: its results folder.
        ended: records of ended trials by number.
        repaired: records, by number, of ended trials of which folds are lost: they end as
            they had.
        numbers: trial number by Tune's own trial id.
        parameters: searched settings by trial number.
        stopped: epoch of an early stop by trial number.
        failed: why a trial was given up, by number.
        lost: numbers of trials that this run could not finish.
        errors: what keeps the study from going on.
        history: what Optuna knows of the search.
        on_result: called with a trial's number and what its folds report.
        on_ended: called with the record of each trial that ends.
        on_death: called with the number of a trial whose processes died, with the reason, and
            whether others take their place.
    """

    study: Study
    results: Folder
    ended: dict[int, TrialRecord]
    repaired: dict[int, TrialRecord]
    on_result: Callable[[int, dict[str, Any]], None]
    on_ended: Callable[[TrialRecord], None]
    on_death: Callable[[int, str, bool], None]
    numbers: dict[str, int] = field(default_factory=dict)
    parameters: dict[int, dict[str, Any]] = field(default_factory=dict)
    stopped: dict[int, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.study)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles what it is given; of this nothing is ever read back."""
        return {}

    def conclude(self, number: int) -> None:
        """Write down how a trial ended, or that this run could not finish it.

        What goes wrong is kept for the end: Tune, which calls this, would wait for ever.
        """
        record = None
        try:
            record = conclude(
                Ledger(self.results.folder("ledger")),
                self.results.folder("checkpoints"),
                self.study,
                number,
                self.parameters[number],
                self.stopped.get(number),
                len(self.ended.keys() | self.repaired.keys()),
                self.failed.get(number, ""),
            )
        except Exception as error:
            self.errors.append(error)
        if record is None:
            self.lost.add(number)
        else:
            self.ended[number] = record
            self.on_ended(record)
