"""What came of a study, as `study.run` prints it at its end."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from study.config.schema import Study
from study.ledger.answer import ANSWER_RULE
from study.scores.settings import REPORTED_SCORES
from study.search.range_ends import range_ends
from study.search.trial import TrialRecord

_POINTS = "vus_pr_mean"
"""A column of studies whose samples are windows of recordings."""


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
    table = _scores_table(names, summary)
    for row in summary.to_pylist():
        if row["of_metric"] and row["epoch_rule"] == ANSWER_RULE:
            table.add_row(*(row[name] for name in names), *_scores(row))
    console.print(table)


def _scores_table(names: Sequence[str], summary: pa.Table) -> Table:
    """Return an empty table of `names` and scores; numbers keep their lines, names may fold."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    has_points = _POINTS in summary.column_names
    for name in ("F1 weighted", "phi", "AUROC", *(["VUS-PR"] if has_points else [])):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _scores(row: Mapping[str, Any]) -> Iterator[str]:
    of_points = ("vus_pr",) if _POINTS in row else ()
    return (_mean_and_deviation(row, metric) for metric in (*REPORTED_SCORES, *of_points))


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
    table = _scores_table(["composition (form of L)", "supervision"], summary)
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


def show_range_ends(console: Console, study: Study, ended: Sequence[TrialRecord]) -> None:
    """Print at which ends of what was searched the best trials lie."""
    for end in range_ends(study, ended):
        console.print(end.advice, highlight=False)


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
