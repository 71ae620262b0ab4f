"""Matplotlib's SVG, made one with the page: its colours, letters and size, and marks of trials."""

import itertools
import json
import re
from typing import Any

from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from study.report.page.parts import Key

INK, MUTED, FAINT, ACCENT, PAPER = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES = {INK: "ink", MUTED: "muted", FAINT: "faint", ACCENT: "accent", PAPER: "paper"}
"""Colours that stand in for variables of the page's style."""
UNITS = 72  # an inch of a figure, in the units of its SVG

TRIAL_URL = "trial:{}"
"""What a mark's URL is in a figure, by the trial's number."""
_MARK = re.compile(
    r'<a xlink:href="trial:(\d+)"[^>]*>\s*(?:<g[^>]*>\s*)?'
    r'<(use|path)([^>]*?) style="([^"]*)"/>\s*(?:</g>\s*)?</a>'
)
_MARKS = re.compile(rf"(?:{_MARK.pattern}\s*)+")
_CLIP = re.compile(r' clip-path="[^"]*"')
_LONG = re.compile(r"(\d+\.\d\d)\d+")
"""Numbers with more digits than are visible."""
_DASHES = {"--": "5 2.5", "-.": "6 2.5 1.5 2.5", ":": "1.5 2.5"}


def for_page(text: str, label: str, figure: Figure) -> Markup:
    """Return the `<svg>` element, of the page's colours and letters and of its own size.

    Args:
        text: Matplotlib's SVG, with text as text.
        label: what screen readers say of it.
        figure: what was drawn; the scales of its first axes let the page say where the pointer is.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    text = text[text.index(">") + 1 :]
    text = _MARKS.sub(lambda run: _marks_of_trials(run[0]), text)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # the same in every picture
    text = re.sub(r"font: (?:\w+ )*([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family:[^;\"]*;? ?", "", text)
    text = re.sub(r"<[^>]*>", lambda tag: _LONG.sub(r"\1", tag[0]), text)
    text = re.sub(r"\n\s*", "\n", _coloured(text))
    opening = f'<svg class="chart" role="img" aria-label="{escape(label)}" {box[0]}'
    return Markup(f"{opening}{_scales(figure)}>{text}")


def legend_keys(axes: Axes) -> list[Key]:
    """Return an entry for each label of what is drawn in `axes`."""
    handles, labels = axes.get_legend_handles_labels()
    return [
        Key(label, Markup(_coloured(_sample(handle))))
        for handle, label in zip(handles, labels, strict=True)
    ]


def _coloured(text: str) -> str:
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def _marks_of_trials(run: str) -> str:
    """Return marks one after the other, each with its trial's number, styles written once."""
    marks = _MARK.finditer(run)
    return "".join(
        f'<g style="{style}">{"".join(map(_mark, group))}</g>'
        for style, group in itertools.groupby(marks, lambda mark: mark[4])
    )


def _mark(mark: re.Match[str]) -> str:
    number, kind, attributes, _ = mark.groups()
    return f'<{kind}{_CLIP.sub("", attributes)} data-trial="{number}"/>'


def _scales(figure: Figure) -> str:
    """Return attributes that say where on the picture the values of numeric axes are."""
    axes = figure.axes[0]
    if not axes.axison:
        return ""
    width, height = figure.get_size_inches() * UNITS
    box = axes.get_position()
    ends = {"x": (box.x0 * width, box.x1 * width),
            "y": ((1 - box.y0) * height, (1 - box.y1) * height)}  # fmt: skip
    limits = {"x": axes.get_xlim(), "y": axes.get_ylim()}
    labels = {"x": axes.get_xlabel(), "y": axes.get_title(loc="left")}
    written = ""
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator):
            continue  # names, or nothing
        scale: dict[str, Any] = {
            "label": labels[name] or name,
            "at": [round(float(end), 1) for end in ends[name]],
            "values": [float(f"{value:.6g}") for value in limits[name]],
            "log": axis.get_scale() == "log",
        }
        written += f' data-{name}="{escape(json.dumps(scale, ensure_ascii=False))}"'
    return written


def _sample(handle: Any) -> str:
    """Return a small picture of what a legend's entry names."""
    opening = '<svg viewBox="0 0 24 12" aria-hidden="true">'
    if isinstance(handle, Line2D):
        dash = _DASHES.get(str(handle.get_linestyle()), "none")
        return (
            f'{opening}<path d="M1 6H23" fill="none" stroke="{to_hex(handle.get_color())}"'
            f' stroke-width="{handle.get_linewidth():.3g}" stroke-dasharray="{dash}"/></svg>'
        )
    if isinstance(handle, Patch):
        colour, opacity = to_hex(handle.get_facecolor()), handle.get_alpha() or 1
        return (
            f'{opening}<path d="M3 2H21V10H3Z" fill="{colour}" fill-opacity="{opacity:.3g}"/></svg>'
        )
    edge = to_hex(handle.get_edgecolor()[0]) if len(handle.get_edgecolor()) else "none"
    if len(handle.get_paths()[0].vertices) <= 4:  # a cross
        return f'{opening}<path d="M9 3L15 9M9 9L15 3" fill="none" stroke="{edge}"/></svg>'
    face = to_hex(handle.get_facecolor()[0]) if len(handle.get_facecolor()) else "none"
    return f'{opening}<circle cx="12" cy="6" r="3.5" fill="{face}" stroke="{edge}"/></svg>'
