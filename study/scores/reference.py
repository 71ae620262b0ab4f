"""Errors relative to the patient's own: what is usual in the record that a sample is of.

The same network reconstructs one person's normal beats worse than another's, so that one
threshold for all finds people in place of beats. The reference is a median, which a record
that is less than half abnormal hardly moves, and needs no label.
"""

from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from study.scores.components import Float, SplitErrors
from study.scores.settings import ScoreSettings


@dataclass(frozen=True)
class Moments:
    """When samples are.

    Attributes:
        record: `(n,)` str, the record that each is of.
        seconds: `(n,)` since the record's start.
    """

    record: npt.NDArray[np.str_]
    seconds: Float


@dataclass(frozen=True)
class Located:
    """Samples with their errors and moments, `n` of both."""

    errors: SplitErrors
    moments: Moments


class Reference(Protocol):
    """What errors of one record and component are compared with."""

    def __call__(self, values: Float, seconds: Float) -> Float:
        """Return `(n,)` references of errors, `(n,)`, which follow each other in time."""


class FirstMinutes:
    """The median of a record's first minutes; in these, of what there is up to each sample.

    It is called with a record's samples in the order of time, all at once or part by part:
    what comes later decides nothing. The minutes begin with the first sample.
    """

    def __init__(self, minutes: float) -> None:
        self._minutes, self._end = minutes, -np.inf
        self._rising: list[float] = []

    def __call__(self, values: Float, seconds: Float) -> Float:
        """Return `(n,)` medians; arguments as of `Reference`."""
        if not self._rising and len(seconds):
            self._end = float(seconds[0]) + 60 * self._minutes
        learned = int(np.searchsorted(seconds, self._end))
        medians = np.empty(len(values))
        for index, value in enumerate(values[:learned].tolist()):
            insort(self._rising, value)
            medians[index] = self._median()
        if learned < len(values):
            medians[learned:] = self._median()
        return medians

    def _median(self) -> float:
        middle = len(self._rising) // 2
        if len(self._rising) % 2:
            return self._rising[middle]
        return (self._rising[middle - 1] + self._rising[middle]) / 2


def whole_record(values: Float, seconds: Float) -> Float:
    """Return `(n,)` the median of all of a record's errors; arguments as of `Reference`."""
    return np.full(len(values), np.median(values) if len(values) else np.nan)


def new_reference(settings: ScoreSettings) -> Reference:
    """Return the reference of one record and component, by settings that have one."""
    if settings.reference == "record":
        return whole_record
    return FirstMinutes(settings.reference_minutes)


def _ratio(values: Float, reference: Float) -> Float:
    # As scikit-learn scales: a record without any errors keeps its values.
    return values / np.where(reference > 0, reference, 1.0)


RELATIVE: Mapping[str, Callable[[Float, Float], Float]] = MappingProxyType(
    {
        "reconstruction_error": _ratio,
        "discrimination_error": _ratio,
        "outlier_score": np.subtract,  # may be negative
    }
)
"""How components are compared with their reference. Latent norms have a scale of their own,
and what comes with a sample is of its record already."""


def relative_to(references: Mapping[str, Float], split: SplitErrors) -> SplitErrors:
    """Return `split` with the components of `references`, `(n,)` each, compared with them."""
    compared = {
        name: RELATIVE[name](np.asarray(split.values[name], dtype=np.float64), reference)
        for name, reference in references.items()
    }
    return replace(split, values={**split.values, **compared})


def relative_errors(part: Located, settings: ScoreSettings, trained: Located | None) -> SplitErrors:
    """Return the errors of one part of a fold relative to their records' own.

    A record's errors are those of its samples in this part and in training: no test sample
    has a say in what is fitted.

    Args:
        part: samples of training, validation or test.
        settings: hold the reference; `none` returns the errors as they are.
        trained: training samples of the same records; None for no more than `part`.
    """
    if settings.reference == "none":
        return part.errors
    parts = [part] if trained is None else [trained, part]
    first = len(trained.errors) if trained else 0
    record = np.concatenate([each.moments.record for each in parts])
    seconds = np.concatenate([each.moments.seconds for each in parts])
    ordered = [
        members[np.argsort(seconds[members], kind="stable")] for members in _members(record, first)
    ]
    references = {}
    for name in RELATIVE.keys() & part.errors.values.keys():
        values = np.concatenate(
            [np.asarray(each.errors.values[name], dtype=np.float64) for each in parts]
        )
        reference = np.full(len(values), np.nan)
        for members in ordered:
            reference[members] = new_reference(settings)(values[members], seconds[members])
        references[name] = reference[first:]
    return relative_to(references, part.errors)


def _members(record: npt.NDArray[np.str_], first: int) -> list[npt.NDArray[np.int64]]:
    """Return the indices of each record's samples, of records of `record[first:]` alone."""
    _, code = np.unique(record, return_inverse=True)
    order = np.argsort(code, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    wanted = set(np.unique(code[first:]).tolist())
    return [group for group in groups if len(group) and int(code[group[0]]) in wanted]
