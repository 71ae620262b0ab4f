"""What a study shows on the terminal, or in a log file, while it runs."""

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from study.config.schema import StoppingSettings, Study
from study.ledger.answer import ANSWER_RULE
from study.scores.settings import REPORTED_SCORES
from study.search.budget import Budget
from study.search.plan import Plan
from study.search.rungs import FoldSchedule
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
        outcome = record.reason or f"best {_metric(record.trial)} {record.best_value:.4f}"
        self._print(f"{trial_label(record.trial)} {record.state}: {outcome}")

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
    each = " ".join(f"{result[name]:.3f}" for name in names if name in result)
    return f"{_metric(trial)} {result['value']:.4f} (folds {each})"


def show_plan(
    console: Console,
    study: Study,
    source: TrialSource,
    plan: Plan,
    ended: Sequence[TrialRecord],
    trial_bytes: float,
    of_cluster: Mapping[str, str] | None = None,
) -> None:
    """Print what will run.

    Args:
        console: where to.
        study: the study.
        source: where its trials come from.
        plan: resources of each fold, and trials at a time.
        ended: records of the trials that have ended.
        trial_bytes: what the ledger holds of each of them, on average; 0 if nothing.
        of_cluster: what else is known of where it runs, by the names of the lines.
    """
    left = len(source.missing({record.name: record for record in ended}))
    facts = source.facts
    what = "systems" if "systems" in facts else ", ".join(study.model_names)
    lines = {
        "study": f"{study.name}: {what} on {study.dataset.name}",
        "trials": f"{source.size} x {study.split.folds} folds x"
        f" {source.longest} epochs, {left} trials to run"
        + (f", {len(ended)} ended before" if ended else ""),
        **facts,
        "early stops": _early_stops(study.search.stopping),
        "folds": _raced(FoldSchedule.of(study)),
        "each fold": f"{plan.cpu:g} CPU, {plan.gpu:g} GPU, {plan.threads} thread(s)",
        "at a time": _at_a_time(plan, study.split.folds),
        **(of_cluster or {}),
        "disk": f"{trial_bytes / 1e6:.1f} MB a trial,"
        f" {trial_bytes * source.size / 1e9:.2f} GB when all have ended"
        if trial_bytes
        else "known when a trial has ended",
    }
    for name, text in lines.items():
        if text:
            console.print(f"{name:>12}  {text}", highlight=False, soft_wrap=True)


def _at_a_time(plan: Plan, folds: int) -> str:
    trials = f"{plan.trials_at_a_time} trial(s)"
    if plan.slots is not None:
        what = f"{plan.slots} fold(s), of at most {trials}"
        return f"{what} with at most {plan.workers} each" if plan.workers else what
    if plan.workers:
        return (
            f"{trials}, each with {plan.workers} of its {folds} folds; the others wait their turn"
        )
    return f"{trials}, each with all its folds"


def _early_stops(stopping: StoppingSettings | None) -> str:
    if stopping is None:
        return "none"
    rungs = f"ASHA from epoch {stopping.grace_epochs}, one in {stopping.reduction} goes on"
    paired = stopping.paired
    return f"{rungs}; {paired.test} every {paired.interval} epochs" if paired else rungs


def _raced(schedule: FoldSchedule) -> str:
    """Say how many folds train up to which epoch; "" if all do from the start."""
    if not schedule.is_raced:
        return ""
    steps = [
        f"{schedule.at(rung)} to epoch {rung}"
        for rung in schedule.rungs
        if schedule.at(rung) < schedule.after(rung)
    ]
    return f"{', '.join(steps)}, then all {schedule.all_folds}"


def show_systems(console: Console, study: Study, summary: pa.Table) -> None:
    """Print each system's answer on test, mean and deviation over folds."""
    console.print(
        f"\n{study.name}: on test, weights of the best validation epoch, mean ± deviation over"
        f" {study.split.folds} fold(s)",
        highlight=False,
    )
    names = ["system", "protocol", "composition", "supervision"]
    if len(study.split.protocols) == 1:
        names.remove("protocol")
    table = _scores_table(names)
    for row in summary.to_pylist():
        if row["of_metric"] and row["epoch_rule"] == ANSWER_RULE:
            table.add_row(*(row[name] for name in names), *_scores(row))
    console.print(table)


def _scores_table(names: Sequence[str]) -> Table:
    """Return an empty table of `names` and scores; numbers keep their lines, names may fold."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    for name in ("F1 weighted", "phi", "AUROC"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _scores(row: Mapping[str, Any]) -> Iterator[str]:
    return (_mean_and_deviation(row, metric) for metric in REPORTED_SCORES)


def show_summary(
    console: Console,
    study: Study,
    ended: Sequence[TrialRecord],
    summary: pa.Table,
    best: TrialRecord,
) -> None:
    """Print the compositions of the best of the trials that ended, by mean and deviation."""
    trials = sum(not record.trial.is_repetition for record in ended)
    parameters = ", ".join(f"{key} {_shown(value)}" for key, value in best.trial.parameters.items())
    console.print(
        f"\n{study.name}: {best.name} is the best of {trials} trial(s)"
        f"{f' ({parameters})' if parameters else ''}; on test, weights of the best validation"
        f" epoch, mean ± deviation over {study.split.folds} fold(s)",
        highlight=False,
    )
    if all(math.isnan(row["f1_weighted_mean"]) for row in summary.to_pylist()):
        console.print(
            "no test sample is abnormal: there is no F1, phi or AUROC; scores.parquet has the"
            " thresholds, and normal_error, by which this trial was chosen",
            highlight=False,
        )
        return
    table = _scores_table(["composition (form of L)", "supervision"])
    repetition = replace(best.trial, is_repetition=True).name
    for row in summary.to_pylist():
        repeats = row["trial"] == repetition and row["of_metric"]
        if (row["trial"] == best.name or repeats) and row["epoch_rule"] == ANSWER_RULE:
            form = f" ({row['latent_form']})" if row["latent_form"] else ""
            under = f", {row['protocol']}" if repeats else ""
            metric = " *" if row["of_metric"] else ""
            name = f"{row['composition']}{form}{under}{metric}"
            table.add_row(name, row["supervision"], *_scores(row))
    console.print(table)
    console.print(
        "*: of the study's metric. supervision: what saw validation labels; nothing, the threshold,"
        " or an SVM",
        highlight=False,
    )


def show_front(console: Console, study: Study, front: pa.Table | None) -> None:
    """Print which trials none beats, of a search with several metrics."""
    if front is None:
        return
    metric = study.search.metric
    names = front.filter(front["on_front"])["trial"].to_pylist()
    console.print(
        f"the best is so by {metric.score} of {metric.composition}; none beats"
        f" {', '.join(names)} in that, {', '.join(study.search.metrics)} together",
        highlight=False,
    )


def _mean_and_deviation(row: Mapping[str, Any], metric: str) -> str:
    deviation = row[f"{metric}_std"]
    spread = "" if math.isnan(deviation) else f"±{deviation:.3f}"
    return f"{row[f'{metric}_mean']:.3f}{spread}"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
