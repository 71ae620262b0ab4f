"""The paper's tables I to IV beside a study's own numbers: a row per cell."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from study.report.paper.basis import BEST, LAST
from study.report.paper.names import COMPOSITIONS, in_paper_order
from study.report.paper.published import (
    EPOCHS,
    FOLDS,
    best_composition_published,
    published_number,
)

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("table", "dataset", "protocol", "system", "variant")),
        *((name, pa.string()) for name in ("composition", "latent_form", "metric")),
        *((name, pa.float64()) for name in ("ours", "ours_std", "published", "published_std")),
        ("difference", pa.float64()),
        ("beyond_two_deviations", pa.bool_()),
        *((name, pa.int64()) for name in ("measurements", "epochs", "folds")),
        *((name, pa.int64()) for name in ("published_epochs", "published_folds")),
    ]
)
"""Columns of every table. `ours` and `ours_std` (n - 1) are over folds, `difference` is
ours - published, `beyond_two_deviations` whether it is more than two of the paper's
deviations; null where there is no such number. `variant` is table III's choice of
composition, `measurements` how many TSTR measurements a running mean has at least,
`epochs` how many a fold was trained at least."""

TABLE_2_SYSTEMS = ("beatgan", "beatgan_plus", "beatgan_plus_mse", "vaegan_1", "vaegan_2")
TABLE_3_METRICS = ("f1_weighted", "phi", "auroc_labels", "auroc")
TSTR_METRICS = ("tstr", "tstr_normalised", "tstr_normals", "tstr_normals_normalised")
PAPER_COMPOSITION, BEST_COMPOSITION = "paper_composition", "best_composition"
PAPER_LATENT_FORM = "implicit"
"""Form of L(x) in `svm_gamma`; the paper does not state which it used."""


def tstr_table(measures: pa.Table, dataset: str) -> pa.Table:
    """Return table I, or IV for `wafer`: TSTR, by both definitions, at the best epoch.

    The paper's numbers are of `tstr_normals`; those of `tstr` have none beside them.

    Args:
        measures: `measures.parquet`; without TSTR there are no rows.
        dataset: the study's.

    Returns:
        A row of `SCHEMA` per protocol, system that was measured, and metric.
    """
    rows = []
    number = "IV" if dataset == "wafer" else "I"
    for protocol, system, frame in _systems(measures, ("epoch_rule", *TSTR_METRICS)):
        best = frame[frame["epoch_rule"] == BEST]
        key = {"table": number, "dataset": dataset, "protocol": protocol, "system": system}
        for metric in TSTR_METRICS:
            values = best[metric].dropna()
            if len(values):
                rows.append(
                    key
                    | {"metric": metric, "ours": values.mean(), "ours_std": values.std()}
                    | {"folds": len(values), "epochs": _fewest(frame, LAST, "epoch")}
                    | {"measurements": _fewest(frame, BEST, "tstr_measurements")}
                )
    return _table(rows)


def composition_table(scores: pa.Table, summary: pa.Table) -> pa.Table:
    """Return table II: weighted F1 by composition, at the best validation epoch.

    Args:
        scores: `scores.parquet`.
        summary: `summary.parquet`.

    Returns:
        A row of `SCHEMA` per protocol, system of the paper's table and composition.
    """
    rows, means = [], summary.to_pandas()
    for protocol, system, frame in _systems(scores, ("epoch_rule", "composition")):
        for composition in COMPOSITIONS if system in TABLE_2_SYSTEMS else ():
            chosen = {"protocol": protocol, "system": system, "composition": composition}
            chosen |= {"latent_form": _paper_form(composition)}
            rows.append(
                {"table": "II", "dataset": frame["dataset"].iloc[0], **chosen}
                | _mean_and_deviation(means, chosen, "f1_weighted")
                | {"epochs": _fewest(frame, LAST, "epoch")}
            )
    return _table(rows)


def system_table(scores: pa.Table, summary: pa.Table) -> pa.Table:
    """Return table III: F1, phi and AUROC of every system, at the best validation epoch.

    Systems of the paper's table come twice: with the composition that was best there
    (`paper_composition`), and with the study's best by validation F1
    (`best_composition`), as all others do. AUROC of continuous scores has no number in
    the paper, whose AUROC is of labels.

    Args:
        scores: `scores.parquet`.
        summary: `summary.parquet`.

    Returns:
        A row of `SCHEMA` per protocol, system, variant and metric.
    """
    rows, means = [], summary.to_pandas()
    for protocol, system, frame in _systems(scores, ("validation_f1_weighted",)):
        dataset = str(frame["dataset"].iloc[0])
        for variant, (composition, form) in _variants(frame, dataset, system):
            chosen = {"protocol": protocol, "system": system, "composition": composition}
            chosen |= {"latent_form": form}
            rows += [
                {"table": "III", "dataset": dataset, "variant": variant, **chosen}
                | _mean_and_deviation(means, chosen, metric)
                | {"epochs": _fewest(frame, LAST, "epoch")}
                for metric in TABLE_3_METRICS
            ]
    return _table(rows)


def best_composition(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return composition and latent form of the largest validation F1, a mean over folds.

    Args:
        frame: rows of `scores.parquet` of one trial. Compositions that are undefined in a
            fold do not count; the first among equals is taken. None if there is none.
    """
    best = frame[frame["epoch_rule"] == BEST]
    grouped = best.groupby(["composition", "latent_form"], sort=False)["validation_f1_weighted"]
    means = grouped.agg(lambda values: values.mean(skipna=False)).dropna()
    if means.empty:
        return None
    composition, form = means.index[int(means.to_numpy().argmax())]
    return str(composition), str(form)


