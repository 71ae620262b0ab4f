"""The paper's tables and figures, as the study has drawn them."""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.parquet as pq
from markupsafe import Markup

from study.report.page.parts import Cell, Picture, Section, Table, difference, number, written
from study.report.page.source import Source
from study.report.paper.build import FOLDER
from study.report.paper.names import METRICS, composition_label, system_label

PAGE = re.compile(r"(figure|table)_(\d+)(?:_(\w+))?\.svg")


def paper_section(source: Source) -> list[Section]:
    """Return the paper's tables and figures as the study has drawn them; none without."""
    names = [name for name in source.results.names(FOLDER) if PAGE.fullmatch(name)]
    if source.is_search or not names:
        return []
    names.sort(key=_order)
    tables = [table for name in names if name.startswith("table") for table in _table(source, name)]
    figures = [_figure(source, name) for name in names if name.startswith("figure")]
    return [Section(
        "paper", "The paper’s tables and figures",
        "This study’s form of them, under the paper’s numbers. In tables every cell "
        "holds this study’s mean ± deviation over folds, the paper’s, and the difference; "
        "one of more than two of the paper’s deviations is in colour.",
        tables=tables, pictures=figures, folded=True,
    )]  # fmt: skip


def _order(name: str) -> tuple[str, int, str]:
    found = PAGE.fullmatch(name)
    assert found is not None
    return found[3] or "", int(found[2]), name


def _called(name: str) -> str:
    found = PAGE.fullmatch(name)
    assert found is not None
    number_ = found[2] if found[1] == "figure" else ("I", "II", "III", "IV")[int(found[2]) - 1]
    return f"{found[1].capitalize()} {number_}" + (f", protocol {found[3]}" if found[3] else "")


def _table(source: Source, name: str) -> Iterator[Table]:
    """Yield one of the paper's tables, from the file that its picture was drawn from."""
    content = source.results.read(f"{FOLDER}/{name.removesuffix('svg')}parquet")
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    by_composition = rows[0]["table"] == "II"
    cells: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        system = system_label(row["system"])
        what = composition_label(row["composition"], row["latent_form"])
        key = (what,) if by_composition else (system, what, row["variant"].replace("_", " "))
        if not row["composition"]:
            key = (system,)
        column = system if by_composition else METRICS[row["metric"]]
        cells.setdefault(key, {})[column] = _beside(row)
    columns = list(dict.fromkeys(name for row in cells.values() for name in row))
    heads: Sequence[str] = max(cells, key=len)
    first = ["composition"] if by_composition else ["system", "composition", "choice"][: len(heads)]
    yield Table([*first, *columns],
                [[*map(Cell, key), *(row.get(name, number(None)) for name in columns)]
                 for key, row in cells.items()], _called(name), folded=True)  # fmt: skip


def _beside(row: dict[str, Any]) -> Cell:
    parts = [_with_deviation(row["ours"], row["ours_std"])]
    if row["published"] is not None:
        parts.append(_with_deviation(row["published"], row["published_std"]))
        style = "beyond" if row["beyond_two_deviations"] else ""
        parts.append(Markup('<span class="{}">{}</span>').format(
            style, difference(row["difference"]).text))  # fmt: skip
    return Cell(Markup("<br>").join(parts), "number")


def _with_deviation(mean: float | None, deviation: float | None) -> str:
    return written(mean) + (f" ± {written(deviation)}" if deviation is not None else "")


def _figure(source: Source, name: str) -> Picture:
    content = base64.b64encode(source.results.read(f"{FOLDER}/{name}")).decode()
    said = _called(name)
    return Picture(
        Markup('<img class="sheet" alt="{}" src="data:image/svg+xml;base64,{}">').format(
            said, content
        ),
        said,
        wide=True,
    )
