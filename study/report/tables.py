"""The study's tables: scores, and timings. Columns are built for all folds at once."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from study.config.schema import Study
from study.config.study_file import dump_study, flatten
from study.data.leakage import Leakage
from study.ledger.ledger import FoldManifest, TrialRecord, canonical_hash
from study.report.fold_scores import SCHEMA
from study.scores.evaluation import ScoreRow

DECIDING = ("dataset", "split", "model", "training", "scores", "seed")
SHOWN = ("dataset", "split", "model", "training", "scores")
TIMING_COLUMNS = (
    "trial",
    "fold",
    "state",
    "epochs",
    "train_seconds",
    "evaluate_seconds",
    "host",
    "device",
    "threads",
)


@dataclass(frozen=True)
class TrialScores:
    """What the tables hold of one trial.

    Attributes:
        record: how it ended.
        study: the study with the trial's settings.
        manifests: the commits of its folds, by fold from 0.
        scores: a table of `fold_scores.SCHEMA`, all folds in their order.
    """

    record: TrialRecord
    study: Study
    manifests: Sequence[FoldManifest]
    scores: pa.Table


def scores_table(split_hash: Mapping[str, str], trials: Sequence[TrialScores]) -> pa.Table:
    """Return `scores.parquet`.

    Args:
        split_hash: of the study's folds, by protocol.
        trials: by number; at least one.

    Returns:
        A row per trial, fold, epoch rule and composition, in this order; columns as
        documented, then one `param.<key>` for every setting, by name.
    """
    scores = pa.concat_tables([trial.scores for trial in trials]).combine_chunks()
    trial_of_row = np.repeat(np.arange(len(trials)), [t.scores.num_rows for t in trials])
    known = _of_trials(split_hash, trials, trial_of_row)
    own = {name: scores[name] for name in SCHEMA.names} | {
        "epoch": pa.array(_epochs(trials, scores, trial_of_row))
    }
    names = [*_fixed_columns(), *sorted(name for name in known if name.startswith("param."))]
    return pa.table({name: own[name] if name in own else known[name] for name in names})


def timings_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return `timings.parquet`: a row per trial and fold."""
    return pa.table({name: [row[name] for row in rows] for name in TIMING_COLUMNS})


def timing(manifest: FoldManifest, timings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fold's row of `timings.parquet`, `timings` being what the fold measured."""
    return {
        "trial": manifest.trial,
        "fold": manifest.fold,
        "state": manifest.state,
        "epochs": manifest.last_epoch,
        **timings,
    }


def _of_trials(
    split_hash: Mapping[str, str], trials: Sequence[TrialScores], trial_of_row: Any
) -> dict[str, pa.Array]:
    """Return the columns that say the same of all rows of a trial."""
    rows = [_trial_row(trial.study, split_hash, trial.record) for trial in trials]
    names = {name: None for row in rows for name in row}
    taken = pa.array(trial_of_row)
    return {name: column([row.get(name) for row in rows]).take(taken) for name in names}


def _trial_row(study: Study, split_hash: Mapping[str, str], record: TrialRecord) -> dict[str, Any]:
    config = dump_study(study)
    return {
        "study": study.name,
        "dataset": study.dataset.name,
        "protocol": study.split.protocol,
        "split_hash": split_hash[study.split.protocol],
        "model": study.model.name,
        "system": study.system,
        "trial": record.name,
        "config_hash": canonical_hash({part: config[part] for part in DECIDING}),
        "state": record.state,
        "seed": study.seed,
    } | {
        f"param.{key}": value
        for key, value in flatten({part: config[part] for part in SHOWN}).items()
    }


def _epochs(trials: Sequence[TrialScores], scores: pa.Table, trial_of_row: Any) -> Any:
    """Return `(n,)` the epoch whose weights each row is of."""
    folds = [manifest for trial in trials for manifest in trial.manifests]
    starts = np.cumsum([0, *(len(trial.manifests) for trial in trials)])[:-1]
    fold_of_row = starts[trial_of_row] + scores["fold"].to_numpy()
    best = np.array([manifest.best_epoch for manifest in folds])[fold_of_row]
    last = np.array([manifest.last_epoch for manifest in folds])[fold_of_row]
    is_last = pa.compute.equal(scores["epoch_rule"], "last").to_numpy()
    return np.where(is_last, last, best)


def _fixed_columns() -> Iterator[str]:
    yield from ("study", "dataset", "protocol", "split_hash", "model", "system")
    yield from ("trial", "config_hash", "state", "fold", "seed", "epoch_rule", "epoch")
    yield from (field.name for field in fields(ScoreRow))
    yield from ("num_training", "beta_unscaled")
    yield from (f"test_{field.name}" for field in fields(Leakage))


def column(values: list[Any]) -> pa.Array:
    """Return a column; values of several types (a searched choice, say) become text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        if list in kinds or tuple in kinds:
            return pa.array([None if v is None else str(list(v)) for v in values])
        if kinds == {int, float}:
            return pa.array(np.array([math.nan if v is None else v for v in values], dtype=float))
        return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values])
