"""Folds of trials that are trained when they are asked for, and whose curves are kept in a file."""

import json
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from study.config.schema import Study
from study.config.trial_config import TrialConfig
from study.data import load
from study.data.samples import Samples
from study.data.splits import Fold, make_splits
from study.scores.components import FoldErrors, SplitErrors
from study.scores.evaluation import evaluate_fold
from study.storage.hashes import canonical_hash
from study.training.evaluation import FoldEvaluator, NonFiniteError
from study.training.setup import build_model, fit_scaling, scale


@dataclass(frozen=True)
class FoldCurve:
    """What a fold reports, epoch by epoch.

    Attributes:
        values: the study's metric on validation; 0 from where numbers were not finite on.
        test: the same on test, of the epoch that was best on validation so far.
        seconds: CPU seconds of training and validation.
    """

    values: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class RecordedFold:
    """A fold that trained.

    Attributes:
        parameters: its trial's.
        seed: its study's.
        fold: its number.
        curve: what it reported.
    """

    parameters: Mapping[str, Any]
    seed: int
    fold: int
    curve: FoldCurve


def read_recorded(file: Path) -> dict[str, RecordedFold]:
    """Return the folds of a file by key, the longest curve of each; none without the file."""
    recorded: dict[str, RecordedFold] = {}
    for line in map(json.loads, file.read_text().splitlines() if file.exists() else []):
        key, curve = line.pop("key"), FoldCurve(**line.pop("curve"))
        each, known = RecordedFold(**line, curve=curve), recorded.get(key)
        if known is None or len(known.curve.values) < len(each.curve.values):
            recorded[key] = each
    return recorded


class Curves(Protocol):
    """What folds report, and what that costs."""

    def at(self, parameters: Mapping[str, Any], fold: int, epoch: int) -> FoldCurve:
        """Return a fold's curve up to an epoch at least."""
        ...

    def forget(self, parameters: Mapping[str, Any]) -> None:
        """Take note that a trial has ended: its folds may be let go."""
        ...


class TrainedFolds:
    """Curves of folds that are trained when they are asked for.

    Args:
        study: whose folds.
        data: the data folder.
        file: where curves are kept.
    """

    def __init__(self, study: Study, data: Path, file: Path) -> None:
        self._config, self._file = TrialConfig.of(study), file
        self._samples = load(study.dataset, data, study.seed)
        self._folds = make_splits(self._samples, study.split, study.seed).folds
        self._training: dict[str, _TrainedFold] = {}
        self._curves = {key: each.curve for key, each in read_recorded(file).items()}

    def at(self, parameters: Mapping[str, Any], fold: int, epoch: int) -> FoldCurve:
        """See `Curves.at`."""
        key = self._key(parameters, fold)
        curve = self._curves.get(key, FoldCurve())
        if len(curve.values) < epoch:
            if key not in self._training:
                config = self._config.with_parameters(parameters)
                self._training[key] = _TrainedFold(config, self._samples, self._folds[fold], fold)
            curve = self._curves[key] = self._training[key].up_to(epoch)
            recorded = RecordedFold(dict(parameters), self._config.seed, fold, curve)
            with self._file.open("a") as file:
                file.write(json.dumps({"key": key, **asdict(recorded)}) + "\n")
        return curve

    def forget(self, parameters: Mapping[str, Any]) -> None:
        """See `Curves.forget`."""
        for fold in range(len(self._folds)):
            self._training.pop(self._key(parameters, fold), None)

    def _key(self, parameters: Mapping[str, Any], fold: int) -> str:
        config = self._config.with_parameters(parameters).to_dict()
        return canonical_hash([config, fold])


class _TrainedFold:
    """One fold's model, at the epoch that it has reached."""

    def __init__(self, config: TrialConfig, samples: Samples, fold: Fold, number: int) -> None:
        scaling = fit_scaling(config, samples, fold)
        scaled = samples if scaling is None else scale(samples, scaling)
        model = build_model(config, samples, number, torch.device("cpu"))
        self._evaluator = FoldEvaluator.of(config, number, model, scaled, fold)
        self._members = torch.from_numpy(fold.training)
        self._curve = FoldCurve()
        self._failed = False

    def up_to(self, epoch: int) -> FoldCurve:
        """Train up to an epoch; return the curve so far."""
        curve = self._curve
        while len(curve.values) < epoch:
            started = time.process_time()
            value = self._value(len(curve.values) + 1)
            curve.seconds.append(round(time.process_time() - started, 3))
            is_best = value > max(curve.values, default=float("-inf"))
            curve.values.append(value)
            curve.test.append(self._test() if is_best and not self._failed else self._last_test())
        return deepcopy(curve)

    def _value(self, epoch: int) -> float:
        try:
            if not self._failed:
                self._evaluator.model.train_epoch(self._evaluator.values, self._members)
                return float(self._evaluator.validate(epoch, with_tstr=False)["value"])
        except NonFiniteError:
            self._failed = True
        return 0.0

    def _last_test(self) -> float:
        return self._curve.test[-1] if self._curve.test else 0.0

    def _test(self) -> float:
        """Return the metric on test of the weights as they are."""
        evaluator, fold = self._evaluator, self._evaluator.fold

        def split(members: npt.NDArray[np.int64]) -> SplitErrors:
            errors = evaluator.model.errors(evaluator.values[torch.from_numpy(members)])
            arrays = {name: each.double().numpy() for name, each in errors.items()}
            return SplitErrors(evaluator.samples.label[members], arrays)

        errors = FoldErrors(
            training=split(fold.training),
            validation=split(fold.validation),
            test=split(fold.test),
            latent_size=evaluator.model.latent_size,
        )
        metric = evaluator.config.metric
        rows = evaluate_fold(errors, evaluator.config.scores, [metric.composition])
        row = next(row for row in rows if row.latent_form in ("", metric.latent_form))
        return float(getattr(row, metric.score))
