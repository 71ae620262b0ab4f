"""Measurements of folds in training: by epoch, and at the epochs that are reported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from study.ledger.fold_files import EPOCH_RULES, read_history
from study.ledger.ledger import FoldManifest, Ledger
from study.report.tables import column
from study.search.trial import Trial
from study.training.measures.running_mean import running_mean

KEYS = ("study", "dataset", "protocol", "model", "system", "trial", "fold")
TSTR_WINDOW = 5
_GENERATION, _LATENT = "generation/", "latent/"
_AVERAGED = tuple(
    f"{name}{end}" for name in ("tstr", "tstr_normals") for end in ("", "_real", "_normalised")
)


@dataclass(frozen=True)
class FoldHistory:
    """The epochs of one fold.

    Attributes:
        keys: values of `KEYS`.
        manifest: the fold's commit.
        rows: its history, a row per epoch.
    """

    keys: Mapping[str, Any]
    manifest: FoldManifest
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, trial: Trial, ledger: Ledger, manifest: FoldManifest) -> "FoldHistory":
        """Read a committed fold of a trial."""
        keys = {
            "study": trial.config.study,
            "dataset": trial.config.dataset.name,
            "protocol": trial.protocol,
            "model": trial.config.model.name,
            "system": trial.system,
            "trial": manifest.trial,
            "fold": manifest.fold,
        }
        return cls(keys, manifest, read_history(ledger, manifest))


def epochs_table(folds: Sequence[FoldHistory]) -> pa.Table:
    """Return `epochs.parquet`: a row per fold and epoch, null where it was not validated."""
    return _table([{**fold.keys, **row} for fold in folds for row in fold.rows])


def measures_table(folds: Sequence[FoldHistory]) -> pa.Table:
    """Return `measures.parquet`: measures of a fold's model under each epoch rule.

    TSTR, whose single measurements differ by what they draw, is the mean of up to five
    up to that epoch (paper, section IV.A); `tstr_measurements` is their number.
    """
    return _table([row for fold in folds for row in _measures(fold)])


def _measures(fold: FoldHistory) -> Iterator[dict[str, Any]]:
    averaged = {name: _running_means(fold.rows, f"{_GENERATION}{name}") for name in _AVERAGED}
    reported = (fold.manifest.best_epoch, fold.manifest.last_epoch)
    for rule, epoch in zip(EPOCH_RULES, reported, strict=True):
        row = next((row for row in fold.rows if row["epoch"] == epoch), {})
        measures = {
            f"latent_{name.removeprefix(_LATENT)}": value
            for name, value in row.items()
            if name.startswith(_LATENT)
        }
        measures["mmd"] = row.get(f"{_GENERATION}mmd")
        for name, means in averaged.items():
            earlier = [mean for at, mean in means if at <= epoch]
            measures[name] = earlier[-1] if earlier else None
            if name == _AVERAGED[0]:
                measures["tstr_measurements"] = min(len(earlier), TSTR_WINDOW)
        yield {**fold.keys, "epoch_rule": rule, "epoch": epoch, **measures}


def _running_means(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    """Return epoch and running mean of each measurement."""
    measured = [(int(row["epoch"]), row[name]) for row in rows if row.get(name) is not None]
    means = running_mean([value for _, value in measured], TSTR_WINDOW)
    return [(epoch, mean) for (epoch, _), mean in zip(measured, means, strict=True)]


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    names = {name: None for row in rows for name in row}
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    if any(isinstance(value, list) for value in values):
        return pa.array(values, pa.list_(pa.float64()))
    return column(values)
