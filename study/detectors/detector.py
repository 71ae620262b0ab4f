"""Detectors for new signals: a trained fold, or the folds of a trial together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.interface import Shape
from study.detectors.record_inputs import RecordInputs, require_numbers
from study.detectors.stream import PointStream
from study.detectors.trained import Errors, TrainedFold, Values, fold_numbers, locate, read_fold
from study.errors import RequestError
from study.scores.components import Float, Label
from study.scores.reference import RELATIVE, Reference, new_reference
from study.scores.settings import ScoreSettings, Supervision

SCORED_AT_ONCE = 8192

References = tuple[Mapping[str, Reference], ...]
"""What the errors of one record are compared with, by fold and component."""


@dataclass(frozen=True)
class Scored:
    """Scores and decisions of samples.

    Attributes:
        errors: `(n,)` float32 by component, the mean over folds; larger is more abnormal.
        score: `(n,)` float64, larger is more abnormal.
        decision: `(n,)` int8; 1 abnormal, where `score` is above the detector's `tau`.
        votes: `(n,)` int64, how many folds decide by themselves that it is abnormal.
    """

    errors: Errors
    score: Float
    decision: Label
    votes: npt.NDArray[np.int64]

    def part(self, start: int, stop: int) -> Self:
        """Return the samples from `start` up to `stop`."""
        errors = {name: values[start:stop] for name, values in self.errors.items()}
        score, decision, votes = self.score, self.decision, self.votes
        return type(self)(errors, score[start:stop], decision[start:stop], votes[start:stop])


@dataclass(frozen=True)
class Detector:
    """One trained fold, or several as an ensemble; samples are scored, nothing is fitted.

    A single fold's score and threshold are those of its composition. In an ensemble every
    fold's score is standardised before the mean is taken: its threshold is subtracted, and
    it is divided by its deviation over that fold's training normals. Folds have scales of
    their own (limits of their validation, support vectors, latent spaces), so that a plain
    mean would let the fold with the widest scale decide; in these units 0 is every fold's
    own border and 1 is as far as its normals scatter. Training normals need no labels:
    standardising adds no supervision. The decision is abnormal where the mean is above 0,
    which for a single fold is its own decision.

    Methods take samples `(n, length)`, or `(n, channels, length)`, in the dataset's units, or
    rows of the width that the dataset's own have, which are brought to length as those were:
    scaling is the detector's. Signs are scikit-learn's. They take what the composition needs
    beside them:

    - `components`, `(n,)` by name: those that come with samples (`sample_components`);
    - `seconds`, `(n,)` rising, where errors are compared with the record's own
      (`is_relative`): the samples are then those of one record. To score it part by part, as
      it comes, keep its `references` and call `decide`.

    Attributes:
        folds: at least one, of one trial.

    Raises:
        RequestError: scores of a fold cannot be standardised.
    """

    folds: tuple[TrainedFold, ...]

    def __repr__(self) -> str:
        first = self.folds[0]
        composed = ", ".join(filter(None, (first.composition, first.latent_form)))
        model, dataset = first.config.model.name, first.config.dataset.name
        return f"Detector({model} on {dataset}, {len(self.folds)} fold(s), {composed})"

    def __post_init__(self) -> None:
        for fold in self.folds if len(self.folds) > 1 else ():
            if not math.isfinite(fold.fitted.tau) or fold.deviation == 0:
                raise RequestError(
                    f"{fold.location}: {fold.composition} has no finite threshold, or scores all"
                    " normals alike, and cannot be averaged: choose another composition, or one"
                    " fold"
                )

    @property
    def shape(self) -> Shape:
        """Channels and length of a sample."""
        return self.folds[0].model.shape

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the error components."""
        return self.folds[0].model.components

    @property
    def sample_components(self) -> tuple[str, ...]:
        """Names of the components that the composition needs and the model does not give."""
        needed = dict.fromkeys(column.name for fold in self.folds for column in fold.fitted.columns)
        return tuple(name for name in needed if name not in self.components)

    @property
    def is_relative(self) -> bool:
        """Whether errors are compared with the record's own."""
        return self._scores.reference != "none"

    @property
    def waits_for_the_record(self) -> bool:
        """Whether no sample can be decided before the last one of its record is there."""
        return self._scores.reference == "record"

    @property
    def _scores(self) -> ScoreSettings:
        return self.folds[0].config.scores

    @property
    def supervision(self) -> Supervision:
        """What the threshold saw: `none`, or validation labels by `threshold` or `svm`."""
        return self.folds[0].fitted.supervision

    @cached_property
    def tau(self) -> float:
        """The threshold: scores above it are abnormal."""
        return self.folds[0].fitted.tau if len(self.folds) == 1 else 0.0

    def score(
        self,
        samples: npt.ArrayLike,
        components: Mapping[str, npt.ArrayLike] | None = None,
        seconds: npt.ArrayLike | None = None,
    ) -> Scored:
        """Return errors, score and decision of samples.

        Raises:
            ValueError: samples of another shape, values that are no real numbers or not finite,
                or something that the composition needs beside them is missing.
        """
        errors = self.errors_by_fold(samples)
        return self.decide(errors, components, seconds, self.references())

    def references(self) -> References:
        """Return what a record's errors are compared with, before its first sample."""
        if not self.is_relative:
            return tuple({} for _ in self.folds)
        relative = [name for name in self.components if name in RELATIVE]
        return tuple({n: new_reference(self._scores) for n in relative} for _ in self.folds)

    def errors_by_fold(self, samples: npt.ArrayLike) -> list[Errors]:
        """Return the model's error components of samples, `(n,)` float32 each, by fold."""
        values = self._checked(samples)
        return [self._errors(fold, values) for fold in self.folds]

    def decide(
        self,
        by_fold: Sequence[Errors],
        components: Mapping[str, npt.ArrayLike] | None,
        seconds: npt.ArrayLike | None,
        references: References,
    ) -> Scored:
        """Return errors, score and decision of samples, by their errors.

        Args:
            by_fold: `errors_by_fold` of the samples.
            components: as of all methods.
            seconds: as of all methods.
            references: the record's, which learn from these samples.

        Raises:
            ValueError: something that the composition needs is missing, or of another length.
        """
        count = len(by_fold[0][self.components[0]])
        needed, timed = self.sample_components, self.is_relative
        inputs = RecordInputs.check(count, needed, components, seconds, timed=timed)
        own = [
            fold.score({**errors, **inputs.components}, inputs.references(errors, learned))
            for fold, errors, learned in zip(self.folds, by_fold, references, strict=True)
        ]
        decided = [fold.fitted.predict(score) for fold, score in zip(self.folds, own, strict=True)]
        score = own[0] if len(own) == 1 else self._joined(own)
        return Scored(
            errors=self._mean_errors(by_fold),
            score=score,
            decision=(score > self.tau).astype(np.int8),
            votes=np.sum(decided, axis=0, dtype=np.int64),
        )

    def errors(self, samples: npt.ArrayLike) -> Errors:
        """Return the error components, `(n,)` float32 each, the mean over folds."""
        return self._mean_errors(self.errors_by_fold(samples))

    def stream(self, stride: int | None = None) -> PointStream:
        """Return what scores the points of a recording as they come; see `PointStream`.

        Args:
            stride: points from one window to the next; None for that of training, or an eighth
                of a window.

        Raises:
            ValueError: another stride, or a composition that needs more than values.
        """
        trained = getattr(self.folds[0].config.dataset, "step", self.shape.length // 8)
        return PointStream(self, trained if stride is None else stride)

    def channel_errors(self, samples: npt.ArrayLike) -> Errors:
        """Return components of each channel, `(n,)` by `<component>.<channel>`, means over folds.

        R of a channel says which sensor it was; `models.interface` says what D is. Empty with
        one channel, and where nothing is reconstructed.
        """
        values = self._checked(samples)
        by_fold = [fold.channel_errors(values) for fold in self.folds]
        return {name: _mean([errors[name] for errors in by_fold]) for name in by_fold[0]}

    def score_samples(self, samples: npt.ArrayLike, **inputs: Any) -> Float:
        """Return `(n,)` scores with their sign turned: larger is more normal."""
        return -self.score(samples, **inputs).score

    def decision_function(self, samples: npt.ArrayLike, **inputs: Any) -> Float:
        """Return `(n,)` distances to the threshold; 0 or more is normal."""
        return self.tau - self.score(samples, **inputs).score

    def predict(self, samples: npt.ArrayLike, **inputs: Any) -> npt.NDArray[np.int64]:
        """Return `(n,)` 1 for normal and -1 for abnormal samples."""
        return np.where(self.score(samples, **inputs).decision == 1, -1, 1)

    def reconstruct(self, samples: npt.ArrayLike) -> Values | None:
        """Return x̂ `(n, channels, length)`, the mean over folds; None if there is none."""
        values = self._checked(samples)
        parts = [fold.reconstruct(values) for fold in self.folds]
        reconstructed = [part for part in parts if part is not None]
        return _mean(reconstructed) if reconstructed else None

    def _mean_errors(self, by_fold: Sequence[Errors]) -> Errors:
        return {name: _mean([errors[name] for errors in by_fold]) for name in self.components}

    def _checked(self, samples: npt.ArrayLike) -> Values:
        values = np.asarray(samples)
        require_numbers("samples", values)
        channels, form = self.shape.channels, self.folds[0].rows
        if values.ndim == 2 and channels == 1:
            values = values[:, np.newaxis, :]
        if values.ndim != 3 or values.shape[1] != channels or values.shape[2] not in form.widths:
            length = " or ".join(map(str, form.widths))
            raise ValueError(
                f"samples must be (n, {channels}, {length}), or (n, {length}) of one channel, "
                f"found {values.shape}"
            )
        if not np.isfinite(values.astype(np.float32)).all():
            raise ValueError("samples must be finite")
        return np.ascontiguousarray(form.prepared(values))

    def _errors(self, fold: TrainedFold, values: Values) -> Errors:
        if not len(values):
            return {name: np.empty(0, dtype=np.float32) for name in self.components}
        starts = range(0, len(values), SCORED_AT_ONCE)
        parts = [fold.errors(values[start : start + SCORED_AT_ONCE]) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.components}

    def _joined(self, own: list[Float]) -> Float:
        standardised = [
            (score - fold.fitted.tau) / fold.deviation
            for fold, score in zip(self.folds, own, strict=True)
        ]
        joined: Float = np.mean(standardised, axis=0)
        return joined


def _mean(parts: list[Values]) -> Values:
    if len(parts) == 1:
        return parts[0]
    mean: Values = np.stack(parts).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def load_detector(
    location: str,
    composition: str | None = None,
    latent_form: str | None = None,
    device: str = "cpu",
) -> Detector:
    """Return the detector of a trained fold, or of all folds of a trial.

    Args:
        location: path or URI, `results/<study>/ledger/<trial>/fold-<k>` or `.../<trial>`.
        composition: how errors become a score; None for the study's metric.
        latent_form: form of L, for compositions that use it; None for the metric's.
        device: "cpu" or "cuda".

    Raises:
        RequestError: there is no such fold or trial, or the composition does not fit it.
        DamagedError: a file is not what was committed.
    """
    trial = locate(str(location))
    if trial.fold is not None:
        return Detector((read_fold(trial, trial.fold, composition, latent_form, device),))
    first = read_fold(trial, 0, composition, latent_form, device)
    others = fold_numbers(trial, first.config)[1:]
    return Detector(
        (first, *(read_fold(trial, k, composition, latent_form, device) for k in others))
    )
