"""Sections of a search: trials in turn, settings against the metric, all settings at once."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.config.search_space import Distribution
from study.report.page import charts
from study.report.page.charts import ACCENT, FAINT, INK, MUTED, PAPER
from study.report.page.inputs import PageInputs, metric_label
from study.report.page.parts import Picture, Section, shown_value, with_noun
from study.report.page.positions import Positions
from study.search.range_ends import range_ends
from study.search.trial import TrialRecord

MOST_SETTINGS = 12
MOST_BEST = 20
"""Lines in colour where all settings are drawn at once: a tenth of all, and no more than these."""
MANY = 200
"""Lines from which on each is drawn fainter."""


def search_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections of a study that searches; none for one of systems."""
    if not inputs.is_search or len(inputs.records) < 2:
        return []
    return [_over_time(inputs), *_settings(inputs)]


def _over_time(inputs: PageInputs) -> Section:
    records = inputs.records
    figure, axes = _panel(inputs, "trial", wide=True)
    _scatter(axes, inputs.listed, lambda record: float(record.trial.number))
    best = np.fmax.accumulate(
        [r.best_value if r.state == "completed" else math.nan for r in records]
    )
    turns = np.append(np.flatnonzero(np.append(True, best[1:] != best[:-1])), len(best) - 1)
    numbers = [records[turn].trial.number for turn in turns]
    axes.step(numbers, best[turns], where="post", color=ACCENT, linewidth=1.2, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    failed = [record.trial.number for record in inputs.listed if record.state == "failed"]
    if failed:
        floor = axes.get_ylim()[0]
        marks = axes.scatter(failed, [floor] * len(failed), marker="x", s=20, color=MUTED,
                             label="failed")  # fmt: skip
        charts.link(marks, failed)
    return Section(
        "over-time", "Trials over time",
        "Each dot is a trial at the best epoch of its mean over folds, the line the best "
        "completed one so far. A line that has long been flat means that more trials of this kind "
        "would add little.",
        pictures=[charts.picture(figure, "the metric on validation, by trial", wide=True)],
    )  # fmt: skip


def _settings(inputs: PageInputs) -> list[Section]:
    space = dict(list(inputs.study.search.space.items())[:MOST_SETTINGS])
    records = [r for r in inputs.listed if r.state != "failed" and not math.isnan(r.best_value)]
    if not space or len(records) < 2:
        return []
    left = len(inputs.study.search.space) - len(space)
    notes = [f"{end.advice}." for end in range_ends(inputs.study, inputs.records)]
    if left:
        notes.append(f"{with_noun(left, 'more setting')} left out, by their order in the file.")
    against = Section(
        "settings", "Every searched setting against the metric",
        "A cloud that rises to one side shows which values do better; one that is flat, that "
        "the setting hardly matters in this range. Stopped trials stand where they were stopped, "
        "so that they are of few epochs.",
        pictures=[_against(inputs, key, form, records) for key, form in space.items()],
        notes=notes,
    )  # fmt: skip
    return [against, _parallel(inputs, space, records)]


def _against(
    inputs: PageInputs, key: str, form: Distribution, records: Sequence[TrialRecord]
) -> Picture:
    figure, axes = _panel(inputs, key)
    scale = Positions(form)
    records = [record for record in records if key in record.parameters]
    _scatter(axes, records, lambda record: scale.position(record.parameters[key]))
    scale.set_ticks(axes)
    return charts.picture(figure, f"{key} against the metric")


def _parallel(
    inputs: PageInputs, space: dict[str, Distribution], records: Sequence[TrialRecord]
) -> Section:
    ranked = sorted(records, key=lambda r: (r.state == "completed", r.best_value))
    top = max(1, min(MOST_BEST, len(ranked) // 10))
    figure, axes = charts.panel("", "", wide=True)
    values = np.array([record.best_value for record in ranked])
    low, high = float(values.min()), float(values.max())
    columns = [
        [form.share(p[k]) if k in p else math.nan for p in (r.parameters for r in ranked)]
        for k, form in space.items()
    ]
    columns.append(list((values - low) / (high - low or 1.0)))
    lines = np.stack([np.broadcast_to(np.arange(len(columns)), (len(ranked), len(columns))),
                      np.array(columns).T], axis=2)  # fmt: skip
    opacity = 0.45 if len(ranked) < MANY else 0.2
    for part, colour, width, alpha in (
        (slice(0, -top), MUTED, 0.6, opacity), (slice(-top, None), ACCENT, 1.5, 0.9),
    ):  # fmt: skip
        drawn = LineCollection(list(lines[part]), colors=colour, linewidths=width, alpha=alpha)
        charts.link(drawn, [record.trial.number for record in ranked[part]])
        axes.add_collection(drawn)
    names = [*(key.rpartition(".")[2] for key in space), inputs.study.search.metric.score]
    is_error = not inputs.study.search.metric.reads_labels
    worst, most = (shown_value(value, is_error=is_error) for value in (low, high))
    ends = [Positions(form).ends for form in space.values()] + [(worst, most)]
    for x, (name, (first, last)) in enumerate(zip(names, ends, strict=True)):
        axes.axvline(x, color=FAINT, linewidth=0.8)
        side = "left" if not x else "right" if x == len(names) - 1 else "center"
        axes.text(x, 1.12, name, ha=side, color=INK)
        for y, text in ((-0.09, first), (1.04, last)):
            axes.text(x, y, text, ha=side, color=MUTED, fontsize=charts.LETTER - 1)
    axes.set(xlim=(-0.05, len(names) - 0.95), ylim=(-0.12, 1.2))
    axes.axis("off")
    return Section(
        "parallel", "All settings at once",
        f"A line is a trial; the best {top} in colour. Where coloured lines run "
        "through one point of an axis, good trials agree on it.",
        pictures=[charts.picture(figure, "settings and the metric of each trial", wide=True)],
    )  # fmt: skip


def _panel(inputs: PageInputs, x: str, *, wide: bool = False) -> tuple[Figure, Axes]:
    """Return an empty picture of the metric over `x`."""
    metric = inputs.study.search.metric
    return charts.panel(x, metric_label(metric), wide=wide, is_error=not metric.reads_labels)


def _scatter(
    axes: Axes, records: Sequence[TrialRecord], position: Callable[[TrialRecord], float]
) -> None:
    """Draw trials by state: completed ones filled, stopped ones hollow."""
    for state, face, label in (("pruned", PAPER, "stopped early"), ("completed", INK, "completed")):
        shown = [r for r in records if r.state == state and not math.isnan(r.best_value)]
        if shown:
            marks = axes.scatter(
                [position(record) for record in shown], [record.best_value for record in shown],
                s=16, facecolor=face, edgecolor=INK, linewidth=0.8, alpha=0.75, label=label,
            )  # fmt: skip
            charts.link(marks, [record.trial.number for record in shown])
