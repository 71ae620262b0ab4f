"""What the columns of a table probably are, where they are not named."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.data.tables.arrays import LABEL_NAMES
from study.data.tables.compressed import inner_suffix
from study.data.tables.form import (
    NORMAL_WORDS,
    TIME_NAMES,
    Column,
    TableForm,
    canonical_label,
    shown_column,
)
from study.data.tables.reader import Table, column_names, read_table, time_columns
from study.errors import RequestError

NAMES_OF_LABELS = (*LABEL_NAMES, "class", "target", "state", "kind", "anomaly", "is_anomaly")
NAMES_OF_OTHERS = (*TIME_NAMES, "id", "index", "name", "file", "machine", "sensor", "patient")
MOST_LABELS = 20


@dataclass(frozen=True)
class Guess:
    """What a table was taken for.

    Attributes:
        form: its columns.
        table: its rows.
        counts: rows by label; empty without labels.
        normal: the labels that are taken for normal ones.
        reasons: how label and normal ones were chosen, a sentence each.
    """

    form: TableForm
    table: Table
    counts: dict[str, int]
    normal: tuple[str, ...]
    reasons: tuple[str, ...]


def guess_table(
    path: Path, label: Column | None = None, normal: Sequence[str] = (), *, unlabelled: bool = False
) -> Guess:
    """Return what the columns of a file are, and its rows.

    Args:
        path: the file.
        label: the column of labels, if it is known.
        normal: labels of normal samples, if they are known.
        unlabelled: whether there are no labels, which is known.

    Raises:
        RequestError: the file cannot be read, or is no table of samples.
    """
    form, reason = _guess_form(path, label, unlabelled=unlabelled)
    table = read_table(path, form)
    rows = len(table)
    kinds = [] if table.symbol is None else [canonical_label(each) for each in table.symbol]
    counts = dict(sorted(Counter(kinds).items()))
    if len(counts) > max(MOST_LABELS, rows // 10):
        raise RequestError(
            f"{path}: expected labels in {shown_column(form.label or 0)}, found {len(counts)}"
            f" different ones in {rows} rows: name the column with --label, or --unlabelled"
        )
    missing = [name for name in map(canonical_label, normal) if name not in counts]
    if missing:
        raise RequestError(
            f"--normal: expected one of {', '.join(counts) or 'no labels'}, found {missing[0]}"
        )
    chosen, why = _normal_ones(counts, tuple(map(canonical_label, normal)))
    return Guess(form, table, counts, chosen, tuple(each for each in (reason, why) if each))


def _guess_form(path: Path, label: Column | None, *, unlabelled: bool) -> tuple[TableForm, str]:
    """Return the columns of a file, and why that one holds the label."""
    names = column_names(path)
    if label is None and not unlabelled:
        label, reason = _guess_label(path, names)
    else:
        reason = "there are none, as --unlabelled says" if unlabelled else "the label was named"
    named = (name for name in names or () if name.strip().lower() in NAMES_OF_OTHERS)
    others = dict.fromkeys((*named, *time_columns(path)))
    left_out = tuple(column for column in others if column != label)
    return TableForm(label=label, leave_out=left_out), reason


def _guess_label(path: Path, names: Sequence[str] | None) -> tuple[Column | None, str]:
    if names is not None:
        named = {name.strip().lower(): name.strip() for name in names}
        for name in NAMES_OF_LABELS:
            if name.lower() in named:
                return named[name.lower()], "its name says that it is the label"
    if inner_suffix(path) == ".ts":
        return "class", "classes are a part of this form"
    if inner_suffix(path) in (".npz", ".parquet", ".arrow", ".feather"):
        return None, "no column has a label's name"
    return _column_of_few(path, names)


def _column_of_few(path: Path, names: Sequence[str] | None) -> tuple[Column | None, str]:
    """Return the first or last column if it has words, or few whole numbers."""
    positions: tuple[int, ...] = (0, -1)
    for position in positions:
        try:
            table = read_table(path, TableForm(label=position))
        except RequestError:  # the other one has words
            continue
        assert table.symbol is not None
        kinds = {canonical_label(each) for each in table.symbol}
        is_whole = all(kind.lstrip("-").isdecimal() for kind in kinds)
        is_words = not any(_is_number(kind) for kind in kinds)
        few = 2 <= len(kinds) <= min(MOST_LABELS, len(table) // 2)
        if few and (is_whole or is_words):
            column = names[position].strip() if names else position
            where = "first" if position == 0 else "last"
            return column, f"the {where} column has {len(kinds)} different values"
    return None, "no column looks like a label"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _normal_ones(counts: dict[str, int], normal: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    if not counts:
        return (), ""
    if normal:
        return normal, "the normal labels were named"
    words = tuple(name for name in counts if name.lower() in NORMAL_WORDS)
    if words:
        return words, "the normal label is known by its name"
    most = max(counts, key=lambda name: counts[name])
    return (most,), "the normal label is the most frequent one: correct it where it is another"
