"""What a search improves beside its metric: which way each goes, and which trials none beats.

A trial that was stopped early has the values of where it was stopped.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from study.config.schema import Objective
from study.search.trial import LearnedTrial, TrialRecord

Float = npt.NDArray[np.float64]
Direction = Literal["minimize", "maximize"]

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


def loss_of_others(
    known: Mapping[str, float], objectives: Sequence[Objective], unknown: float
) -> tuple[float, ...]:
    """Return the values of the further metrics alone, of which less is better.

    Args:
        known: their values by name.
        objectives: the further metrics.
        unknown: what stands for one that is not known.
    """
    return tuple(
        (known[name] if name in MINIMIZED else -known[name]) if name in known else unknown
        for name in objectives
    )


def is_no_worse(losses: Sequence[float], others: Sequence[float]) -> bool:
    """Return whether none of these losses is larger than the other of its metric."""
    return all(ours <= theirs for ours, theirs in zip(losses, others, strict=True))


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
