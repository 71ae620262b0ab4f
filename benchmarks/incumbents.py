"""The best trials of searches over CPU seconds: a table, and a picture."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

RANDOM = "random"
"""The search that others are held against."""
MOST_LISTED = 5
"""Seeds whose seconds are listed one by one."""


@dataclass(frozen=True)
class Incumbent:
    """The best trial of a search so far.

    Attributes:
        seconds: CPU seconds that had been spent.
        trials: trials that had been started.
        validation: mean over folds of the best trial, at its best epoch.
        test: mean over folds of the same trial, each at its own best epoch on validation.
    """

    seconds: float
    trials: int
    validation: float
    test: float


Results = Mapping[int, Mapping[str, Sequence[Incumbent]]]
"""Incumbents by seed and search."""


def seconds_until(incumbents: Sequence[Incumbent], value: float) -> float | None:
    """Return the CPU seconds until an incumbent had a value on validation; None if none has."""
    return next((best.seconds for best in incumbents if best.validation >= value), None)


def table(results: Results) -> str:
    """Return means over seeds by search, as Markdown."""
    rows = [["search", "validation", "test", "CPU s to what random search ends with"], ["---"] * 4]
    for name in next(iter(results.values())):
        last = [of_seed[name][-1] for of_seed in results.values()]
        rows.append(
            [
                name,
                *(
                    f"{statistics.mean(getattr(best, part) for best in last):.4f}"
                    for part in ("validation", "test")
                ),
                _reached(results, name),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _reached(results: Results, name: str) -> str:
    """Return the seconds with every seed, or of many their median and how many there are."""
    if not all(RANDOM in of_seed for of_seed in results.values()):
        return "-"
    seconds = [
        seconds_until(of_seed[name], of_seed[RANDOM][-1].validation) for of_seed in results.values()
    ]
    if len(seconds) <= MOST_LISTED:
        return ", ".join("not reached" if each is None else f"{each:.0f}" for each in seconds)
    median = statistics.median(float("inf") if each is None else each for each in seconds)
    count = sum(each is not None for each in seconds)
    return f"median {median:.0f}, reached with {count} of {len(seconds)} seeds"


def draw(results: Results, seconds: float) -> Figure:
    """Return a picture of the means over seeds, each from where all seeds have a trial.

    Args:
        results: incumbents by seed and search.
        seconds: CPU seconds of each search.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    at = np.linspace(0, seconds, 601)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, part in zip(panels, ("validation", "test"), strict=True):
        for name in next(iter(results.values())):
            curves = np.array([best_at(of_seed[name], part, at) for of_seed in results.values()])
            axes.plot(at, curves.mean(axis=0), drawstyle="steps-post", label=name)
        axes.set_xlabel("CPU seconds")
        axes.set_title(part)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"F1 (weighted), mean over {len(results)} seeds")
    panels[0].legend()
    return figure


def best_at(
    incumbents: Sequence[Incumbent], part: str, seconds: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return a part of the incumbent at each of `seconds`; nan before there is one."""
    ends = [best.seconds for best in incumbents]
    values = np.array([np.nan, *(getattr(best, part) for best in incumbents)])
    return values[np.searchsorted(ends, seconds, side="right")]
