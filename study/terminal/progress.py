"""What a study says on the terminal, or in a log file, while it runs."""

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

from study.config.schema import MetricSettings, Study
from study.ledger.ledger import TrialRecord, fold_name, trial_name
from study.search.plan import Plan
from study.search.sources import TWIN, has_twin, missing_trials, system_parameters

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
    file it is a line for each validation.
    """

    def __init__(self, study: Study, console: Console) -> None:
        self._study, self._console = study, console
        self._ended: set[int] = set()
        self._reached: dict[int, int] = {}
        self._tasks: dict[int, TaskID] = {}
        self._started = time.monotonic()
        self._before = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task(
            f"{study.name}: epochs of all trials", total=self._total, said=""
        )

    @property
    def _total(self) -> int:
        epochs = self._epochs_of(range(self._study.search.trials))
        return epochs + (self._study.training.epochs if has_twin(self._study) else 0)

    def _epochs_of(self, numbers: Iterable[int]) -> int:
        return sum(self._study.epochs(number) for number in numbers)

    def start(self, ended: Sequence[TrialRecord]) -> None:
        """Begin, with the trials that have ended before."""
        self._ended = {record.number for record in ended}
        self._before = self._epochs_of(self._ended)
        self._started = time.monotonic()
        self._progress.start()

    def stop(self) -> None:
        """Leave the terminal as it is."""
        self._progress.stop()

    def result(self, number: int, result: Mapping[str, Any]) -> None:
        """Show what a trial's folds say after an epoch."""
        epoch = int(result["epoch"])
        self._reached[number] = epoch
        said = self._values(number, result)
        name, epochs = described_trial(self._study, number), self._study.epochs(number)
        if number not in self._tasks:
            self._tasks[number] = self._progress.add_task(f"  {name}", total=epochs, said=said)
        self._progress.update(self._tasks[number], completed=epoch, said=said)
        left = self._update_all()
        if not self._console.is_terminal:
            self._console.print(
                f"{name}: epoch {epoch} of {epochs}, {said};"
                f" {len(self._ended)} of {self._study.search.trials} trials ended, {left}",
                highlight=False,
                soft_wrap=True,
            )

    def died(self, number: int, reason: str, is_replaced: bool) -> None:
        """Show that processes of a trial died."""
        name = described_trial(self._study, number)
        go_on = "others go on from the checkpoints of its folds"
        self._console.print(
            f"{name}: its processes died ({reason});"
            f" {go_on if is_replaced else 'it is left to the next run'}",
            highlight=False,
            soft_wrap=True,
        )

    def ended(self, record: TrialRecord) -> None:
        """Show that a trial has ended."""
        self._ended.add(record.number)
        self._reached.pop(record.number, None)
        if record.number in self._tasks:
            self._progress.remove_task(self._tasks.pop(record.number))
        self._update_all()
        name = described_trial(self._study, record.number)
        outcome = record.reason or f"best {self._metric(record.number)} {record.best_value:.4f}"
        self._console.print(f"{name} {record.state}: {outcome}", highlight=False, soft_wrap=True)

    def _metric(self, number: int) -> str:
        system = self._study.system_of(number)
        metric = system.metric if system else self._study.search.metric
        return f"{metric.composition} {metric.score}"

    def _values(self, number: int, result: Mapping[str, Any]) -> str:
        if result["state"] == "failed":
            return f"failed: {result['reason']}"
        folds = range(self._study.split.folds)
        each = " ".join(f"{result[f'{fold_name(fold)}/value']:.3f}" for fold in folds)
        return f"{self._metric(number)} {result['value']:.4f} (folds {each})"

    def _update_all(self) -> str:
        done = self._epochs_of(self._ended) + sum(self._reached.values())
        left = self._time_left(done)
        self._progress.update(self._all, completed=done, said=left)
        return left

    def _time_left(self, done: int) -> str:
        trained = done - self._before
        if trained <= 0:
            return "time left unknown"
        seconds = (time.monotonic() - self._started) / trained * (self._total - done)
        if seconds < 90:
            return f"about {seconds:.0f} s left"
        if seconds < 5400:
            return f"about {seconds / 60:.0f} min left"
        return f"about {seconds / 3600:.1f} h left"


def described_trial(study: Study, number: int) -> str:
    """Return a trial's name, with the system that it is and the protocol if there are several."""
    if number >= TWIN:
        return f"{trial_name(number)} ({trial_name(number - TWIN)}, {study.split.beside})"
    if not study.systems:
        return trial_name(number)
    said = system_parameters(study, number).values()
    return f"{trial_name(number)} ({', '.join(said)})"


