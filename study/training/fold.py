"""Training one fold, from samples to its commit in the ledger, as a plain function.

No cluster is needed: a fold can be trained and debugged in a notebook. Randomness
enters through four streams of the study's seed, named by the fold: "weights",
"batches", "noise" and "augmentation". They are the same for every trial, so that trials differ by
their settings alone.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from study.config.trial_config import TrialConfig
from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger import fold_files
from study.ledger.checkpoint import FoldProgress, load_checkpoint, save_checkpoint
from study.ledger.ledger import MANIFEST, FoldManifest, Ledger
from study.ledger.trial_outcome import stage_name
from study.search.trial import FoldAddress
from study.storage.folder import Folder
from study.training.evaluation import REPORTED_SCORES, FoldEvaluator, NonFiniteError
from study.training.events import PROJECTED, FoldWriter
from study.training.result import FoldResult
from study.training.setup import build_model, fit_scaling, scale
from study.training.validation_report import ValidationReport


@dataclass(frozen=True)
class FoldTask:
    """What one fold of one trial is to do.

    Attributes:
        config: the trial's configuration.
        address: the fold.
        rungs: epochs after which the trial may be stopped early.
        device: "cpu" or "cuda".
    """

    config: TrialConfig
    address: FoldAddress
    rungs: tuple[int, ...] = ()
    device: str = "cpu"

    @cached_property
    def validation_epochs(self) -> list[int]:
        """The epochs after which every fold of the trial validates and reports."""
        training = self.config.training
        regular = range(
            training.validation_interval, training.epochs + 1, training.validation_interval
        )
        rungs = (epoch for epoch in self.rungs if epoch <= training.epochs)
        return sorted({*regular, *rungs, training.epochs})


def train_fold(
    task: FoldTask,
    samples: Samples,
    fold: Fold,
    ledger: Ledger,
    checkpoints: Folder,
    watch: Callable[[ValidationReport], None] = lambda report: None,
    writer: FoldWriter | None = None,
) -> FoldManifest:
    """Train a fold, or go on where its checkpoint is, and commit it.

    `watch` is called with every validation epoch once and in order, also with those that an
    earlier attempt trained and with those of a fold that is committed already. It is called
    with the last one when the fold is committed, and training goes on when it returns.

    Args:
        task: what to train.
        samples: the dataset.
        fold: the fold's sample indices.
        ledger: where the fold is committed.
        checkpoints: the fold's own folder for checkpoints and staged results.
        watch: called after each validation epoch.
        writer: TensorBoard's files; None for none.

    Returns:
        The committed manifest, whose state is "completed" or "failed".
    """
    manifest = ledger.fold(task.address)
    if manifest is None:
        training = _Training(task, samples, fold, checkpoints, watch, writer)
        manifest = training.run(ledger)
        reported = training.reported
    else:
        reported = _repeat_reports(task, fold_files.read_history(ledger, manifest), watch)
    for epoch in task.validation_epochs:
        if epoch > reported:
            assert manifest.state == "failed"
            watch(ValidationReport(epoch=epoch, state="failed", reason=manifest.reason))
    return manifest


def _repeat_reports(
    task: FoldTask, history: list[dict[str, Any]], watch: Callable[[ValidationReport], None]
) -> int:
    """Report what was validated before; return the last epoch that was reported."""
    reported = 0
    for row in history:
        if "value" in row:
            reported = int(row["epoch"])
            watch(_validation_report(row, task.config.training.epochs))
    return reported


def _validation_report(row: dict[str, Any], epochs: int) -> ValidationReport:
    epoch = int(row["epoch"])
    return ValidationReport(
        epoch=epoch,
        state="completed" if epoch == epochs else "running",
        value=row["value"],
        scores=_numbers(row),
    )


def _numbers(row: Mapping[str, Any], *, grouped: bool = False) -> dict[str, float]:
    """Return the numbers of an epoch's row; of those with a group, `group/name`, only them."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in ("epoch", "value")
        and not isinstance(value, Sequence)
        and (not grouped or "/" in name)
    }


