"""The study's tables: scores, and timings. Columns are built for all folds at once."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from study.config.dotted_keys import flatten
from study.data.leakage import Leakage
from study.ledger.answer import composition_of
from study.ledger.fold_files import EPOCH_RULES
from study.ledger.ledger import FoldManifest
from study.ledger.study_folder import SplitFacts
from study.report.fold_scores import SCHEMA
from study.report.labels import LAST, joined, labels_chose
from study.scores.evaluation import ScoreRow
from study.scores.series import SeriesMetrics
from study.search.trial import TrialRecord
from study.storage.hashes import canonical_hash

HASHED_PARTS = ("dataset", "split", "model", "training", "scores", "seed")
PARAMETER_PARTS = ("dataset", "split", "model", "training", "scores")
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
    """A trial's scores, and how it ended.

    Attributes:
        record: how it ended.
        manifests: the commits of its folds, by fold from 0.
        scores: a table of `fold_scores.SCHEMA`, all folds in their order.
    """

    record: TrialRecord
    manifests: Sequence[FoldManifest]
    scores: pa.Table


def scores_table(splits: Mapping[str, SplitFacts], trials: Sequence[TrialScores]) -> pa.Table:
    """Return `scores.parquet`.

    Args:
        splits: hash and leakage of its folds, by protocol.
        trials: in order; at least one.

    Returns:
        A row per trial, fold, epoch rule and composition, in this order; columns as
        documented, then one `param.<key>` for every setting, by name.
    """
    scores = pa.concat_tables([trial.scores for trial in trials]).combine_chunks()
    trial_of_row = np.repeat(np.arange(len(trials)), [t.scores.num_rows for t in trials])
    columns = _trial_columns(splits, trials, trial_of_row)
    columns |= {name: scores[name] for name in SCHEMA.names}
    columns |= _label_columns(trials, scores, trial_of_row)
    columns["of_metric"] = _of_metric(trials, scores, trial_of_row)
    columns |= _fold_columns(splits, trials, scores, trial_of_row)
    is_series = any(trial.record.trial.config.dataset.is_series for trial in trials)
    names = [
        *_fixed_columns(is_series=is_series),
        *sorted(name for name in columns if name.startswith("param.")),
    ]
    return pa.table({name: columns[name] for name in names})


def timings_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return `timings.parquet`: a row per trial and fold."""
    return pa.table({name: [row[name] for row in rows] for name in TIMING_COLUMNS})


