"""Training one fold, from samples to its commit in the ledger, as a plain function.

No cluster is needed: a fold can be trained and debugged in a notebook. Randomness
enters through three streams of the study's seed, named by the fold: "weights",
"batches" and "noise". They are the same for every trial, so that trials differ by
their settings alone.
"""

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch

from study.config.schema import Study
from study.config.study_file import dump_study
from study.data.leakage import count_leakage
from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger import fold_files
from study.ledger.checkpoint import FoldProgress, load_checkpoint, save_checkpoint
from study.ledger.fold_files import Evaluation
from study.ledger.ledger import MANIFEST, FoldManifest, Ledger, State, fold_name
from study.ledger.trial_outcome import stage_name
from study.storage.folder import Folder
from study.training.evaluation import REPORTED_SCORES, FoldEvaluator, NonFiniteError
from study.training.events import PROJECTED, FoldWriter
from study.training.setup import build_model, device_name, fit_scaling, scale
from study.training.validation_report import FoldReport


@dataclass(frozen=True)
class FoldTask:
    """What one fold of one trial is to do.

    Attributes:
        study: the study, configured with the trial's parameters.
        trial: the trial's name.
        fold: number of the fold, from 0.
        milestones: epochs after which the trial may be stopped early.
        device: "cpu" or "cuda".
    """

    study: Study
    trial: str
    fold: int
    milestones: frozenset[int] = frozenset()
    device: str = "cpu"


def validation_epochs(study: Study, milestones: frozenset[int]) -> list[int]:
    """Return the epochs after which every fold of a trial validates and reports."""
    last, interval = study.training.epochs, study.training.validation_interval
    regular = set(range(interval, last + 1, interval))
    return sorted(regular | {epoch for epoch in milestones if epoch <= last} | {last})


