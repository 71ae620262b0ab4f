"""Sections on what a search learned: importance, and what values and pairs of values are worth."""

import math
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd

from study.config.search_space import Distribution
from study.report.marginals import LEARNED_FROM, MOST_TRIALS
from study.report.page import charts
from study.report.page.charts import ACCENT, INK, MUTED
from study.report.page.inputs import PageInputs, metric_label
from study.report.page.parts import Picture, Section, shown_value, with_noun
from study.report.page.positions import Positions

MOST_SETTINGS = 12
LEVELS = 6


def learned_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections; of a search that learned too little, one that says so."""
    if not inputs.is_search or not inputs.study.search.space or len(inputs.records) < 2:
        return []
    frame = inputs.table("importance")
    if frame.empty:
        valued = sum(not math.isnan(record.best_value) for record in inputs.records)
        note = f"Left out: {_why_not(valued)}."
        return [Section("importance", IMPORTANCE_TITLE, _importance_reading(inputs), notes=[note])]
    return [_importance(inputs, frame), *_effects(inputs)]


IMPORTANCE_TITLE = "Which settings matter"


def _importance_reading(inputs: PageInputs) -> str:
    return (
        f"How much of the metric’s variance on {_split(inputs)} is due to each setting alone, by "
        "the random forest of the next section (fANOVA, Hutter et al. 2014). Shares add up to 1 "
        "however little there is to share; beside each stands the range of the metric over its "
        "values, and the next section shows in which direction."
    )


def _split(inputs: PageInputs) -> str:
    """Return of which samples the values are: the error of normals is of validation alone."""
    return "test" if inputs.study.search.metric.reads_labels else "validation"


def _why_not(trials: int) -> str:
    """Return why there is no importance.

    Args:
        trials: how many have a value.
    """
    if trials < LEARNED_FROM:
        return (
            f"{with_noun(trials, 'trial')} cannot tell which setting matters; {LEARNED_FROM} that "
            "did not fail are needed, stopped ones included"
        )
    return "trials do not differ, or no fold has values of half of them"


def _importance(inputs: PageInputs, frame: pd.DataFrame) -> Section:
    figure, axes = charts.panel("share of importance", "")
    rising = frame.iloc[::-1]
    axes.barh(range(len(rising)), rising["share"], color=ACCENT, height=0.55)
    axes.set_yticks([])
    axes.grid(visible=False)
    for height, row in enumerate(rising.to_dict("records")):
        text = f"{row['setting']}  {row['share']:.2f}, a range of {row['spread']:.3f}"
        axes.text(0, height + 0.3, text, va="bottom", color=INK, fontsize=charts.LETTER)
    axes.set(xlim=(0, 1), ylim=(-0.5, len(rising)))
    axes.spines["left"].set_visible(False)
    drawn = charts.picture(
        figure, "importance by setting, and the range of the metric over its values"
    )
    return Section("importance", IMPORTANCE_TITLE, _importance_reading(inputs), pictures=[drawn],
                   notes=[_learned_from(inputs, frame)])  # fmt: skip


def _learned_from(inputs: PageInputs, frame: pd.DataFrame) -> str:
    """Return of which trials and folds importance is."""
    trials, stopped = int(frame["trials"].iloc[0]), int(frame["stopped"].iloc[0])
    folds = int(inputs.table("marginals")["folds"].iloc[0])
    note = f"Of {trials:,} trials, {stopped:,} of them stopped early."
    if folds < inputs.study.split.folds:
        note += (
            f" On {with_noun(folds, 'fold')} of {inputs.study.split.folds}, which at least half of"
            " the trials had."
        )
    return f"{note} More are taken from evenly." if trials == MOST_TRIALS else note


def _effects(inputs: PageInputs) -> Iterator[Section]:
    frame = inputs.table("marginals")
    space, metric = inputs.study.search.space, inputs.study.search.metric
    label, is_error = metric_label(metric), not metric.reads_labels
    alone, pairs = frame[frame["other"] == ""], frame[frame["other"] != ""]
    epochs, folds = (int(alone[name].iloc[0]) for name in ("epochs", "folds"))
    settings = list(dict.fromkeys(alone["setting"]))
    shown, left = settings[:MOST_SETTINGS], settings[MOST_SETTINGS:]
    interval = "of one fold, so that there is no interval"
    if folds > 1:
        interval = "the band is a 95 % interval over folds"
    limits = _limits(alone)
    yield Section(
        "effects", "What each value is worth",
        f"The {label} on {_split(inputs)} that a random forest expects of a trial of {epochs} "
        f"epochs with this value, over what trials had of all other settings, on one scale; "
        f"{interval}. Unlike the clouds above, short trials are not held against a value here.",
        pictures=[
            _effect(alone[alone["setting"] == key], Positions(space[key]), label, limits, is_error)
            for key in shown
        ],
        notes=[f"{with_noun(len(left), 'more setting')} in marginals.parquet."] if left else [],
    )  # fmt: skip
    if pairs.empty:
        return
    yield Section(
        "pairs", "Pairs of settings",
        "The same of two settings together, those of most importance. Thick lines are better; the "
        "dot is the best pair of the grid. Where lines run straight along an axis, the other "
        "setting does not matter there.",
        pictures=[
            _pair(part, space, is_error)
            for _, part in pairs.groupby(["setting", "other"], sort=False)
            if part["mean"].notna().all() and min(
                part["position"].nunique(), part["other_position"].nunique()) > 1
        ],
        folded=True,
    )  # fmt: skip


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of one axis for all means and intervals, so that pictures compare."""
    values = rows[["mean", "low", "high"]].to_numpy()
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.05 * (high - low) or 0.01
    return low - margin, high + margin


def _effect(
    rows: pd.DataFrame,
    scale: Positions,
    label: str,
    limits: tuple[float, float],
    is_error: bool,
) -> Picture:
    key = str(rows["setting"].iloc[0])
    figure, axes = charts.panel(key, label, is_error=is_error)
    axes.set_ylim(*limits)
    at, mean = rows["position"].to_numpy(), rows["mean"].to_numpy()
    low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
    if scale.is_choice:
        axes.errorbar(at, mean, yerr=np.stack([mean - low, high - mean]), fmt="o", color=ACCENT,
                      ecolor=MUTED, markersize=5, capsize=3)  # fmt: skip
    else:
        axes.fill_between(at, low, high, color=MUTED, alpha=0.25, linewidth=0)
        axes.plot(at, mean, color=ACCENT)
    scale.set_ticks(axes)
    return charts.picture(figure, f"{key}: what its values are worth")


def _pair(rows: pd.DataFrame, space: Mapping[str, Distribution], is_error: bool) -> Picture:
    best = rows.iloc[int(rows["mean"].argmax())]
    first, second = str(best["setting"]), str(best["other"])
    figure, axes = charts.panel(first, second)
    grid = rows.pivot_table(index="other_position", columns="position", values="mean")
    values = grid.to_numpy()
    if np.ptp(values) > 0:
        levels = np.linspace(values.min(), values.max(), LEVELS + 2)[1:-1]
        lines = axes.contour(grid.columns, grid.index, values, levels=levels, colors=INK,
                             linewidths=np.linspace(0.4, 2.0, LEVELS))  # fmt: skip
        written = partial(shown_value, is_error=is_error)
        axes.clabel(lines, fmt=written, fontsize=charts.LETTER - 2)
    axes.scatter([best["position"]], [best["other_position"]], s=36, color=ACCENT, zorder=3)
    Positions(space[first]).set_ticks(axes)
    Positions(space[second]).set_ticks(axes, "y")
    return charts.picture(figure, f"{first} and {second} together")
