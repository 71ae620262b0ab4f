"""Sections of samples: reconstructions, and decisions by kind."""

from typing import Any

import numpy as np
import pandas as pd

from study.ledger.fold_files import EXTREMES, RECONSTRUCTIONS
from study.report.drawn_fold import DRAWN_FOLD
from study.report.page import charts
from study.report.page.bars import share_bar
from study.report.page.charts import ACCENT, INK, MUTED
from study.report.page.inputs import Entry, PageInputs, select
from study.report.page.parts import Cell, Picture, Section, Table, count, with_noun
from study.report.paper.basis import BEST
from study.report.paper.names import CLASSES

RANKS = ("best", "typical", "worst")
MOST_KINDS = 30


def sample_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections of kinds and of reconstructions."""
    return [_kinds(inputs), _reconstructions(inputs)]


def _kinds(inputs: PageInputs) -> Section:
    strata = inputs.table("strata")
    counts = {e.label: _counts_by_kind(strata, e) for e in inputs.drawn} if len(strata) else {}
    table = _kinds_table(counts) if any(map(len, counts.values())) else None
    return Section(
        "kinds", "Decisions by kind",
        "Test samples of all folds by the dataset’s own classes: what share was predicted "
        "abnormal by the composition of the study’s metric. It should be all of an "
        "abnormal kind and none of a normal one; one number over all kinds hides those that are "
        "never detected.",
        tables=[table] if table else [],
        notes=[] if table else ["No decisions by kind were stored."],
    )  # fmt: skip


def _counts_by_kind(strata: pd.DataFrame, entry: Entry) -> pd.DataFrame:
    """Return counts over folds by kind, normal kinds first, the frequent before the rare."""
    chosen = select(strata, **entry.key, epoch_rule=BEST, stratum="kind")
    sums = chosen.groupby("value")[["normal", "abnormal", "false_alarms", "hits"]].sum()
    sums["size"] = sums["normal"] + sums["abnormal"]
    sums["predicted"] = (sums["false_alarms"] + sums["hits"]) / sums["size"]
    return sums.sort_values(["normal", "size"], ascending=False)


def _kinds_table(counts: dict[str, pd.DataFrame]) -> Table:
    first = next(kinds for kinds in counts.values() if len(kinds))
    rows = []
    for kind, sums in first.head(MOST_KINDS).iterrows():
        is_abnormal = bool(sums["abnormal"])
        cells = [Cell(str(kind)), Cell(CLASSES[is_abnormal]), count(int(sums["size"]))]
        cells += [
            share_bar(float(kinds["predicted"].get(kind, np.nan)), wanted=is_abnormal)
            for kinds in counts.values()
        ]
        rows.append(cells)
    left = len(first) - len(rows)
    more = f"; {with_noun(left, 'rarer kind')} left out, strata.parquet has all" if left else ""
    head = ["kind", "class", "samples", *counts]
    return Table(head, rows, f"share predicted abnormal{more}")


def _reconstructions(inputs: PageInputs) -> Section:
    pictures, drawn = [], []
    for entry in inputs.drawn:
        table = inputs.read(entry, EXTREMES)
        if table is None:
            table = inputs.read(entry, RECONSTRUCTIONS)
            if table is None:
                continue
            drawn.append(entry.label)
        pictures += _beats(entry, table.to_pandas(), entry.config.dataset.length)
    return Section(
        "samples", "Real and reconstructed samples",
        "Validation samples with the smallest, the median and the largest reconstruction error "
        "of their class, real (without colour) and reconstructed (orange); below, the absolute "
        "error along the sample, on one scale for all samples of a model. A good model errs on "
        "abnormal samples, at the positions that make them abnormal; a normal sample that is as "
        "bad as they are is a false alarm to come.",
        pictures=pictures,
        notes=_notes(pictures, drawn),
    )  # fmt: skip


def _notes(pictures: list[Picture], drawn: list[str]) -> list[str]:
    if not pictures:
        return ["Nothing here reconstructs samples."]
    few = f" Of {', '.join(drawn)} only a few samples are stored, drawn at random."
    return [f"Fold {DRAWN_FOLD}.{few if drawn else ''}"]


def _beats(entry: Entry, frame: pd.DataFrame, length: int) -> list[Picture]:
    """Draw the best, the typical and the worst sample of each class."""
    real, reconstruction = (
        np.stack(frame[name].to_list()) for name in ("values", "reconstruction")
    )
    frame = frame.assign(error=((real - reconstruction) ** 2).mean(axis=1))
    largest = float(np.abs(real - reconstruction).max()) or 1.0
    pictures = []
    for label, name in enumerate(CLASSES):
        ordered = frame[frame["label"] == label].sort_values("error", kind="stable")
        if ordered.empty:
            continue
        at = (0, (len(ordered) - 1) // 2, len(ordered) - 1)
        for rank, row in zip(RANKS, (ordered.iloc[i] for i in at), strict=True):
            caption = f"{entry.label}: {rank} {name} ({row['kind']}), R {row['error']:.2g}"
            pictures.append(_beat(row, length, largest, caption))
    return pictures


def _beat(row: "pd.Series[Any]", length: int, largest: float, caption: str) -> Picture:
    """Draw a sample, its reconstruction, and the error as a share of `largest`.

    Each channel is lifted above the one before.
    """
    figure, axes = charts.panel("time step", "")
    channels = [
        np.reshape(np.asarray(row[name]), (-1, length)) for name in ("values", "reconstruction")
    ]
    if len(channels[0]) > 1:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(channels[0])} channels, the first one lowest")
    top = None
    for real, reconstruction in zip(*channels, strict=True):
        both = np.concatenate([real, reconstruction])
        height = 0.3 * max(float(np.ptp(both)), 1e-6)
        floor = float(both.min()) - height
        lift = 0.0 if top is None else top - floor
        error = np.abs(real - reconstruction) / largest * height + floor + lift
        axes.fill_between(range(length), floor + lift, error, color=MUTED, alpha=0.5, linewidth=0)
        axes.plot(real + lift, color=INK, linewidth=1.2)
        axes.plot(reconstruction + lift, color=ACCENT, linewidth=1.4)
        top = float(both.max()) + lift + 0.2 * height
    return charts.picture(figure, caption)
