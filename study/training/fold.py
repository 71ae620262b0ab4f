"""Training one fold, from samples to its commit in the ledger, as a plain function.

No cluster is needed: a fold can be trained and debugged in a notebook. Randomness
enters through four streams of the study's seed, named by the fold: "weights",
"batches", "noise" and "augmentation". They are the same for every trial, so that trials differ by
their settings alone.
"""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch

from study.config.trial_config import TrialConfig
from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger import fold_files
from study.ledger.checkpoint import FoldProgress, load_checkpoint, save_checkpoint
from study.ledger.ledger import FoldManifest, Ledger
from study.scores.settings import REPORTED_SCORES
from study.search.trial import FoldAddress, State
from study.storage.folder import Folder
from study.training.evaluation import FoldEvaluator, NonFiniteError
from study.training.events import PROJECTED, FoldWriter
from study.training.fold_pictures import projected, reconstruct
from study.training.reports import FoldReports, epoch_scalars
from study.training.result import FoldResult
from study.training.setup import build_model, fit_scaling, scale
from study.training.validation_report import StoppedEarly, ValidationReport


@dataclass(frozen=True)
class FoldTask:
    """What one fold of one trial is to do.

    Attributes:
        config: the trial's configuration.
        address: the fold.
        rungs: epochs after which the trial may be stopped early.
        device: "cpu" or "cuda".
        checkpoint_seconds: from one checkpoint to the next; 0 for one after every epoch. There
            is one at each rung besides.
    """

    config: TrialConfig
    address: FoldAddress
    rungs: tuple[int, ...] = ()
    device: str = "cpu"
    checkpoint_seconds: float = 0.0

    @cached_property
    def validation_epochs(self) -> list[int]:
        """The epochs after which every fold of the trial validates and reports."""
        training = self.config.training
        regular = range(
            training.validation_interval, training.epochs + 1, training.validation_interval
        )
        rungs = (epoch for epoch in self.rungs if epoch <= training.epochs)
        return sorted({*regular, *rungs, training.epochs})


@dataclass(frozen=True)
class Surroundings:
    """What looks after a fold while it trains.

    Attributes:
        is_leaving: whether this machine is about to be taken away: then there is a checkpoint
            after every epoch.
        on_epoch: called after each epoch that is trained, before its validation if it has one.
        on_progress: called by the model; see `models.interface.Model`.
    """

    is_leaving: Callable[[], bool] = lambda: False
    on_epoch: Callable[[], None] = lambda: None
    on_progress: Callable[[], None] = lambda: None


def train_fold(
    task: FoldTask,
    samples: Samples,
    fold: Fold,
    ledger: Ledger,
    checkpoints: Folder,
    watch: Callable[[ValidationReport], None] = lambda report: None,
    writer: FoldWriter | None = None,
    surroundings: Surroundings = Surroundings(),
) -> FoldManifest:
    """Train a fold, or go on where its checkpoint is, and commit it.

    `watch` is called with every validation epoch once and in order, also with those that an
    earlier attempt trained and with those of a fold that is committed already. It is called
    with the last one when the fold is committed, and training goes on when it returns. At a
    rung it may raise `StoppedEarly`: the fold is then committed as it is, as "pruned", and
    `watch` called with that epoch again.

    Args:
        task: what to train.
        samples: the dataset.
        fold: the fold's sample indices.
        ledger: where the fold is committed.
        checkpoints: the fold's own folder for checkpoints.
        watch: called after each validation epoch.
        writer: TensorBoard's files; None for none.
        surroundings: what looks after it.

    Returns:
        The committed manifest.
    """
    reports = FoldReports(task.config.training.epochs, task.validation_epochs, watch)
    manifest = ledger.fold(task.address)
    if manifest is None:
        training = _Training(task, samples, fold, checkpoints, reports, writer, surroundings)
        manifest = training.run(ledger)
    else:
        with contextlib.suppress(StoppedEarly):
            reports.repeat(fold_files.read_history(ledger, manifest))
    reports.end(manifest)
    return manifest


