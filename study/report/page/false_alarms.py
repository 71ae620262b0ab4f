"""The section on false alarms by patient."""

from collections.abc import Iterator

import pandas as pd

from study.report.page.inputs import Entry, PageInputs, select
from study.report.page.parts import Cell, Section, Table, count, number
from study.report.paper.basis import BEST
from study.report.paper.names import composition_label


def false_alarm_sections(inputs: PageInputs) -> list[Section]:
    """Return the section, if thresholds of the study rest on held-out normals."""
    frame = inputs.table("false_alarms")
    if frame.empty:
        return []
    frame = select(frame, epoch_rule=BEST)
    rows = [
        row for entry in inputs.entries for row in _rows(entry, select(frame, trial=entry.name))
    ]
    reading = (
        "Thresholds without labels of abnormal samples promise a share of false alarms. Here is "
        "what test patients have: the mean over patients and folds, the patient with most (mean "
        "over folds), and how many have more than was promised. Where normals of validation are "
        "of other patients and each counts alike (held_out_patients), the promise is the mean’s."
    )
    head = ["trial", "composition", "promised", "mean over patients", "most", "", "above", "of"]
    table = Table(head, rows, "false alarms, share of a patient’s normal samples")
    return [Section("false-alarms", "False alarms by patient", reading, [table])] if rows else []


def _rows(entry: Entry, frame: pd.DataFrame) -> Iterator[list[Cell]]:
    for _, part in frame.groupby(["composition", "latent_form"], sort=False):
        first = part.iloc[0]
        share = part.groupby("patient")["share"].mean()
        promised = float(first["promised"])
        yield [
            Cell(f"{entry.label}, {entry.protocol}"),
            Cell(composition_label(first["composition"], first["latent_form"])),
            number(promised),
            number(float(share.mean())),
            number(float(share.max())),
            Cell(str(share.idxmax())),
            count(int((share > promised).sum())),
            count(len(share)),
        ]
