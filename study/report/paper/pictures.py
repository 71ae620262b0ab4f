"""Pictures as bytes, the same for the same picture, and the frame that all share."""

import io
import textwrap

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.report.paper.names import GREY

SMALL = 8
"""Size of footers, legends and ticks, in points."""

_CHARACTERS_PER_INCH = 17  # at that size
_LINE, _TITLE = 0.16, 0.4  # inches


def framed(title: str, footer: str, width: float, height: float) -> Figure:
    """Return an empty figure with a title and a footer.

    Args:
        title: at its top.
        footer: at its bottom, wrapped to lines that fit.
        width: in inches.
        height: in inches, of what is between.
    """
    lines = textwrap.wrap(footer, int(width * _CHARACTERS_PER_INCH))
    size = (width, height + _TITLE + _LINE * len(lines))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL, color=GREY)
    return figure


def plain(axes: Axes) -> None:
    """Make an axes' ticks small and remove the top and right lines."""
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def over_epochs(axes: Axes) -> None:
    """Make an axes one over epochs, which are whole."""
    axes.set_xlabel("epoch", fontsize=SMALL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain(axes)


def legend_beside_title(figure: Figure, axes: Axes) -> None:
    """Put the legend of what is drawn in `axes` where the title leaves room."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=SMALL)


def rendered(figure: Figure) -> dict[str, bytes]:
    """Return a figure as `png` (150 pixels per inch) and `svg`.

    Letters of the SVG are outlines, so that it looks the same anywhere. The figure's
    layout is settled by this and does not follow later changes.
    """
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
    figure.set_layout_engine("none")  # both have the layout of the first
    with matplotlib.rc_context({"svg.hashsalt": "study", "svg.fonttype": "path"}):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return {"png": png.getvalue(), "svg": svg.getvalue()}
