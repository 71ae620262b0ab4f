"""Per-sample errors of a fold, and their scaling with limits from validation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Label = npt.NDArray[np.int8]

LATENT_NORM = "latent_norm"

# Only limits that lie next to each other bring values here; past it, squares and
# sums of scaled values would overflow.
LARGEST_SCALED = 1e150


class CompositionError(ValueError):
    """A composition has no result for these errors; the message is the reason."""


@dataclass(frozen=True)
class SplitErrors:
    """Errors of the samples of one split.

    Attributes:
        label: `(n,)` integer; 0 normal, 1 abnormal.
        values: component name to `(n,)` float, e.g. `reconstruction_error`.
        patient: `(n,)` str, whom each sample is of; None if that is not known.

    Raises:
        ValueError: a label that is neither 0 nor 1, or a component of another shape.
    """

    label: Label
    values: Mapping[str, npt.NDArray[np.floating]]
    patient: npt.NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        if self.label.ndim != 1 or not ((self.label == 0) | (self.label == 1)).all():
            raise ValueError("labels must be one-dimensional and 0 or 1")
        for name, values in self.values.items():
            if values.shape != self.label.shape:
                raise ValueError(
                    f"{name} must have shape {self.label.shape} as the labels, has {values.shape}"
                )

    def __len__(self) -> int:
        return len(self.label)

    @property
    def has_both_classes(self) -> bool:
        """Whether there is at least one normal and one abnormal sample."""
        return bool(0 < np.count_nonzero(self.label) < len(self.label))

    def component(self, name: str) -> Float:
        """Return the component `name`, `(n,)` float64, all finite.

        Raises:
            CompositionError: the component is absent or has values that are not finite.
        """
        if name not in self.values:
            raise CompositionError(f"{name} is needed, found {', '.join(self.values) or 'none'}")
        values = np.asarray(self.values[name], dtype=np.float64)
        bad = len(values) - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise CompositionError(f"{bad} of {len(values)} values of {name} are not finite")
        return values

    def normals(self) -> "SplitErrors":
        """Return the errors of the normal samples alone."""
        normal = self.label == 0
        return SplitErrors(
            self.label[normal],
            {name: values[normal] for name, values in self.values.items()},
            None if self.patient is None else self.patient[normal],
        )


@dataclass(frozen=True)
class FitErrors:
    """What a composition may be fitted on; test samples cannot be in it.

    Attributes:
        validation: errors with labels of both classes.
        training: errors of the training samples; None if they were not computed.
        latent_size: dimensions of z; None if the model has no latent space.
    """

    validation: SplitErrors
    training: SplitErrors | None = None
    latent_size: int | None = None

    def training_normals(self) -> SplitErrors:
        """Return the errors of the training normals, at least one.

        Raises:
            CompositionError: there are none.
        """
        normals = None if self.training is None else self.training.normals()
        if not normals:
            raise CompositionError("errors of normal training samples are needed, found none")
        return normals


@dataclass(frozen=True)
class FoldErrors:
    """Errors of one trained fold in its three splits.

    Attributes:
        training: usually normal samples only.
        validation: both classes; everything with labels is fitted here.
        test: both classes; only metrics see its labels.
        latent_size: dimensions of z; None if the model has no latent space.
    """

    training: SplitErrors
    validation: SplitErrors
    test: SplitErrors
    latent_size: int | None

    def for_fitting(self) -> FitErrors:
        """Return the same errors without the test split."""
        return FitErrors(self.validation, self.training, self.latent_size)


@dataclass(frozen=True)
class Limits:
    """Smallest and largest value of a component, for min-max scaling (section IV.B).

    There are no limits that were not fitted: both ends must be finite.

    Raises:
        ValueError: an end that is not finite, or `minimum > maximum`.
    """

    minimum: float
    maximum: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.minimum) and np.isfinite(self.maximum)):
            raise ValueError(f"limits must be finite, found {self.minimum} and {self.maximum}")
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} must not exceed maximum {self.maximum}")

    @classmethod
    def fit(cls, values: Float) -> Self:
        """Return the limits of `values`, `(n,)` with n >= 1.

        Raises:
            CompositionError: there are no values.
        """
        if not len(values):
            raise CompositionError("limits need at least one sample, found none")
        return cls(float(values.min()), float(values.max()))

    def apply(self, values: Float) -> Float:
        """Scale `values`, `(n,)`, so that the limits become 0 and 1.

        Values of other samples may leave [0, 1] and are not clipped. A constant
        component holds no information and becomes zeros.
        """
        if self.minimum == self.maximum:
            return np.zeros(len(values))
        # Halves, where the full span is beyond float64.
        factor = 1.0 if math.isfinite(self.maximum - self.minimum) else 0.5
        with np.errstate(over="ignore"):
            distance = values * factor - self.minimum * factor
            scaled = distance / (self.maximum * factor - self.minimum * factor)
        return np.clip(scaled, -LARGEST_SCALED, LARGEST_SCALED)
