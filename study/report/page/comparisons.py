"""What a reviewer asks: differences, prevalence, patients, protocols, generation, the paper."""

import base64
import io
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from markupsafe import Markup

from study.report.page.parts import (
    NONE,
    Cell,
    Picture,
    Section,
    Table,
    count,
    difference,
    number,
    with_interval,
    written,
)
from study.report.page.source import BEST, Entry, Source
from study.report.paper.build import FOLDER
from study.report.paper.names import METRICS, composition_label, system_label

PAGE = re.compile(r"(figure|table)_(\d+)(?:_(\w+))?\.svg")
MOST_ROWS = 40


def comparison_sections(source: Source) -> list[Section]:
    """Return the sections that the study has tables for."""
    made = (
        _differences(source), _prevalence(source), _patients(source), _protocols(source),
        _measures(source),
    )  # fmt: skip
    return [section for section in made if section.tables]


def paper_section(source: Source) -> list[Section]:
    """Return the paper's tables and figures as the study has drawn them; none without."""
    names = [name for name in source.results.names(FOLDER) if PAGE.fullmatch(name)]
    if not source.study.systems or not names:
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


def _differences(source: Source) -> Section:
    frame = source.table("comparisons")
    best = source.shown[0]
    tables = []
    if not frame.empty:
        frame = frame[(frame["epoch_rule"] == BEST) & (frame["metric"] == "f1_weighted")]
        kind = "models" if source.study.systems else "compositions"
        tables = [t for t in [_against(best, frame[frame["compared"] == kind], kind)] if t]
    return Section(
        "differences", "Which differences are real",
        "Weighted F₁ less that of what is best on validation, fold by fold, with 95 % "
        "intervals and p of the resampled t-test (Nadeau and Bengio 2003), corrected for their "
        "number (Holm). An interval that holds 0 says that these folds cannot tell the two "
        "apart.",
        tables=tables,
    )  # fmt: skip


def _against(best: Entry, frame: pd.DataFrame, kind: str) -> Table | None:
    """Return the rows that compare with `best`, each as other minus best."""
    own = {"trial": best.name, "composition": best.composition, "latent_form": best.latent_form}
    rows = []
    for side, other, sign in (("first", "second", -1), ("second", "first", 1)):
        mask = np.logical_and.reduce([frame[f"{side}_{k}"] == v for k, v in own.items()])
        for _, row in frame[mask].iterrows():
            label = (
                system_label(row[f"{other}_system"])
                if kind == "models"
                else composition_label(row[f"{other}_composition"], row[f"{other}_latent_form"])
            )
            # The difference is first minus second.
            value = sign * row["difference"]
            ends = sorted(sign * row[end] for end in ("low", "high"))
            interval = NONE if np.isnan(ends[0]) else f"{written(ends[0])} to {written(ends[1])}"
            rows.append((value, [Cell(label), difference(value), Cell(interval, "number"),
                                 number(row["p_holm"]), count(int(row["folds"]))]))  # fmt: skip
    rows.sort(key=lambda row: -row[0] if row[0] == row[0] else np.inf)
    head = [{"models": "system"}.get(kind, "composition"), "difference", "interval", "p", "folds"]
    what = composition_label(best.composition, best.latent_form)
    caption = f"against {best.label}" + (f", all with {what}" if kind == "models" else f", {what}")
    return Table(head, [cells for _, cells in rows[:MOST_ROWS]], caption) if rows else None


