"""What a search decided, from the ledger: why each trial exists, and why each was stopped."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from study.config.schema import StoppingSettings
from study.ledger.ledger import Ledger
from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.report.tables import column
from study.search.trial import Proposal, RungDecision, TrialRecord


@dataclass(frozen=True)
class RungRow:
    """A row of `rungs.parquet`: a trial at a rung of early stopping.

    Attributes:
        trial: the trial's name.
        epoch: the rung's epoch.
        value: the metric's mean over folds there, on validation.
        cutoff: what the trials that had come to the rung before asked for: the quantile
            1 - 1/reduction of their values; nan for the first of them.
        earlier: how many had come before.
        goes_on: whether it trained on.
        order: how many decisions the search had made before.
        folds: how many folds the value is of; the first ones, the same for all trials.
        rule: what decided: `asha`, or `budget` where it was spent and stopped what ASHA let pass.
    """

    trial: str
    epoch: int
    value: float
    cutoff: float
    earlier: int
    goes_on: bool
    order: int
    folds: int
    rule: str


SEARCH_TABLES = frozenset(("trials", "rungs"))
OWN_COLUMNS = ("system", "split.protocol")
"""Parameters of trials that `TrialRow` has."""
RUNGS_SCHEMA = pa.schema(schema_fields(RungRow))


@dataclass(frozen=True)
class TrialRow:
    """A row of `trials.parquet`: a trial, what it was proposed from, and how it ended.

    Attributes:
        trial: the trial's name.
        system: the system of a study of systems; "" in a search.
        protocol: how samples were divided.
        repeats: the trial that it trains again under a second protocol; "" for none.
        proposed_after: trials that had ended when it was proposed; null where nothing was
            proposed, as in a study of systems.
        proposed_beside: names of the trials that ran then, with blanks between them.
        proposed_best: the best value of a completed trial that was known then; nan for none.
        sampler_seed: what the sampler was seeded with.
        state: `completed`, `pruned` or `failed`.
        reason: why, if it did not complete.
        completion_order: trials that had ended before it.
        epochs: the last epoch that all folds validated.
        best_epoch: the epoch of its best value; 0 if nothing was validated.
        best_value: the metric's mean over folds at that epoch, on validation.
        folds: how many folds it had; the first ones, if it was stopped before it had all.
    """

    trial: str
    system: str
    protocol: str
    repeats: str
    proposed_after: int | None
    proposed_beside: str
    proposed_best: float
    sampler_seed: int | None
    state: str
    reason: str
    completion_order: int
    epochs: int
    best_epoch: int
    best_value: float
    folds: int


def search_tables(
    ledger: Ledger,
    records: Sequence[TrialRecord],
    stopping: StoppingSettings | None,
    num_folds: int,
) -> dict[str, pa.Table]:
    """Return `trials.parquet` and `rungs.parquet` by name; one without rows is left out.

    Args:
        ledger: holds what was proposed and decided.
        records: how trials ended, failed ones too, in order.
        stopping: the study's.
        num_folds: folds of a trial that is not stopped.
    """
    tables = {
        "trials": trials_table(records, ledger.proposals()),
        "rungs": rungs_table(ledger.decisions(), stopping, num_folds),
    }
    return {name: table for name, table in tables.items() if table.num_rows}


def trials_table(records: Sequence[TrialRecord], proposals: Iterable[Proposal]) -> pa.Table:
    """Return `trials.parquet`: the columns of `TrialRow`, then one for each searched setting."""
    by_name = {proposal.trial.name: proposal for proposal in proposals}
    best = _BestSoFar(records)
    rows = [_trial_row(record, by_name.get(record.name), best) for record in records]
    values: dict[str, Any] = {
        name: pa.array([getattr(row, name) for row in rows], kind)
        for name, kind in schema_fields(TrialRow)
    }
    parameters = [_parameters(record) for record in records]
    for name in sorted({name for each in parameters for name in each}):
        values[f"param.{name}"] = column([each.get(name) for each in parameters])
    return pa.table(values)


class _BestSoFar:
    """The best value of completed trials, by how many trials had ended."""

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        ended = sorted(records, key=lambda record: record.completion_order)
        values = [
            record.best_value
            if record.state == "completed" and not record.trial.is_repetition
            else math.nan
            for record in ended
        ]
        self._orders = [record.completion_order for record in ended]
        self._best = np.fmax.accumulate([math.nan, *values])

    def after(self, ended: int) -> float:
        """Return the best of the first `ended` trials that ended; nan for none."""
        return float(self._best[bisect_left(self._orders, ended)])


def _trial_row(record: TrialRecord, proposal: Proposal | None, best: _BestSoFar) -> TrialRow:
    trial = record.trial
    validated = dict(record.values)
    return TrialRow(
        trial=record.name,
        system=trial.system,
        protocol=trial.protocol,
        repeats=trial.repeats or "",
        proposed_after=proposal.ended if proposal else None,
        proposed_beside=" ".join(proposal.running) if proposal else "",
        proposed_best=best.after(proposal.ended) if proposal else math.nan,
        sampler_seed=proposal.seed if proposal else None,
        state=record.state,
        reason=record.reason,
        completion_order=record.completion_order,
        epochs=max(validated, default=0),
        best_epoch=max(validated, key=validated.__getitem__, default=0),
        best_value=record.best_value,
        folds=len(record.folds),
    )


def _parameters(record: TrialRecord) -> Mapping[str, Any]:
    return {key: value for key, value in record.trial.parameters.items() if key not in OWN_COLUMNS}


def rungs_table(
    decisions: Sequence[RungDecision], stopping: StoppingSettings | None, num_folds: int
) -> pa.Table:
    """Return `rungs.parquet`, in the order of the decisions; arguments as of `search_tables`."""
    return table_from_rows(
        RUNGS_SCHEMA, [field_values(row) for row in _rung_rows(decisions, stopping, num_folds)]
    )


def _rung_rows(
    decisions: Sequence[RungDecision], stopping: StoppingSettings | None, num_folds: int
) -> Iterator[RungRow]:
    earlier: defaultdict[int, list[float]] = defaultdict(list)
    for each in decisions:
        before = earlier[each.epoch]
        cutoff = _cutoff(before, stopping)
        yield RungRow(
            trial=each.trial,
            epoch=each.epoch,
            value=each.value,
            cutoff=cutoff,
            earlier=len(before),
            goes_on=each.goes_on,
            order=each.order,
            folds=each.folds or num_folds,
            rule=each.rule or "asha",
        )
        before.append(each.value)


def _cutoff(earlier: Sequence[float], stopping: StoppingSettings | None) -> float:
    """Return what a rung asks for (Li et al. 2020, as Ray Tune computes it); nan for nothing."""
    if not earlier or stopping is None:
        return math.nan
    return float(np.quantile(earlier, 1 - 1 / stopping.reduction))
