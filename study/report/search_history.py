"""What a search decided, from the ledger: why each trial exists, and why each was stopped."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from study.config.schema import SearchSettings
from study.ledger.ledger import Ledger
from study.report.confirmation import confirmed_values
from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.report.tables import column
from study.search.objectives import other_bounds, other_losses
from study.search.rungs import AtRung, cutoff, no_worse
from study.search.trial import LearnedTrial, Proposal, RungDecision, Trial, TrialRecord


@dataclass(frozen=True)
class RungRow:
    """A row of `rungs.parquet`: a trial at a rung of early stopping.

    Attributes:
        trial: the trial's name.
        epoch: the rung's epoch.
        value: the metric's mean over folds there, on validation.
        cutoff: what the trials that had come to the rung before asked for: the quantile
            1 - 1/reduction of their values; nan for the first of them, and between rungs.
        earlier: how many had come before; with `search.metrics`, of those that are no worse in any
            of these: it is held against no other.
        goes_on: whether it trained on.
        order: how many decisions the search had made before.
        folds: how many folds the value is of; the first ones, the same for all trials.
        rule: what decided: `asha`, `paired` (a comparison with the best completed trial, between
            rungs), or `budget` where it was spent and stopped what the others let pass.
        against: the trial that it was compared with; "" for none.
        p: that it is no worse than that one; nan for none.
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
    against: str
    p: float


SEARCH_TABLES = frozenset(("trials", "rungs"))
OWN_COLUMNS = ("system", "split.protocol", "seed")
"""Parameters of trials that `TrialRow` has, or that say which trial it is."""
RUNGS_SCHEMA = pa.schema(schema_fields(RungRow))


@dataclass(frozen=True)
class TrialRow:
    """A row of `trials.parquet`: a trial, what it was proposed from, and how it ended.

    Attributes:
        trial: the trial's name.
        system: the system of a study of systems; "" in a search.
        protocol: how samples were divided.
        repeats: the trial that it trains again, under a second protocol or with another seed;
            "" for none.
        origin: what its settings are from: `sampler`, `enqueued` (`search.enqueue`), `learned` (a
            trial of another study, `search.learn_from`), `repetition`, `confirmation` or
            `system`; "" where that is not known.
        learned_from: results folder of that other study; "" for none.
        proposed_after: trials that had ended when it was proposed; null where nothing was
            proposed, as in a study of systems.
        proposed_beside: names of the trials that ran then, with blanks between them.
        proposed_best: the best value of a completed trial that was known then; nan for none.
        sampler_seed: what the sampler was seeded with, when it was first asked for this trial.
        state: `completed`, `pruned` or `failed`.
        reason: why, if it did not complete.
        completion_order: trials that had ended before it; -1 of those that are learned from.
        epochs: the last epoch that all folds validated.
        best_epoch: the epoch of its best value; 0 if nothing was validated.
        best_value: the metric's mean over folds at that epoch, on validation.
        folds: how many folds it had; the first ones, if it was stopped before it had all;
            null for one of another study.
        confirmed_value: the same of the trial trained again with another seed
            (`search.confirm`); nan for none.
    """

    trial: str
    system: str
    protocol: str
    repeats: str
    origin: str
    learned_from: str
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
    folds: int | None
    confirmed_value: float


def search_tables(
    ledger: Ledger,
    records: Sequence[TrialRecord],
    search: SearchSettings,
    num_folds: int,
) -> dict[str, pa.Table]:
    """Return `trials.parquet` and `rungs.parquet` by name; one without rows is left out.

    Args:
        ledger: holds what was proposed and decided.
        records: how trials ended, failed ones too, in order.
        search: the study's.
        num_folds: folds of a trial that is not stopped.
    """
    tables = {
        "trials": trials_table(records, ledger.proposals(), ledger.learned()),
        "rungs": rungs_table(ledger.decisions(), search, num_folds),
    }
    return {name: table for name, table in tables.items() if table.num_rows}


def trials_table(
    records: Sequence[TrialRecord],
    proposals: Iterable[Proposal],
    learned: Sequence[LearnedTrial] = (),
) -> pa.Table:
    """Return `trials.parquet`: the columns of `TrialRow`, then one for each searched setting.

    Trials of other studies that the search learned from come last.
    """
    by_name = {proposal.trial.name: proposal for proposal in proposals}
    best, confirmed = _BestSoFar(records), confirmed_values(records)
    rows = [
        _trial_row(record, by_name.get(record.name), best, confirmed.get(record.name, math.nan))
        for record in records
    ]
    rows += map(_learned_row, learned)
    values: dict[str, Any] = {
        name: pa.array([getattr(row, name) for row in rows], kind)
        for name, kind in schema_fields(TrialRow)
    }
    trials: list[TrialRecord | LearnedTrial] = [*records, *learned]
    parameters = [_parameters(trial.parameters) for trial in trials]
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


def _trial_row(
    record: TrialRecord, proposal: Proposal | None, best: _BestSoFar, confirmed: float
) -> TrialRow:
    trial = record.trial
    validated = dict(record.values)
    return TrialRow(
        trial=record.name,
        system=trial.system,
        protocol=trial.protocol,
        repeats=trial.repeats or "",
        origin=_origin(trial, proposal),
        learned_from="",
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
        confirmed_value=confirmed,
    )


def _origin(trial: Trial, proposal: Proposal | None) -> str:
    if trial.is_repetition:
        return "confirmation" if trial.is_confirmation else "repetition"
    if trial.system:
        return "system"
    return proposal.origin if proposal else ""


def _learned_row(trial: LearnedTrial) -> TrialRow:
    validated = dict(trial.values)
    return TrialRow(
        trial=trial.name,
        system="",
        protocol="",
        repeats="",
        origin="learned",
        learned_from=trial.results,
        proposed_after=None,
        proposed_beside="",
        proposed_best=math.nan,
        sampler_seed=None,
        state=trial.state,
        reason="",
        completion_order=-1,
        epochs=max(validated, default=0),
        best_epoch=max(validated, key=validated.__getitem__, default=0),
        best_value=trial.best_value,
        folds=None,
        confirmed_value=math.nan,
    )


def _parameters(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in parameters.items() if key not in OWN_COLUMNS}


def rungs_table(
    decisions: Sequence[RungDecision], search: SearchSettings, num_folds: int
) -> pa.Table:
    """Return `rungs.parquet`, in the order of the decisions; arguments as of `search_tables`."""
    return table_from_rows(
        RUNGS_SCHEMA, [field_values(row) for row in _rung_rows(decisions, search, num_folds)]
    )


def _rung_rows(
    decisions: Sequence[RungDecision], search: SearchSettings, num_folds: int
) -> Iterator[RungRow]:
    earlier: defaultdict[int, list[AtRung]] = defaultdict(list)
    for each in decisions:
        is_rung = each.rule != "paired" and each.p is None
        before = no_worse(earlier[each.epoch], other_bounds(each.objectives, search.metrics))
        asked = cutoff(before, search.stopping.reduction) if search.stopping else math.nan
        yield RungRow(
            trial=each.trial,
            epoch=each.epoch,
            value=each.value,
            cutoff=asked if is_rung else math.nan,
            earlier=len(before),
            goes_on=each.goes_on,
            order=each.order,
            folds=each.folds or num_folds,
            rule=each.rule or "asha",
            against=each.against or "",
            p=math.nan if each.p is None else each.p,
        )
        losses = other_losses(each.objectives, search.metrics)
        earlier[each.epoch].append(AtRung(each.value, losses))
