"""Building a study's tables from its ledger."""

import os
from dataclasses import dataclass

import joblib
import pyarrow as pa

from study.definition import Study
from study.errors import StudyFailedError
from study.fold_files import to_parquet
from study.ledger import DamagedError, FoldManifest, Ledger, TrialRecord
from study.report.tables import (
    FoldScores,
    score_fold,
    scores_table,
    summary_table,
    timings_table,
)
from study.storage import Folder


@dataclass(frozen=True)
class Report:
    """The tables that were written.

    Attributes:
        scores: `scores.parquet`.
        summary: `summary.parquet`.
    """

    scores: pa.Table
    summary: pa.Table


def build_report(study: Study, split_hash: str, results: Folder) -> Report | None:
    """Write `scores.parquet`, `summary.parquet` and `timings.parquet` from the ledger.

    Compositions are fitted anew on the stored errors, on all of this machine's cores:
    in threads, since the fits of support vectors, which take the time, run side by side.
    Folds of failed trials have no scores.

    Returns:
        The tables, or None if no trial has scores yet.

    Raises:
        StudyFailedError: a file of the ledger is not what was committed.
    """
    ledger = Ledger(results.folder("ledger"))
    try:
        work = _scored_folds(ledger, study)
        if not work:
            return None
        scored: list[FoldScores] = joblib.Parallel(n_jobs=_jobs(len(work)), prefer="threads")(
            joblib.delayed(score_fold)(study, split_hash, record, ledger, manifest)
            for record, manifest in work
        )
    except DamagedError as error:
        raise StudyFailedError(
            f"{error}; delete the folder of that trial and run the study again"
        ) from None
    scores = scores_table([row for fold in scored for row in fold.rows])
    summary = summary_table(scores)
    results.write("scores.parquet", to_parquet(scores))
    results.write("summary.parquet", to_parquet(summary))
    results.write("timings.parquet", to_parquet(timings_table([fold.timing for fold in scored])))
    return Report(scores, summary)


def _scored_folds(ledger: Ledger, study: Study) -> list[tuple[TrialRecord, FoldManifest]]:
    work = []
    for record in ledger.trials():
        if record.state == "failed":
            continue
        for fold in range(study.split.folds):
            manifest = ledger.fold(record.name, fold)
            if manifest is None:
                raise DamagedError(f"{ledger.folder.locate(record.name)}: fold {fold} is missing")
            work.append((record, manifest))
    return work


def _jobs(work: int) -> int:
    return max(1, min(work, len(os.sched_getaffinity(0))))
