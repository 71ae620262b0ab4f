"""What a search improves beside its metric: which way each goes, and which trials none beats.

A trial that was stopped early has the values of where it was stopped.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from study.config.schema import Objective
from study.search.trial import LearnedTrial, TrialRecord

Float = npt.NDArray[np.float64]
Direction = Literal["minimize", "maximize"]

NOISE = 0.1
"""Share by which two measurements of the same microseconds differ easily."""
MINIMIZED: frozenset[Objective] = frozenset(("microseconds", "parameters", "bytes"))


def directions(objectives: Sequence[Objective]) -> list[Direction]:
    """Return Optuna's directions of the metric and of these."""
    return ["maximize", *("minimize" if o in MINIMIZED else "maximize" for o in objectives)]


def objective_values(
    ended: TrialRecord | LearnedTrial, objectives: Sequence[Objective]
) -> list[float]:
    """Return a trial's value of the metric and of each objective; nan where it has none."""
    return [ended.best_value, *(ended.objectives.get(name, float("nan")) for name in objectives)]


def losses(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> Float:
    """Return `(trials, objectives + 1)` values of which less is better."""
    signs = [1.0 if way == "minimize" else -1.0 for way in directions(objectives)]
    values = [objective_values(record, objectives) for record in records]
    return np.array(values, dtype=float).reshape(len(records), len(signs)) * signs


def other_losses(known: Mapping[str, float], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return the values of the further metrics, of which less is better; -inf for unknown ones."""
    return tuple(_loss(known, name, -math.inf) for name in objectives)


def other_bounds(known: Mapping[str, float], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return what the losses of a trial must not exceed to be no worse than these metrics.

    Unknown ones bound nothing. Microseconds that differ by less than `NOISE` are as good.
    """
    return tuple(
        _loss(known, name, math.inf) * (1 + NOISE if name == "microseconds" else 1)
        for name in objectives
    )


def _loss(known: Mapping[str, float], name: Objective, unknown: float) -> float:
    value = known.get(name, math.nan)
    return unknown if math.isnan(value) else value if name in MINIMIZED else -value


def is_no_worse(losses: Sequence[float], bounds: Sequence[float]) -> bool:
    """Return whether no loss exceeds the bound of its metric."""
    return all(loss <= bound for loss, bound in zip(losses, bounds, strict=True))


def on_front(values: Float) -> npt.NDArray[np.bool_]:
    """Return `(n,)` whether no other row of `(n, d)` losses is as good in all and better in one.

    A row with nan is not on it.
    """
    defined = np.array(~np.isnan(values).any(axis=1), dtype=np.bool_)
    as_good = (values[:, None, :] <= values[None, :, :]).all(axis=2)
    better = (values[:, None, :] < values[None, :, :]).any(axis=2)
    beaten = (as_good & better & defined[:, None]).any(axis=0)
    return np.asarray(defined & ~beaten)


def hypervolume(front: Float, reference: Float) -> float:
    """Return the volume that losses `(n, d)` dominate, up to `reference` `(d,)`.

    By slices along the last dimension, each the volume of one dimension less.
    """
    inside = front[(front < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    if inside.shape[1] == 1:
        return float(reference[0] - inside.min())
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    ends = [*inside[1:, -1], reference[-1]]
    slices = (
        (end - inside[index, -1]) * hypervolume(inside[: index + 1, :-1], reference[:-1])
        for index, end in enumerate(ends)
        if end > inside[index, -1]
    )
    return float(sum(slices))
