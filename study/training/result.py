"""What is committed of a fold: its manifest and its files, made from where training stands."""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import safetensors.torch
import torch

from study.ledger import fold_contents, fold_files, series_files
from study.ledger.checkpoint import FoldProgress
from study.ledger.fold_contents import Evaluation, sample_moments
from study.ledger.ledger import MODEL, FoldManifest
from study.search.trial import FoldAddress, State
from study.training.evaluation import FoldEvaluator
from study.training.fold_pictures import pictures
from study.training.scaling import Scaling
from study.training.setup import device_name

Commit = tuple[FoldManifest, dict[str, bytes]]
"""A manifest, and files by name."""


@dataclass(frozen=True)
class FoldResult:
    """A fold's result at the epoch that its training has reached.

    Attributes:
        address: the fold.
        evaluator: scores its samples with its model.
        scaling: limits of its training samples; None where samples need none.
        progress: where training stands; it goes on after a result has been taken.
    """

    address: FoldAddress
    evaluator: FoldEvaluator
    scaling: Scaling | None
    progress: FoldProgress

    def trained(self, state: State) -> Commit:
        """Return what is committed of a fold whose training ends here, in this state."""
        started = time.perf_counter()
        evaluations, pictures = self._evaluations()
        samples, fold = self.evaluator.samples, self.evaluator.fold
        model, progress = self.evaluator.model, self.progress
        timed = self.evaluator.config.scores.reference != "none"
        described = {
            "config": self.evaluator.config.to_dict(),
            "trial": self.address.trial,
            "fold": self.address.fold,
            "shape": vars(model.shape),
            "row_width": samples.row_width,
            "scaling": self.scaling and self.scaling.to_dict(),
            "components": list(model.components),
            "latent_size": model.latent_size,
            "best_epoch": progress.best_epoch,
            "samples_hash": samples.content_hash,
            **({"channels": samples.channel_names} if samples.channel_names else {}),
        }
        files = pictures | {
            fold_files.COMPONENTS: fold_contents.components_file(
                samples, fold, evaluations, timed=timed
            ),
            fold_files.TRAINING_COMPONENTS: fold_contents.training_components_file(
                fold, evaluations, sample_moments(samples, fold.training) if timed else None
            ),
            fold_files.HISTORY: fold_contents.history_file(progress.history),
            MODEL: fold_contents.json_file(described),
            fold_files.WEIGHTS: safetensors.torch.save(progress.best_weights),
            fold_files.TIMINGS: self._timings(time.perf_counter() - started, self._scoring()),
        }
        if samples.events:
            files[series_files.EVENTS] = series_files.events_file(samples, fold)
        return self._manifest(state, ""), files

    def failed(self, reason: str, reported: int) -> Commit:
        """Return what is committed of a fold that failed.

        Args:
            reason: why.
            reported: the last epoch whose validation was reported; later values are left out.
        """
        for row in self.progress.history:
            if row["epoch"] > reported:
                row.pop("value", None)
        files = {
            fold_files.HISTORY: fold_contents.history_file(self.progress.history),
            fold_files.TIMINGS: self._timings(0.0),
        }
        return self._manifest("failed", reason), files

    def _manifest(self, state: State, reason: str) -> FoldManifest:
        return FoldManifest(
            trial=self.address.trial,
            fold=self.address.fold,
            state=state,
            reason=reason,
            best_epoch=self.progress.best_epoch,
            last_epoch=self.progress.epoch,
            files={},
        )

    def _scoring(self) -> dict[str, float]:
        """Return what scoring takes, where the search improves it."""
        costs = self.evaluator.costs
        return {"score_microseconds": costs["microseconds"]} if "microseconds" in costs else {}

    def _timings(
        self, evaluate_seconds: float, scoring: Mapping[str, float] = MappingProxyType({})
    ) -> bytes:
        return fold_contents.json_file(
            {
                **scoring,
                "train_seconds": self.progress.train_seconds,
                "evaluate_seconds": evaluate_seconds,
                "host": platform.node(),
                "device": device_name(self.evaluator.model.device),
                "threads": torch.get_num_threads(),
            }
        )

    def _evaluations(self) -> tuple[dict[str, Evaluation], dict[str, bytes]]:
        """Score all samples with the last weights and with the best, and stay at the last.

        Returns:
            Errors by epoch rule, and the files of pictures, with the best weights.
        """
        evaluator, model = self.evaluator, self.evaluator.model
        last = evaluator.evaluation()
        if self.progress.best_epoch == self.progress.epoch:
            return {"best_validation": last, "last": last}, pictures(evaluator, last.validation)
        weights = model.weights()
        model.load_weights(self.progress.best_weights)
        best = evaluator.evaluation()
        pictured = pictures(evaluator, best.validation)
        model.load_weights(weights)
        return {"best_validation": best, "last": last}, pictured
