"""Compositions by name: those of the table, and those that a study file makes of a rule.

A rule joins any components; `RULES` is the table of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType

import numpy as np

from study.errors import RequestError
from study.scores.columns import FittedComponent, scale_component
from study.scores.components import CompositionError, FitErrors, Float, Limits, SplitErrors
from study.scores.compositions import (
    COMPOSITIONS,
    Composition,
    FittedComposition,
    FittedSum,
    Machine,
    Single,
    SingleQuantile,
    WeightGrid,
)
from study.scores.normals import chosen_normals, quantile_of_normals
from study.scores.settings import CompositionSettings, Rule, ScoreSettings

DEFAULTS = ScoreSettings()
_NAN = float("nan")


@dataclass(frozen=True)
class FittedLargest(FittedComposition):
    """The largest of its columns: abnormal where any of them is."""

    def score(self, split: SplitErrors) -> Float:
        """Return the largest column, `(n,)`."""
        columns = [column.read(split) for column in self.columns]
        return np.asarray(np.stack(columns).max(axis=0))


@dataclass(frozen=True)
class Fixed(Composition):
    """Components against thresholds that are stated beforehand: nothing is fitted.

    One component is its own score. Of several it is the largest multiple of a threshold.
    """

    supervision = "none"
    thresholds: tuple[float, ...]

    def _fit_columns(
        self, columns: tuple[FittedComponent, ...], errors: FitErrors, settings: ScoreSettings
    ) -> FittedComposition:
        if len(columns) == 1:
            return FittedSum(columns, self.supervision, _NAN, _NAN, self.thresholds[0], (1.0,))
        multiples = tuple(
            replace(column, limits=Limits(0.0, threshold))
            for column, threshold in zip(columns, self.thresholds, strict=True)
        )
        return FittedLargest(multiples, self.supervision, _NAN, _NAN, 1.0)


@dataclass(frozen=True)
class LargestQuantile(Composition):
    """The most unusual of several components, its threshold a quantile of normals.

    Each is scaled so that the normals' median becomes 0 and their `quantile` 1; where these are
    one value, the component has no scale and there is no fit.
    """

    supervision = "none"
    fitted_to_normals = True

    def _fit_columns(
        self, columns: tuple[FittedComponent, ...], errors: FitErrors, settings: ScoreSettings
    ) -> FittedLargest:
        normals = chosen_normals(errors, settings)

        def limits(values: Float) -> Limits:
            ends = np.quantile(values, (0.5, settings.quantile), method="inverted_cdf")
            return Limits(*ends.tolist())

        scaled = tuple(scale_component(column, normals, settings, limits) for column in columns)
        for column in scaled:
            if column.limits and column.limits.minimum == column.limits.maximum:
                raise CompositionError(
                    f"the median and the {settings.quantile:g} quantile of normals must differ,"
                    f" found one value of {column.name}"
                )
        fitted = FittedLargest(scaled, self.supervision, _NAN, _NAN, _NAN)
        return replace(fitted, tau=quantile_of_normals(fitted.score(normals), normals, settings))


def _fixed(own: CompositionSettings) -> Composition:
    assert own.thresholds is not None
    return Fixed(own.components, own.thresholds)


def _quantile(own: CompositionSettings) -> Composition:
    return (SingleQuantile if len(own.components) == 1 else LargestQuantile)(own.components)


def _threshold(own: CompositionSettings) -> Composition:
    return (Single if len(own.components) == 1 else WeightGrid)(own.components)


def _svm(own: CompositionSettings) -> Composition:
    return Machine(own.components)


def _svm_linear(own: CompositionSettings) -> Composition:
    return Machine(own.components, kernel="linear")


RULES: Mapping[Rule, Callable[[CompositionSettings], Composition]] = MappingProxyType(
    {
        "fixed": _fixed,
        "quantile": _quantile,
        "threshold": _threshold,
        "svm": _svm,
        "svm_linear": _svm_linear,
    }
)


def compositions_of(settings: ScoreSettings) -> dict[str, Composition]:
    """Return all compositions by name: the table's, then the study file's own."""
    own = {name: RULES[each.rule](each) for name, each in settings.compositions.items()}
    return {**COMPOSITIONS, **own}


def find_composition(name: str, settings: ScoreSettings = DEFAULTS) -> Composition:
    """Return the composition of this name, of the table or of the study file.

    Raises:
        RequestError: there is no such composition.
    """
    known = compositions_of(settings)
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise RequestError(f"unknown composition {name!r}; {hint}valid names: {', '.join(known)}")


def applicable(
    component_names: Iterable[str], settings: ScoreSettings = DEFAULTS
) -> tuple[str, ...]:
    """Return, in their order, the compositions that need no other components than these."""
    available = set(component_names)
    return tuple(
        name
        for name, entry in compositions_of(settings).items()
        if available.issuperset(entry.components)
    )
