"""Inputs of a composition that values do not hold: components of samples, and their times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from study.detectors.trained import Errors
from study.scores.components import Float
from study.scores.reference import Reference


@dataclass(frozen=True)
class RecordInputs:
    """Components and times of `n` samples of one record.

    Attributes:
        components: `(n,)` float32 by name, those that come with the samples.
        seconds: `(n,)` since the record's start, rising; None where they do not matter.
    """

    components: Errors
    seconds: Float | None

    @classmethod
    def check(
        cls,
        count: int,
        names: Sequence[str],
        components: Mapping[str, npt.ArrayLike] | None,
        seconds: npt.ArrayLike | None,
        *,
        timed: bool,
    ) -> Self:
        """Return what a composition needs, of what a caller passes.

        Args:
            count: n.
            names: components that are needed.
            components: the caller's, by name.
            seconds: the caller's.
            timed: whether seconds are needed.

        Raises:
            ValueError: something is missing, not finite, of another length or in no order.
        """
        available = components or {}
        missing = [name for name in names if name not in available]
        if missing:
            raise ValueError(f"components of the samples are needed: {', '.join(missing)}")
        needed = {name: _column(name, available[name], count).astype(np.float32) for name in names}
        if not timed:
            return cls(needed, None)
        if seconds is None:
            raise ValueError(
                "errors are compared with those of the record: seconds of the samples are needed"
            )
        times = _column("seconds", seconds, count)
        if (np.diff(times) < 0).any():
            raise ValueError("seconds must rise: samples are in the order of time")
        return cls(needed, times)

    def references(self, errors: Errors, learned: Mapping[str, Reference]) -> dict[str, Float]:
        """Return what a fold's errors are compared with, `(n,)` by name; it learns from them."""
        if self.seconds is None:
            return {}
        return {
            name: reference(errors[name].astype(np.float64), self.seconds)
            for name, reference in learned.items()
        }


def require_numbers(name: str, values: npt.NDArray[Any]) -> None:
    """Raise `ValueError` unless values are real numbers: no text, dates or complex numbers."""
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be real numbers, found values of type {values.dtype}")


def _column(name: str, values: npt.ArrayLike, count: int) -> Float:
    column: Float = np.asarray(values, dtype=np.float64)
    if column.shape != (count,) or not np.isfinite(column).all():
        raise ValueError(f"{name} must be {count} finite values, found shape {column.shape}")
    return column