def timing(manifest: FoldManifest, timings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fold's row of `timings.parquet`, of the `timings` that it measured."""
    return {
        "trial": manifest.trial,
        "fold": manifest.fold,
        "state": manifest.state,
        "epochs": manifest.last_epoch,
        **timings,
    }


def _trial_columns(
    splits: Mapping[str, SplitFacts], trials: Sequence[TrialScores], trial_of_row: Any
) -> dict[str, pa.Array]:
    """Return the columns that have one value for all rows of a trial."""
    rows = [_trial_row(splits, trial.record) for trial in trials]
    names = {name: None for row in rows for name in row}
    indices = pa.array(trial_of_row)
    return {name: column([row.get(name) for row in rows]).take(indices) for name in names}


def _facts(splits: Mapping[str, SplitFacts], record: TrialRecord) -> SplitFacts:
    """Return what is known of the folds of a trial, with the samples that it had."""
    return splits[record.trial.protocol].of(record.trial.config.dataset)


def _trial_row(splits: Mapping[str, SplitFacts], record: TrialRecord) -> dict[str, Any]:
    trial = record.trial
    settings = trial.config.to_dict()
    parameters = flatten({part: settings[part] for part in PARAMETER_PARTS})
    # What is searched may be at a default that is not written down.
    parameters |= {
        key: value
        for key, value in trial.parameters.items()
        if key.partition(".")[0] in PARAMETER_PARTS
    }
    return {
        "study": trial.config.study,
        "dataset": trial.config.dataset.name,
        "protocol": trial.protocol,
        "split_hash": splits[trial.protocol].split_hash,
        "model": trial.config.model.name,
        "system": trial.system,
        "trial": trial.name,
        "config_hash": canonical_hash({part: settings[part] for part in HASHED_PARTS}),
        "state": record.state,
        "seed": trial.config.seed,
    } | {f"param.{key}": value for key, value in parameters.items()}


def _label_columns(
    trials: Sequence[TrialScores], scores: pa.Table, trial_of_row: Any
) -> dict[str, pa.Array]:
    """Return what labels chose of each row, its trial and epoch included, and whether nothing."""
    of_trial = [{rule: labels_chose(t.record, rule) for rule in EPOCH_RULES} for t in trials]
    rows = zip(
        trial_of_row.tolist(),
        scores["epoch_rule"].to_pylist(),
        scores["labels_chose"].to_pylist(),
        strict=True,
    )
    chosen = [joined(*of_trial[trial][rule], in_fit) for trial, rule, in_fit in rows]
    one_class = [each == "" for each in chosen]
    return {"labels_chose": pa.array(chosen), "one_class": pa.array(one_class, pa.bool_())}


def _of_metric(trials: Sequence[TrialScores], scores: pa.Table, trial_of_row: Any) -> pa.Array:
    """Return whether each row is of the composition that its trial is reported by."""
    reported = [composition_of(trial.record.trial.config) for trial in trials]
    rows = zip(
        trial_of_row.tolist(),
        scores["composition"].to_pylist(),
        scores["latent_form"].to_pylist(),
        strict=True,
    )
    return pa.array([reported[trial] == (name, form) for trial, name, form in rows], pa.bool_())


def _fold_columns(
    splits: Mapping[str, SplitFacts],
    trials: Sequence[TrialScores],
    scores: pa.Table,
    trial_of_row: Any,
) -> dict[str, pa.Array]:
    """Return the columns that have one value for all rows of a fold, or of its epoch rule."""
    manifests = [manifest for trial in trials for manifest in trial.manifests]
    starts = np.cumsum([0, *(len(trial.manifests) for trial in trials)])[:-1]
    fold_of_row = starts[trial_of_row] + scores["fold"].to_numpy()
    best = np.array([manifest.best_epoch for manifest in manifests])[fold_of_row]
    last = np.array([manifest.last_epoch for manifest in manifests])[fold_of_row]
    is_last = pa.compute.equal(scores["epoch_rule"], LAST).to_numpy()
    leakage = [
        facts.leakage[manifest.fold]
        for trial in trials
        for facts in [_facts(splits, trial.record)]
        for manifest in trial.manifests
    ]
    columns = {"epoch": pa.array(np.where(is_last, last, best))}
    for name in (field.name for field in fields(Leakage)):
        counts = pa.array([getattr(fold, name) for fold in leakage], pa.int64())
        columns[f"test_{name}"] = counts.take(pa.array(fold_of_row))
    return columns


def _fixed_columns(*, is_series: bool) -> Iterator[str]:
    yield from ("study", "dataset", "protocol", "split_hash", "model", "system")
    yield from ("trial", "config_hash", "state", "fold", "seed", "epoch_rule", "epoch")
    for field in fields(ScoreRow):
        yield field.name
        if field.name == "labels_chose":
            yield from ("one_class", "of_metric")
    yield from ("num_training", "beta_unscaled", "normal_error")
    yield from (field.name for field in fields(SeriesMetrics) if is_series)
    yield from (f"test_{field.name}" for field in fields(Leakage))


def column(values: list[Any]) -> pa.Array:
    """Return a column; values of several types, as a searched choice may have, become text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        if list in kinds or tuple in kinds:
            return pa.array([None if v is None else str(list(v)) for v in values])
        if kinds == {int, float}:
            return pa.array(np.array([math.nan if v is None else v for v in values], dtype=float))
        return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values])
