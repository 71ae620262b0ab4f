"""The section on several metrics: the front, and how it grew."""

import pandas as pd
from matplotlib.ticker import MaxNLocator

from study.report.page import charts
from study.report.page.charts import ACCENT, INK, PAPER
from study.report.page.inputs import PageInputs, metric_label
from study.report.page.parts import Cell, Picture, Section, Table, count, format_setting


def front_sections(inputs: PageInputs) -> list[Section]:
    """Return the section, if the search improves several metrics."""
    frame, metrics = inputs.table("front"), inputs.study.search.metrics
    if frame.empty or not metrics:
        return []
    label = metric_label(inputs.study.search.metric)
    front = frame[frame["on_front"]].sort_values("value", ascending=False)
    names = ["value", *metrics]
    rows = [
        [Cell(row["trial"]), *(_shown(name, row[name]) for name in names)]
        for _, row in front.iterrows()
    ]
    table = Table(["trial", label, *metrics], rows, "trials that no other beats in all metrics")
    pictures = [_against(frame, front, name, label) for name in metrics]
    return [
        Section(
            "front", "Several metrics",
            "Filled dots are trials that no other beats in everything that the search improves; "
            "hollow ones are beaten. The study’s answer is the best by the metric alone; a trial "
            "is stopped only for what those have that are no worse in the others. Hypervolume is "
            "the share of the box between the worst and the best values that the front dominates: "
            "where it is flat, more trials add little.",
            [table], [*pictures, _growth(frame)],
        )
    ]  # fmt: skip


def _shown(name: str, value: float) -> Cell:
    """Return the cell of a metric; whole numbers are means over folds that have the same."""
    if name in ("parameters", "bytes"):
        return count(round(value))
    return Cell(format_setting(float(value)), "number")


def _against(frame: pd.DataFrame, front: pd.DataFrame, name: str, label: str) -> Picture:
    figure, axes = charts.panel(name, label)
    for rows, face in ((frame, PAPER), (front, ACCENT)):
        marks = axes.scatter(
            rows[name], rows["value"], s=18, facecolor=face, edgecolor=INK, linewidth=0.8
        )
        charts.link(marks, rows["trial"].str.removeprefix("trial-").astype(int).tolist())
    if name in ("microseconds", "parameters", "bytes") and frame[name].max() > frame[name].min():
        charts.logarithmic(axes, "x")
    return charts.picture(figure, f"{label} and {name}")


def _growth(frame: pd.DataFrame) -> Picture:
    figure, axes = charts.panel("completed trials", "hypervolume")
    axes.step(range(1, len(frame) + 1), frame["hypervolume"], where="post", color=ACCENT)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return charts.picture(figure, "how the front grew")
