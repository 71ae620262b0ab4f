"""The columns of a composition: R(x), D(x), L(x) or another component, ready to combine.

Section III.B: the latent error L(x); section IV.B: min-max normalisation of each.
"""

from dataclasses import dataclass
from typing import Literal

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


def fullest_bin_middle(values: Float, bins: int = MODE_BINS) -> float:
    """Return the middle of the fullest of `bins` equal bins, the first among equals (eq. 6).

    Values so close together that the bins are indistinguishable have the middle of
    their range as mode.
    """
    low, high = float(values.min()), float(values.max())
    with np.errstate(over="ignore", invalid="ignore"):
        edges = np.linspace(low, high, bins + 1)
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
class FittedComponent:
    """One column of a composition: a component, as a distance if latent, and scaled.

    Attributes:
        name: the component's name in `SplitErrors.values`.
        centre: what latent norms are measured from; 0 for other components.
        absolute: whether the distance from the centre has no sign.
        limits: scaling from validation; None leaves the values as they are.
    """

    name: str
    centre: float
    absolute: bool
    limits: Limits | None

    def read(self, split: SplitErrors) -> Float:
        """Return the column of `split`, `(n,)` float64, finite.

        Raises:
            CompositionError: as `SplitErrors.component`.
        """
        values = split.component(self.name) - self.centre
        if self.absolute:
            values = np.abs(values)
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

    Args:
        name: the component; `latent_norm` becomes L(x) in the form of `form`. What follows
            the chi distribution are draws from a posterior, and not its means: `chi_mode`
            takes `drawn_norm` in place of `latent_norm`, if there is one (`chi_norm`).
        errors: validation, and for `empirical_mode` training, errors.
        settings: hold whether the latent distance is signed.
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
    return FittedComponent(name, centre, absolute, Limits.fit(column.read(errors.validation)))