class _Training:
    """One attempt at a fold."""

    def __init__(
        self,
        task: FoldTask,
        samples: Samples,
        fold: Fold,
        checkpoints: Folder,
        watch: Callable[[ValidationReport], None],
        writer: FoldWriter | None,
    ) -> None:
        self.task, self.fold = task, fold
        scaling = fit_scaling(task.config, samples, fold)
        self.samples = samples if scaling is None else scale(samples, scaling)
        self.checkpoints, self.watch, self.writer = checkpoints, watch, writer
        device = torch.device(task.device)
        self.model = build_model(task.config, samples, task.address.fold, device)
        self.evaluator = FoldEvaluator.of(
            task.config, task.address.fold, self.model, self.samples, fold
        )
        self.members = torch.from_numpy(fold.training).to(device)
        self.progress = load_checkpoint(checkpoints) or FoldProgress()
        self.result = FoldResult(task.address, self.evaluator, scaling, self.progress)
        self.reported = 0
        if self.progress.epoch:
            self.model.load_state(self.progress.model_state)
        if self.writer:
            self.writer.resume(self.progress.epoch)

    def run(self, ledger: Ledger) -> FoldManifest:
        """Train to the end and commit."""
        epochs = self.task.config.training.epochs
        validated = self.task.validation_epochs
        try:
            past = [row for row in self.progress.history if row["epoch"] < epochs]
            self.reported = _repeat_reports(self.task, past, self.watch)
            while self.progress.epoch < epochs:
                started = time.perf_counter()
                row = self._train_epoch()
                if self.progress.epoch in validated:
                    self._validate(row)
                self.progress.train_seconds += time.perf_counter() - started
                if self.progress.epoch in validated:
                    self._save(row)
            manifest, files = self.result.trained("completed")
            self._project()
        except NonFiniteError as error:
            manifest, files = self.result.failed(str(error), self.reported)
        committed = ledger.commit_fold(manifest, files)
        self.checkpoints.remove(
            ""
        )  # before the last report: the trial's folder is removed after it
        if committed.state == "completed":
            self._report(self.progress.history[-1])
        return committed

    def _train_epoch(self) -> dict[str, Any]:
        losses = self.model.train_epoch(self.evaluator.values, self.members)
        self.progress.epoch += 1
        row: dict[str, Any] = {"epoch": self.progress.epoch, **losses}
        self.progress.history.append(row)
        for name, loss in losses.items():
            if not math.isfinite(loss):
                raise NonFiniteError(f"{name} is {loss} in epoch {self.progress.epoch}")
        if self.writer:
            self.writer.scalars(self.progress.epoch, "loss", losses)
        return row

    def _validate(self, row: dict[str, Any]) -> None:
        """Score the validation samples; keep the weights if none before were better."""
        try:
            row |= self.evaluator.validate(self.progress.epoch, with_tstr=self._tstr_is_due())
        except NonFiniteError as error:
            raise NonFiniteError(f"{error} in epoch {self.progress.epoch}") from None
        if row["value"] > self.progress.best_value:
            self.progress.best_value = row["value"]
            self.progress.best_epoch = self.progress.epoch
            self.progress.best_weights = self.model.weights()

    def _tstr_is_due(self) -> bool:
        interval, epoch = self.task.config.measures.tstr_interval, self.progress.epoch
        if interval is None:
            return False
        validated = self.task.validation_epochs
        return (validated.index(epoch) + 1) % interval == 0 or epoch == validated[-1]

    def _save(self, row: dict[str, Any]) -> None:
        """Write a checkpoint, and at a rung what is committed at a stop; then report."""
        epoch = self.progress.epoch
        if self.writer:
            self.writer.scalars(epoch, "validation", {n: row[n] for n in REPORTED_SCORES})
            self.writer.scalars(epoch, "", _numbers(row, grouped=True))
            self.writer.reconstructions(epoch, self.samples, self.fold, self.evaluator.reconstruct)
        if epoch == self.task.config.training.epochs:
            return
        if epoch in self.task.rungs:
            self._stage()
        self.progress.model_state = self.model.state()
        save_checkpoint(self.checkpoints, self.progress)
        self._report(row)

    def _project(self) -> None:
        """Show z of validation samples, of the last weights, in TensorBoard."""
        projected = self.evaluator.projected(PROJECTED) if self.writer else None
        if self.writer and projected is not None:
            self.writer.projector(self.progress.epoch, self.samples, *projected)

    def _report(self, row: dict[str, Any]) -> None:
        self.reported = int(row["epoch"])
        self.watch(_validation_report(row, self.task.config.training.epochs))

    def _stage(self) -> None:
        """Write what is committed if the trial is stopped at this epoch."""
        stage = self.checkpoints.folder(stage_name(self.progress.epoch))
        stage.remove(f"{self.task.address.path}/{MANIFEST}")
        stage.remove("")
        Ledger(stage).commit_fold(*self.result.trained("pruned"))