def _variants(
    frame: pd.DataFrame, dataset: str, system: str
) -> Iterator[tuple[str, tuple[str, str]]]:
    papers, best = best_composition_published(dataset, system), best_composition(frame)
    if papers is not None:
        yield PAPER_COMPOSITION, (papers, _paper_form(papers))
    if best is not None:
        yield BEST_COMPOSITION, best


def _paper_form(composition: str) -> str:
    return PAPER_LATENT_FORM if composition == "svm_gamma" else ""


def _systems(table: pa.Table, needed: Sequence[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield protocol, system and rows, in the paper's order; none if a column is absent."""
    if not {"protocol", "system", *needed} <= set(table.column_names):
        return
    frame = table.to_pandas()
    for protocol in frame["protocol"].unique():
        rows = frame[frame["protocol"] == protocol]
        for system in in_paper_order(rows["system"]):
            yield str(protocol), system, rows[rows["system"] == system]


def _mean_and_deviation(
    summary: pd.DataFrame, chosen: dict[str, str], metric: str
) -> dict[str, Any]:
    """Return a metric's mean and deviation over folds; nothing if there is no such row."""
    rows = summary["epoch_rule"] == BEST
    for name, value in chosen.items():
        rows &= summary[name] == value
    if not rows.any():
        return {"metric": metric}
    row = summary[rows].iloc[0]
    values = {"ours": row[f"{metric}_mean"], "ours_std": row[f"{metric}_std"]}
    return {"metric": metric, **values, "folds": int(row["folds"])}


def _fewest(frame: pd.DataFrame, rule: str, column: str) -> int | None:
    if column not in frame:
        return None
    values = frame[frame["epoch_rule"] == rule][column].dropna()
    return None if values.empty else int(values.min())


def _table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return rows as a table of `SCHEMA`, each with the paper's number."""
    rows = [_with_published(row) for row in rows]
    columns = {field.name: [row.get(field.name) for row in rows] for field in SCHEMA}
    # from_pandas: what is undefined (nan) is null.
    arrays = [pa.array(columns[f.name], f.type, from_pandas=True) for f in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _with_published(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the paper's number of its cell, if there is one."""
    row = {"variant": "", "composition": "", "latent_form": "", **row}
    # The paper's row of table III is of its own composition, whatever ours is.
    composition = row["composition"]
    if row["table"] == "III":
        composition = best_composition_published(row["dataset"], row["system"]) or ""
    number = published_number(
        row["table"], row["dataset"], row["system"], composition, row["metric"]
    )
    if number is None:
        return row
    row |= {"published": number.mean, "published_std": number.deviation}
    row |= {"published_epochs": EPOCHS, "published_folds": FOLDS}
    if number.deviation is not None and pd.notna(row.get("ours")):
        row["difference"] = row["ours"] - number.mean
        row["beyond_two_deviations"] = bool(abs(row["difference"]) > 2 * number.deviation)
    return row
