"""Building a study's tables from its ledger."""

import io
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from study.config.schema import Study
from study.data import DATASETS
from study.errors import StudyFailedError
from study.ledger import fold_files
from study.ledger.fold_errors import needs_all_folds
from study.ledger.index import drop_index
from study.ledger.ledger import DamagedError, FoldManifest, Ledger
from study.ledger.study_folder import SplitFacts
from study.report.cache import FoldCache, fold_key
from study.report.details import (
    DETAIL_TABLES,
    DetailedFolds,
    detail_tables,
    detailed_trials,
)
from study.report.epochs import FoldHistory
from study.report.fold_scores import FoldScores, ScoreTask, read_files, score_fold
from study.report.model_card import write_model_cards
from study.report.parallel import Backend, Executor, choose_backend, in_order
from study.report.search_history import SEARCH_TABLES, search_tables
from study.report.strata import LeftOut
from study.report.summary import summary_table
from study.report.tables import TrialScores, scores_table, timing, timings_table
from study.search.trial import TrialRecord
from study.storage.folder import Folder

ROWS_WORTH_PROCESSES = 400_000
"""Rows of errors whose fits take a few times as long as starting processes."""


@dataclass(frozen=True)
class Report:
    """The tables of a study, and the files that hold its report.

    Attributes:
        scores: `scores.parquet`.
        summary: `summary.parquet`.
        tables: all tables by name, these two among them.
        files: paths in the results folder.
    """

    scores: pa.Table
    summary: pa.Table
    tables: dict[str, pa.Table]
    files: tuple[str, ...]


@dataclass(frozen=True)
class _Trial:
    """A trial as the ledger and the cache have it, before anything is fitted.

    Attributes:
        record: how it ended.
        manifests: the commits of its folds, by fold.
        is_detailed: whether it has rows in the tables of strata and prevalences.
        keys: `fold_key` by fold.
        cached: scores of folds that were fitted before, by fold.
        timings: the folds' rows of `timings.parquet`.
    """

    record: TrialRecord
    manifests: list[FoldManifest]
    is_detailed: bool
    keys: dict[int, str]
    cached: dict[int, FoldScores]
    timings: list[dict[str, Any]]

    def tasks(self, ledger: Ledger) -> Iterator[ScoreTask]:
        """Yield a task for each fold that is not cached."""
        config, left_out = self.record.trial.config, _left_out(self.record)
        for manifest in self.manifests:
            if manifest.fold not in self.cached:
                all_folds = _all_folds(self.record, self.manifests)
                yield ScoreTask(ledger, manifest, config, left_out, self.is_detailed, all_folds)


def build_report(
    study: Study,
    splits: Mapping[str, SplitFacts],
    results: Folder,
    backend: Backend | None = None,
    executor: Executor | None = None,
    ledger: Ledger | None = None,
) -> Report | None:
    """Write the study's tables from the ledger: scores, summary, timings, and `details`.

    A study of systems gets the paper's tables and figures as well, as far as it has them.

    Compositions are fitted on the stored errors of folds that were not fitted before, or
    whose settings or code have changed since; see `study.report.cache`. Every file that
    the tables rest on is verified each time. Folds of failed trials have no scores.

    Args:
        study: the study.
        splits: hash and leakage of its folds, by protocol.
        results: the study's results folder.
        backend: where to fit; None for `executor`, else processes on this machine's
            cores, and for little work no process but this.
        executor: of a cluster.
        ledger: where its trials are; None for that of `results`.

    Returns:
        The tables, or None if no trial has scores yet.

    Raises:
        StudyFailedError: a file of the ledger is not what was committed.
    """
    ledger = ledger or Ledger.of(results)
    with damage_advice(results):
        records = ledger.trials()
        ended = [record for record in records if record.state != "failed"]
        if not ended:
            return None
        trials, timings, details = score_trials(ledger, results, ended, backend, executor)
        history = search_tables(ledger, records, study.search, study.split.folds)
    scores = scores_table(splits, trials)
    del trials
    summary = summary_table(scores)
    tables = {"scores": scores, "summary": summary, "timings": timings, **history}
    tables |= detail_tables(study, ended, scores, summary, details)
    # All are on the disk before the first of the old ones is replaced.
    results.write_all({f"{n}.parquet": fold_files.to_parquet(t) for n, t in tables.items()})
    for name in (DETAIL_TABLES | SEARCH_TABLES) - tables.keys():
        results.remove(f"{name}.parquet")
    files = [f"{name}.parquet" for name in tables]
    if any(record.trial.system for record in ended):
        from study.report.paper.build import Tables, write_paper_report

        paper_tables = Tables(scores, summary, tables["epochs"], tables["measures"])
        files += write_paper_report(study, results, paper_tables, ledger)
    files += write_model_cards(study, results, ended, tables, splits)
    return Report(scores, summary, tables, tuple(files))


