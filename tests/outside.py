"""Trains a study of a model, a dataset and a composition that another package brings.

`python outside.py` in an empty folder, where that package is on the path.
"""

import sys
from pathlib import Path

import numpy as np

from models import MODELS
from study.config.study_file import check_study
from study.data import DATASETS, load
from study.data.splits import make_splits
from study.estimators import DETECTORS
from study.ledger.fold_files import read_errors
from study.ledger.ledger import Ledger
from study.scores.compositions import COMPOSITIONS
from study.scores.evaluation import evaluate_fold
from study.search.sources import trial_source
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold


def main() -> None:
    """Train one fold, and print what came of it."""
    study = check_study(
        {
            "name": "outside",
            "dataset": {"name": "ramps", "length": 32},
            "split": {"folds": 1},
            "model": {"name": "spread"},
            "search": {"metric": {"composition": "twice"}},
        },
        "outside",
    )
    here = Path()
    samples = load(study.dataset, here, study.seed, here / "cache")
    fold = make_splits(samples, study.split, study.seed).folds[0]
    trial = trial_source(study).next_trial({}, set())
    folder, ledger = LocalFolder(here / "checkpoints"), Ledger(LocalFolder(here / "ledger"))
    manifest = train_fold(FoldTask(trial.config, trial.folds[0]), samples, fold, ledger, folder)
    errors = read_errors(ledger, manifest, ("outlier_score",), None)["best_validation"]
    (row,) = evaluate_fold(errors, study.scores, ["twice"])
    spread = np.ptp(samples.values[fold.test], axis=2).ravel()
    np.testing.assert_allclose(errors.test.values["outlier_score"], spread, rtol=1e-6)
    values = (next(reversed(table)) for table in (MODELS, DATASETS, COMPOSITIONS))
    sys.stdout.write(f"{' '.join(values)} {row.auroc} {DETECTORS['spread'].__name__}\n")


if __name__ == "__main__":
    main()
