"""What a study shows on the terminal, or in a log file, while it runs."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from study.search.budget import Budget
from study.search.trial import Trial, TrialRecord, fold_name
from study.search.trial_source import TrialSource

LOG_WIDTH = 120


def open_console() -> Console:
    """Return a terminal's console, or one that writes plain lines.

    What `!` starts in a notebook has a terminal that is not one: it cannot move upwards, so
    that a bar would be printed again at every change. Kernels name themselves to what they
    start by JPY_PARENT_PID.
    """
    if sys.stdout.isatty() and "JPY_PARENT_PID" not in os.environ:
        return Console()
    return Console(width=LOG_WIDTH, force_terminal=False)


class Display:
    """Progress of trials, folds and epochs, with the time left.

    On a terminal it is a bar for the study and one for each running trial; in a log
    file it is a line for each validation. It observes a search; see
    `study.cluster.search_state`.
    """

    def __init__(
        self, name: str, source: TrialSource, console: Console, budget: Budget | None = None
    ) -> None:
        self._source, self._console, self._budget = source, console, budget or Budget()
        self._ended: dict[str, TrialRecord] = {}
        self._reached: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._started = time.monotonic()
        self._before = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task(
            f"{name}: epochs of all trials", total=source.epochs, status=""
        )

    def start(self, ended: Sequence[TrialRecord]) -> None:
        """Begin, with the trials that have ended before."""
        self._ended = {record.name: record for record in ended}
        self._before = self._ended_epochs()
        self._started = time.monotonic()
        self._progress.start()

    def stop(self) -> None:
        """Leave the terminal as it is."""
        self._progress.stop()

    def on_result(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """Show what a trial's folds report after an epoch."""
        epoch = int(result["epoch"])
        self._reached[trial.name] = epoch
        status = _status(trial, result)
        label, epochs = trial_label(trial), _epochs(trial)
        if trial.name not in self._tasks:
            self._tasks[trial.name] = self._progress.add_task(
                f"  {label}", total=epochs, status=status
            )
        self._progress.update(self._tasks[trial.name], completed=epoch, status=status)
        left = self._update_all()
        if not self._console.is_terminal:
            self._print(
                f"{label}: epoch {epoch} of {epochs}, {status};"
                f" {len(self._ended)} of {self._source.size} trials ended, {left}"
            )

    def on_death(self, trial: Trial, reason: str, *, is_replaced: bool) -> None:
        """Show that processes of a trial died."""
        go_on = "others go on from the checkpoints of its folds"
        self._print(
            f"{trial_label(trial)}: its processes died ({reason});"
            f" {go_on if is_replaced else 'it is left to the next run'}"
        )

    def on_news(self, line: str) -> None:
        """Show what happened to folds or nodes."""
        self._print(line)

    def on_ended(self, record: TrialRecord) -> None:
        """Show that a trial has ended."""
        self._ended[record.name] = record
        self._reached.pop(record.name, None)
        if record.name in self._tasks:
            self._progress.remove_task(self._tasks.pop(record.name))
        self._update_all()
        trial = record.trial
        outcome = record.reason or f"best {_metric(trial)} {_value(trial, record.best_value)}"
        self._print(f"{trial_label(trial)} {record.state}: {outcome}")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def _update_all(self) -> str:
        done = self._ended_epochs() + sum(self._reached.values())
        # Time for all trials is no estimate of what is left then: what runs, and repetitions.
        is_spent = self._budget.is_spent(self._ended)
        left = "no trial is proposed any more" if is_spent else self._time_left(done)
        if spent := self._budget.shown(self._ended):
            left += f"; {spent} spent"
        self._progress.update(self._all, completed=done, status=left)
        return left

    def _ended_epochs(self) -> int:
        return sum(_epochs(record.trial) for record in self._ended.values())

    def _time_left(self, done: int) -> str:
        trained = done - self._before
        if trained <= 0:
            return "time left unknown"
        seconds = (time.monotonic() - self._started) / trained * (self._source.epochs - done)
        if seconds < 90:
            return f"about {seconds:.0f} s left"
        if seconds < 5400:
            return f"about {seconds / 60:.0f} min left"
        return f"about {seconds / 3600:.1f} h left"


def trial_label(trial: Trial) -> str:
    """Return a trial's name, with what a reader needs to tell it from others."""
    if trial.repeats:
        how = "another seed" if trial.is_confirmation else trial.protocol
        return f"{trial.name} ({trial.repeats}, {how})"
    if not trial.system:
        return trial.name
    return f"{trial.name} ({', '.join(trial.parameters.values())})"


def _epochs(trial: Trial) -> int:
    return trial.config.training.epochs


def _metric(trial: Trial) -> str:
    return f"{trial.config.metric.composition} {trial.config.metric.score}"


def _status(trial: Trial, result: Mapping[str, Any]) -> str:
    if result["state"] == "failed":
        return f"failed: {result['reason']}"
    names = [f"{fold_name(fold)}/value" for fold in range(trial.config.split.folds)]
    each = " ".join(_value(trial, result[name], 3) for name in names if name in result)
    return f"{_metric(trial)} {_value(trial, result['value'])} (folds {each})"


def _value(trial: Trial, value: float, digits: int = 4) -> str:
    """Return a value of the trial's metric; an error, whose sign is turned, as it is."""
    if trial.config.metric.reads_labels:
        return f"{value:.{digits}f}"
    return f"{-value:.{digits - 1}g}"
