"""What a page is made of, sections of tables and pictures, and how numbers are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

NONE = "–"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says; `Markup` is written as it is.
        style: `number` sets it to the right with equal digits, `text` to the left.
    """

    text: str
    style: str = "text"


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        head: names of the columns.
        rows: cells by row.
        caption: what the rows are; "" for none.
        marked: numbers of the rows that are the answer.
        folded: whether only its caption is seen at first.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    marked: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        svg: an `<svg>` element, its colours left to the page; or an `<img>`.
        caption: its title.
        wide: whether it takes the page's whole width.
    """

    svg: Markup
    caption: str
    wide: bool = False


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
        lede: said before how to read.
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


def number(value: float | None, digits: int = 3) -> Cell:
    """Return a number's cell; a dash if there is none."""
    return Cell(written(value, digits), "number")


def count(value: int) -> Cell:
    """Return the cell of a whole number."""
    return Cell(f"{value:,}", "number")


def with_interval(mean: float | None, low: float, high: float, floor: float = 0.0) -> Cell:
    """Return a mean over its interval, whose ends are cut to `floor` and 1."""
    if mean is None or math.isnan(mean):
        return number(None)
    if math.isnan(low):
        return number(mean)
    ends = f"{written(max(low, floor))} to {written(min(high, 1.0))}"
    return Cell(Markup("{}<small>{}</small>").format(written(mean), ends), "number")


def noted(text: str, note: str) -> Cell:
    """Return a cell with a note under what it says."""
    return Cell(Markup("{}<small>{}</small>").format(text, note)) if note else Cell(text)


def written(value: float | None, digits: int = 3) -> str:
    """Return a number as the page writes it."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:.{digits}f}".replace("-", MINUS)


def difference(value: float | None) -> Cell:
    """Return a signed number's cell."""
    if value is None or math.isnan(value):
        return number(None)
    return Cell(f"{value:+.3f}".replace("-", MINUS), "number")


def setting(value: object) -> str:
    """Return a setting's value, floats to three digits that count."""
    if value is None:
        return NONE
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def counted(amount: int, noun: str, plural: str = "") -> str:
    """Return an amount with its noun."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"
