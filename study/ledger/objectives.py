"""What a trial's folds came to in the objectives of its search, read off their files."""

from collections.abc import Iterable
from typing import Any

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
    folds = [_fold_measures(ledger, manifest) for manifest in manifests]
    return {name: float(np.mean([fold[name] for fold in folds])) for name in objectives}


def _fold_measures(ledger: Ledger, manifest: FoldManifest) -> dict[str, Any]:
    """Return what was measured of a fold; `microseconds` is None where the search has none."""
    rows = {int(row["epoch"]): row for row in read_history(ledger, manifest)}
    weights = ledger.read(manifest, WEIGHTS)
    stored = safetensors.numpy.load(weights)
    return {
        **rows[manifest.best_epoch],
        "microseconds": read_json(ledger, manifest, TIMINGS).get("score_microseconds"),
        "parameters": sum(array.size for array in stored.values()),
        "bytes": len(weights),
    }
