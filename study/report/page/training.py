"""Learning curves: the metric and the losses over epochs."""

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from study.ledger.answer import best_record
from study.report.page import charts
from study.report.page.charts import ACCENT, INK, MUTED
from study.report.page.inputs import Entry, PageInputs, metric_label, thinned
from study.report.page.parts import Picture, Section, decimal
from study.scores.settings import NORMAL_ERROR, REPORTED_SCORES

MOST_VERTICES = 30_000
"""Points of the curves of all trials together, unless that leaves a curve fewer than these:"""
LEAST_POINTS = 10
MOST_POINTS = 1500
"""Points of the curve of one fold."""
DASHES = ("-", "--", ":", "-.")
NO_LOSS = frozenset(("epoch", "value", *REPORTED_SCORES, NORMAL_ERROR))


def learning_section(inputs: PageInputs) -> Section:
    """Return the learning curves."""
    epochs = inputs.table("epochs")
    notes = []
    if len(inputs.entries) > len(inputs.drawn):
        trained = [entry for entry in inputs.entries if not entry.fitted_once]
        notes.append(f"Drawn are the {len(inputs.drawn)} best by validation of "
                     f"{len(trained)} trained; epochs.parquet has all.")  # fmt: skip
    pictures = [p for p in (trial_curves(inputs),) if p]
    if not epochs.empty:
        for entry in inputs.drawn:
            rows = epochs[epochs["trial"] == entry.name]
            pictures += [p for p in (_folds(entry, rows), _losses(entry, rows)) if p]
    return Section(
        "learning", "Learning curves",
        "First the metric on validation: grey lines are folds, the orange one their mean over "
        "folds. A ring is a fold’s own best epoch, whose weights were kept and score on test; the "
        "dot is the best epoch of the mean, by which trials are chosen. A mean that still "
        "rises at the end asks for more epochs, lines far apart for more folds. Beside it the "
        "losses of an epoch, means over folds. In a picture of all trials a dot is where one was "
        "stopped.",
        columns=2, pictures=pictures,
        notes=notes or ([] if pictures else ["Nothing here is trained."]),
    )  # fmt: skip


def trial_curves(inputs: PageInputs) -> Picture | None:
    """Draw every trial's mean over folds, the best in colour; None if there is nothing to compare.

    Trials are drawn beside each other only where all have one metric.
    """
    records = [record for record in inputs.listed if len(record.values) > 1]
    metrics = {record.trial.config.metric for record in records}
    best = best_record(inputs.study, records)
    if len(records) < 2 or len(metrics) > 1 or best is None:
        return None
    figure, axes = charts.panel("epoch", metric_label(metrics.pop()), wide=True)
    points = max(LEAST_POINTS, MOST_VERTICES // len(records))
    lines = [np.array(record.values)[thinned(len(record.values), points)] for record in records]
    curves = LineCollection(lines, colors=MUTED, linewidths=0.7, alpha=0.5)
    charts.link(curves, [record.trial.number for record in records])
    axes.add_collection(curves)
    stopped = [record for record in records if record.state == "pruned"]
    if stopped:
        epochs, values = np.array([record.values[-1] for record in stopped]).T
        ends = axes.scatter(epochs, values, s=14, color=INK, label="stopped early")
        charts.link(ends, [record.trial.number for record in stopped])
    axes.plot(*np.array(best.values).T, color=ACCENT, linewidth=2, label=best.name)
    axes.autoscale()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return charts.picture(figure, "every trial, mean over folds", wide=True)


def _folds(entry: Entry, rows: pd.DataFrame) -> Picture | None:
    validated = rows.dropna(subset=["value"])
    if validated.empty or entry.fitted_once:
        return None
    figure, axes = charts.panel("epoch", metric_label(entry.metric))
    bests = []
    for _, fold in validated.groupby("fold"):
        at = thinned(len(fold), MOST_POINTS)
        axes.plot(fold["epoch"].iloc[at], fold["value"].iloc[at], color=MUTED, linewidth=0.8)
        bests.append(fold.iloc[int(fold["value"].argmax())])
    epochs, values = np.array([[best["epoch"], best["value"]] for best in bests]).T
    axes.scatter(epochs, values, s=28, facecolor="none", edgecolor=INK,
                 label=f"each fold’s best epoch, mean {decimal(values.mean())}")  # fmt: skip
    mean = validated.groupby("epoch")["value"].mean()
    axes.plot(mean.index, mean, color=ACCENT, linewidth=1.8)
    axes.scatter([mean.index[int(mean.argmax())]], [mean.max()], s=28, color=ACCENT, zorder=3,
                 label=f"best epoch of the mean over folds, {decimal(mean.max())}")  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return charts.picture(figure, f"{entry.label}: folds on validation")


def _losses(entry: Entry, rows: pd.DataFrame) -> Picture | None:
    names = _loss_names(rows)
    if not names or entry.fitted_once:
        return None
    figure, axes = charts.panel("epoch", "loss")
    for index, name in enumerate(names):
        mean = rows.groupby("epoch")[name].mean()
        axes.plot(mean.index, mean, DASHES[index % len(DASHES)], label=name.replace("_", " "),
                  color=(INK, ACCENT, MUTED)[index % 3], linewidth=1.3)  # fmt: skip
    if all((rows[name].dropna() > 0).all() for name in names):
        charts.logarithmic(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return charts.picture(figure, f"{entry.label}: losses")


def _loss_names(rows: pd.DataFrame) -> list[str]:
    """Return the columns of losses that these rows have values of."""
    return [
        name
        for name in rows.columns
        if name not in NO_LOSS | {"fold"}
        and "/" not in name
        and pd.api.types.is_numeric_dtype(rows[name])
        and rows[name].notna().any()
    ]
