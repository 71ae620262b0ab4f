"""The section of all kept samples: a table to choose from, and what is drawn of the chosen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute as pc

from study.ledger.fold_files import COMPONENTS, EXTREMES, RECONSTRUCTIONS
from study.report.page.inputs import Entry, PageInputs, thinned
from study.report.page.parts import Cell, Curves, Section, Table, decimal, with_noun
from study.report.paper.basis import BEST
from study.report.paper.names import CLASSES

MOST_KEPT = 160
"""Samples that the page holds, of all entries and folds together."""
MOST_STEPS = 400
"""Time steps of a sample that the page holds; of more, as many evenly."""
STEPS_OF_VALUES = 4000
"""Values are whole numbers of this many parts of the range of all."""
ERROR = "reconstruction_error"


@dataclass(frozen=True)
class KeptSample:
    """A validation sample whose reconstruction is kept, with the weights of the best epoch.

    Attributes:
        label: of the entry.
        fold: the fold's number.
        row: `sample`, `label`, `kind`, `patient`, R, `values` and `reconstruction`.
    """

    label: str
    fold: int
    row: "pd.Series[Any]"


def kept_samples_section(inputs: PageInputs) -> list[Section]:
    """Return the section, if something here reconstructs samples."""
    by_fold = [
        kept
        for entry in inputs.drawn
        for address in entry.record.folds
        if (kept := _kept(inputs, entry, address.fold))
    ]
    if not by_fold:
        return []
    room = max(1, MOST_KEPT // len(by_fold))
    samples = [sample for kept in by_fold for sample in kept[:room]]
    left_out = sum(map(len, by_fold)) - len(samples)
    samples.sort(key=lambda sample: -sample.row[ERROR])
    has_patients = any(sample.row["patient"] for sample in samples)
    has_models = len(inputs.drawn) > 1
    head = [
        "sample",
        *(["model"] * has_models),
        "fold",
        "class",
        "kind",
        *(["patient"] * has_patients),
        "R",
    ]
    rows = [_cells(sample, has_models=has_models, has_patients=has_patients) for sample in samples]
    return [Section(
        "kept-samples", "Any kept sample",
        "Of each fold some validation samples are kept with their reconstructions: drawn at "
        "random, and the best, typical and worst of each class. Choose rows to see them, real "
        "(without colour) and reconstructed (orange); below, the squared error along the sample, "
        "whose mean is R, on one scale.",
        tables=[Table(head, rows, "kept samples, the largest error first", key="samples",
                      row_keys=[str(index) for index in range(len(samples))])],
        # Those of a search are of one trial, and those of systems of one dataset.
        curves=_curves(samples, inputs.drawn[0].config.dataset.length),
        notes=[f"At most {room} of each fold are here; {with_noun(left_out, 'more kept sample')} "
               "in reconstructions.parquet and extremes.parquet of the folds."] if left_out else [],
    )]  # fmt: skip


def _kept(inputs: PageInputs, entry: Entry, fold: int) -> list[KeptSample]:
    """Return the kept samples of an entry's fold, the best, typical and worst first."""
    tables = [inputs.read(entry, name, fold) for name in (EXTREMES, RECONSTRUCTIONS)]
    frames = [table.to_pandas() for table in tables if table is not None]
    if not frames:
        return []
    frame = pd.concat(frames).drop_duplicates("sample")
    frame = frame.merge(_errors(inputs, entry, fold), on="sample")
    return [KeptSample(entry.label, fold, row) for _, row in frame.iterrows()]


def _errors(inputs: PageInputs, entry: Entry, fold: int) -> pd.DataFrame:
    """Return `sample`, `patient` and R of a fold's validation samples."""
    names = ("sample", "patient", "split", "epoch_rule", ERROR)
    table = inputs.read(entry, COMPONENTS, fold, names)
    assert table is not None
    wanted = pc.and_(pc.equal(table["split"], "validation"), pc.equal(table["epoch_rule"], BEST))
    frame: pd.DataFrame = table.filter(wanted).select(["sample", "patient", ERROR]).to_pandas()
    return frame


def _cells(sample: KeptSample, *, has_models: bool, has_patients: bool) -> list[Cell]:
    row = sample.row
    error = float(row[ERROR])
    cells = [Cell(str(row["sample"])), *([Cell(sample.label)] * has_models)]
    cells += [Cell(str(sample.fold), "number")]
    cells += [Cell(CLASSES[int(row["label"])]), Cell(str(row["kind"]))]
    cells += [Cell(str(row["patient"]))] * has_patients
    return [*cells, Cell(decimal(error, 5), "number", repr(error))]


def _curves(samples: list[KeptSample], length: int) -> Curves:
    """Return the first channel of each sample, real and reconstructed, as whole numbers."""
    steps = thinned(length, MOST_STEPS)
    drawn = np.stack(
        [
            [_channel(sample.row[name], steps) for name in ("values", "reconstruction")]
            for sample in samples
        ]
    )
    unit = float(np.ptp(drawn)) / STEPS_OF_VALUES or 1.0
    whole = np.rint(drawn / unit).astype(int)
    rows = {str(index): lines.tolist() for index, lines in enumerate(whole)}
    return Curves("time step", steps.tolist(), ("real", "reconstructed"), unit, rows)


def _channel(values: Any, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)[steps]
