"""What the parts of one driver's search share; the ledger is what outlives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from study.cluster.slots import Slots
from study.ledger.ledger import Ledger
from study.ledger.trial_outcome import ReportedEnd, finalize
from study.search.budget import Budget
from study.search.trial import Trial, TrialRecord
from study.search.trial_source import TrialSource
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

    def on_news(self, line: str) -> None:
        """Take a line on what happened to folds or nodes; called from a thread of its own."""
        ...


@dataclass
class SearchState:
    """What the search, the scheduler and the callback of one driver share.

    Attributes:
        source: where trials come from.
        results: the study's results folder.
        ledger: its ledger, opened for the whole run.
        ended: records of ended trials by name.
        incomplete: records, by name, of ended trials of which folds are lost: they end as
            they had.
        observer: follows the search.
        slots: what running trials take of the cluster.
        budget: what the search may take.
        running: trials by Tune's own trial id.
        promoted: the last rung that a trial was let pass, by its name.
        stopped: epoch of an early stop by the trial's name.
        begun: names of trials that the ledger knew when this driver came.
        interrupted: epoch, by the trial's name, of an early stop that not all folds had
            committed when the driver before this one ended.
        values: the metric's mean over folds by the trial's name, as its folds report it.
        reported: what trials reported of their end, by name.
        failed: why a trial was given up, by name.
        lost: names of trials that this run could not finish.
        errors: what keeps the study from going on.
    """

    source: TrialSource
    results: Folder
    ledger: Ledger
    ended: dict[str, TrialRecord]
    incomplete: dict[str, TrialRecord]
    observer: Observer
    slots: Slots
    budget: Budget = field(default_factory=Budget)
    running: dict[str, Trial] = field(default_factory=dict)
    promoted: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)
    begun: frozenset[str] = frozenset()
    interrupted: dict[str, int] = field(default_factory=dict)
    values: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    reported: dict[str, ReportedEnd] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts; of this nothing is ever read back."""
        return {}

    @property
    def known_ended(self) -> dict[str, TrialRecord]:
        """Records of all ended trials by name, with those of which folds are lost."""
        return {**self.incomplete, **self.ended}

    def take(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """Remember what all folds of a trial report of an epoch; resumed ones repeat some."""
        epoch, state = int(result["epoch"]), result["state"]
        values = self.values.setdefault(trial.name, [])
        values[:] = [(before, value) for before, value in values if before < epoch]
        values.append((epoch, float(result["value"])))
        if state in ("completed", "pruned"):
            values = self.values.pop(trial.name)
            if not self.slots.schedule.is_raced:  # else folds that came later have values too
                self.reported[trial.name] = ReportedEnd(state, values)

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
                self._completion_order(trial),
                self.failed.get(trial.name, ""),
                self.reported.pop(trial.name, None),
                self._num_folds(trial),
            )
            if record:
                self.ledger.remember(trial.name)
        except Exception as error:
            self.errors.append(error)
        self.slots.end(trial)
        if record is None:
            self.lost.add(trial.name)
        else:
            self.ended[trial.name] = record
            self.observer.on_ended(record)

    def remove_checkpoints(self) -> None:
        """Remove what is left of checkpoints, unless a trial that has not ended goes on from them.

        There may be such trials beyond the number that the study asks for now.
        """
        if set(self.ledger.names()) <= self.ended.keys():
            self.results.remove("checkpoints")

    def _completion_order(self, trial: Trial) -> int:
        """Return how many trials ended before one; its own order where its record was damaged.

        That is the smallest that no other has: a trial that this driver began ends after all.
        """
        orders = {record.completion_order for record in self.known_ended.values()}
        following = max(orders, default=-1) + 1
        if trial.name not in self.begun:
            return following
        return next(order for order in range(following + 1) if order not in orders)

    def _num_folds(self, trial: Trial) -> int | None:
        """Return how many folds a trial was to have that was stopped at a rung; None for all."""
        if trial.name not in self.stopped:
            return None
        return self.slots.schedule.some_at(self.stopped[trial.name])
