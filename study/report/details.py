"""Tables beyond the scores: what a reviewer would ask about the trials that matter.

They are made of all systems of a study, or of the best trials of a search: comparing
thousands of trials in pairs, or by patient, would show little and take long.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from study.config.schema import Study
from study.ledger import fold_files
from study.ledger.ledger import Ledger
from study.randomness import stream_seed
from study.report.choices import choices_table
from study.report.comparisons import comparisons_table, mean_scores
from study.report.confirmation import confirmed_table
from study.report.epochs import KEYS, FoldHistory, epochs_table, measures_table
from study.report.false_alarms import false_alarms_table
from study.report.front import front_table
from study.report.groups import groups_table
from study.report.marginals import learned_tables
from study.report.patients import patient_intervals
from study.report.protocols import protocol_differences
from study.report.resampling import FoldSamples, Units, units_of_patients, units_of_samples
from study.report.strata import FoldDetails
from study.search.trial import TrialRecord, best_trials

BEST_TRIALS = 20
DETAIL_TABLES = frozenset(
    (
        "epochs",
        "measures",
        "choices",
        "confirmed",
        "front",
        "importance",
        "marginals",
        "strata",
        "prevalence",
        "clinical",
        "comparisons",
        "groups",
        "patients",
        "protocols",
        "false_alarms",
    )
)
_TRIAL_KEYS = tuple(name for name in KEYS if name != "fold")


@dataclass(frozen=True)
class DetailedFolds:
    """What detail tables are made of: folds of detailed trials, in their order.

    Attributes:
        histories: of each fold.
        details: of each fold.
        tested: test samples by protocol and fold, where no patient is known.
    """

    histories: list[FoldHistory] = field(default_factory=list)
    details: list[FoldDetails] = field(default_factory=list)
    tested: dict[str, dict[int, FoldSamples]] = field(default_factory=dict)

    def add(self, history: FoldHistory, details: FoldDetails, ledger: Ledger) -> None:
        """Add a fold; `ledger` holds it."""
        self.histories.append(history)
        self.details.append(details)
        tested = self.tested.setdefault(history.keys["protocol"], {})
        fold = history.manifest.fold
        if details.decisions.num_rows and fold not in tested:  # all trials have the same
            tested[fold] = FoldSamples(*fold_files.read_tested(ledger, history.manifest))

    def table(self, name: str) -> pa.Table:
        """Return one of the tables of `FoldDetails` of all folds, the trial's keys first."""
        parts = []
        for fold, details in zip(self.histories, self.details, strict=True):
            table: pa.Table = getattr(details, name)
            keys = {
                key: pa.array([fold.keys[key]] * table.num_rows, pa.string()) for key in _TRIAL_KEYS
            }
            parts.append(pa.table(keys | {n: table[n] for n in table.column_names}))
        return pa.concat_tables(parts).combine_chunks()

    def units(self) -> dict[str, Units]:
        """Return what a bootstrap draws, by protocol: patients, or samples if none is known."""
        strata, decisions = (self.table(name).to_pandas() for name in ("strata", "decisions"))
        return units_by_protocol(strata, decisions, self.tested)


def units_by_protocol(
    strata: pd.DataFrame,
    decisions: pd.DataFrame,
    tested: Mapping[str, Mapping[int, FoldSamples]],
) -> dict[str, Units]:
    """Return what a bootstrap draws, by protocol: patients, or samples if none is known.

    Args:
        strata: `DetailedFolds.table("strata")`.
        decisions: `DetailedFolds.table("decisions")`.
        tested: test samples by protocol and fold.
    """
    by_protocol = {}
    for protocol, samples in tested.items():
        own, decided = (each[each["protocol"] == protocol] for each in (strata, decisions))
        if units := units_of_patients(own) or units_of_samples(decided, samples):
            by_protocol[protocol] = units
    return by_protocol


def detailed_trials(records: Iterable[TrialRecord]) -> set[str]:
    """Return the names of the trials that are reported in detail.

    All systems; of a search the best completed trials, by validation, and repetitions.
    """
    records = list(records)
    always = {
        record.name
        for record in records
        if record.trial.system or (record.state == "completed" and record.trial.is_repetition)
    }
    return always | {record.name for record in best_trials(records)[:BEST_TRIALS]}


def detail_tables(
    study: Study,
    records: Sequence[TrialRecord],
    scores: pa.Table,
    summary: pa.Table,
    folds: DetailedFolds,
) -> dict[str, pa.Table]:
    """Return the tables by name, of trials in detail; one without rows is left out.

    Args:
        study: the study.
        records: all trials that did not fail.
        scores: `scores.parquet`.
        summary: `summary.parquet`.
        folds: those of the trials in detail.
    """
    if not folds.histories:
        return {}
    names = {fold.manifest.trial for fold in folds.histories}
    again = {record.name for record in records if record.trial.is_confirmation}
    trials, others = pa.array(names, pa.string()), pa.array(names - again, pa.string())
    chosen = scores.filter(pc.is_in(scores["trial"], trials))
    strata = folds.table("strata")
    inter_patient = strata.filter(pc.equal(strata["protocol"], "inter_patient"))
    comparisons = comparisons_table(
        chosen, folds.units(), study.comparisons, stream_seed(study.seed, "comparisons")
    )
    tables = {
        "epochs": epochs_table(folds.histories),
        "measures": measures_table(folds.histories),
        "choices": choices_table(records, folds.histories, scores, study.search),
        "confirmed": confirmed_table(records, scores, study.search),
        "front": front_table(records, study.search),
        **learned_tables(study, records, scores),
        "strata": strata,
        "prevalence": folds.table("prevalence"),
        "clinical": folds.table("clinical"),
        "comparisons": comparisons,
        "groups": groups_table(comparisons, mean_scores(chosen)),
        "patients": patient_intervals(inter_patient, stream_seed(study.seed, "patients")),
        "protocols": protocol_differences(summary.filter(pc.is_in(summary["trial"], others))),
        "false_alarms": false_alarms_table(strata, study.scores),
    }
    return {name: table for name, table in tables.items() if table.num_rows}
