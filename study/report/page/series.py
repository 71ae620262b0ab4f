"""Sections of recordings and of several channels: metrics of points, and which channel it was."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from study.ledger.fold_files import COMPONENTS
from study.report.drawn_fold import DRAWN_FOLD
from study.report.page.inputs import Entry, PageInputs
from study.report.page.parts import (
    Cell,
    Section,
    Table,
    count,
    number,
    shown_error,
    with_interval,
    with_left_out,
    with_note,
)
from study.report.paper.basis import BEST
from study.report.paper.names import composition_label
from study.scores.compositions import R

MOST_OTHERS = 40
"""Rows of points of other compositions than the study's metric has."""
_METRICS = {
    "vus_roc": "VUS-ROC",
    "auc_pr": "AUC-PR",
    "range_f1": "range F₁",
    "affiliation_f1": "affiliation F₁",
    "event_recall": "share of events detected",
    "false_alarms_per_day": "false alarms a day",
    "point_adjusted_f1": "point-adjusted F₁",
    "point_adjusted_f1_random": "of a random score",
}


def point_sections(inputs: PageInputs) -> list[Section]:
    """Return the section on the points of recordings, if samples are windows of such."""
    if "vus_pr_mean" not in inputs.summary or not inputs.has_abnormal:
        return []
    names = [name for name in _METRICS if inputs.summary[f"{name}_mean"].notna().any()]
    of_metric: list[list[Cell]] = []
    others: list[list[Cell]] = []
    for entry in inputs.entries:
        for _, row in inputs.trial_summary(entry.name).dropna(subset="vus_pr_mean").iterrows():
            composition = composition_label(row["composition"], row["latent_form"])
            volume = (row[f"vus_pr_{end}"] for end in ("mean", "low", "high"))
            metrics = (number(row[f"{name}_mean"]) for name in names)
            rows = of_metric if row["of_metric"] else others
            rows.append([with_note(entry.label, composition), with_interval(*volume), *metrics])
    shown = [*of_metric, *others[:MOST_OTHERS]]
    head = ["", "VUS-PR", *(_METRICS[name] for name in names)]
    caption = "points of the test recordings; the marked rows are of the study’s metric"
    caption = with_left_out(caption, len(others), MOST_OTHERS, "summary")
    table = Table(head, shown, caption, frozenset(range(len(of_metric))))
    return [
        Section(
            "points", "Points of the recordings",
            "Means over folds. A point’s score is the mean of the windows that hold it, and VUS-PR "
            "the volume under precision and recall of points near an abnormal stretch (TSB-AD), "
            "which no threshold chooses. Point-adjusted F₁ takes one alarm for its whole stretch: "
            "compare it with that of a random score with as many alarms, and with nothing else.",
            tables=[table],
        )
    ] if shown else []  # fmt: skip


def channel_sections(inputs: PageInputs) -> list[Section]:
    """Return the section on channels, if there are several and their errors are known."""
    tables = [table for entry in inputs.drawn if (table := _channels(inputs, entry))]
    return [
        Section(
            "channels", "Which channel it was",
            "Median reconstruction error R of test samples by channel, and how often a channel "
            "has the largest one of an abnormal sample, each in units of its normal median.",
            tables=tables, notes=[f"Fold {DRAWN_FOLD}, its test samples."],
        )
    ] if tables else []  # fmt: skip


def _channels(inputs: PageInputs, entry: Entry) -> Table | None:
    """Return a row per channel; None of one channel, or where a class is missing."""
    stored = inputs.read(entry, COMPONENTS)
    frame = pd.DataFrame() if stored is None else stored.to_pandas()
    names = [str(name) for name in frame if str(name).startswith(f"{R}.")]
    if len(names) < 2:
        return None
    test = frame[(frame["split"] == "test") & (frame["epoch_rule"] == BEST)]
    normal, abnormal = (test.loc[test["label"] == label, names] for label in (0, 1))
    if normal.empty or abnormal.empty:
        return None
    usual, unusual = normal.median(), abnormal.median()
    largest = times_largest(abnormal, usual)
    rows = [
        [
            Cell(name.removeprefix(f"{R}.")),
            Cell(shown_error(usual[name]), "number", repr(float(usual[name]))),
            Cell(shown_error(unusual[name]), "number", repr(float(unusual[name]))),
            count(int(largest[at])),
        ]
        for at, name in enumerate(names)
    ]
    head = ["channel", "R of normal ones", "R of abnormal ones", "largest"]
    caption = f"{entry.label}: {len(abnormal)} abnormal samples"
    return Table(head, rows, caption, frozenset({int(largest.argmax())}))


def times_largest(errors: pd.DataFrame, usual: "pd.Series[float]") -> npt.NDArray[np.int_]:
    """Return of how many samples each channel has the largest error, in units of its usual one.

    Args:
        errors: a row per sample, a column per channel.
        usual: of each channel; where both are 0, its error is no larger than usual.
    """
    relative = (errors / usual).fillna(0.0).to_numpy()
    return np.bincount(relative.argmax(axis=1), minlength=relative.shape[1])
