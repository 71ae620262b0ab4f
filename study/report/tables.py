"""The study's tables: scores, their summary over folds, and timings."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from models import MODELS
from study import fold_files
from study.definition import Study
from study.ledger import FoldManifest, Ledger, TrialRecord, canonical_hash
from study.scores.evaluation import ScoreRow, evaluate_fold
from study.scores.settings import METRIC_NAMES
from study.study_file import configure, dump_study, flatten

INTERVAL = 0.95
DECIDING = ("dataset", "split", "model", "training", "scores", "seed")
SUMMARY_KEYS = (
    "study",
    "dataset",
    "protocol",
    "model",
    "trial",
    "config_hash",
    "state",
    "epoch_rule",
    "composition",
    "latent_form",
    "supervision",
)
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
class FoldScores:
    """What the tables hold of one fold.

    Attributes:
        rows: a row per epoch rule, composition and latent form.
        timing: where and how long the fold trained.
        sizes: training and test samples.
    """

    rows: list[dict[str, Any]]
    timing: dict[str, Any]


def score_fold(
    study: Study, split_hash: str, record: TrialRecord, ledger: Ledger, manifest: FoldManifest
) -> FoldScores:
    """Fit every composition on a fold's stored errors and return its rows."""
    trial_study = configure(study, record.parameters)
    config = dump_study(trial_study)
    entry = MODELS[trial_study.model.name]
    described = fold_files.read_json(ledger, manifest, fold_files.MODEL)
    errors = fold_files.read_errors(ledger, manifest, entry.components, described["latent_size"])
    known = {
        "study": study.name,
        "dataset": study.dataset.name,
        "protocol": study.split.protocol,
        "split_hash": split_hash,
        "model": trial_study.model.name,
        "trial": record.name,
        "config_hash": canonical_hash({part: config[part] for part in DECIDING}),
        "state": record.state,
        "fold": manifest.fold,
        "seed": study.seed,
    }
    parameters = {
        f"param.{key}": value
        for part in ("dataset", "split", "model", "training", "scores")
        for key, value in flatten({part: config[part]}).items()
    }
    epochs = {"best_validation": manifest.best_epoch, "last": manifest.last_epoch}
    rows = [
        {
            **known,
            "epoch_rule": rule,
            "epoch": epochs[rule],
            **asdict(row),
            "num_training": len(errors[rule].training),
            "beta_unscaled": _beta_unscaled(described),
            **parameters,
        }
        for rule in fold_files.EPOCH_RULES
        for row in evaluate_fold(errors[rule], study.scores)
    ]
    return FoldScores(rows=rows, timing=read_timing(ledger, manifest))


def read_timing(ledger: Ledger, manifest: FoldManifest) -> dict[str, Any]:
    """Return a fold's row of `timings.parquet`."""
    return {
        "trial": manifest.trial,
        "fold": manifest.fold,
        "state": manifest.state,
        "epochs": manifest.last_epoch,
        **fold_files.read_json(ledger, manifest, fold_files.TIMINGS),
    }


def scores_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return `scores.parquet`.

    Args:
        rows: by trial, fold, epoch rule and the table of compositions.

    Returns:
        The rows in that order; columns as documented, then one `param.<key>` for every
        setting, by name.
    """
    columns = [*_fixed_columns()]
    columns += sorted({name for row in rows for name in row if name.startswith("param.")})
    data = {name: _column([row.get(name) for row in rows]) for name in columns}
    return pa.table(data)


def summary_table(scores: pa.Table) -> pa.Table:
    """Return `summary.parquet`: each metric over folds, by trial, epoch rule and composition.

    `<metric>_mean` and `<metric>_std` (n - 1), and the ends of a 95 % interval for
    the mean, `<metric>_low` and `<metric>_high`, after Nadeau and Bengio (2003): folds
    share training samples, so the variance is corrected by the ratio of test to
    training samples. nan for a single fold.
    """
    frame = scores.to_pandas()
    keys = [name for name in frame if name in SUMMARY_KEYS or name.startswith("param.")]
    groups = frame.groupby(list(SUMMARY_KEYS), sort=False, dropna=False)
    rows = []
    for _, group in groups:
        row = {name: group[name].iloc[0] for name in keys} | {"folds": len(group)}
        ratio = float((group["num_samples"] / group["num_training"]).mean())
        for metric in METRIC_NAMES:
            row |= {f"{metric}_{n}": v for n, v in _over_folds(group[metric], ratio).items()}
        rows.append(row)
    order = [*SUMMARY_KEYS, "folds"]
    order += [f"{m}_{n}" for m in METRIC_NAMES for n in ("mean", "std", "low", "high")]
    order += [name for name in keys if name.startswith("param.")]
    return pa.table({name: _column([row[name] for row in rows]) for name in order})


def timings_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return `timings.parquet`: a row per trial and fold."""
    return pa.table({name: [row[name] for row in rows] for name in TIMING_COLUMNS})


def _beta_unscaled(described: Mapping[str, Any]) -> float | None:
    """Return beta without the averaging of the reconstruction loss over time and channels."""
    beta = described["study"]["model"].get("beta")
    shape = described["shape"]
    return None if beta is None else beta * shape["length"] * shape["channels"]


def _over_folds(values: "pd.Series[float]", ratio: float) -> dict[str, float]:
    count, mean = len(values), float(values.mean())
    deviation = float(values.std(ddof=1)) if count > 1 else math.nan
    error = deviation * math.sqrt(1 / count + ratio)
    reach = float(stats.t.ppf((1 + INTERVAL) / 2, count - 1)) * error if count > 1 else math.nan
    return {"mean": mean, "std": deviation, "low": mean - reach, "high": mean + reach}


def _fixed_columns() -> Iterable[str]:
    yield from ("study", "dataset", "protocol", "split_hash", "model", "trial", "config_hash")
    yield from ("state", "fold", "seed", "epoch_rule", "epoch")
    yield from (field.name for field in fields(ScoreRow))
    yield from ("num_training", "beta_unscaled")


def _column(values: list[Any]) -> pa.Array:
    """Return a column; values of several types (a searched choice, say) become text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        if list in kinds or tuple in kinds:
            return pa.array([None if v is None else str(list(v)) for v in values])
        if kinds == {int, float}:
            return pa.array(np.array([math.nan if v is None else v for v in values], dtype=float))
        return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values])
