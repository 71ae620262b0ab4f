"""Tables beyond the scores: what a reviewer would ask about the trials that matter.

They are made of all systems of a study, or of the best trials of a search: comparing
thousands of trials in pairs, or by patient, would show little and take long.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from study.config.schema import Study
from study.randomness import stream_seed
from study.report.choices import choices_table
from study.report.comparisons import comparisons_table
from study.report.epochs import KEYS, FoldHistory, epochs_table, measures_table
from study.report.false_alarms import false_alarms_table
from study.report.patients import patient_intervals
from study.report.protocols import protocol_differences
from study.report.strata import FoldDetails
from study.search.trial import TrialRecord

BEST_TRIALS = 20
DETAIL_TABLES = frozenset(
    (
        "epochs",
        "measures",
        "choices",
        "strata",
        "prevalence",
        "clinical",
        "comparisons",
        "patients",
        "protocols",
        "false_alarms",
    )
)
_TRIAL_KEYS = tuple(name for name in KEYS if name != "fold")


def detailed_trials(records: Iterable[TrialRecord]) -> set[str]:
    """Return the names of the trials that are reported in detail.

    All systems; of a search the best completed trials, by validation, and repetitions.
    """
    always, candidates = [], []
    for record in records:
        completed = record.state == "completed"
        if record.trial.system or (completed and record.trial.is_repetition):
            always.append(record.name)
        elif completed:
            candidates.append(record)
    best = sorted(candidates, key=lambda record: (-record.best_value, record.trial.number))
    return {*always, *(record.name for record in best[:BEST_TRIALS])}


def detail_tables(
    study: Study,
    records: Sequence[TrialRecord],
    folds: Sequence[FoldHistory],
    details: Sequence[FoldDetails],
    scores: pa.Table,
    summary: pa.Table,
) -> dict[str, pa.Table]:
    """Return the tables by name, of trials in detail; one without rows is left out.

    Args:
        study: the study.
        records: all trials that did not fail.
        folds: histories of the folds of these trials, in order.
        details: of each of `folds`.
        scores: `scores.parquet`.
        summary: `summary.parquet`.
    """
    if not folds:
        return {}
    trials = pa.array({fold.manifest.trial for fold in folds}, pa.string())
    chosen = scores.filter(pc.is_in(scores["trial"], trials))
    by_stratum = _with_keys(folds, [each.strata for each in details])
    inter_patient = by_stratum.filter(pc.equal(by_stratum["protocol"], "inter_patient"))
    seed = stream_seed(study.seed, "patients")
    tables = {
        "epochs": epochs_table(folds),
        "measures": measures_table(folds),
        "choices": choices_table(records, folds, scores, study.search),
        "strata": by_stratum,
        "prevalence": _with_keys(folds, [each.prevalence for each in details]),
        "clinical": _with_keys(folds, [each.clinical for each in details]),
        "comparisons": comparisons_table(chosen),
        "patients": patient_intervals(inter_patient, seed),
        "protocols": protocol_differences(summary.filter(pc.is_in(summary["trial"], trials))),
        "false_alarms": false_alarms_table(by_stratum, study.scores),
    }
    return {name: table for name, table in tables.items() if table.num_rows}


def _with_keys(folds: Sequence[FoldHistory], tables: Sequence[pa.Table]) -> pa.Table:
    """Return the tables of folds as one, each row with its trial's keys first."""
    parts = []
    for fold, table in zip(folds, tables, strict=True):
        keys = {
            name: pa.array([fold.keys[name]] * table.num_rows, pa.string()) for name in _TRIAL_KEYS
        }
        parts.append(pa.table(keys | {name: table[name] for name in table.column_names}))
    return pa.concat_tables(parts).combine_chunks()