def score_trials(
    ledger: Ledger,
    results: Folder,
    records: Sequence[TrialRecord],
    backend: Backend | None = None,
    executor: Executor | None = None,
    *,
    in_detail: Set[str] | None = None,
    keeps: bool = True,
) -> tuple[list[TrialScores], pa.Table, DetailedFolds]:
    """Fit the compositions of trials that are not in the cache.

    Args:
        ledger: holds the trials.
        results: has the cache.
        records: of trials that did not fail.
        backend: where to fit; as of `build_report`.
        executor: of a cluster.
        in_detail: names of those that are reported in detail; None for `detailed_trials`.
        keeps: whether what is fitted is cached.

    Returns:
        Their scores, `timings.parquet`, and the details of those that have them.

    Raises:
        DamagedError: a file is not what was committed.
    """
    cache, details = FoldCache(results), DetailedFolds()
    with ThreadPoolExecutor() as readers:
        names = detailed_trials(records) if in_detail is None else in_detail
        read = partial(_read_trial, ledger, cache, names)
        trials = list(readers.map(read, records))
    tasks = [task for trial in trials for task in trial.tasks(ledger)]
    backend = backend or choose_backend(len(tasks), _work(tasks), executor)
    fitted = in_order(score_fold, tasks, backend)
    scored = list(_scored(ledger, cache if keeps else None, trials, fitted, details))
    return scored, timings_table([row for trial in trials for row in trial.timings]), details


@contextmanager
def damage_advice(results: Folder) -> Iterator[None]:
    """Add what to do to the message of a damaged file of the ledger.

    Args:
        results: the results folder, of whose index nothing is believed then.

    Raises:
        StudyFailedError: such a file was read in the block.
    """
    try:
        yield
    except DamagedError as error:
        drop_index(results)
        raise StudyFailedError(
            f"{error}; run the study again: what is damaged is put aside and made again"
        ) from None


def _read_trial(
    ledger: Ledger, cache: FoldCache, detailed_names: Set[str], record: TrialRecord
) -> _Trial:
    """Read a trial, and verify the files that its cached scores were made from."""
    manifests = []
    for address in record.folds:
        manifest = ledger.fold(address)
        if manifest is None:
            location = ledger.folder.locate(record.name)
            raise DamagedError(f"{location}: fold {address.fold} is missing")
        manifests.append(manifest)
    config, all_folds = record.trial.config, _all_folds(record, manifests)
    keys = {m.fold: fold_key(m, config, _left_out(record), all_folds) for m in manifests}
    is_detailed = record.name in detailed_names
    cached = cache.read(record.name, keys, detailed=is_detailed)
    for manifest in manifests:
        for name in read_files(manifest) if manifest.fold in cached else ():
            ledger.read(manifest, name)
    timings = [
        timing(manifest, fold_files.read_json(ledger, manifest, fold_files.TIMINGS))
        for manifest in manifests
    ]
    return _Trial(record, manifests, is_detailed, keys, cached, timings)


def _scored(
    ledger: Ledger,
    cache: FoldCache | None,
    trials: Sequence[_Trial],
    fitted: Iterator[FoldScores],
    details: DetailedFolds,
) -> Iterator[TrialScores]:
    """Yield the scores of each trial, cached as soon as it is fitted; add to `details`.

    Args:
        ledger: holds the trials.
        cache: is added to; None to keep nothing.
        trials: in order.
        fitted: scores of the folds that were not cached, in the order of `trials`.
        details: is added to.
    """
    for trial in trials:
        folds = {
            m.fold: trial.cached[m.fold] if m.fold in trial.cached else next(fitted)
            for m in trial.manifests
        }
        if cache and folds.keys() != trial.cached.keys():
            cache.write(trial.record.name, trial.keys, folds)
        for m in trial.manifests if trial.is_detailed else ():
            fold_details = folds[m.fold].details
            assert fold_details is not None
            history = FoldHistory.read(trial.record.trial, ledger, m)
            details.add(history, fold_details, ledger)
        scores = pa.concat_tables([folds[m.fold].scores for m in trial.manifests]).combine_chunks()
        yield TrialScores(trial.record, trial.manifests, scores)
    next(fitted, None)  # ends the generator, which releases what computed


def _all_folds(record: TrialRecord, manifests: Sequence[FoldManifest]) -> tuple[FoldManifest, ...]:
    """Return the folds whose errors every fold's compositions read, if they do."""
    return tuple(manifests) if needs_all_folds(record.trial.config.scores) else ()


def _left_out(record: TrialRecord) -> LeftOut:
    entry = DATASETS[record.trial.config.dataset.name]
    return LeftOut(entry.left_out, entry.records_apart)


def _work(tasks: Sequence[ScoreTask]) -> float:
    """Return what `tasks` take, in units of what starting processes takes.

    Folds of a study have about the same number of samples, so that the first stands for all.
    """
    if not tasks:
        return 0.0
    import pyarrow.parquet as pq

    errors = tasks[0].ledger.read(tasks[0].manifest, fold_files.COMPONENTS)
    rows: int = pq.read_metadata(io.BytesIO(errors)).num_rows
    return len(tasks) * rows / ROWS_WORTH_PROCESSES
