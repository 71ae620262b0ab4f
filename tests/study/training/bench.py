"""One fold, and all that it is trained in."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger import fold_files
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from study.training.validation_report import StoppedEarly, ValidationReport
from tests.study.trials import task_of

TRIAL = "trial-00000"
SIX = {"epochs": 6, "batch_size": 16, "discriminator_updates": 1, "validation_interval": 2}
REPRODUCIBLE = (
    fold_files.COMPONENTS,
    fold_files.TRAINING_COMPONENTS,
    fold_files.HISTORY,
    fold_files.WEIGHTS,
    MODEL,
)


class StopHere(Exception):  # noqa: N818 - an interruption, not an error
    pass


@dataclass
class Bench:
    """One fold and where it is trained; `run` is one attempt."""

    study: Study
    samples: Samples
    folder: Path
    rungs: tuple[int, ...] = ()
    manifest: FoldManifest | None = None
    reports: list[ValidationReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fold = make_splits(self.samples, self.study.split, 0).folds[0]

    @property
    def task(self) -> FoldTask:
        return task_of(self.study, rungs=self.rungs)

    @property
    def ledger(self) -> Ledger:
        return Ledger(LocalFolder(self.folder / "ledger"))

    @property
    def checkpoints(self) -> LocalFolder:
        return LocalFolder(self.folder / "checkpoints")

    def run(self, stop_at: int | None = None, ends_at: int | None = None) -> FoldManifest:
        """Train; die with the report of epoch `stop_at`, or be stopped at the rung `ends_at`."""
        self.reports = []

        def watch(report: ValidationReport) -> None:
            self.reports.append(report)
            if report.epoch == stop_at:
                raise StopHere
            if report.epoch == ends_at and report.state == "running":
                raise StoppedEarly

        return train_fold(self.task, self.samples, self.fold, self.ledger, self.checkpoints, watch)

    def files(self, manifest: FoldManifest) -> dict[str, bytes]:
        return {name: self.ledger.read(manifest, name) for name in REPRODUCIBLE}

    def errors_at_the_end(self, manifest: FoldManifest) -> pd.DataFrame:
        """Errors of the last weights."""
        frame = self.frame(manifest, fold_files.COMPONENTS)
        return frame[frame["epoch_rule"] == "last"].reset_index(drop=True)

    def frame(self, manifest: FoldManifest, name: str) -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(self.ledger.read(manifest, name)))
