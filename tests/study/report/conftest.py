from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import ENCODER_ERRORS
from study.config.schema import Study
from study.config.study_file import check_study, dump_study, to_yaml
from study.data.leakage import refuse_leakage
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger import fold_contents, fold_files
from study.ledger.fold_contents import Evaluation
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.ledger.study_folder import SplitFacts
from study.search.trial import State
from study.storage.folder import Folder, LocalFolder
from tests.study.report.trained import of_systems, searched
from tests.study.trials import record_of, trial_of

__all__ = ["of_systems", "searched"]  # fixtures

FOLDS = 2
LAST_EPOCH = 6
SPLIT_HASH = "hash"


class DrawnLedger:
    """A study's results folder whose ledger holds drawn errors instead of trained ones."""

    def __init__(self, results: Folder, samples: Samples, seed: int = 0) -> None:
        self.seed = seed
        self.results = results
        self.ledger = Ledger(results.folder("ledger"))
        self.samples = samples
        self.study = check_study(
            {
                "name": "drawn",
                "dataset": {"name": "synthetic", "length": 32},
                "split": {"protocol": "paper", "folds": FOLDS},
                "model": {"name": "beta_vaegan", "latent_size": 3},
                "search": {"metric": {"composition": "lambda_grid"}},
                "scores": {"lambda_steps": 5, "gamma_steps": 4},
            },
            "drawn.yaml",
        )
        self.write_study(self.study)

    @property
    def facts(self) -> dict[str, SplitFacts]:
        """What the tables say of the folds."""
        splits = make_splits(self.samples, self.study.split, self.study.seed)
        return {"paper": SplitFacts(SPLIT_HASH, refuse_leakage(self.samples, splits))}

    def write_facts(self) -> None:
        """Write what a run would have of the folds."""
        (facts,) = self.facts.values()
        leakage = {"paper": [vars(fold) for fold in facts.leakage]}
        provenance = {"split_hash": {"paper": SPLIT_HASH}, "leakage": leakage}
        self.write_study(self.study.model_copy(update={"provenance": provenance}))

    def write_study(self, study: Study) -> None:
        self.study = study
        self.results.write("study.yaml", to_yaml(dump_study(study)).encode())

    def commit(
        self, number: int, best_epochs: Iterable[int] = (3, 4), state: State = "completed"
    ) -> None:
        """Commit a trial; a fold whose best epoch is the last has one set of errors."""
        trial = trial_of(self.study, number, {"model.beta": 0.25 * (number + 1)})
        splits = make_splits(self.samples, self.study.split, self.study.seed)
        for fold, best_epoch in enumerate(best_epochs):
            random = np.random.default_rng([self.seed, number, fold])
            parts = ("training", "validation", "test")
            members = [getattr(splits.folds[fold], part) for part in parts]

            def evaluation(
                random: np.random.Generator = random, members: list[Any] = members
            ) -> Evaluation:
                drawn = []
                for index in members:
                    off = 1 + self.samples.label[index]
                    drawn.append(
                        {name: random.gamma(2 * off).astype(np.float32) for name in ENCODER_ERRORS}
                    )
                return Evaluation(*drawn)

            last = evaluation()
            best = last if best_epoch == LAST_EPOCH else evaluation()
            evaluations = {"best_validation": best, "last": last}
            model = {"shape": {"length": 32, "channels": 1}, "latent_size": 3}
            timings = {"train_seconds": 1.5, "evaluate_seconds": 0.5}
            timings |= {"host": "node", "device": "cpu", "threads": 1}
            splits_fold = splits.folds[fold]
            files = {
                fold_files.COMPONENTS: fold_contents.components_file(
                    self.samples, splits_fold, evaluations
                ),
                fold_files.TRAINING_COMPONENTS: fold_contents.training_components_file(
                    splits_fold, evaluations
                ),
                fold_files.HISTORY: fold_contents.history_file(
                    [{"epoch": e, "value": 0.5} for e in range(1, LAST_EPOCH + 1)]
                ),
                MODEL: fold_contents.json_file(model),
                fold_files.TIMINGS: fold_contents.json_file(timings),
                fold_files.WEIGHTS: bytes(range(256)),
            }
            manifest = FoldManifest(trial.name, fold, state, "", best_epoch, LAST_EPOCH, {})
            self.ledger.commit_fold(manifest, files)
        self.ledger.record_trial(record_of(trial, state, [(LAST_EPOCH, 0.5)], number))

    def tables(self) -> dict[str, bytes]:
        names = ("scores", "summary", "timings")
        return {name: self.results.read(f"{name}.parquet") for name in names}


@pytest.fixture
def drawn(tmp_path: Path, tiny_samples: Callable[..., Samples]) -> DrawnLedger:
    """An empty ledger on a disk."""
    return DrawnLedger(LocalFolder(tmp_path / "results"), tiny_samples(40, 24))


@pytest.fixture
def drawn_anywhere(folder: Folder, tiny_samples: Callable[..., Samples]) -> DrawnLedger:
    """An empty ledger, on a disk and as an object store is reached."""
    return DrawnLedger(folder, tiny_samples(40, 24))
