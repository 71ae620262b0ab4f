"""What single samples show: reconstructions, and decisions by kind."""

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from study.fold_files import EXTREMES, RECONSTRUCTIONS
from study.report.page import charts
from study.report.page.charts import ACCENT, INK, MUTED
from study.report.page.parts import Cell, Picture, Section, Table, count, number
from study.report.page.source import FOLD, Entry, Source
from study.report.paper.names import composition_label

CLASSES = ("normal", "abnormal")
PLACES = ("best", "typical", "worst")
MOST_KINDS = 30
SHARE = 90  # units that a bar is wide


def sample_sections(source: Source) -> list[Section]:
    """Return the sections of kinds and of reconstructions."""
    return [_kinds(source), _reconstructions(source)]


def _kinds(source: Source) -> Section:
    strata = source.table("strata")
    tables = [t for t in (_kinds_of(strata, entry) for entry in source.shown) if t]
    return Section(
        "kinds", "Decisions by kind",
        "Test samples of all folds by the dataset’s own classes: what share was called "
        "abnormal by the composition that is best on validation. It should be all of an "
        "abnormal kind and none of a normal one; one number over all kinds hides those that are "
        "never found. AUROC ranks a kind among all normal samples.",
        tables=tables, notes=[] if tables else ["No decisions by kind were stored."],
    )  # fmt: skip


def _kinds_of(strata: pd.DataFrame, entry: Entry) -> Table | None:
    if strata.empty:
        return None
    chosen = {"trial": entry.name, "epoch_rule": "best_validation", "stratum": "kind"}
    chosen |= {"composition": entry.composition, "latent_form": entry.latent_form}
    mask = np.logical_and.reduce([strata[name] == value for name, value in chosen.items()])
    grouped = strata[mask].groupby("value")
    sums = grouped[["normal", "abnormal", "false_alarms", "hits"]].sum()
    if sums.empty:
        return None
    sums["auroc"] = grouped["auroc"].mean()
    sums["size"] = sums["normal"] + sums["abnormal"]
    sums = sums.sort_values(["normal", "size"], ascending=False)
    rows = []
    for kind, row in sums.head(MOST_KINDS).iterrows():
        called = (row["false_alarms"] + row["hits"]) / row["size"]
        is_abnormal = bool(row["abnormal"])
        rows.append([
            Cell(str(kind)), Cell(CLASSES[is_abnormal]), count(int(row["size"])),
            count(int(row["false_alarms"] + row["hits"])), _share(called, is_abnormal),
            number(called), number(row["auroc"]),
        ])  # fmt: skip
    what = composition_label(entry.composition, entry.latent_form)
    left = len(sums) - len(rows)
    more = f"; {left} rarer kinds left out, strata.parquet has all" if left else ""
    head = ["kind", "class", "samples", "called abnormal", "", "share", "AUROC"]
    return Table(head, rows, f"{entry.label}, {what}{more}")


def _share(value: float, is_abnormal: bool) -> Cell:
    style = "hit" if is_abnormal else "alarm"
    return Cell(Markup(
        f'<svg class="bar" viewBox="0 0 {SHARE} 16" role="img" aria-label="{value:.3f} of 1">'
        f'<path class="rail" d="M0 8H{SHARE}"/>'
        f'<path class="{style}" d="M0 8H{value * SHARE:.1f}"/></svg>'
    ))  # fmt: skip


def _reconstructions(source: Source) -> Section:
    pictures, notes = [], []
    for entry in source.shown:
        table = source.read(entry, EXTREMES)
        if table is None:
            table = source.read(entry, RECONSTRUCTIONS)
            if table is None:
                continue
            notes.append(f"{entry.label}: of the few samples that were stored, drawn at random.")
        pictures += _beats(entry, table.to_pandas(), source.study.dataset.length)
    return Section(
        "samples", "Real and reconstructed samples",
        "Validation samples with the smallest, the median and the largest reconstruction error "
        "of their class, real (dark) and reconstructed (in colour); below, the absolute error "
        "along the sample. A good model errs on abnormal samples, at the place where they are "
        "abnormal; a normal sample that is as bad as they are is a false alarm to come.",
        pictures=pictures,
        notes=[f"Fold {FOLD}.", *notes] if pictures else ["Nothing here reconstructs samples."],
    )  # fmt: skip


def _beats(entry: Entry, frame: pd.DataFrame, length: int) -> list[Picture]:
    """Draw the best, the typical and the worst sample of each class."""
    real, found = (np.stack(frame[name].to_list()) for name in ("values", "reconstruction"))
    frame = frame.assign(error=((real - found) ** 2).mean(axis=1))
    pictures = []
    for label, name in enumerate(CLASSES):
        ordered = frame[frame["label"] == label].sort_values("error", kind="stable")
        if ordered.empty:
            continue
        at = (0, (len(ordered) - 1) // 2, len(ordered) - 1)
        for place, row in zip(PLACES, (ordered.iloc[i] for i in at), strict=True):
            caption = f"{entry.label}: {place} {name} ({row['kind']}), R {row['error']:.2g}"
            pictures.append(_beat(row, length, caption))
    return pictures


def _beat(row: "pd.Series[Any]", length: int, caption: str) -> Picture:
    """Draw a sample's first channel over its reconstruction, and the error below."""
    figure, axes = charts.panel("time step", "")
    real, found = (np.asarray(row[name])[:length] for name in ("values", "reconstruction"))
    error = np.abs(real - found)
    room = 0.3 * max(float(np.ptp(np.concatenate([real, found]))), 1e-6)
    floor = float(min(real.min(), found.min())) - room
    axes.fill_between(range(length), floor, floor + np.minimum(error, room), color=MUTED,
                      alpha=0.5, linewidth=0)  # fmt: skip
    axes.plot(real, color=INK, linewidth=1.2)
    axes.plot(found, color=ACCENT, linewidth=1.4)
    return charts.picture(figure, caption)
