"""Building a study's tables from its ledger."""

import io
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from models import components_of
from study.config.schema import Study
from study.config.study_file import configure
from study.data import DATASETS
from study.errors import StudyFailedError
from study.ledger import fold_files
from study.ledger.ledger import DamagedError, FoldManifest, Ledger, TrialRecord
from study.report.cache import FoldCache, fold_key
from study.report.details import DETAIL_TABLES, detail_tables, detailed
from study.report.epochs import FoldHistory
from study.report.fold_scores import READ_FILES, FoldScores, ScoreTask, score_fold
from study.report.model_card import write_model_cards
from study.report.parallel import Means, best_means, in_order
from study.report.strata import FoldDetails
from study.report.summary import summary_table
from study.report.tables import TrialScores, scores_table, timing, timings_table
from study.storage.folder import Folder

ROWS_WORTH_PROCESSES = 400_000
"""Rows of errors whose fits take a few times as long as starting processes."""


@dataclass(frozen=True)
class Report:
    """What was written.

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
    """What is known of a trial before anything is fitted.

    Attributes:
        record: how it ended.
        study: the study with the trial's settings.
        manifests: the commits of its folds, by fold.
        is_detailed: whether its decisions are told by stratum and prevalence.
        keys: `fold_key` by fold.
        kept: what was made of folds before, by fold.
        timings: the folds' rows of `timings.parquet`.
    """

    record: TrialRecord
    study: Study
    manifests: list[FoldManifest]
    is_detailed: bool
    keys: dict[int, str]
    kept: dict[int, FoldScores]
    timings: list[dict[str, Any]]


def build_report(
    study: Study, split_hash: Mapping[str, str], results: Folder, means: Means | None = None
) -> Report | None:
    """Write the study's tables from the ledger: scores, summary, timings, and `details`.

    A study of systems gets the paper's tables and figures as well, as far as it has them.

    Compositions are fitted on the stored errors of folds that were not fitted before, or
    whose settings or code have changed since; see `study.report.cache`. Every file that
    the tables rest on is verified each time. Folds of failed trials have no scores.

    Args:
        study: the study.
        split_hash: of its folds, by protocol.
        results: the study's results folder.
        means: where to fit; None for the cluster that is connected, else processes on
            this machine's cores, and for little work no process but this.

    Returns:
        The tables, or None if no trial has scores yet.

    Raises:
        StudyFailedError: a file of the ledger is not what was committed.
    """
    ledger, cache = Ledger(results.folder("ledger")), FoldCache(results)
    try:
        ended = [record for record in ledger.trials() if record.state != "failed"]
        if not ended:
            return None
        with ThreadPoolExecutor() as readers:
            told = detailed(study, ended)
            read = partial(_read_trial, _without_space(study), ledger, cache, told)
            trials = list(readers.map(read, ended))
        details = _Details([], [], [])
        scored = list(_scored(ledger, cache, trials, means, details))
    except DamagedError as error:
        raise StudyFailedError(
            f"{error}; run the study again, which puts it aside and trains the fold again"
        ) from None
    scores = scores_table(split_hash, scored)
    timings = timings_table([row for trial in trials for row in trial.timings])
    del scored, trials
    summary = summary_table(scores)
    tables = {"scores": scores, "summary": summary, "timings": timings}
    tables |= detail_tables(study, details.histories, scores, summary, **details.tables())
    # All are on the disk before the first of the old ones is replaced.
    results.write_all({f"{n}.parquet": fold_files.to_parquet(t) for n, t in tables.items()})
    for name in DETAIL_TABLES - tables.keys():
        results.remove(f"{name}.parquet")
    files = [f"{name}.parquet" for name in tables]
    if study.systems:
        from study.report.paper.build import Tables, write_paper_report

        given = Tables(scores, summary, tables["epochs"], tables["measures"])
        files += write_paper_report(study, results, given)
    files += write_model_cards(study, results, scores, summary)
    return Report(scores, summary, tables, tuple(files))


@dataclass(frozen=True)
class _Details:
    """What is kept of the folds of trials in detail, in their order."""

    histories: list[FoldHistory]
    strata: list[pa.Table]
    prevalence: list[pa.Table]

    def add(self, history: FoldHistory, found: FoldDetails) -> None:
        self.histories.append(history)
        self.strata.append(found.strata)
        self.prevalence.append(found.prevalence)

    def tables(self) -> dict[str, list[pa.Table]]:
        return {"strata": self.strata, "prevalence": self.prevalence}


def _read_trial(
    study: Study, ledger: Ledger, cache: FoldCache, told: Set[str], record: TrialRecord
) -> _Trial:
    """Return what is known of a trial; what its kept scores were made from is sound."""
    manifests = []
    for fold in range(study.split.folds):
        manifest = ledger.fold(record.name, fold)
        if manifest is None:
            raise DamagedError(f"{ledger.folder.locate(record.name)}: fold {fold} is missing")
        manifests.append(manifest)
    trial_study = configure(study, record.parameters)
    components = components_of(trial_study.model)
    keys = {
        m.fold: fold_key(m, components, trial_study.scores, _left_out(study)) for m in manifests
    }
    is_detailed = record.name in told
    kept = cache.read(record.name, keys, detailed=is_detailed)
    for manifest in manifests:
        for name in READ_FILES if manifest.fold in kept else ():
            ledger.read(manifest, name)
    timings = [
        timing(manifest, fold_files.read_json(ledger, manifest, fold_files.TIMINGS))
        for manifest in manifests
    ]
    return _Trial(record, trial_study, manifests, is_detailed, keys, kept, timings)


def _scored(
    ledger: Ledger,
    cache: FoldCache,
    trials: Sequence[_Trial],
    means: Means | None,
    details: _Details,
) -> Iterator[TrialScores]:
    """Yield the scores of each trial, which are kept as soon as it is fitted; add to `details`."""
    tasks = [
        ScoreTask(
            ledger,
            manifest,
            components_of(trial.study.model),
            trial.study.scores,
            left_out=_left_out(trial.study),
            detailed=trial.is_detailed,
        )
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
        for m in trial.manifests if trial.is_detailed else ():
            found = folds[m.fold].details
            assert found is not None
            details.add(FoldHistory.read(trial.study, ledger, m), found)
        scores = pa.concat_tables([folds[m.fold].scores for m in trial.manifests]).combine_chunks()
        yield TrialScores(trial.record, trial.study, trial.manifests, scores)
    next(fitted, None)  # lets go of what computed


def _without_space(study: Study) -> Study:
    """Return a study that searches nothing: ends of a space take long to check each time."""
    search = study.search.model_copy(update={"space": {}})
    return study.model_copy(update={"search": search})


def _left_out(study: Study) -> tuple[str, ...]:
    return DATASETS[study.dataset.name].left_out


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
