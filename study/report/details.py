"""Tables beyond the scores: what a reviewer asks of the trials that matter.

They are made of all systems of a study, or of the best trials of a search: comparing
thousands of trials in pairs, or by patient, would say little and take long.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from study.config.schema import Study
from study.ledger.ledger import TrialRecord
from study.randomness import stream_seed
from study.report.comparisons import comparisons_table
from study.report.epochs import KEYS, FoldHistory, epochs_table, measures_table
from study.report.patients import patient_intervals
from study.report.protocols import protocol_differences
from study.search.sources import TWIN

BEST_TRIALS = 20
DETAIL_TABLES = frozenset(
    ("epochs", "measures", "strata", "prevalence", "comparisons", "patients", "protocols")
)
_OF_TRIAL = tuple(name for name in KEYS if name != "fold")


def detailed(study: Study, records: Iterable[TrialRecord]) -> set[str]:
    """Return the names of the trials that are told in detail.

    All of a study of systems; of a search the best completed ones, by validation, and twins.
    """
    if study.systems:
        return {record.name for record in records}
    completed = [record for record in records if record.state == "completed"]
    best = sorted(completed, key=lambda record: (-record.best_value, record.number))
    twins = {record.name for record in completed if record.number >= TWIN}
    searched = [record.name for record in best if record.number < TWIN]
    return {*searched[:BEST_TRIALS], *twins}


def detail_tables(
    study: Study,
    folds: Sequence[FoldHistory],
    scores: pa.Table,
    summary: pa.Table,
    strata: Sequence[pa.Table],
    prevalence: Sequence[pa.Table],
) -> dict[str, pa.Table]:
    """Return the tables by name, of trials in detail; one without rows is left out.

    Args:
        study: the study.
        folds: histories of the folds of these trials, in order.
        scores: `scores.parquet`.
        summary: `summary.parquet`.
        strata: `FoldDetails.strata` of each of `folds`.
        prevalence: `FoldDetails.prevalence` of each of `folds`.
    """
    if not folds:
        return {}
    trials = pa.array({fold.manifest.trial for fold in folds}, pa.string())
    chosen = scores.filter(pc.is_in(scores["trial"], trials))
    by_stratum = _of_folds(folds, strata)
    apart = by_stratum.filter(pc.equal(by_stratum["protocol"], "inter_patient"))
    seed = stream_seed(study.seed, "patients")
    tables = {
        "epochs": epochs_table(folds),
        "measures": measures_table(folds),
        "strata": by_stratum,
        "prevalence": _of_folds(folds, prevalence),
        "comparisons": comparisons_table(chosen),
        "patients": patient_intervals(apart, seed),
        "protocols": protocol_differences(summary.filter(pc.is_in(summary["trial"], trials))),
    }
    return {name: table for name, table in tables.items() if table.num_rows}


def _of_folds(folds: Sequence[FoldHistory], tables: Sequence[pa.Table]) -> pa.Table:
    """Return the tables of folds as one, each row with its trial's keys first."""
    return pa.concat_tables(
        [_with_keys(fold.keys, table) for fold, table in zip(folds, tables, strict=True)]
    ).combine_chunks()


def _with_keys(keys: Any, table: pa.Table) -> pa.Table:
    known = {name: pa.array([keys[name]] * table.num_rows, pa.string()) for name in _OF_TRIAL}
    return pa.table(known | {name: table[name] for name in table.column_names})
