"""The tables I to IV as pictures: ours, the paper's and the difference in every cell."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from study.report.paper.basis import BEST, WEIGHTS, Basis, footer, protocol_note
from study.report.paper.names import (
    BLACK,
    GREY,
    METRICS,
    VERMILION,
    composition_label,
    system_label,
)
from study.report.paper.pictures import SMALL, framed
from study.report.paper.tables import BEST_COMPOSITION, PAPER_COMPOSITION

TITLES = {
    "I": "Table I: TSTR",
    "II": "Table II: weighted F₁ by composition",
    "III": "Table III: systems, by weighted F₁, φ and AUROC",
    "IV": "Table IV: TSTR",
}
HOW_TO_READ = (
    "each cell: this study, mean ± deviation over folds; the paper's; the difference."
    " Shaded: more than two of the paper's deviations above (▲) or below (▼)"
)
VARIANT_LABELS = {
    PAPER_COMPOSITION: "the paper's choice",
    BEST_COMPOSITION: "best on validation",
    "": "",
}

_COLUMN, _ROW, _LINE, _LETTER = 1.3, 0.66, 0.18, 0.07  # inches
_SHADE = "#FBE3D6"
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """A cell of a table's picture.

    Attributes:
        row: the row's label, up to three lines.
        column: the column's label.
        ours: this study's number.
        published: the paper's number, "" if it has none.
        difference: ours - published, "" if there is none.
        is_beyond: whether that is more than two of the paper's deviations.
    """

    row: str
    column: str
    ours: str
    published: str
    difference: str
    is_beyond: bool


def draw_table(table: pa.Table, basis: Basis) -> Figure:
    """Draw one of the paper's tables.

    Args:
        table: rows of `tables.SCHEMA` of one table and one protocol, at least one.
        basis: of the same rows.
    """
    cells = list(_cells(table))
    rows = list(dict.fromkeys(cell.row for cell in cells))
    columns = list(dict.fromkeys(cell.column for cell in cells))
    notes = [WEIGHTS[BEST], _definitions(table), _running_mean(table)]
    note = footer(basis, *notes, protocol_note(basis), HOW_TO_READ)
    head = 0.2 + _LETTER * max(len(line) for name in rows for line in name.splitlines())
    width, height = head + _COLUMN * len(columns), _ROW * len(rows) + 2 * _LINE
    figure = framed(TITLES[table["table"][0].as_py()], note, width + 0.2, height)
    axes = figure.add_subplot()
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for number, name in enumerate(columns):
        axes.text(
            _middle(head, number), _LINE, name, ha="center", va="center", weight="bold", size=9
        )
    for number, name in enumerate(rows):
        top = 2 * _LINE + _ROW * number
        axes.hlines(top, 0, width, color=GREY, linewidth=0.5)
        axes.text(0.02, top + _ROW / 2, name, va="center", size=9)
    for cell in cells:
        _draw_cell(axes, cell, _middle(head, columns.index(cell.column)), rows.index(cell.row))
    return figure


def _draw_cell(axes: Axes, cell: Cell, middle: float, row: int) -> None:
    top = 2 * _LINE + _ROW * row
    if cell.is_beyond:
        corner = (middle - _COLUMN / 2 + 0.03, top + 0.03)
        axes.add_patch(Rectangle(corner, _COLUMN - 0.06, _ROW - 0.06, color=_SHADE, linewidth=0))
    lines = [(cell.ours, BLACK, 9), (cell.published, GREY, SMALL)]
    lines.append((cell.difference, VERMILION if cell.is_beyond else GREY, SMALL))
    lines = [line for line in lines if line[0]]
    first = top + _ROW / 2 - _LINE * (len(lines) - 1) / 2
    for number, (text, colour, size) in enumerate(lines):
        y = first + _LINE * number
        axes.text(middle, y, text, ha="center", va="center", color=colour, size=size)


def _middle(head: float, column: int) -> float:
    return head + _COLUMN * (column + 0.5)


def _cells(table: pa.Table) -> Iterator[Cell]:
    for row in table.to_pylist():
        composition = composition_label(row["composition"], row["latent_form"])
        system, column = system_label(row["system"]), METRICS[row["metric"]]
        name = system
        if row["table"] == "II":
            name, column = composition.replace("), ", "),\n"), system
        elif row["table"] == "III":
            name = f"{system}\n{composition}\n{VARIANT_LABELS[row['variant']]}"
        published = _with_deviation(row["published"], row["published_std"])
        yield Cell(
            name,
            column,
            ours=_with_deviation(row["ours"], row["ours_std"]) or "–",
            published=published,
            difference=_difference(row["difference"], bool(row["beyond_two_deviations"])),
            is_beyond=bool(row["beyond_two_deviations"]),
        )


def _with_deviation(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return ""
    number = f"{mean:.3f}".replace("-", _MINUS)
    return number if deviation is None else f"{number} ± {deviation:.3f}"


def _difference(value: float | None, is_beyond: bool) -> str:
    if value is None:
        return ""
    mark = "" if not is_beyond else "▲ " if value > 0 else "▼ "
    return mark + f"{value:+.3f}".replace("-", _MINUS)


def _definitions(table: pa.Table) -> str:
    """Return a note on the two definitions of TSTR; "" for other tables."""
    if not any(metric.startswith("tstr_normals") for metric in table["metric"].to_pylist()):
        return ""
    return (
        "TSTR: a classifier learns from reconstructions of all samples; of normals: from those"
        " of normals and from real abnormal samples, as the paper's reference code has it"
    )


def _running_mean(table: pa.Table) -> str:
    """Return a note on the number of measurements of TSTR; "" without."""
    counts = {count for count in table["measurements"].to_pylist() if count is not None}
    if not counts:
        return ""
    return f"running means of at least {min(counts)} measurements (the paper: 5)"
