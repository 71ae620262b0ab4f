"""Sections for a reviewer: differences, prevalence, patients, protocols, generation."""

import numpy as np
import pandas as pd

from study.report.page.inputs import Entry, PageInputs, select
from study.report.page.parts import (
    NONE,
    Cell,
    Section,
    Table,
    count,
    decimal,
    difference,
    number,
    with_interval,
)
from study.report.paper.basis import BEST
from study.report.paper.names import composition_label, system_label

MOST_ROWS = 40


def comparison_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections that the study has tables for."""
    sections = (
        _differences(inputs), _prevalence(inputs), _patients(inputs), _protocols(inputs),
        _measures(inputs),
    )  # fmt: skip
    return [section for section in sections if section.tables]


def _differences(inputs: PageInputs) -> Section:
    frame = inputs.table("comparisons")
    best = inputs.drawn[0]
    tables = []
    if not frame.empty:
        frame = select(frame, epoch_rule=BEST, metric="f1_weighted")
        kind = "models" if not inputs.is_search else "compositions"
        tables = [t for t in [_differences_from(best, frame[frame["compared"] == kind], kind)] if t]
    return Section(
        "differences", "Which differences are real",
        "Weighted F₁ less that of what is best on validation, fold by fold, with 95 % "
        "intervals and p of the resampled t-test (Nadeau and Bengio 2003), corrected for their "
        "number (Holm). An interval that holds 0 means that these folds do not separate "
        "the two.",
        tables=tables,
    )  # fmt: skip


def _differences_from(best: Entry, frame: pd.DataFrame, kind: str) -> Table | None:
    """Return the rows that compare with `best`, each as other minus best."""
    rows = []
    for side, other, sign in (("first", "second", -1), ("second", "first", 1)):
        own = {f"{side}_{name}": value for name, value in best.key.items()}
        for _, row in select(frame, **own).iterrows():
            label = (
                system_label(row[f"{other}_system"])
                if kind == "models"
                else composition_label(row[f"{other}_composition"], row[f"{other}_latent_form"])
            )
            # The difference is first minus second.
            value = sign * row["difference"]
            ends = sorted(sign * row[end] for end in ("low", "high"))
            interval = NONE if np.isnan(ends[0]) else f"{decimal(ends[0])} to {decimal(ends[1])}"
            rows.append((value, [Cell(label), difference(value), Cell(interval, "number"),
                                 number(row["p_holm"]), count(int(row["folds"]))]))  # fmt: skip
    rows.sort(key=lambda row: -row[0] if row[0] == row[0] else np.inf)
    head = [{"models": "system"}.get(kind, "composition"), "difference", "interval", "p", "folds"]
    composition = composition_label(best.composition, best.latent_form)
    caption = f"against {best.label}" + (
        f", all with {composition}" if kind == "models" else f", {composition}"
    )
    return Table(head, [cells for _, cells in rows[:MOST_ROWS]], caption) if rows else None


def _prevalence(inputs: PageInputs) -> Section:
    frame = inputs.table("prevalence")
    rows = []
    for entry in inputs.drawn if not frame.empty else ():
        chosen = select(frame, **entry.key, epoch_rule=BEST, without_kind="")
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


def _patients(inputs: PageInputs) -> Section:
    frame = inputs.table("patients")
    rows = []
    for entry in inputs.entries if not frame.empty else ():
        for _, row in select(frame, **entry.key, epoch_rule=BEST).iterrows():
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


def _protocols(inputs: PageInputs) -> Section:
    frame = inputs.table("protocols")
    rows = []
    for entry in inputs.entries if not frame.empty else ():
        for _, row in select(frame, **entry.key, epoch_rule=BEST).iterrows():
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


def _measures(inputs: PageInputs) -> Section:
    frame = inputs.table("measures")
    rows = []
    names = [name for name in _MEASURED if name in frame and frame[name].notna().any()]
    for entry in inputs.drawn if names else ():
        chosen = select(frame, trial=entry.name, epoch_rule=BEST)
        values = chosen[names].apply(pd.to_numeric).mean()
        if values.notna().any():
            rows.append([Cell(entry.label), *(number(values[name]) for name in names)])
    return Section(
        "measures", "Reconstructions and latent space",
        "Means over folds. TSTR is the F₁ of a classifier trained on reconstructions and "
        "tested on real samples, normalised by one trained on real ones; that of normals "
        "reconstructs these alone, as the paper’s reference code. MMD is the distance of "
        "reconstructions from real normals, 0 if equal; the last is how far training norms are "
        "from the χ distribution.",
        tables=[Table(["", *(_MEASURED[name] for name in names)], rows)] if rows else [],
    )  # fmt: skip


_MEASURED = {"tstr": "TSTR", "tstr_normalised": "TSTR normalised",
             "tstr_normals": "TSTR of normals",
             "tstr_normals_normalised": "TSTR of normals, normalised", "mmd": "MMD",
             "latent_chi_ks": "χ, KS distance"}  # fmt: skip
