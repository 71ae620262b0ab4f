"""Sections on what labels chose, and by classes of heartbeats (AAMI EC57)."""

from typing import Any

import pandas as pd

from study.report.choices import AT_RANDOM, LOWEST
from study.report.labels import BEST, EPOCH, LAST, TRIAL
from study.report.page.inputs import Entry, PageInputs, select
from study.report.page.parts import (
    Cell,
    Section,
    Table,
    count,
    difference,
    number,
    with_interval,
    with_left_out,
    with_note,
)
from study.report.paper.names import composition_label
from study.scores.clinical import ALL

RULES = {
    BEST: "best on validation, by labels",
    LAST: "the last epoch",
    LOWEST: "least error of validation normals",
    AT_RANDOM: "any, on average",
}
_OF_EPOCHS = "the epoch: each fold at one of its own, then the mean of these values over folds"
_OF_TRIALS = "the trial: the mean over folds at one epoch for all folds, its best or the last"
MOST_ROWS = 60


def label_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections that the study has tables for."""
    return [section for section in (_labels(inputs), _clinical(inputs)) if section.tables]


def _labels(inputs: PageInputs) -> Section:
    one_class = _one_class(inputs)
    tables = [table for table in (one_class, *_choices(inputs)) if table.rows]
    notes = [] if one_class.rows else ["No row here is one-class: labels chose something of each."]
    return Section(
        "labels", "Without labels",
        "A row is one-class only if no label chose its trial, its epoch, a weight or its "
        "threshold; each row of the tables says what labels chose of it. Regret is the study’s "
        "metric of what labels chose less that of what is chosen without them: what abnormal "
        "samples with labels were worth.",
        tables=tables,
        notes=notes,
    )  # fmt: skip


def _one_class(inputs: PageInputs) -> Table:
    """Return the rows that owe nothing to labels, of all entries."""
    frame: pd.DataFrame = inputs.tables["summary"].to_pandas()
    rows = []
    for entry in inputs.entries:
        chosen = frame[(frame["trial"] == entry.name) & frame["one_class"].astype(bool)]
        # Of a model that is fitted once both rules are one.
        for _, row in chosen[chosen["epoch_rule"] == LAST].iterrows():
            composition = composition_label(row["composition"], row["latent_form"])
            mean, low, high = (row[f"f1_weighted_{end}"] for end in ("mean", "low", "high"))
            rows.append([Cell(entry.label), Cell(entry.protocol), Cell(composition),
                         with_interval(mean, low, high), number(row["phi_mean"]),
                         number(row["auroc_mean"])])  # fmt: skip
    head = ["", "protocol", "composition", "weighted F₁", "φ", "AUROC"]
    caption = "one-class rows, with the weights of the last epoch"
    caption = with_left_out(caption, len(rows), MOST_ROWS, "summary")
    return Table(head, rows[:MOST_ROWS], caption)


def _choices(inputs: PageInputs) -> list[Table]:
    frame = inputs.table("choices")
    if frame.empty:
        return []
    head = ["validation", "regret", "test", "regret"]
    epochs = []
    for entry in inputs.entries:
        chosen = select(frame, trial=entry.name, choice=EPOCH)
        for rule in (rule for rule in RULES if (chosen["rule"] == rule).any()):
            epochs.append([Cell(entry.label), Cell(entry.protocol), Cell(RULES[rule]),
                           *_regret(select(chosen, rule=rule))])  # fmt: skip
    trials = [
        [Cell(RULES[str(row["rule"])]), Cell(str(row["trial"])), *_regret(frame.loc[[index]])]
        for index, row in select(frame, choice=TRIAL).iterrows()
    ]
    return [
        Table(["", "protocol", "epoch", *head], epochs, _OF_EPOCHS),
        Table(["rule", "trial", *head], trials, _OF_TRIALS),
    ]


def _regret(rows: pd.DataFrame) -> list[Cell]:
    value, regret, test, test_regret = (
        float(rows[name].mean()) for name in ("value", "regret", "test_value", "test_regret")
    )
    return [number(value), difference(regret), number(test), difference(test_regret)]


def _clinical(inputs: PageInputs) -> Section:
    frame = inputs.table("clinical")
    tables = []
    if not frame.empty:
        is_record = ~frame["records"].str.startswith(("all", "without"))
        tables = [_by_class(inputs, frame[~is_record])]
        tables += [_by_record(entry, frame[is_record]) for entry in inputs.drawn]
    return Section(
        "clinical", "By classes of heartbeats",
        "After AAMI EC57, each system with its metric’s composition; means over "
        "folds. A one-class detector calls beats abnormal and names no class: sensitivity is the "
        "share of a class’s beats that it calls abnormal. +P is how many of its alarms are at "
        "beats of the class rather than at normal ones, alarms at other abnormal beats left out; "
        "“strict” takes every alarm to name the class, as EC57 counts a classifier’s. "
        "Paced and unclassifiable beats count nowhere.",
        tables=[table for table in tables if table.rows],
    )  # fmt: skip


_CLINICAL = ("sensitivity", "positive_predictivity", "positive_predictivity_strict")
_HEAD = ("class", "beats", "sensitivity", "+P", "+P, strict", "false alarms an hour", "hours")


def _by_class(inputs: PageInputs, frame: pd.DataFrame) -> Table:
    rows = []
    for entry in inputs.entries:
        for _, row in _means(entry, frame).iterrows():
            label = with_note(entry.label, f"{entry.protocol}; {row['records']}")
            rows.append([label, *_clinical_cells(row)])
    caption = f"records together, {ALL} and without those that hold most of a class"
    return Table(["", *_HEAD], rows, caption)


def _by_record(entry: Entry, frame: pd.DataFrame) -> Table:
    rows = [
        [Cell(row["records"]), *_clinical_cells(row)]
        for _, row in _means(entry, frame).iterrows()
        if row["beats"] > 0
    ]
    return Table(["record", *_HEAD], rows, f"{entry.label}, record by record", folded=True)


def _means(entry: Entry, frame: pd.DataFrame) -> pd.DataFrame:
    """Return means over folds by records and class, in the order of the table."""
    chosen = select(frame, **entry.key, epoch_rule=BEST)
    values = [*_CLINICAL, "beats", "hours", "false_alarms_per_hour"]
    return chosen.groupby(["records", "beat_class"], sort=False)[values].mean().reset_index()


def _clinical_cells(row: "pd.Series[Any]") -> list[Cell]:
    return [
        Cell(row["beat_class"]),
        count(round(row["beats"])),
        *(number(row[name]) for name in _CLINICAL),
        number(row["false_alarms_per_hour"], 1),
        number(row["hours"], 1),
    ]
