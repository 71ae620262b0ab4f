"""Building a study's tables from its ledger."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from models import MODELS
from study import fold_files
from study.definition import Study
from study.errors import StudyFailedError
from study.ledger import DamagedError, FoldManifest, Ledger, TrialRecord
from study.report.cache import ScoreCache, fold_key
from study.report.fold_scores import READ_FILES, ScoreTask, score_fold
from study.report.parallel import Means, best_means, in_order
from study.report.summary import summary_table
from study.report.tables import TrialScores, scores_table, timing, timings_table
from study.storage import Folder
from study.study_file import configure

ROWS_WORTH_PROCESSES = 400_000
"""Rows of errors whose fits take a few times as long as starting processes."""


@dataclass(frozen=True)
class Report:
    """The tables that were written.

    Attributes:
        scores: `scores.parquet`.
        summary: `summary.parquet`.
    """

    scores: pa.Table
    summary: pa.Table


@dataclass(frozen=True)
class _Trial:
    """What is known of a trial before anything is fitted.

    Attributes:
        record: how it ended.
        study: the study with the trial's settings.
        manifests: the commits of its folds, by fold.
        keys: `fold_key` by fold.
        kept: scores that were fitted before, by fold.
        timings: the folds' rows of `timings.parquet`.
    """

    record: TrialRecord
    study: Study
    manifests: list[FoldManifest]
    keys: dict[int, str]
    kept: dict[int, pa.Table]
    timings: list[dict[str, Any]]


def build_report(
    study: Study, split_hash: str, results: Folder, means: Means | None = None
) -> Report | None:
    """Write `scores.parquet`, `summary.parquet` and `timings.parquet` from the ledger.

    Compositions are fitted on the stored errors of folds that were not fitted before, or
    whose settings or code have changed since; see `study.report.cache`. Every file that
    the tables rest on is verified each time. Folds of failed trials have no scores.

    Args:
        study: the study.
        split_hash: of its folds.
        results: the study's results folder.
        means: where to fit; None for the cluster that is connected, else processes on
            this machine's cores, and for little work no process but this.

    Returns:
        The tables, or None if no trial has scores yet.

    Raises:
        StudyFailedError: a file of the ledger is not what was committed.
    """
    ledger, cache = Ledger(results.folder("ledger")), ScoreCache(results)
    try:
        with ThreadPoolExecutor() as readers:
            read = partial(_read_trial, _without_space(study), ledger, cache)
            ended = (record for record in ledger.trials() if record.state != "failed")
            trials = list(readers.map(read, ended))
        if not trials:
            return None
        scored = list(_scored(ledger, cache, trials, means))
    except DamagedError as error:
        raise StudyFailedError(
            f"{error}; delete the folder of that trial and run the study again"
        ) from None
    timings = timings_table([row for trial in trials for row in trial.timings])
    scores = scores_table(split_hash, scored)
    del scored, trials
    summary = summary_table(scores)
    results.write("scores.parquet", fold_files.to_parquet(scores))
    results.write("summary.parquet", fold_files.to_parquet(summary))
    results.write("timings.parquet", fold_files.to_parquet(timings))
    return Report(scores, summary)


def _read_trial(study: Study, ledger: Ledger, cache: ScoreCache, record: TrialRecord) -> _Trial:
    """Return what is known of a trial; what its kept scores were made from is sound."""
    manifests = []
    for fold in range(study.split.folds):
        manifest = ledger.fold(record.name, fold)
        if manifest is None:
            raise DamagedError(f"{ledger.folder.locate(record.name)}: fold {fold} is missing")
        manifests.append(manifest)
    trial_study = configure(study, record.parameters)
    components = _components(trial_study)
    keys = {m.fold: fold_key(m, components, trial_study.scores) for m in manifests}
    kept = cache.read(record.name, keys)
    for manifest in manifests:
        for name in READ_FILES if manifest.fold in kept else ():
            ledger.read(manifest, name)
    timings = [
        timing(manifest, fold_files.read_json(ledger, manifest, fold_files.TIMINGS))
        for manifest in manifests
    ]
    return _Trial(record, trial_study, manifests, keys, kept, timings)


def _scored(
    ledger: Ledger, cache: ScoreCache, trials: Sequence[_Trial], means: Means | None
) -> Iterator[TrialScores]:
    """Yield the scores of each trial; those of a trial are kept as soon as it is fitted."""
    tasks = [
        ScoreTask(ledger, manifest, _components(trial.study), trial.study.scores)
        for trial in trials
        for manifest in trial.manifests
        if manifest.fold not in trial.kept
    ]
    fitted = in_order(score_fold, tasks, means or best_means(len(tasks), _work(tasks)))
    for trial in trials:
        folds = {
            m.fold: trial.kept[m.fold] if m.fold in trial.kept else next(fitted)
            for m in trial.manifests
        }
        if folds.keys() != trial.kept.keys():
            cache.write(trial.record.name, trial.keys, folds)
        scores = pa.concat_tables([folds[m.fold] for m in trial.manifests]).combine_chunks()
        yield TrialScores(trial.record, trial.study, trial.manifests, scores)
    next(fitted, None)  # lets go of what computed


def _without_space(study: Study) -> Study:
    """Return a study that searches nothing: ends of a space take long to check each time."""
    search = study.search.model_copy(update={"space": {}})
    return study.model_copy(update={"search": search})


def _components(study: Study) -> tuple[str, ...]:
    return MODELS[study.model.name].components


def _work(tasks: Sequence[ScoreTask]) -> float:
    """Return what `tasks` take, in units of what starting processes takes.

    Folds of a study have about the same number of samples: the first is asked.
    """
    if not tasks:
        return 0.0
    import pyarrow.parquet as pq

    errors = tasks[0].ledger.read(tasks[0].manifest, fold_files.COMPONENTS)
    rows: int = pq.read_metadata(io.BytesIO(errors)).num_rows
    return len(tasks) * rows / ROWS_WORTH_PROCESSES
