"""The table of all trials: settings, how each ended, what it reached, and what it took."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from study.config.schema import MetricSettings
from study.ledger.answer import answers, best_record
from study.ledger.view import RunningTrial
from study.report.metric_on_test import metric_on_test
from study.report.model_card import CARD, card_folder
from study.report.page.inputs import PageInputs, metric_label
from study.report.page.parts import (
    Cell,
    Section,
    Table,
    count,
    decimal,
    format_setting,
    had_and_needed,
    shown_error,
    with_note,
    with_noun,
)
from study.report.paper.names import system_label
from study.search.rungs import FoldSchedule
from study.search.trial import Trial, TrialRecord

STATES = {"completed": "completed", "pruned": "stopped early", "failed": "failed"}
LONGEST_REASON = 160
TENSORBOARD = "http://localhost:6006/?runFilter={}"
"""TensorBoard at its default address, with the runs of one trial."""


def trials_section(inputs: PageInputs, running: Sequence[RunningTrial] = ()) -> Section:
    """Return the table of all trials, the best first; those that run stand before it."""
    columns = _Columns(inputs)
    ended = sorted(inputs.listed, key=_rank)
    rows = [columns.of_running(each) for each in running]
    rows += [columns.of_ended(record) for record in ended]
    trials = [*(each.trial for each in running), *(record.trial for record in ended)]
    best = best_record(inputs.study, inputs.records)
    marked = frozenset(
        index for index, trial in enumerate(trials) if best and trial.name == best.name
    )
    metric = metric_label(columns.metrics[0]) if len(columns.metrics) == 1 else "its metric"
    links = Markup(
        "Links lead to files beside this page, in the results folder. Those to TensorBoard work "
        "while <code>tensorboard --logdir tensorboard</code> runs there."
    )
    return Section(
        "trials", "All trials",
        f"Each with how it ended, {metric}, and its settings. On validation that is the mean over "
        "folds at the one epoch at which it is best, by which trials are chosen."
        f"{_ON_TEST * columns.has_tested} Completed trials stand first, the best of them above, "
        f"then those that were stopped, and failed ones.{_STOPPED * columns.has_stopped}",
        tables=[Table(
            columns.head, rows, "trials", marked,
            key="trials", row_keys=[str(trial.number) for trial in trials],
        )] if rows else [],
        notes=list(filter(None, [inputs.listed_note, links if columns.has_files else ""])),
    )  # fmt: skip


_STOPPED = (
    " The value of a stopped trial is of fewer epochs, and where folds are raced of fewer folds: a "
    "short trial may stand above a longer one."
)
_ON_TEST = (
    " Beside it stands the mean on test, each fold with the weights of its own best epoch: who "
    "chooses a trial by it has no test set left."
)


def _rank(record: TrialRecord) -> tuple[int, bool, float, int]:
    """Return what trials are sorted by: completed ones by value, then stopped, then failed ones.

    A stopped trial is never best, whatever it had after few epochs.
    """
    value, state = record.best_value, list(STATES).index(record.state)
    return state, np.isnan(value), -np.nan_to_num(value), record.trial.number


@dataclass(frozen=True)
class _Columns:
    """The columns of the table, which are those that the study has values of."""

    inputs: PageInputs

    @cached_property
    def metrics(self) -> list[MetricSettings]:
        """The metrics of the trials."""
        return list(dict.fromkeys(record.trial.config.metric for record in self.inputs.records))

    @cached_property
    def head(self) -> list[str]:
        """Names of the columns."""
        scores = {metric.score for metric in self.metrics}
        value = scores.pop() if len(scores) == 1 else "metric"
        named = ["trial", *(["protocol"] * self._has_systems), "state", f"{value} on validation"]
        named += [f"{value} on test"] * bool(self._tested) + self._settings + ["epochs"]
        named += ["folds"] * self._is_raced + ["by fold on test"] * bool(self._tested)
        named += ["seconds of its folds"] * bool(self._seconds)
        return [*named, *(["files"] * self.has_files)]

    @cached_property
    def has_files(self) -> bool:
        """Whether rows link to files: of a study that is reported."""
        return "scores" in self.inputs.tables

    @property
    def has_stopped(self) -> bool:
        """Whether rows are of trials that were stopped early."""
        return any(record.state == "pruned" for record in self.inputs.listed)

    @property
    def has_tested(self) -> bool:
        """Whether rows have values on test."""
        return bool(self._tested)

    def of_ended(self, record: TrialRecord) -> list[Cell]:
        """Return the cells of a trial that has ended."""
        note = self._stops.get(record.name, "") if record.state == "pruned" else record.reason
        state = with_note(STATES[record.state], note[:LONGEST_REASON])
        epochs = record.values[-1][0] if record.values else 0
        return self._cells(record.trial, state, epochs, record.num_folds, record.best_value)

    def of_running(self, running: RunningTrial) -> list[Cell]:
        """Return the cells of a trial that runs."""
        note = f"{with_noun(running.committed, 'fold')} committed" if running.committed else ""
        last = running.decisions[-1] if running.decisions else None
        epoch, folds, value = (last.epoch, last.folds, last.value) if last else (0, None, np.nan)
        return self._cells(running.trial, with_note("running", note), epoch, folds, value)

    def _cells(
        self, trial: Trial, state: Cell, epochs: int, folds: int | None, value: float
    ) -> list[Cell]:
        tested = self._tested.get(trial.name, ())
        each = "  ".join(decimal(fold) for fold in tested)
        label = with_note(trial.name, system_label(trial.system)) if trial.system else None
        cells = [label or Cell(trial.name)]
        cells += [Cell(trial.protocol)] * self._has_systems
        cells += [state, _precise(value) if trial.config.metric.reads_labels else _error(-value)]
        if self._tested:
            cells.append(_precise(float(np.mean(tested)) if len(tested) else np.nan))
        cells += [_setting(trial.parameters.get(key)) for key in self._settings]
        cells += [count(epochs)]
        cells += [count(folds or trial.config.split.folds)] * self._is_raced
        cells += [Cell(each)] * bool(self._tested)
        if self._seconds:
            cells.append(_precise(self._seconds.get(trial.name, np.nan), 1))
        return [*cells, *([Cell(self._files(trial), "links")] * self.has_files)]

    @cached_property
    def _is_raced(self) -> bool:
        """Whether trials have different numbers of folds."""
        return FoldSchedule.of(self.inputs.study).is_raced

    @cached_property
    def _has_systems(self) -> bool:
        return not self.inputs.is_search

    @cached_property
    def _settings(self) -> list[str]:
        """Keys of the searched settings."""
        return list(self.inputs.study.search.space) if self.inputs.is_search else []

    @cached_property
    def _tested(self) -> Mapping[str, list[float]]:
        """Values of each trial's metric on test, by fold, with the weights of the best epoch."""
        if "scores" not in self.inputs.tables:
            return {}
        measured = [r for r in self.inputs.records if r.trial.config.metric.reads_labels]
        if not measured:
            return {}
        frame = metric_on_test(self.inputs.tables["scores"], measured)
        return {str(name): values.tolist() for name, values in frame.groupby("trial")["value"]}

    @cached_property
    def _seconds(self) -> Mapping[str, float]:
        """Seconds of training and scoring of all folds of each trial."""
        timings = self.inputs.table("timings")
        if timings.empty:
            return {}
        seconds = timings["train_seconds"] + timings["evaluate_seconds"]
        return {
            str(name): float(sum_) for name, sum_ in seconds.groupby(timings["trial"]).sum().items()
        }

    @cached_property
    def _stops(self) -> Mapping[str, str]:
        """Why each stopped trial was, by its name."""
        is_error = not self.inputs.study.search.metric.reads_labels
        stopped = [row for row in self.inputs.rows("rungs") if not row["goes_on"]]
        return {row["trial"]: _stop(row, is_error) for row in stopped}

    @cached_property
    def _with_events(self) -> frozenset[str]:
        return frozenset(self.inputs.results.names("tensorboard"))

    @cached_property
    def _with_cards(self) -> frozenset[str]:
        """Names of the trials that have a model card, as `write_model_cards` writes them."""
        completed = [r for r in self.inputs.records if r.state == "completed"]
        return frozenset(each.record.name for each in answers(self.inputs.study, completed))

    def _files(self, trial: Trial) -> Markup:
        return Markup(" ").join(
            Markup('<a href="{}">{}</a>').format(where, what)
            for what, where in self._locations(trial)
        )

    def _locations(self, trial: Trial) -> Iterator[tuple[str, str]]:
        yield "ledger", f"../ledger/{trial.name}/"
        if trial.name in self._with_events:
            yield "TensorBoard", TENSORBOARD.format(trial.name)
        if trial.name in self._with_cards:
            yield "card", f"{quote(card_folder(self.inputs.study, trial))}{CARD}"


def _stop(row: Mapping[str, Any], is_error: bool) -> str:
    """Return what a stopped trial had, and why it was stopped; `row` is of `rungs.parquet`."""
    had, needed = had_and_needed(row, is_error=is_error)
    reasons = {
        "asha": f"needed {needed}",
        "paired": f"worse than {row['against']} (p {decimal(row['p'])})",
        "budget": "when the budget was spent",
    }
    return f"had {had} at epoch {row['epoch']}, {reasons[row['rule']]}"


def _setting(value: object) -> Cell:
    style = "number" if isinstance(value, int | float) else "text"
    return Cell(format_setting(value), style, "" if value is None else str(value))


def _error(value: float) -> Cell:
    """Return the cell of a mean error, as `_precise` does."""
    return Cell(shown_error(value), "number", "" if np.isnan(value) else repr(float(value)))


def _precise(value: float, digits: int = 3) -> Cell:
    """Return a number's cell, which is sorted by and downloaded with all its digits."""
    return Cell(decimal(value, digits), "number", "" if np.isnan(value) else repr(float(value)))
