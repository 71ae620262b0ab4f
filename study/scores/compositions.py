"""The table of score compositions: how errors become one score and a threshold.

A composition is fitted on validation (or, without supervision, on normals alone), which
returns a fitted object; only fitted objects can score. To add one, write its entry into
`COMPOSITIONS`; those of a study file are made by `study.scores.rules`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from models.extensions import extended
from study.scores.columns import FittedComponent, fit_component
from study.scores.components import LATENT_NORM, FitErrors, Float, Label, SplitErrors
from study.scores.normals import chosen_normals, quantile_of_normals
from study.scores.settings import LatentForm, ScoreSettings, Supervision
from study.scores.support_vectors import Kernel, SupportVectors, fit_support_vectors
from study.scores.thresholds import Threshold, best_threshold, normal_weight
from study.scores.weights import best_weights, lambda_weights, simplex_weights, weighted_sum

R = "reconstruction_error"
D = "discrimination_error"
L = LATENT_NORM
OUTLIER = "outlier_score"


@dataclass(frozen=True)
class FittedComposition(ABC):
    """A composition that can score.

    Attributes:
        columns: its components with their scaling.
        supervision: what it was fitted with.
        lambda_: weight of D in equation 7; nan where there is no such weight.
        gamma: weight of L in equation 7; nan where there is no such weight.
        tau: scores above it are abnormal; may be infinite.
    """

    columns: tuple[FittedComponent, ...]
    supervision: Supervision
    lambda_: float
    gamma: float
    tau: float

    @abstractmethod
    def score(self, split: SplitErrors) -> Float:
        """Return `(n,)` float64 scores of `split`, higher is more abnormal.

        Raises:
            CompositionError: a component is absent or not finite.
        """

    def predict(self, score: Float) -> Label:
        """Return `(n,)` int8 labels of scores, `(n,)`: 1 where above `tau`."""
        return (score > self.tau).astype(np.int8)

    def predict_validation(self, validation: SplitErrors) -> Label:
        """Return `(n,)` int8 labels of the validation samples that it was fitted with.

        Raises:
            CompositionError: as `score`.
        """
        return self.predict(self.score(validation))


@dataclass(frozen=True)
class FittedSum(FittedComposition):
    """A weighted sum of columns (equation 7)."""

    weights: tuple[float, ...]

    def score(self, split: SplitErrors) -> Float:
        """Return the weighted sum, `(n,)`."""
        return weighted_sum(self.weights, [column.read(split) for column in self.columns])


@dataclass(frozen=True)
class FittedMachine(FittedComposition):
    """The decision function of a support vector machine."""

    machine: SupportVectors

    def score(self, split: SplitErrors) -> Float:
        """Return the decision function, `(n,)`."""
        return self.machine.decision(_matrix(self.columns, split))

    def predict_validation(self, validation: SplitErrors) -> Label:
        """Return labels; only those of support vectors are computed, where these are known.

        All other samples of the fit lie on their own side, outside the margin: that is what
        makes them no support vectors.
        """
        if self.machine.support is None:
            return super().predict_validation(validation)
        prediction = validation.label.astype(np.int8)
        prediction[self.machine.support] = self.predict(self.machine.decision(self.machine.vectors))
        return prediction


@dataclass(frozen=True)
class Composition(ABC):
    """An entry of the table.

    Attributes:
        supervision: what its fit reads of validation labels: `none`, `threshold` (they choose
            weights and threshold) or `svm`.
        fitted_to_normals: whether its threshold is a quantile of normals, see
            `study.scores.normals`.
        components: names of the error components that it needs.
    """

    supervision: ClassVar[Supervision]
    fitted_to_normals: ClassVar[bool] = False
    components: tuple[str, ...]

    @property
    def chosen_by_labels(self) -> tuple[str, ...]:
        """What validation labels choose in its fit: of `weights` and `threshold`."""
        if self.supervision == "none":
            return ()
        has_weights = self.supervision == "svm" or len(self.components) > 1
        return ("weights", "threshold") if has_weights else ("threshold",)

    @property
    def uses_latent(self) -> bool:
        """Whether it comes in the three latent forms."""
        return LATENT_NORM in self.components

    def needs_training(self, settings: ScoreSettings, form: LatentForm | Literal[""]) -> bool:
        """Return whether a fit reads errors of training samples."""
        of_training = self.fitted_to_normals and settings.quantile_of == "training"
        return of_training or form == "empirical_mode"

    def fit(
        self, errors: FitErrors, settings: ScoreSettings, form: LatentForm | Literal[""] = ""
    ) -> FittedComposition:
        """Fit scaling, weights and threshold.

        Args:
            errors: validation and training errors.
            settings: grids, quantile, support vector machine.
            form: latent form; "" if and only if `uses_latent` is False.

        Raises:
            CompositionError: these errors allow no fit; the message is the reason.
        """
        scaled = self.supervision != "none"
        columns = tuple(
            fit_component(
                name, errors, settings, form if name == LATENT_NORM else "", scaled=scaled
            )
            for name in self.components
        )
        return self._fit_columns(columns, errors, settings)

    @abstractmethod
    def _fit_columns(
        self, columns: tuple[FittedComponent, ...], errors: FitErrors, settings: ScoreSettings
    ) -> FittedComposition: ...


@dataclass(frozen=True)
class Single(Composition):
    """One component, its threshold from validation labels."""

    supervision = "threshold"
    lambda_: float = float("nan")
    gamma: float = float("nan")

    def _fit_columns(
        self, columns: tuple[FittedComponent, ...], errors: FitErrors, settings: ScoreSettings
    ) -> FittedSum:
        score = columns[0].read(errors.validation)
        tau = fit_threshold(score, errors, settings).tau
        return FittedSum(columns, self.supervision, self.lambda_, self.gamma, tau, (1.0,))


@dataclass(frozen=True)
class SingleQuantile(Composition):
    """One component, its threshold a quantile of normals.

    The values stay unscaled, which changes no label.
    """

    supervision = "none"
    fitted_to_normals = True
    lambda_: float = float("nan")
    gamma: float = float("nan")

    def _fit_columns(
        self, columns: tuple[FittedComponent, ...], errors: FitErrors, settings: ScoreSettings
    ) -> FittedSum:
        normals = chosen_normals(errors, settings)
        tau = quantile_of_normals(columns[0].read(normals), normals, settings)
        return FittedSum(columns, self.supervision, self.lambda_, self.gamma, tau, (1.0,))


@dataclass(frozen=True)
class WeightGrid(Composition):
    """A weighted sum of two or three components, its weights the best of a grid.

    Best by validation labels. Of R and D it is A(x) = (1 - lambda) R(x) + lambda D(x)
    (section II), lambda over a grid; of R, D and L it is A*(x) of equation 7, lambda and gamma
    over a grid with lambda + gamma <= 1.
    """

    supervision = "threshold"

    def _fit_columns(
        self, columns: tuple[FittedComponent, ...], errors: FitErrors, settings: ScoreSettings
    ) -> FittedSum:
        values = [column.read(errors.validation) for column in columns]
        label = errors.validation.label
        counted = normal_weight(label, settings.prevalence)
        best = best_weights(values, label, self._grid(settings), counted)
        # A* of R and D alone is equation 7 without L; other pairs have no third component.
        third = 0.0 if self.components == (R, D) else float("nan")
        lambda_, gamma = (*best.weights[1:], third)[:2]
        return FittedSum(
            columns, self.supervision, lambda_, gamma, best.threshold.tau, best.weights
        )

    def _grid(self, settings: ScoreSettings) -> Float:
        """Return rows of weights, one for each component, in the order of preference."""
        if len(self.components) == 2:
            return lambda_weights(settings.lambda_steps)
        return simplex_weights(settings.gamma_steps)


@dataclass(frozen=True)
class Machine(Composition):
    """A support vector machine on scaled components (section III.B, Criterion Weights)."""

    supervision = "svm"
    kernel: Kernel = "rbf"

    def _fit_columns(
        self, columns: tuple[FittedComponent, ...], errors: FitErrors, settings: ScoreSettings
    ) -> FittedMachine:
        matrix = _matrix(columns, errors.validation)
        machine = fit_support_vectors(matrix, errors.validation.label, self.kernel, settings)
        nan = float("nan")
        return FittedMachine(columns, self.supervision, nan, nan, 0.0, machine)


def fit_threshold(score: Float, errors: FitErrors, settings: ScoreSettings) -> Threshold:
    """Return the threshold of validation scores, `(n,)`, that is best by validation labels.

    Raises:
        CompositionError: one class only, or scores that are not finite.
    """
    label = errors.validation.label
    return best_threshold(score, label, normal_weight(label, settings.prevalence))


def _matrix(columns: tuple[FittedComponent, ...], split: SplitErrors) -> Float:
    return np.stack([column.read(split) for column in columns], axis=1)


COMPOSITIONS: Mapping[str, Composition] = MappingProxyType(
    {
        "reconstruction": Single((R,), lambda_=0.0, gamma=0.0),
        "discrimination": Single((D,), lambda_=1.0, gamma=0.0),
        "latent": Single((L,), lambda_=0.0, gamma=1.0),
        "lambda_grid": WeightGrid((R, D)),
        "gamma_grid": WeightGrid((R, D, L)),
        "svm_lambda": Machine((R, D)),
        "svm_gamma": Machine((R, D, L)),
        "svm_linear": Machine((R, D), kernel="linear"),
        "reconstruction_quantile": SingleQuantile((R,), lambda_=0.0, gamma=0.0),
        "discrimination_quantile": SingleQuantile((D,), lambda_=1.0, gamma=0.0),
        "latent_quantile": SingleQuantile((L,), lambda_=0.0, gamma=1.0),
        "outlier_score": Single((OUTLIER,)),
        "outlier_score_quantile": SingleQuantile((OUTLIER,)),
    }
)
# Last: what other packages add is made of all that stands above.
COMPOSITIONS = MappingProxyType(extended(COMPOSITIONS, "study.compositions", Composition))
