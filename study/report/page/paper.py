"""The paper's tables and figures, as the study has drawn them."""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.parquet as pq
from markupsafe import Markup

from study.report.page.inputs import PageInputs
from study.report.page.parts import Cell, Picture, Section, Table, decimal, difference, number
from study.report.paper.build import FOLDER
from study.report.paper.names import METRICS, composition_label, system_label

PAPER_PICTURE = re.compile(r"(figure|table)_(\d+)(?:_(\w+))?\.svg")


def paper_section(inputs: PageInputs) -> list[Section]:
    """Return the paper's tables and figures as the study has drawn them; none without."""
    names = [name for name in inputs.results.names(FOLDER) if PAPER_PICTURE.fullmatch(name)]
    if inputs.is_search or not names:
        return []
    names.sort(key=_order)
    tables = [table for name in names if name.startswith("table") for table in _table(inputs, name)]
    figures = [_figure(inputs, name) for name in names if name.startswith("figure")]
    return [Section(
        "paper", "The paper’s tables and figures",
        "This study’s form of them, under the paper’s numbers. In tables every cell "
        "holds this study’s mean ± deviation over folds, the paper’s, and the difference; "
        "one of more than two of the paper’s deviations is in colour.",
        tables=tables, pictures=figures, folded=True,
    )]  # fmt: skip


def _order(name: str) -> tuple[str, int, str]:
    _, number, protocol = _name_parts(name)
    return protocol, number, name


def _title(name: str) -> str:
    kind, number, protocol = _name_parts(name)
    label = str(number) if kind == "figure" else ("I", "II", "III", "IV")[number - 1]
    return f"{kind.capitalize()} {label}" + (f", protocol {protocol}" if protocol else "")


def _name_parts(name: str) -> tuple[str, int, str]:
    """Return kind, number and protocol of a picture's file, "" for the paper's protocol."""
    match = PAPER_PICTURE.fullmatch(name)
    assert match is not None
    return match[1], int(match[2]), match[3] or ""


def _table(inputs: PageInputs, name: str) -> Iterator[Table]:
    """Yield one of the paper's tables, from the file that its picture was drawn from."""
    content = inputs.results.read(f"{FOLDER}/{name.removesuffix('svg')}parquet")
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    by_composition = rows[0]["table"] == "II"
    cells: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        system = system_label(row["system"])
        label = composition_label(row["composition"], row["latent_form"])
        key = (label,) if by_composition else (system, label, row["variant"].replace("_", " "))
        if not row["composition"]:
            key = (system,)
        column = system if by_composition else METRICS[row["metric"]]
        cells.setdefault(key, {})[column] = _comparison_cell(row)
    columns = list(dict.fromkeys(name for row in cells.values() for name in row))
    heads: Sequence[str] = max(cells, key=len)
    first = ["composition"] if by_composition else ["system", "composition", "choice"][: len(heads)]
    yield Table([*first, *columns],
                [[*map(Cell, key), *(row.get(name, number(None)) for name in columns)]
                 for key, row in cells.items()], _title(name), folded=True)  # fmt: skip


def _comparison_cell(row: dict[str, Any]) -> Cell:
    parts = [_with_deviation(row["ours"], row["ours_std"])]
    if row["published"] is not None:
        parts.append(_with_deviation(row["published"], row["published_std"]))
        style = "beyond" if row["beyond_two_deviations"] else ""
        parts.append(Markup('<span class="{}">{}</span>').format(
            style, difference(row["difference"]).text))  # fmt: skip
    return Cell(Markup("<br>").join(parts), "number")


def _with_deviation(mean: float | None, deviation: float | None) -> str:
    return decimal(mean) + (f" ± {decimal(deviation)}" if deviation is not None else "")


def _figure(inputs: PageInputs, name: str) -> Picture:
    content = base64.b64encode(inputs.results.read(f"{FOLDER}/{name}")).decode()
    title = _title(name)
    return Picture(
        Markup('<img class="sheet" alt="{}" src="data:image/svg+xml;base64,{}">').format(
            title, content
        ),
        title,
        wide=True,
    )