def _prevalence(source: Source) -> Section:
    frame = source.table("prevalence")
    rows = []
    for entry in source.shown if not frame.empty else ():
        chosen = _of_entry(frame, entry)
        chosen = chosen[chosen["without_kind"] == ""]
        names = ["prevalence", "own_prevalence"]
        means = chosen.groupby(names)[[*_AT_PREVALENCE]].mean().reset_index()
        for _, row in means.sort_values("prevalence").iterrows():
            own = " (the test set’s)" if row["own_prevalence"] else ""
            rows.append([Cell(entry.label), Cell(f"{row['prevalence']:.1%}{own}", "number"),
                         *(number(row[name]) for name in _AT_PREVALENCE)])  # fmt: skip
    head = ["", "abnormal", "weighted F₁", "a constant answer", "F₁ of abnormal", "precision",
            "recall", "φ"]  # fmt: skip
    return Section(
        "prevalence", "At other shares of abnormal samples",
        "What the same decisions would score where abnormal samples are rarer or more frequent "
        "than in this test set. Recall stays; precision falls with rarity.",
        tables=[Table(head, rows)] if rows else [],
    )  # fmt: skip


_AT_PREVALENCE = ("f1_weighted", "f1_weighted_constant", "f1_anomaly", "precision", "recall", "phi")


def _patients(source: Source) -> Section:
    frame = source.table("patients")
    rows = []
    for entry in source.entries if not frame.empty else ():
        for _, row in _of_entry(frame, entry).iterrows():
            cells = [
                with_interval(
                    row[metric], row[f"{metric}_patient_low"], row[f"{metric}_patient_high"], floor
                )
                for metric, floor in (("f1_weighted", 0.0), ("f1_anomaly", 0.0), ("phi", -1.0))
            ]
            rows.append([Cell(entry.label), *cells, count(int(row["patients"]))])
    return Section(
        "patients", "For a new patient",
        "Intervals over patients, drawn whole with replacement: how far the result is that of "
        "the patients who happen to test. Protocol inter_patient.",
        tables=[Table(["", "weighted F₁", "F₁ of abnormal", "φ", "patients"], rows)]
        if rows else [],
    )  # fmt: skip


def _protocols(source: Source) -> Section:
    frame = source.table("protocols")
    rows = []
    for entry in source.entries if not frame.empty else ():
        for _, row in _of_entry(frame, entry).iterrows():
            rows.append([Cell(entry.label), Cell(row["protocol"]), number(row["f1_weighted"]),
                         number(row["f1_weighted_inter_patient"]),
                         difference(row["f1_weighted_difference"]), number(row["auroc"]),
                         number(row["auroc_inter_patient"])])  # fmt: skip
    head = ["", "protocol", "weighted F₁", "inter_patient", "difference", "AUROC", "inter_patient"]
    return Section(
        "protocols", "What knowing the patient is worth",
        "The same system where patients both train and test, and where they do not.",
        tables=[Table(head, rows)] if rows else [],
    )  # fmt: skip


def _measures(source: Source) -> Section:
    frame = source.table("measures")
    rows = []
    names = [name for name in _MEASURED if name in frame]
    for entry in source.shown if names else ():
        chosen = frame[(frame["trial"] == entry.name) & (frame["epoch_rule"] == BEST)]
        values = chosen[names].apply(pd.to_numeric).mean()
        if values.notna().any():
            rows.append([Cell(entry.label), *(number(values[name]) for name in names)])
    return Section(
        "measures", "Reconstructions and latent space",
        "Means over folds. TSTR is the F₁ of a classifier trained on reconstructions and "
        "tested on real samples, normalised by one trained on real ones; MMD is the distance of "
        "reconstructions from real normals, 0 if equal; the last is how far training norms are "
        "from the χ distribution.",
        tables=[Table(["", *(_MEASURED[name] for name in names)], rows)] if rows else [],
    )  # fmt: skip


_MEASURED = {"tstr": "TSTR", "tstr_normalised": "TSTR normalised", "mmd": "MMD",
             "latent_chi_ks": "χ, KS distance"}  # fmt: skip


def _of_entry(frame: pd.DataFrame, entry: Entry) -> pd.DataFrame:
    """Return the rows of an entry's best composition at its best epochs."""
    chosen = {"trial": entry.name, "composition": entry.composition, "epoch_rule": BEST}
    chosen |= {"latent_form": entry.latent_form}
    return frame[np.logical_and.reduce([frame[name] == value for name, value in chosen.items()])]


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


def _beside(row: dict[str, float | None]) -> Cell:
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
