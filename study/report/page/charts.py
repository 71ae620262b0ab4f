"""Pictures that take their colours and letters from the page, so that they suit light and dark.

Matplotlib draws in stand-in colours; in its SVG each becomes a variable of the page's
style (`svg.py`). Legends are the page's, below their pictures, so that none lies on data. The
same picture gives the same bytes.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from study.report.page.parts import Picture
from study.report.page.svg import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    PAPER,
    TRIAL_URL,
    for_page,
    legend_keys,
)

__all__ = ["ACCENT", "FAINT", "INK", "MUTED", "PAPER"]

PANEL = (4.8, 3.1)  # inches of 72 units, which a page as wide as a phone shows one to one
WIDE = (10.0, 3.9)
LETTER = 10.5
LARGE_SPAN, SMALL_SPAN = 300, 6
"""Ratios of an axis's ends above which only powers of ten are marked, or below which more."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": LETTER,
    "axes.labelsize": LETTER,
    "xtick.labelsize": LETTER - 1,
    "ytick.labelsize": LETTER - 1,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "axes.unicode_minus": True,
}


@contextmanager
def page_style() -> Iterator[None]:
    """Set Matplotlib's style to the page's, within the block."""
    with mpl.rc_context(_STYLE):
        yield


def panel(x: str, y: str, *, wide: bool = False, is_error: bool = False) -> tuple[Figure, Axes]:
    """Return an empty picture with lines across; `y` stands above its axis, to be read level.

    Args:
        x: what stands across.
        y: what stands upwards.
        wide: whether it takes the page's whole width.
        is_error: whether y are negatives of errors, by which a study ranks: the axis names the
            errors, the least on top.
    """
    figure = Figure(figsize=WIDE if wide else PANEL)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.55 / width, 0.5 / height, 1 - 0.67 / width, 1 - 0.8 / height))
    axes.set_xlabel(x)
    axes.set_title(y, loc="left", fontsize=LETTER, color=MUTED, x=-0.3 / width, pad=8)
    axes.grid(axis="y")
    axes.tick_params(length=3, width=0.6)
    if is_error:
        axes.yaxis.set_major_formatter(lambda value, _: f"{0.0 - value:g}")
    return figure, axes


def picture(figure: Figure, caption: str, *, wide: bool = False, legend: str = "") -> Picture:
    """Return a figure for the page; what is labelled in its first axes is its legend.

    Args:
        figure: is drawn.
        caption: its title, and its label for screen readers.
        wide: whether it takes the page's whole width.
        legend: what all entries of the legend have in common.
    """
    sink = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": caption}):
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(sink, format="svg", metadata=metadata)
    svg = for_page(sink.getvalue(), caption, figure)
    return Picture(svg, caption, wide, legend_keys(figure.axes[0]), legend)


def link(marks: Collection, trials: Iterable[int]) -> None:
    """Say of which trial, by number, each element of a collection is: it can be chosen then."""
    marks.set_urls([TRIAL_URL.format(number) for number in trials])


def logarithmic(axes: Axes, *names: Literal["x", "y"]) -> None:
    """Give axes, when all is drawn, a logarithmic scale with a few plain numbers."""
    for name in names:
        axes.set(**{f"{name}scale": "log"})
        axis, limits = (
            (axes.xaxis, axes.get_xlim()) if name == "x" else (axes.yaxis, axes.get_ylim())
        )
        _few_numbers(axis, limits[1] / limits[0])


def _few_numbers(axis: Axis, span: float) -> None:
    """Set ticks at powers of ten, and between them where the axis spans few."""
    between = LogLocator(subs=(2, 5)) if span < LARGE_SPAN else NullLocator()
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_minor_locator(between if span > SMALL_SPAN else LogLocator(subs=range(2, 10)))
    for set_formatter in (axis.set_major_formatter, axis.set_minor_formatter):
        set_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
