"""What a trial's folds came to in the objectives of its search, read off their files."""

from collections.abc import Iterable

import numpy as np
import safetensors.numpy

from study.ledger.fold_files import TIMINGS, WEIGHTS, read_history, read_json
from study.ledger.ledger import FoldManifest, Ledger


def measured_objectives(
    ledger: Ledger, manifests: Iterable[FoldManifest], objectives: Iterable[str]
) -> dict[str, float]:
    """Return the means over folds, each fold at its best validation epoch.

    Scores are those of validation. `parameters` are all numbers that are stored of a model, and
    `bytes` what its file takes.
    """
    folds = [_of_fold(ledger, manifest) for manifest in manifests]
    return {name: float(np.mean([fold[name] for fold in folds])) for name in objectives}


def _of_fold(ledger: Ledger, manifest: FoldManifest) -> dict[str, float]:
    rows = {int(row["epoch"]): row for row in read_history(ledger, manifest)}
    weights = ledger.read(manifest, WEIGHTS)
    stored = safetensors.numpy.load(weights)
    return {
        **{name: float(value) for name, value in rows[manifest.best_epoch].items()
           if isinstance(value, float)},
        "microseconds": read_json(ledger, manifest, TIMINGS)["score_microseconds"],
        "parameters": float(sum(array.size for array in stored.values())),
        "bytes": float(len(weights)),
    }  # fmt: skip