def show_plan(
    console: Console,
    study: Study,
    plan: Plan,
    ended: Sequence[TrialRecord],
    trial_bytes: float,
    of_cluster: Mapping[str, str] | None = None,
) -> None:
    """Print what will run.

    Args:
        console: where to.
        study: the study.
        plan: resources of each fold, and trials at a time.
        ended: records of the trials that have ended.
        trial_bytes: what the ledger holds of each of them, on average; 0 if nothing.
        of_cluster: what else there is to say of where it runs, by the names of the lines.
    """
    left = len(missing_trials(study, {record.number: record for record in ended}))
    stopping = study.search.stopping
    epochs = max(study.epochs(number) for number in range(study.search.trials))
    lines = {
        "study": f"{study.name}: {'systems' if study.systems else study.model.name} on"
        f" {study.dataset.name}",
        "trials": f"{study.search.trials} x {study.split.folds} folds x"
        f" {epochs} epochs, {left} trials to run"
        + (f", {len(ended)} ended before" if ended else ""),
        "systems": ", ".join(study.systems),
        "protocols": study.split.protocol
        + (f"; then the best trial under {study.split.beside}" if has_twin(study) else "")
        + (f", {study.split.beside}" if study.systems and study.split.beside else ""),
        "searched": ", ".join(study.search.space) or "nothing",
        "early stops": f"ASHA from epoch {stopping.grace_epochs}, one in {stopping.reduction}"
        " goes on"
        if stopping
        else "none",
        "each fold": f"{plan.cpu:g} CPU, {plan.gpu:g} GPU, {plan.threads} thread(s)",
        "at a time": f"{plan.trials_at_a_time} trial(s), each with all its folds",
        **(of_cluster or {}),
        "disk": f"{trial_bytes / 1e6:.1f} MB a trial,"
        f" {trial_bytes * study.search.trials / 1e9:.2f} GB when all have ended"
        if trial_bytes
        else "known when a trial has ended",
    }
    for name, said in lines.items():
        if said:
            console.print(f"{name:>12}  {said}", highlight=False, soft_wrap=True)


def show_systems(console: Console, study: Study, summary: pa.Table) -> None:
    """Print each system's metric's composition on test, mean and deviation over folds."""
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
        chosen = _is_measured(row, study.systems[row["system"]].metric)
        if chosen and row["epoch_rule"] == "best_validation":
            table.add_row(*(row[name] for name in names), *_scores(row))
    console.print(table)


def _is_measured(row: Mapping[str, Any], metric: MetricSettings) -> bool:
    """Tell whether a row of the summary is of the composition that a metric is of."""
    form = row["latent_form"] or metric.latent_form
    return (row["composition"], form) == (metric.composition, metric.latent_form)


def _scores_table(names: Sequence[str]) -> Table:
    """Return an empty table of `names` and scores; numbers keep their lines, names may fold."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    for name in ("F1 weighted", "phi", "AUROC"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _scores(row: Mapping[str, Any]) -> Iterator[str]:
    return (_mean_and_deviation(row, metric) for metric in ("f1_weighted", "phi", "auroc"))


def show_summary(console: Console, study: Study, summary: pa.Table, best: TrialRecord) -> None:
    """Print the best trial's compositions, by mean and deviation over folds."""
    parameters = ", ".join(f"{key} {_shown(value)}" for key, value in best.parameters.items())
    console.print(
        f"\n{study.name}: {best.name} is the best of {study.search.trials} trial(s)"
        f"{f' ({parameters})' if parameters else ''}; on test, weights of the best validation"
        f" epoch, mean ± deviation over {study.split.folds} fold(s)",
        highlight=False,
    )
    table = _scores_table(["composition (form of L)", "supervision"])
    twin = trial_name(best.number + TWIN)
    for row in summary.to_pylist():
        of_twin = row["trial"] == twin and _is_measured(row, study.search.metric)
        if (row["trial"] == best.name or of_twin) and row["epoch_rule"] == "best_validation":
            form = f" ({row['latent_form']})" if row["latent_form"] else ""
            under = f", {row['protocol']}" if of_twin else ""
            table.add_row(f"{row['composition']}{form}{under}", row["supervision"], *_scores(row))
    console.print(table)
    console.print(
        "supervision: what saw validation labels; nothing, the threshold, or an SVM",
        highlight=False,
    )


def _mean_and_deviation(row: Mapping[str, Any], metric: str) -> str:
    deviation = row[f"{metric}_std"]
    spread = "" if math.isnan(deviation) else f"±{deviation:.3f}"
    return f"{row[f'{metric}_mean']:.3f}{spread}"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
