"""Parts of the page: sections, tables and pictures, and the format of numbers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

NONE = "–"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: its content; `Markup` is written as it is.
        style: `number` sets it to the right with equal digits, `text` to the left; `links` are
            left out on paper.
        value: what it is sorted by and downloaded as, if `text` is not that.
    """

    text: str
    style: str = "text"
    value: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        head: names of the columns.
        rows: cells by row.
        caption: its title; "" for none.
        marked: numbers of the rows that are the answer.
        folded: whether only its caption is seen at first.
        key: names a table that can be sorted, filtered and chosen from; "" for others.
        row_keys: of such a table, what its rows are known by to the rest of the page.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    marked: frozenset[int] = frozenset()
    folded: bool = False
    key: str = ""
    row_keys: Sequence[str] = ()


@dataclass(frozen=True)
class Key:
    """An entry of a legend.

    Attributes:
        label: what it names.
        svg: an `<svg>` element as that is drawn.
    """

    label: str
    svg: Markup


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        svg: an `<svg>` element, its colours left to the page; or an `<img>`.
        caption: its title.
        wide: whether it takes the page's whole width.
        legend: stands below it.
        legend_title: what all entries of the legend have in common.
    """

    svg: Markup
    caption: str
    wide: bool = False
    legend: Sequence[Key] = ()
    legend_title: str = ""


@dataclass(frozen=True)
class Curves:
    """What the page draws of the chosen rows of its section's table: a picture for each.

    Attributes:
        x: what the curves are along.
        positions: `(n,)` values of x.
        names: of the curves of a row: what was measured, then what is compared with it. Below
            them is their squared difference.
        unit: of the values of `rows`.
        rows: `(len(names), n)` whole numbers by the row's key.
    """

    x: str
    positions: Sequence[int]
    names: tuple[str, str]
    unit: float
    rows: Mapping[str, Sequence[Sequence[int]]]

    @property
    def json(self) -> Markup:
        """As the page's script reads it, inside an element."""
        text = json.dumps(vars(self), ensure_ascii=False, separators=(",", ":"))
        return Markup(text.replace("<", "\\u003c"))


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        key: names it in links.
        title: its heading.
        reading: how to read what it shows.
        tables: shown before pictures.
        pictures: shown side by side as far as there is room.
        notes: what was left out, or why there is nothing to show.
        text: preformatted text by title, folded away.
        folded: whether its pictures are not seen at first.
        columns: pictures side by side where there is room, 2 or 3.
        lede: a summary, before `reading`.
        caveat: what is missing here and how to add it, between `lede` and `reading`.
        curves: drawn of what is chosen in its table.
    """

    key: str
    title: str
    reading: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()
    text: dict[str, str] = field(default_factory=dict)
    folded: bool = False
    columns: int = 3
    lede: str = ""
    caveat: Markup | str = ""
    curves: Curves | None = None


def number(value: float | None, digits: int = 3) -> Cell:
    """Return a number's cell; a dash if there is none."""
    return Cell(decimal(value, digits), "number")


def count(value: int) -> Cell:
    """Return the cell of a whole number."""
    return Cell(f"{value:,}", "number")


def with_interval(mean: float | None, low: float, high: float) -> Cell:
    """Return a mean over its interval."""
    if mean is None or math.isnan(mean):
        return number(None)
    return _over_interval(decimal(mean), low, high)


def _over_interval(text: str, low: float, high: float) -> Cell:
    if math.isnan(low):
        return Cell(text, "number")
    return Cell(Markup("{}<small>{}</small>").format(text, interval(low, high)), "number")


def interval(low: float, high: float) -> str:
    """Return both ends of an interval; a dash if there is none."""
    return NONE if math.isnan(low) else f"{decimal(low)} to {decimal(high)}"


def with_note(text: str, note: str) -> Cell:
    """Return a cell with a note under its text."""
    return Cell(Markup("{}<small>{}</small>").format(text, note)) if note else Cell(text)


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits after the point; a dash if there is none."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:.{digits}f}".replace("-", MINUS)


def shown_error(value: float) -> str:
    """Return a mean error: three digits after the point, or as many as show two of its own."""
    return f"{value:.2g}".replace("-", MINUS) if 0 < abs(value) < 0.01 else decimal(value)


def shown_value(value: float, *, is_error: bool) -> str:
    """Return a value that a study ranks by; an error is ranked by its negative."""
    return shown_error(-value) if is_error else decimal(value)


def had_and_needed(rung: Mapping[str, float], *, is_error: bool) -> tuple[str, str]:
    """Return the value and the cutoff of a row of `rungs.parquet`, so that they differ."""
    values = rung["value"], rung["cutoff"]
    return distinct_decimals(*(-each if is_error else each for each in values))


def p_value(p: float | None) -> str:
    """Return a p; "<0.001" where three digits would show 0."""
    return "<0.001" if p is not None and p < 0.0005 else decimal(p)


def distinct_decimals(one: float, other: float) -> tuple[str, str]:
    """Return two numbers with as many digits as show which is larger, three if six do not."""
    for digits in range(3, 7):
        shown = decimal(one, digits), decimal(other, digits)
        if shown[0] != shown[1]:
            return shown
    return decimal(one), decimal(other)


def difference(value: float | None, low: float = math.nan, high: float = math.nan) -> Cell:
    """Return a signed number's cell, over its interval if there is one."""
    if value is None or math.isnan(value):
        return number(None)
    return _over_interval(f"{value:+.3f}".replace("-", MINUS), low, high)


def format_setting(value: object) -> str:
    """Return a setting's value, floats to three significant digits."""
    if value is None:
        return NONE
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def with_left_out(caption: str, rows: int, most: int, table: str) -> str:
    """Return a caption that says how many of so many rows are not shown, and where they are."""
    left = rows - most
    return f"{caption}; {left:,} more in {table}.parquet" if left > 0 else caption


def with_noun(count: int, noun: str) -> str:
    """Return a count with its noun, plural with an s."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"
