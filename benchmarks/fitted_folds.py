"""Folds whose curves are drawn around what Gaussian processes expect of their settings.

The processes are fitted to folds that trained (`benchmarks.trained_folds`), so that a search can be
run in seconds, with many seeds. What a trial is worth is then known as well: what is expected of
it, without what its folds drew.
"""

import json
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.trained_folds import FoldCurve, RecordedFold
from study.config.schema import Study
from study.config.search_space import shares

Float = npt.NDArray[np.float64]


class FittedFolds:
    """What is expected of every epoch of a fold, and how far folds deviate from it.

    A process for each epoch takes the searched settings, as shares of their ranges, and which fold
    of which study it is. Deviations are those of folds that trained to the end, each from what is
    expected of it without itself (Rasmussen and Williams 2006, equation 5.12).

    Args:
        recorded: folds that trained.
        study: whose space they are of.
    """

    def __init__(self, recorded: Sequence[RecordedFold], study: Study) -> None:
        epochs = study.training.epochs
        self._space = study.search.space
        self._divisions = sorted({(each.seed, each.fold) for each in recorded})
        self.seeds = sorted({seed for seed, _ in self._divisions})
        self.seconds = float(np.median([s for each in recorded for s in each.curve.seconds]))
        self._processes: list[Any] = []
        deviations = []
        for epoch in range(epochs):
            rows = [each for each in recorded if len(each.curve.values) > epoch]
            inputs = np.stack([self._inputs(r.parameters, r.seed, r.fold) for r in rows])
            values = np.array([row.curve.values[epoch] for row in rows])
            process, left_out = _fitted(inputs, values, len(self._space))
            self._processes.append(process)
            deviations.append(left_out[[len(row.curve.values) >= epochs for row in rows]])
        self.deviations: Float = np.stack(deviations, axis=1)

    def expected(self, parameters: Mapping[str, Any], seed: int, fold: int) -> Float:
        """Return `(epochs,)` what is expected of a fold of a trial."""
        inputs = self._inputs(parameters, seed, fold)[None]
        return np.concatenate([process.predict(inputs) for process in self._processes])

    def _inputs(self, parameters: Mapping[str, Any], seed: int, fold: int) -> Float:
        of_division = (float(each == (seed, fold)) for each in self._divisions)
        return np.array([*shares(self._space, parameters), *of_division])


class Expected:
    """A positive quantity by settings: a process of its logarithm.

    Args:
        study: whose space the settings are of.
        known: settings, and the quantity there.
    """

    def __init__(self, study: Study, known: Sequence[tuple[Mapping[str, Any], float]]) -> None:
        self._space = study.search.space
        inputs = np.array([shares(self._space, parameters) for parameters, _ in known])
        values = np.log([value for _, value in known])
        self._process, _ = _fitted(inputs, values, len(self._space))

    def at(self, parameters: Mapping[str, Any]) -> float:
        """Return what is expected with these settings."""
        return float(np.exp(self._process.predict([shares(self._space, parameters)])[0]))


class DrawnFolds:
    """Curves of one study's folds, drawn around what is expected of those of a recorded one.

    A fold deviates as one of the recorded folds did, over all epochs. Instead of the metric on
    test it reports what is expected of it on validation.

    Args:
        fitted: what is expected.
        seed: of the draws; it also says which recorded study's folds they are.
    """

    def __init__(self, fitted: FittedFolds, seed: int) -> None:
        self._fitted, self._seed = fitted, seed
        self._like = fitted.seeds[seed % len(fitted.seeds)]
        self._curves: dict[str, FoldCurve] = {}

    def at(self, parameters: Mapping[str, Any], fold: int, epoch: int) -> FoldCurve:
        """See `Curves.at`; all epochs are known from the start."""
        key = json.dumps([dict(parameters), fold], sort_keys=True)
        if key not in self._curves:
            generator = np.random.default_rng((self._seed, zlib.crc32(key.encode())))
            deviation = generator.choice(self._fitted.deviations)
            expected = self._fitted.expected(parameters, self._like, fold)
            seconds = [self._fitted.seconds] * len(expected)
            self._curves[key] = FoldCurve(
                (expected + deviation).tolist(), expected.tolist(), seconds
            )
        return self._curves[key]

    def forget(self, parameters: Mapping[str, Any]) -> None:
        """See `Curves.forget`."""


def _fitted(inputs: Float, values: Float, settings: int) -> tuple[Any, Float]:
    """Return a process, and how far each value is from what the others make of it.

    Args:
        inputs: `(folds, settings + divisions)`.
        values: of the metric.
        settings: how many of the columns are settings.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    scales = [0.5] * settings + [2.0] * (inputs.shape[1] - settings)
    kernel = ConstantKernel(1.0, (0.05, 20)) * Matern(scales, (0.1, 20), nu=2.5)
    process = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-3, 1)), normalize_y=True)
    with warnings.catch_warnings():
        # The scale of a setting that matters little ends at its bound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(inputs, values)
    precision = np.linalg.inv(process.L_ @ process.L_.T)
    return process, process.alpha_ / np.diag(precision) * values.std()
