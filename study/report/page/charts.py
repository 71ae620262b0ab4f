"""Pictures that take their colours and letters from the page, so that they suit light and dark.

Matplotlib draws in stand-in colours; in its SVG each becomes a variable of the page's
style. The same picture gives the same bytes.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from study.report.page.parts import Picture

INK, MUTED, FAINT, ACCENT, PAPER = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES = {INK: "ink", MUTED: "muted", FAINT: "faint", ACCENT: "accent", PAPER: "paper"}

PANEL = (4.8, 3.1)  # inches of 72 units, which a page as wide as a phone shows one to one
WIDE = (10.0, 3.9)
LETTER = 10.5
LARGE_SPAN, SMALL_SPAN = 300, 6
"""Ratios of an axis's ends above which only powers of ten are marked, or below which more."""
MOST_POINTS = 1500
"""Points of one kind that a picture holds; more are drawn from evenly."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": LETTER,
    "axes.labelsize": LETTER,
    "xtick.labelsize": LETTER - 1,
    "ytick.labelsize": LETTER - 1,
    "legend.fontsize": LETTER - 1,
    "legend.frameon": True,
    "legend.facecolor": PAPER,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.fancybox": False,
    "legend.handlelength": 1.4,
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


_LONG = re.compile(r"(\d+\.\d\d)\d+")
"""Numbers with more digits than are visible."""


@contextmanager
def page_style() -> Iterator[None]:
    """Set Matplotlib's style to the page's, within the block."""
    with mpl.rc_context(_STYLE):
        yield


def panel(x: str, y: str, *, wide: bool = False) -> tuple[Figure, Axes]:
    """Return an empty picture with lines across; `y` stands above its axis, to be read level."""
    figure = Figure(figsize=WIDE if wide else PANEL)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.55 / width, 0.5 / height, 1 - 0.67 / width, 1 - 0.8 / height))
    axes.set_xlabel(x)
    axes.set_title(y, loc="left", fontsize=LETTER, color=MUTED, x=-0.3 / width, pad=8)
    axes.grid(axis="y")
    axes.tick_params(length=3, width=0.6)
    return figure, axes


def picture(figure: Figure, caption: str, *, wide: bool = False) -> Picture:
    """Return a figure for the page; `caption` is also its label for screen readers."""
    sink = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": caption}):
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(sink, format="svg", metadata=metadata)
    return Picture(_for_page(sink.getvalue(), caption), caption, wide)


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


def legend(axes: Axes, **where: Any) -> None:
    """Draw a legend, its entries close together."""
    axes.legend(**{"labelspacing": 0.25, "borderaxespad": 0.1, "handletextpad": 0.5, **where})


def thinned(size: int, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """Return indices of at most `most` of `size` items, evenly over all of them."""
    if size <= most:
        return np.arange(size)
    return np.linspace(0, size - 1, most).round().astype(np.int64)


def _for_page(text: str, label: str) -> Markup:
    """Return the `<svg>` element, of the page's colours and letters and of its own size."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    opening = f'<svg class="chart" role="img" aria-label="{escape(label)}" {box[0]}>'
    text = opening + text[text.index(">") + 1 :]
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # the same in every picture
    text = re.sub(r"font: (?:\w+ )*([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family:[^;\"]*;? ?", "", text)
    text = re.sub(r"<[^>]*>", lambda tag: _LONG.sub(r"\1", tag[0]), text)
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(re.sub(r"\n\s*", "\n", text))
