"""Sections for a reviewer: differences, prevalence, patients, protocols, generation."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from study.report.page.inputs import PageInputs, select
from study.report.page.parts import (
    NONE,
    Cell,
    Section,
    Table,
    count,
    difference,
    interval,
    number,
    p_value,
    with_interval,
    with_left_out,
)
from study.report.paper.basis import BEST
from study.report.paper.names import composition_label, system_label

MOST_ROWS = 40


def comparison_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections that the study has tables for."""
    of_metrics = (_differences, _prevalence, _patients, _protocols) if inputs.has_abnormal else ()
    sections = [each(inputs) for each in (*of_metrics, _measures)]
    return [section for section in sections if section.tables]


def _differences(inputs: PageInputs) -> Section:
    frame = inputs.table("comparisons")
    tables = []
    if not frame.empty:
        frame = select(frame, epoch_rule=BEST, metric="f1_weighted")
        shown = {inputs.drawn[0].name}
        for (family, protocol), rows in frame.groupby(["family", "protocol"], sort=False):
            if family == "reconstruction":
                rows = rows[rows["first_trial"].isin(shown)]
            if family != "all_systems" and len(rows):
                tables.append(_family(str(family), str(protocol), rows))
        tables += list(_groups(inputs))
    return Section(
        "differences", "Which differences are real",
        "Differences of weighted F₁ on test that the study named beforehand, with p and interval "
        "corrected for all rows of their table (Holm): an interval that holds 0 means that the "
        "two are not told apart. Over patients, or samples where no patient is known, is "
        "for other patients, with the models as they are (paired bootstrap); over folds is for "
        "another training (Nadeau and Bengio 2003), where folds have test sets of their own.",
        tables=tables,
    )  # fmt: skip


_QUESTIONS = {
    "best_simple": "each system less the simple one that is best on validation",
    "generator_alone": "each adversarial system less its generator, trained alone",
    "reconstruction": "each composition less R alone",
}


def _family(family: str, protocol: str, frame: pd.DataFrame) -> Table:
    """Return a family's rows, the largest difference first."""
    frame = frame.sort_values("difference", ascending=False, kind="stable")
    unit = str(frame["unit"].iloc[0]) or "patient"
    rows = []
    for row in frame.head(MOST_ROWS).to_dict("records"):
        rows.append([Cell(_compared_label(family, row)), *paired_test_cells(row)])
    caption = f"protocol {protocol}: {_QUESTIONS.get(family, family)}"
    caption = with_left_out(caption, len(frame), MOST_ROWS, "comparisons")
    return Table(paired_test_head(unit), rows, caption)


def paired_test_head(unit: str) -> list[str]:
    """Return the head of a table of differences; `unit` is what the bootstrap draws."""
    return ["", "difference", f"over {unit}s", "p", "over folds", "p"]


def paired_test_cells(row: Mapping[Hashable, Any]) -> Iterator[Cell]:
    """Yield the cells of a row of `comparisons.parquet` after the first."""
    yield difference(row["difference"])
    for test in ("unit", "fold"):
        yield Cell(interval(row[f"{test}_low_holm"], row[f"{test}_high_holm"]), "number")
        yield Cell(p_value(row[f"{test}_p_holm"]), "number")


def _compared_label(family: str, row: Mapping[Hashable, Any]) -> str:
    if family == "reconstruction":
        composition = composition_label(row["first_composition"], row["first_latent_form"])
        return f"{system_label(row['first_system'] or row['first_trial'])}: {composition}"
    return f"{system_label(row['first_system'])} less {system_label(row['second_system'])}"


def _groups(inputs: PageInputs) -> Iterator[Table]:
    """Yield a protocol's systems with the letters of their groups."""
    frame = inputs.table("groups")
    frame = frame if frame.empty else select(frame, epoch_rule=BEST, metric="f1_weighted")
    for protocol, own in frame.groupby("protocol", sort=False) if len(frame) else ():
        rows = [
            [Cell(system_label(row["system"])), number(row["mean"]), Cell(row["groups"] or NONE)]
            for row in own.to_dict("records")
        ]
        caption = (
            f"protocol {protocol}: systems that share a letter are not told apart, all pairs tested"
        )
        yield Table(["system", "weighted F₁", "groups"], rows, caption)


def _prevalence(inputs: PageInputs) -> Section:
    frame = inputs.table("prevalence")
    rows = []
    for entry in inputs.drawn if not frame.empty else ():
        chosen = select(frame, **entry.key, epoch_rule=BEST, without_kind="")
        own_share = chosen.loc[chosen["own_prevalence"], "prevalence"].mean()  # folds differ
        chosen = chosen.assign(
            prevalence=chosen["prevalence"].mask(chosen["own_prevalence"], own_share)
        )
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
                    row[metric], row[f"{metric}_patient_low"], row[f"{metric}_patient_high"]
                )
                for metric in ("f1_weighted", "f1_anomaly", "phi")
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