def train_fold(
    task: FoldTask,
    samples: Samples,
    fold: Fold,
    ledger: Ledger,
    checkpoints: Folder,
    watch: Callable[[FoldReport], None] = lambda report: None,
    writer: FoldWriter | None = None,
) -> FoldManifest:
    """Train a fold, or go on where its checkpoint is, and commit it.

    `watch` hears of every validation epoch once and in order, also of those that an
    earlier attempt trained and of a fold that is finished already. It hears of the
    last one when the fold is committed, and training goes on when it returns.

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
    manifest = ledger.fold(task.trial, task.fold)
    if manifest is None:
        training = _Training(task, samples, fold, checkpoints, watch, writer)
        manifest = training.run(ledger)
        reported = training.reported
    else:
        reported = _repeat_reports(task, fold_files.read_history(ledger, manifest), watch)
    for epoch in validation_epochs(task.study, task.milestones):
        if epoch > reported:
            assert manifest.state == "failed"
            watch(FoldReport(epoch=epoch, state="failed", reason=manifest.reason))
    return manifest


def _repeat_reports(
    task: FoldTask, history: list[dict[str, Any]], watch: Callable[[FoldReport], None]
) -> int:
    """Report what was validated before; return the last epoch that was reported."""
    reported = 0
    for row in history:
        if "value" in row:
            reported = int(row["epoch"])
            watch(_report(row, task.study.training.epochs))
    return reported


def _report(row: dict[str, Any], epochs: int) -> FoldReport:
    epoch = int(row["epoch"])
    return FoldReport(
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
        watch: Callable[[FoldReport], None],
        writer: FoldWriter | None,
    ) -> None:
        self.task, self.fold = task, fold
        self.scaling = fit_scaling(task.study, samples, fold)
        self.samples = samples if self.scaling is None else scale(samples, self.scaling)
        self.checkpoints, self.watch, self.writer = checkpoints, watch, writer
        self.device = torch.device(task.device)
        self.model = build_model(task.study, samples, task.fold, self.device)
        self.evaluator = FoldEvaluator.of(task.study, task.fold, self.model, self.samples, fold)
        self.members = torch.from_numpy(fold.training).to(self.device)
        self.progress = load_checkpoint(checkpoints) or FoldProgress()
        self.reported = 0
        if self.progress.epoch:
            self.model.load_state(self.progress.model_state)
        if self.writer:
            self.writer.resume(self.progress.epoch)

    def run(self, ledger: Ledger) -> FoldManifest:
        """Train to the end and commit."""
        epochs = self.task.study.training.epochs
        validated = validation_epochs(self.task.study, self.task.milestones)
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
                    self._keep(row)
            manifest, files = self._result("completed")
            self._project()
        except NonFiniteError as error:
            manifest, files = self._failure(str(error))
        committed = ledger.commit_fold(manifest, files)
        self.checkpoints.remove("")  # before anybody hears: the trial's folder then goes too
        if committed.state == "completed":
            self._tell(self.progress.history[-1])
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
        interval, epoch = self.task.study.measures.tstr_interval, self.progress.epoch
        if interval is None:
            return False
        validated = validation_epochs(self.task.study, self.task.milestones)
        return (validated.index(epoch) + 1) % interval == 0 or epoch == validated[-1]

    def _keep(self, row: dict[str, Any]) -> None:
        """Write down where training stands, then say so."""
        epoch = self.progress.epoch
        if self.writer:
            self.writer.scalars(epoch, "validation", {n: row[n] for n in REPORTED_SCORES})
            self.writer.scalars(epoch, "", _numbers(row, grouped=True))
            self.writer.reconstructions(epoch, self.samples, self.fold, self.evaluator.reconstruct)
        if epoch == self.task.study.training.epochs:
            return
        if epoch in self.task.milestones:
            self._stage()
        self.progress.model_state = self.model.state()
        save_checkpoint(self.checkpoints, self.progress)
        self._tell(row)

    def _project(self) -> None:
        """Show z of validation samples, of the last weights, in TensorBoard."""
        found = self.evaluator.projected(PROJECTED) if self.writer else None
        if self.writer and found is not None:
            self.writer.projector(self.progress.epoch, self.samples, *found)

    def _tell(self, row: dict[str, Any]) -> None:
        self.reported = int(row["epoch"])
        self.watch(_report(row, self.task.study.training.epochs))

    def _stage(self) -> None:
        """Put down what is committed if the trial is stopped at this epoch."""
        stage = self.checkpoints.folder(stage_name(self.progress.epoch))
        stage.remove(f"{self.task.trial}/{fold_name(self.task.fold)}/{MANIFEST}")
        stage.remove("")
        Ledger(stage).commit_fold(*self._result("pruned"))

    def _result(self, state: State) -> tuple[FoldManifest, dict[str, bytes]]:
        started = time.perf_counter()
        evaluations, pictures = self._evaluations()
        study = self.task.study
        described = {
            "study": dump_study(study),
            "trial": self.task.trial,
            "fold": self.task.fold,
            "shape": vars(self.model.shape),
            "scaling": self.scaling and vars(self.scaling),
            "components": list(self.model.components),
            "latent_size": self.model.latent_size,
            "best_epoch": self.progress.best_epoch,
            "samples_hash": self.samples.content_hash,
            "leakage": vars(count_leakage(self.samples, self.fold)),
        }
        files = pictures | {
            fold_files.COMPONENTS: fold_files.components_file(self.samples, self.fold, evaluations),
            fold_files.TRAINING_COMPONENTS: fold_files.training_components_file(
                self.fold, evaluations
            ),
            fold_files.HISTORY: fold_files.history_file(self.progress.history),
            fold_files.MODEL: fold_files.json_file(described),
            fold_files.WEIGHTS: safetensors.torch.save(self.progress.best_weights),
            fold_files.TIMINGS: self._timings(time.perf_counter() - started),
        }
        return self._manifest(state, ""), files

    def _failure(self, reason: str) -> tuple[FoldManifest, dict[str, bytes]]:
        for row in self.progress.history:
            if row["epoch"] > self.reported:
                row.pop("value", None)  # nobody has heard of it, nor will
        files = {
            fold_files.HISTORY: fold_files.history_file(self.progress.history),
            fold_files.TIMINGS: self._timings(0.0),
        }
        return self._manifest("failed", reason), files

    def _manifest(self, state: State, reason: str) -> FoldManifest:
        return FoldManifest(
            trial=self.task.trial,
            fold=self.task.fold,
            state=state,
            reason=reason,
            best_epoch=self.progress.best_epoch,
            last_epoch=self.progress.epoch,
            files={},
        )

    def _timings(self, evaluate_seconds: float) -> bytes:
        return fold_files.json_file(
            {
                "train_seconds": self.progress.train_seconds,
                "evaluate_seconds": evaluate_seconds,
                "host": platform.node(),
                "device": device_name(self.device),
                "threads": torch.get_num_threads(),
            }
        )

    def _evaluations(self) -> tuple[dict[str, Evaluation], dict[str, bytes]]:
        """Score all samples with the last weights and with the best, and stay at the last.

        Returns:
            Errors by epoch rule, and the files of pictures, with the best weights.
        """
        last = self.evaluator.evaluation()
        if self.progress.best_epoch == self.progress.epoch:
            pictures = self.evaluator.pictures(last.validation)
            return {"best_validation": last, "last": last}, pictures
        weights = self.model.weights()
        self.model.load_weights(self.progress.best_weights)
        best = self.evaluator.evaluation()
        pictures = self.evaluator.pictures(best.validation)
        self.model.load_weights(weights)
        return {"best_validation": best, "last": last}, pictures
