"""The columns of a composition: R(x), D(x), L(x) or another component, ready to combine.

Section III.B: the latent error L(x); section IV.B: min-max normalisation of each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Self

import numpy as np

from models import DRAWN_NORM
from study.scores.components import (
    LATENT_NORM,
    CompositionError,
    FitErrors,
    Float,
    Limits,
    SplitErrors,
)
from study.scores.settings import LatentForm, ScoreSettings

MODE_BINS = 50
SIGNED = frozenset(("outlier_score",))
"""Components that may be negative, whose logarithm is not taken."""

INTERVALS: Mapping[str, Literal[-1, 1]] = MappingProxyType({"prematurity": -1, "pause": 1})
"""Components that compare an interval with the usual one: interval / usual - 1, times this
sign."""

FLOOR_OF_MEDIAN = 1e-3
LARGEST_LOGGED = 1e300


def fullest_bin_middle(values: Float) -> float:
    """Return the middle of the fullest of `MODE_BINS` equal bins, the first among equals (eq. 6).

    Values so close together that the bins are indistinguishable have the middle of
    their range as mode.
    """
    low, high = float(values.min()), float(values.max())
    with np.errstate(over="ignore", invalid="ignore"):
        edges = np.linspace(low, high, MODE_BINS + 1)
        if not np.all(np.diff(edges) > 0):
            return low / 2 + high / 2
    counts, _ = np.histogram(values, bins=edges)
    fullest = int(np.argmax(counts))
    return float(edges[fullest] / 2 + edges[fullest + 1] / 2)


def latent_centre(form: LatentForm | Literal[""], errors: FitErrors) -> float:
    """Return the norm from which L(x) is measured.

    Args:
        form: `implicit` measures from 0, `chi_mode` from sqrt(k - 1) (eq. 5),
            `empirical_mode` from the mode of the training normals' norms (eq. 6).
        errors: supply the latent size k and the training norms.

    Raises:
        CompositionError: k or the training norms are needed and absent.
        ValueError: an unknown form.
    """
    if form == "implicit":
        return 0.0
    if form == "chi_mode":
        if errors.latent_size is None or errors.latent_size < 1:
            raise CompositionError(f"latent size must be at least 1, found {errors.latent_size}")
        return float(np.sqrt(errors.latent_size - 1))
    if form == "empirical_mode":
        return fullest_bin_middle(errors.training_normals().component(LATENT_NORM))
    raise ValueError(f"a latent form is needed for {LATENT_NORM}, found {form!r}")


@dataclass(frozen=True)
class Logarithm:
    """log(1 + x / floor): the logarithm of an error far above the floor, and 0 at 0.

    Attributes:
        floor: above 0; a thousandth of the median, so that errors next to 0 are no outliers.
    """

    floor: float

    @classmethod
    def fit(cls, name: str, values: Float) -> Self:
        """Return the logarithm for component `name` with these `values`, `(n,)`, n >= 1.

        Raises:
            CompositionError: there are no values, or one is negative.
        """
        if not len(values):
            raise CompositionError("limits need at least one sample, found none")
        cls._require_not_negative(name, values)
        floor = FLOOR_OF_MEDIAN * float(np.median(values))
        return cls(floor if floor > 0 else 1.0)

    def apply(self, name: str, values: Float) -> Float:
        """Return `(n,)` logarithms of `values`; errors as `fit`."""
        self._require_not_negative(name, values)
        with np.errstate(over="ignore"):
            return np.asarray(np.log1p(np.minimum(values / self.floor, LARGEST_LOGGED)))

    @staticmethod
    def _require_not_negative(name: str, values: Float) -> None:
        if (values < 0).any():
            raise CompositionError(
                f"scale log needs errors of 0 or more, found {values.min():g} in {name}"
            )


@dataclass(frozen=True)
class Octaves:
    """log2(interval / usual interval), with the component's sign: an octave is twice, or half.

    Where a beat is lost or the signal fails, an interval lasts a hundred times the usual one.
    Limits from such values would leave nothing of those that tell beats apart; in octaves it
    is 7, and the limits are stated: half the usual interval and twice.

    Attributes:
        sign: -1 where short intervals are abnormal, 1 where long ones are.
    """

    sign: Literal[-1, 1]

    def apply(self, name: str, values: Float) -> Float:
        """Return `(n,)` octaves of `values`.

        Raises:
            CompositionError: an interval is not above 0.
        """
        from_usual = self.sign * values
        if (from_usual <= -1).any():
            raise CompositionError(
                f"intervals must be above 0, found {1 + from_usual.min():g} of the usual in {name}"
            )
        return np.asarray(self.sign * np.log1p(from_usual) / np.log(2))


HALF_TO_TWICE = Limits(-1.0, 1.0)
"""Of `Octaves`."""


@dataclass(frozen=True)
class FittedComponent:
    """One column of a composition: a component, as a distance if latent, and scaled.

    Attributes:
        name: the component's name in `SplitErrors.values`.
        centre: what latent norms are measured from; 0 for other components.
        absolute: whether the distance from the centre has no sign.
        limits: scaling from validation; None leaves the values as they are.
        logarithm: taken before the limits; None for none.
    """

    name: str
    centre: float
    absolute: bool
    limits: Limits | None
    logarithm: Logarithm | Octaves | None = None

    def read(self, split: SplitErrors) -> Float:
        """Return the column of `split`, `(n,)` float64, finite.

        Raises:
            CompositionError: as `SplitErrors.component`.
        """
        values = split.component(self.name) - self.centre
        if self.absolute:
            values = np.abs(values)
        if self.logarithm is not None:
            values = self.logarithm.apply(self.name, values)
        return values if self.limits is None else self.limits.apply(values)


def fit_component(
    name: str,
    errors: FitErrors,
    settings: ScoreSettings,
    form: LatentForm | Literal[""] = "",
    *,
    scaled: bool = True,
) -> FittedComponent:
    """Fit the column of component `name`; limits come from validation.

    With scale `log` they are those of logarithms, but for components in `SIGNED`; those of
    `INTERVALS` are in octaves, whose limits are stated.

    Args:
        name: the component; `latent_norm` becomes L(x) in the form of `form`. What follows
            the chi distribution are draws from a posterior, and not its means: `chi_mode`
            takes `drawn_norm` in place of `latent_norm`, if there is one (`chi_norm`).
        errors: validation, and for `empirical_mode` training, errors.
        settings: hold the latent distance, the norm of `chi_mode` and the scale.
        form: latent form, "" for components other than the latent norm.
        scaled: False leaves the values unscaled, and validation unread.

    Raises:
        CompositionError: what is needed is absent, empty or not finite.
    """
    is_latent = name == LATENT_NORM
    drawn = form == "chi_mode" and settings.chi_norm == "drawn"
    if is_latent and drawn and DRAWN_NORM in errors.validation.values:
        name = DRAWN_NORM
    centre = latent_centre(form, errors) if is_latent else 0.0
    absolute = is_latent and settings.latent_distance == "absolute"
    column = FittedComponent(name, centre, absolute, limits=None)
    if not scaled:
        return column
    return scale_component(column, errors.validation, settings)


def scale_component(
    column: FittedComponent,
    split: SplitErrors,
    settings: ScoreSettings,
    limits: Callable[[Float], Limits] | None = None,
) -> FittedComponent:
    """Return an unscaled column with its scaling fitted to `split`.

    Args:
        column: without limits.
        split: at least one sample.
        settings: hold the scale.
        limits: what becomes 0 and 1, of values `(n,)`; None for smallest and largest, of octaves
            `HALF_TO_TWICE`.

    Raises:
        CompositionError: a value is not finite, or there is none.
    """
    if column.name in INTERVALS:
        column = replace(column, logarithm=Octaves(INTERVALS[column.name]))
    elif settings.scale == "log" and column.name not in SIGNED:
        logarithm = Logarithm.fit(column.name, column.read(split))
        column = replace(column, logarithm=logarithm)
    values = column.read(split)
    if limits is not None:
        return replace(column, limits=limits(values))
    fitted = Limits.fit(values)
    return replace(column, limits=HALF_TO_TWICE if column.name in INTERVALS else fitted)
