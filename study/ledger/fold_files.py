"""The files of a committed fold: their names, their columns, and how to read them."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from models import DRAWN_NORM
from study.ledger.ledger import FoldManifest, Ledger
from study.scores.components import FoldErrors, SplitErrors
from study.scores.reference import Moments

EPOCH_RULES = ("best_validation", "last")
COMPONENTS = "components.parquet"
TRAINING_COMPONENTS = "training_components.parquet"
HISTORY = "history.parquet"
WEIGHTS = "model.safetensors"
TIMINGS = "timings.json"
RECONSTRUCTIONS = "reconstructions.parquet"
INTERPOLATION = "interpolation.parquet"
EXTREMES = "extremes.parquet"
SECONDS = "covered_seconds"
ADDED = (DRAWN_NORM, SECONDS)
"""Columns of `COMPONENTS` and `TRAINING_COMPONENTS` that older folds do not have."""
DRAWN_LATENT_NORM = "drawn_latent_norm"
"""Column of `TRAINING_COMPONENTS`, of models with a posterior: the norm of one draw from it."""


def read_history(ledger: Ledger, manifest: FoldManifest) -> list[dict[str, Any]]:
    """Return the rows of a fold's history, without nulls."""
    rows = pq.read_table(io.BytesIO(ledger.read(manifest, HISTORY))).to_pylist()
    return [{name: v for name, v in row.items() if v is not None} for row in rows]


def read_errors(
    ledger: Ledger,
    manifest: FoldManifest,
    components: Sequence[str],
    latent_size: int | None,
    *,
    with_patients: bool = False,
) -> dict[str, FoldErrors]:
    """Return a fold's error components by epoch rule; older folds have no `drawn_norm`.

    Args:
        ledger: where the fold is.
        manifest: its commit.
        components: those that are read.
        latent_size: the model's; None if it has no z.
        with_patients: whether validation and test samples have their patients.
    """
    patient = ("patient",) if with_patients else ()
    columns = ("label", "split", *patient, *components)
    scored = _read_columns(ledger, manifest, COMPONENTS, columns)
    components = [name for name in components if name in scored.column_names]
    trained = _read_columns(ledger, manifest, TRAINING_COMPONENTS, components)
    return {
        rule: FoldErrors(
            training=_split_errors(trained, {"epoch_rule": rule}, components),
            validation=_split_errors(
                scored, {"epoch_rule": rule, "split": "validation"}, components
            ),
            test=_split_errors(scored, {"epoch_rule": rule, "split": "test"}, components),
            latent_size=latent_size,
        )
        for rule in EPOCH_RULES
    }


@dataclass(frozen=True)
class TestSamples:
    """Properties of a fold's test samples, in the order of `components.parquet`.

    Attributes:
        kind: `(n,)` the dataset's own class.
        symbol: `(n,)` the annotation as the source writes it.
        patient: `(n,)` the record's patient, "" if unknown.
        record: `(n,)` the record, "" if there is none.
        seconds: `(n,)` how long a signal each covers; nan if unknown.
    """

    kind: npt.NDArray[np.str_]
    symbol: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    record: npt.NDArray[np.str_]
    seconds: npt.NDArray[np.float64]


def read_test_samples(ledger: Ledger, manifest: FoldManifest) -> TestSamples:
    """Return the properties of a fold's test samples."""
    names = ("kind", "symbol", "patient", "record")
    table = read_test(ledger, manifest, (*names, SECONDS))
    is_timed = SECONDS in table.column_names
    seconds = table[SECONDS].to_numpy() if is_timed else np.full(table.num_rows, np.nan)
    return TestSamples(**{name: texts(table, name) for name in names}, seconds=seconds)


def read_moments(ledger: Ledger, manifest: FoldManifest) -> dict[str, Moments]:
    """Return when the samples of each part of a fold are, in the order of their errors.

    Raises:
        KeyError: the fold was stored without.
    """
    names = ("record", "seconds")
    trained = _read_columns(ledger, manifest, TRAINING_COMPONENTS, names)
    scored = _read_columns(ledger, manifest, COMPONENTS, ("split", *names))
    tables = {"training": _rows(trained, epoch_rule=EPOCH_RULES[0])}
    for part in ("validation", "test"):
        tables[part] = _rows(scored, split=part, epoch_rule=EPOCH_RULES[0])
    return {
        part: Moments(texts(table, "record"), table["seconds"].to_numpy())
        for part, table in tables.items()
    }


def read_tested(
    ledger: Ledger, manifest: FoldManifest
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Return index in the dataset and label of a fold's test samples, in the same order."""
    table = read_test(ledger, manifest, ("sample", "label"))
    return table["sample"].to_numpy(), table["label"].to_numpy()


def read_json(ledger: Ledger, manifest: FoldManifest, name: str) -> dict[str, Any]:
    """Return a JSON file of a committed fold."""
    content: dict[str, Any] = json.loads(ledger.read(manifest, name))
    return content


def to_parquet(table: pa.Table) -> bytes:
    """Return a table as the bytes of a Parquet file, the same for the same table."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _read_columns(
    ledger: Ledger, manifest: FoldManifest, name: str, columns: Sequence[str]
) -> pa.Table:
    """Return a table's `epoch_rule` and `columns`, those of `ADDED` if it has them."""
    file = pq.ParquetFile(io.BytesIO(ledger.read(manifest, name)))
    stored = set(file.schema_arrow.names)
    columns = [column for column in columns if column in stored or column not in ADDED]
    return file.read(columns=["epoch_rule", *columns], use_threads=False)


def read_test(ledger: Ledger, manifest: FoldManifest, columns: Sequence[str]) -> pa.Table:
    """Return columns of a fold's test samples, in the order of their errors."""
    table = _read_columns(ledger, manifest, COMPONENTS, ("split", *columns))
    return _rows(table, split="test", epoch_rule=EPOCH_RULES[0])


def texts(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    """Return a column of text, `(n,)`."""
    column: npt.NDArray[np.str_] = table[name].to_numpy(zero_copy_only=False).astype(np.str_)
    return column


def _rows(table: pa.Table, **where: str) -> pa.Table:
    """Return the rows in which columns have these values."""
    import pyarrow.compute as pc

    mask = None
    for column, value in where.items():
        hit = pc.equal(table[column], value)
        mask = hit if mask is None else pc.and_(mask, hit)
    return table.filter(mask)


def _split_errors(
    table: pa.Table, where: Mapping[str, str], components: Sequence[str]
) -> SplitErrors:
    rows = _rows(table, **where)
    label = (
        rows["label"].to_numpy()
        if "label" in rows.column_names
        else np.zeros(rows.num_rows, dtype=np.int8)
    )
    return SplitErrors(
        label=label,
        values={name: rows[name].to_numpy().astype(np.float64) for name in components},
        patient=texts(rows, "patient") if "patient" in rows.column_names else None,
    )
