"""A fold's decisions by class, symbol and patient, by AAMI EC57, and at other prevalences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from study.ledger.fold_files import TestSamples
from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.scores.clinical import Beats, ClinicalRow, clinical_rows
from study.scores.decisions import Decisions
from study.scores.prevalence import PREVALENCES, PrevalenceRow, prevalence_rows
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

CLINICAL_SCHEMA = pa.schema([*_KEYS, *schema_fields(ClinicalRow)])
"""Columns of `FoldDetails.clinical`: the same keys, then all of `ClinicalRow`."""

STRATA = ("kind", "symbol", "patient")
"""Properties of test samples that decisions are counted by."""


DECISIONS_SCHEMA = pa.schema([*_KEYS, ("predicted", pa.binary())])
"""Columns of `FoldDetails.decisions`: the same keys, then predictions of all test samples, eight
to a byte (`numpy.packbits`)."""


@dataclass(frozen=True)
class LeftOut:
    """What metrics are taken without as well, by what the dataset's entry says of it.

    Attributes:
        kinds: classes to leave out of the metrics at stated prevalences, one at a time.
        records: records to leave out of clinical tables, one at a time; None if the dataset
            has no classes of AAMI EC57, and no such tables.
    """

    kinds: tuple[str, ...] = ()
    records: tuple[str, ...] | None = None


@dataclass(frozen=True)
class FoldDetails:
    """One fold's decisions, by stratum and prevalence, and by AAMI EC57.

    Attributes:
        strata: a table of `STRATA_SCHEMA`.
        prevalence: a table of `PREVALENCE_SCHEMA`.
        clinical: a table of `CLINICAL_SCHEMA`, without rows for other data than heartbeats.
        decisions: a table of `DECISIONS_SCHEMA`; without rows where patients are known.
    """

    strata: pa.Table
    prevalence: pa.Table
    clinical: pa.Table
    decisions: pa.Table


def fold_details(
    decisions: Mapping[str, FoldDecisions],
    samples: TestSamples,
    fold: int,
    left_out: LeftOut = LeftOut(),
    prevalences: Sequence[float | None] = PREVALENCES,
) -> FoldDetails:
    """Count and weigh the decisions of every composition of a fold.

    Args:
        decisions: by epoch rule, each of the same `n` test samples.
        samples: these samples.
        fold: its number.
        left_out: what metrics are taken without, beside the rows with all samples.
        prevalences: shares of abnormal samples that metrics are stated at.

    Returns:
        Rows in the order of `decisions`.

    Raises:
        ValueError: decisions of another number of samples.
    """
    values = {name: getattr(samples, name) for name in STRATA}
    divisions = divide({name: each for name, each in values.items() if (each != "").any()})
    strata: list[tuple[Any, ...]] = []
    prevalence: list[tuple[Any, ...]] = []
    clinical: list[tuple[Any, ...]] = []
    beats = None
    if left_out.records is not None:
        beats = Beats.of(samples.record, samples.kind, samples.seconds)
    packed: list[tuple[Any, ...]] = []
    for key, decided in _by_key(decisions):
        if len(decided.label) != len(samples.kind):
            raise ValueError(
                f"{' '.join(filter(None, key))} decided {len(decided.label)} samples, there are"
                f" {len(samples.kind)}"
            )
        strata += [(fold, *key, *field_values(row)) for row in strata_rows(decided, divisions)]
        for without in (None, *left_out.kinds):
            rows = prevalence_rows(decided, samples.kind, without, prevalences)
            prevalence += [(fold, *key, *field_values(row)) for row in rows]
        if beats is not None:
            counted = clinical_rows(decided, beats, left_out.records or ())
            clinical += [(fold, *key, *field_values(row)) for row in counted]
        if "patient" not in divisions:
            packed.append((fold, *key, np.packbits(decided.prediction == 1).tobytes()))
    return FoldDetails(
        table_from_rows(STRATA_SCHEMA, strata),
        table_from_rows(PREVALENCE_SCHEMA, prevalence),
        table_from_rows(CLINICAL_SCHEMA, clinical),
        table_from_rows(DECISIONS_SCHEMA, packed),
    )


def _by_key(
    decisions: Mapping[str, FoldDecisions],
) -> Iterator[tuple[tuple[str, str, str], Decisions]]:
    for rule, rule_decisions in decisions.items():
        for (composition, form), decided in rule_decisions.items():
            yield (rule, composition, form), decided
