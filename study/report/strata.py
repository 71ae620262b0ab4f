"""Decisions of a fold by class, symbol and patient, and at other prevalences, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.scores.decisions import Decisions
from study.scores.prevalence import PrevalenceRow, prevalence_rows
from study.scores.settings import LatentForm
from study.scores.strata import StratumRow, divide, strata_rows

FoldDecisions = Mapping[tuple[str, LatentForm | Literal[""]], Decisions]
"""Decisions of one epoch rule by composition and latent form ("" without L)."""

_KEYS = (
    ("fold", pa.int64()),
    ("epoch_rule", pa.string()),
    ("composition", pa.string()),
    ("latent_form", pa.string()),
)

STRATA_SCHEMA = pa.schema([*_KEYS, *schema_fields(StratumRow)])
"""Columns of `FoldDetails.strata`: keys of the composition, then all of `StratumRow`."""

PREVALENCE_SCHEMA = pa.schema([*_KEYS, *schema_fields(PrevalenceRow)])
"""Columns of `FoldDetails.prevalence`: the same keys, then all of `PrevalenceRow`."""


DECISIONS_SCHEMA = pa.schema([*_KEYS, ("predicted", pa.binary())])
"""Columns of `FoldDetails.decisions`: the same keys, then predictions of all test samples, eight
to a byte (`numpy.packbits`)."""


@dataclass(frozen=True)
class TestSamples:
    """Properties of a fold's test samples, in the order of `components.parquet`.

    Attributes:
        kind: `(n,)` the dataset's own class.
        symbol: `(n,)` the annotation as the source writes it.
        patient: `(n,)` the record's patient, "" if unknown.
    """

    kind: npt.NDArray[np.str_]
    symbol: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]

    def strata(self) -> dict[str, npt.NDArray[np.str_]]:
        """Return `(n,)` values by stratum, without those that are "" for every sample."""
        return {name: values for name, values in vars(self).items() if (values != "").any()}


@dataclass(frozen=True)
class FoldDetails:
    """One fold's decisions, by stratum and prevalence.

    Attributes:
        strata: a table of `STRATA_SCHEMA`.
        prevalence: a table of `PREVALENCE_SCHEMA`.
        decisions: a table of `DECISIONS_SCHEMA`; without rows where patients are known.
    """

    strata: pa.Table
    prevalence: pa.Table
    decisions: pa.Table


def fold_details(
    decisions: Mapping[str, FoldDecisions],
    samples: TestSamples,
    fold: int,
    left_out: Sequence[str] = (),
) -> FoldDetails:
    """Count and weigh the decisions of every composition of a fold.

    Args:
        decisions: by epoch rule, each of the same `n` test samples.
        samples: these samples.
        fold: its number.
        left_out: classes to leave out of the metrics at stated prevalences, one at a
            time, beside the rows with all samples.

    Returns:
        Rows in the order of `decisions`.

    Raises:
        ValueError: decisions of another number of samples.
    """
    divisions = divide(samples.strata())
    strata: list[tuple[Any, ...]] = []
    prevalence: list[tuple[Any, ...]] = []
    packed: list[tuple[Any, ...]] = []
    for key, decided in _by_key(decisions):
        if len(decided.label) != len(samples.kind):
            raise ValueError(
                f"{' '.join(filter(None, key))} decided {len(decided.label)} samples, there are"
                f" {len(samples.kind)}"
            )
        strata += [(fold, *key, *field_values(row)) for row in strata_rows(decided, divisions)]
        for without in (None, *left_out):
            rows = prevalence_rows(decided, samples.kind, without)
            prevalence += [(fold, *key, *field_values(row)) for row in rows]
        if "patient" not in divisions:
            packed.append((fold, *key, np.packbits(decided.prediction == 1).tobytes()))
    return FoldDetails(
        table_from_rows(STRATA_SCHEMA, strata),
        table_from_rows(PREVALENCE_SCHEMA, prevalence),
        table_from_rows(DECISIONS_SCHEMA, packed),
    )


def _by_key(
    decisions: Mapping[str, FoldDecisions],
) -> Iterator[tuple[tuple[str, str, str], Decisions]]:
    for rule, rule_decisions in decisions.items():
        for (composition, form), decided in rule_decisions.items():
            yield (rule, composition, form), decided
