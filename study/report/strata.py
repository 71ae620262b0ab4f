"""Decisions of a fold by class, symbol and patient, and at other prevalences, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from study.scores.decisions import Decisions
from study.scores.prevalence import PrevalenceRow, prevalence_rows
from study.scores.settings import LatentForm
from study.scores.strata import StratumRow, divide, strata_rows

FoldDecisions = Mapping[tuple[str, LatentForm | Literal[""]], Decisions]
"""Decisions of one epoch rule by composition and latent form ("" without L)."""

_TYPES = {bool: pa.bool_(), float: pa.float64(), int: pa.int64(), str: pa.string()}


def _schema(row: type) -> pa.Schema:
    hints = get_type_hints(row)
    return pa.schema(
        [
            ("fold", pa.int64()),
            ("epoch_rule", pa.string()),
            ("composition", pa.string()),
            ("latent_form", pa.string()),
            *((field.name, _TYPES[hints[field.name]]) for field in fields(row)),
        ]
    )


STRATA_SCHEMA = _schema(StratumRow)
"""Columns of `FoldDetails.strata`: what decided, then all of `StratumRow`."""

PREVALENCE_SCHEMA = _schema(PrevalenceRow)
"""Columns of `FoldDetails.prevalence`: what decided, then all of `PrevalenceRow`."""


@dataclass(frozen=True)
class TestSamples:
    """What is known of a fold's test samples, in the order of `components.parquet`.

    Attributes:
        kind: `(n,)` the dataset's own class.
        symbol: `(n,)` the annotation as the source writes it.
        patient: `(n,)` whom the record is of, "" if unknown.
    """

    kind: npt.NDArray[np.str_]
    symbol: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]

    def strata(self) -> dict[str, npt.NDArray[np.str_]]:
        """Return `(n,)` values by stratum, without those that are "" for every sample."""
        return {name: values for name, values in vars(self).items() if (values != "").any()}


@dataclass(frozen=True)
class FoldDetails:
    """What one fold's decisions come to.

    Attributes:
        strata: a table of `STRATA_SCHEMA`.
        prevalence: a table of `PREVALENCE_SCHEMA`.
    """

    strata: pa.Table
    prevalence: pa.Table


def fold_details(
    decisions: Mapping[str, FoldDecisions],
    known: TestSamples,
    fold: int,
    left_out: Sequence[str] = (),
) -> FoldDetails:
    """Count and weigh the decisions of every composition of a fold.

    Args:
        decisions: by epoch rule, each of the same `n` test samples.
        known: of these samples.
        fold: its number.
        left_out: classes to leave out of the metrics at stated prevalences, one at a
            time, beside the rows with all samples.

    Returns:
        Rows in the order of `decisions`.

    Raises:
        ValueError: decisions of another number of samples than are known.
    """
    divisions = divide(known.strata())
    strata: list[tuple[Any, ...]] = []
    prevalence: list[tuple[Any, ...]] = []
    for key, decided in _all(decisions):
        if len(decided.label) != len(known.kind):
            raise ValueError(
                f"{' '.join(filter(None, key))} decided {len(decided.label)} samples, known are"
                f" {len(known.kind)}"
            )
        strata += [(fold, *key, *_values(row)) for row in strata_rows(decided, divisions)]
        for without in (None, *left_out):
            rows = prevalence_rows(decided, known.kind, without)
            prevalence += [(fold, *key, *_values(row)) for row in rows]
    return FoldDetails(_table(STRATA_SCHEMA, strata), _table(PREVALENCE_SCHEMA, prevalence))


def _all(
    decisions: Mapping[str, FoldDecisions],
) -> Iterator[tuple[tuple[str, str, str], Decisions]]:
    for rule, decided in decisions.items():
        for (composition, form), found in decided.items():
            yield (rule, composition, form), found


def _values(row: StratumRow | PrevalenceRow) -> tuple[Any, ...]:
    values: tuple[Any, ...] = attrgetter(*(field.name for field in fields(row)))(row)
    return values


def _table(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