class _Training:
    """One attempt at a fold."""

    def __init__(
        self,
        task: FoldTask,
        samples: Samples,
        fold: Fold,
        checkpoints: Folder,
        reports: FoldReports,
        writer: FoldWriter | None,
        surroundings: Surroundings,
    ) -> None:
        self.task, self.fold, self.surroundings = task, fold, surroundings
        scaling = fit_scaling(task.config, samples, fold)
        self.samples = samples if scaling is None else scale(samples, scaling)
        self.checkpoints, self.reports, self.writer = checkpoints, reports, writer
        self.saved_at = time.monotonic()
        device = torch.device(task.device)
        self.model = build_model(task.config, samples, task.address.fold, device)
        self.model.on_progress = surroundings.on_progress
        self.evaluator = FoldEvaluator.of(
            task.config, task.address.fold, self.model, self.samples, fold
        )
        self.members = torch.from_numpy(fold.training).to(device)
        self.progress = load_checkpoint(checkpoints) or FoldProgress()
        self.result = FoldResult(task.address, self.evaluator, scaling, self.progress)
        if self.progress.epoch:
            self.model.load_state(self.progress.model_state)
        if self.writer:
            self.writer.resume(self.progress.epoch)

    def run(self, ledger: Ledger) -> FoldManifest:
        """Train to the end, or to where the search stops the trial, and commit."""
        try:
            state = self._train()
            manifest, files = self.result.trained(state)
            if state == "completed":
                self._project()
        except NonFiniteError as error:
            manifest, files = self.result.failed(str(error), self.reports.epoch)
        committed = ledger.commit_fold(manifest, files)
        # Before the last report: the trial's folder is removed after it.
        self.checkpoints.remove("")
        if committed.state == "completed":
            self.reports.add(self.progress.history[-1])
        return committed

    def _train(self) -> State:
        """Train on from where the checkpoint is; return how training ended.

        Raises:
            NonFiniteError: a loss or an error component is not finite.
        """
        epochs, validated = self.task.config.training.epochs, self.task.validation_epochs
        try:
            if self.progress.epoch:
                self.reports.costs = self.evaluator.costs
            self.reports.repeat([row for row in self.progress.history if row["epoch"] < epochs])
            while self.progress.epoch < epochs:
                started = time.perf_counter()
                row = self._train_epoch()
                is_validated = self.progress.epoch in validated
                if is_validated:
                    self._validate(row)
                    self.reports.costs = self.evaluator.costs
                self.progress.train_seconds += time.perf_counter() - started
                if is_validated:
                    self._show(row)
                if self.progress.epoch < epochs:
                    self._save_if_due()
                    if is_validated:
                        self.reports.add(row)
        except StoppedEarly:
            if self.progress.epoch > self.reports.epoch:
                self.checkpoints.remove("")
                raise RuntimeError(
                    f"trained past epoch {self.reports.epoch}, at which the search stops the trial;"
                    " it is trained again"
                ) from None
            return "pruned"
        return "completed"

    def _train_epoch(self) -> dict[str, Any]:
        losses = self.model.train_epoch(self.evaluator.values, self.members)
        self.surroundings.on_epoch()
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

    def _show(self, row: dict[str, Any]) -> None:
        """Write a validation to TensorBoard's files."""
        if self.writer:
            epoch = self.progress.epoch
            self.writer.scalars(epoch, "validation", {n: row[n] for n in REPORTED_SCORES})
            self.writer.scalars(epoch, "", epoch_scalars(row, grouped=True))
            draw = partial(reconstruct, self.evaluator)
            self.writer.reconstructions(epoch, self.samples, self.fold, draw)

    def _save_if_due(self) -> None:
        """Write a checkpoint at a rung, after some time, and where this machine is leaving."""
        is_due = time.monotonic() - self.saved_at >= self.task.checkpoint_seconds
        if is_due or self.progress.epoch in self.task.rungs or self.surroundings.is_leaving():
            if self.writer:
                self.writer.publish()  # nobody writes again what the checkpoint holds
            self.progress.model_state = self.model.state()
            save_checkpoint(self.checkpoints, self.progress)
            self.saved_at = time.monotonic()

    def _project(self) -> None:
        """Show z of validation samples, of the last weights, in TensorBoard."""
        shown = projected(self.evaluator, PROJECTED) if self.writer else None
        if self.writer and shown is not None:
            self.writer.projector(self.progress.epoch, self.samples, *shown)
