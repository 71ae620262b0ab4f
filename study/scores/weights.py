"""Exact search for the linear weights, and their threshold, with the best weighted F1.

Every row of weights counts, and for each every threshold. Most rows need no more
than a bound, though: the F1 they would reach if rounding, ties and the distance to a
neighbouring row all fell in their favour. Only rows whose bound is not below the F1 of
another row are evaluated, so the result is that of evaluating all.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from study.scores.components import Float, Label
from study.scores.thresholds import Threshold, best_f1, best_threshold, require_searchable

# Rows of a grid that share a first bound; more make fewer and looser ones.
_TILE_ROWS = 4
# Rows bounded before the first of them is evaluated.
_FIRST_ROWS = 32
# Scores held at once, so that they stay in the processor's cache.
_CHUNK_VALUES = 2**15
# Far above the rounding of an F1, far below the step that one sample makes.
_ROUNDING = 1e-12
# Keys are 31 bits wide, of which the lowest is the label.
_LEVELS = 2.0**30 - 4
# Share of the samples, nearest to the threshold, that decide where columns are centred.
_NEAR = 0.1


@dataclass(frozen=True)
class WeightedThreshold:
    """The best linear combination and its threshold.

    Attributes:
        weights: one per component, in [0, 1], summing to 1.
        threshold: its best threshold.
    """

    weights: tuple[float, ...]
    threshold: Threshold


def weighted_sum(weights: tuple[float, ...] | Float, columns: list[Float]) -> Float:
    """Return the linear combination of `columns`, each `(n,)` (equation 7).

    Search and scoring both go through here, so that a score that was on one side
    of the threshold when fitted is on the same side when applied.
    """
    total = float(weights[0]) * columns[0]
    for weight, column in zip(weights[1:], columns[1:], strict=True):
        total += float(weight) * column
    return total


def lambda_weights(steps: int) -> Float:
    """Return `(steps, 2)` rows (1 - lambda, lambda), lambda ascending from 0 to 1."""
    index = np.arange(steps)
    return np.stack([steps - 1 - index, index], axis=1) / (steps - 1)


def simplex_weights(steps: int) -> Float:
    """Return rows (1 - lambda - gamma, lambda, gamma) with lambda + gamma <= 1 (eq. 7).

    Both take `steps` values from 0 to 1. `(steps * (steps + 1) / 2, 3)`, gamma
    ascending, then lambda: the first `steps` rows are those of `lambda_weights`.
    """
    index = np.arange(steps)
    gamma, lambda_ = np.meshgrid(index, index, indexing="ij")
    # Counted in whole steps: rounding decides neither the border nor the remainder.
    rest = steps - 1 - lambda_ - gamma
    return np.stack([rest, lambda_, gamma], axis=-1)[rest >= 0] / (steps - 1)


def best_weights(
    columns: list[Float], label: Label, weights: Float, normal_weight: float = 1.0
) -> WeightedThreshold:
    """Return the best row of `weights` with its best threshold, by weighted F1.

    Of equally good rows the first is taken, so order rows by preference.

    Args:
        columns: m components, each `(n,)` and finite.
        label: `(n,)` 0 or 1, both present.
        weights: `(w, m)` rows to try, in [0, 1], each summing to 1.
        normal_weight: what a normal sample counts, an abnormal one 1.

    Raises:
        CompositionError: one class only, or values that are not finite.
    """
    require_searchable(columns, label)
    search = _Search(columns, label, weights, normal_weight)
    # Bounds count samples one by one: with weights every row is evaluated.
    bounds = _Bounds.around(columns, label) if normal_weight == 1 else None
    if bounds is None:
        search.evaluate(np.arange(len(weights)), np.full(len(weights), np.inf))
    else:
        _search_by_tiles(search, bounds, weights)
    chosen = tuple(float(weight) for weight in weights[search.best])
    score = weighted_sum(chosen, columns)
    return WeightedThreshold(chosen, best_threshold(score, label, normal_weight))


def _search_by_tiles(search: "_Search", bounds: "_Bounds", weights: Float) -> None:
    tiles = _Tiles.group(weights)
    tile_bounds = bounds.compute(tiles.centres, tiles.radii)[tiles.tile_of_row]
    # The most promising rows first: their F1 spares most of the others.
    order = np.argsort(-tile_bounds, kind="stable")
    for rows in (order[:_FIRST_ROWS], order[_FIRST_ROWS:]):
        candidates = rows[tile_bounds[rows] >= search.best_f1 - _ROUNDING]
        if len(candidates):
            search.evaluate(candidates, bounds.compute(weights[candidates]))


class _Search:
    """The best row of weights so far.

    Attributes:
        best_f1: its F1; -1 before the first.
        best: its index.
    """

    def __init__(
        self, columns: list[Float], label: Label, weights: Float, normal_weight: float
    ) -> None:
        self.best_f1, self.best = -1.0, 0
        self._normal_weight = normal_weight
        self._normal = [column[label == 0] for column in columns]
        self._abnormal = [column[label == 1] for column in columns]
        self._weights = weights

    def evaluate(self, rows: npt.NDArray[np.int64], bounds: Float) -> None:
        """Evaluate `rows`, `(r,)` indices, whose `bounds`, `(r,)`, are not below the best F1."""
        # By falling bound, and of equal ones by index, which is the preference.
        for index in np.lexsort([rows, -np.round(bounds, 12)]):
            if bounds[index] < self.best_f1 - _ROUNDING:
                return
            row = int(rows[index])
            if self.best_f1 >= 1.0 and row > self.best:
                continue
            f1 = best_f1(
                weighted_sum(self._weights[row], self._normal),
                weighted_sum(self._weights[row], self._abnormal),
                self._normal_weight,
            )
            if f1 > self.best_f1 or (f1 == self.best_f1 and row < self.best):
                self.best_f1, self.best = f1, row


@dataclass(frozen=True)
class _Tiles:
    """Rows of weights in groups of neighbours.

    Attributes:
        centres: `(t, m)` weights in the middle of each tile.
        radii: `(m - 1,)` how far a row is from its centre at most, in each weight but
            the first.
        tile_of_row: `(w,)` index of each row's tile.
    """

    centres: Float
    radii: Float
    tile_of_row: npt.NDArray[np.int64]

    @classmethod
    def group(cls, weights: Float) -> Self:
        """Group the rows of `weights`, `(w, m)`, into squares of neighbours."""
        free = weights[:, 1:]
        side = max(1, round(_TILE_ROWS ** (1 / max(1, free.shape[1]))))
        tile = np.zeros(len(weights), dtype=np.int64)
        for column in free.T:
            values = np.unique(column)
            cell = np.searchsorted(values, column) // side
            tile = tile * (len(values) + 1) + cell
        _, tile_of_row = np.unique(tile, return_inverse=True)
        order = np.argsort(tile_of_row, kind="stable")
        starts = np.searchsorted(tile_of_row[order], np.arange(tile_of_row.max() + 1))
        low = np.minimum.reduceat(free[order], starts, axis=0)
        high = np.maximum.reduceat(free[order], starts, axis=0)
        middle = (low + high) / 2
        first = 1 - middle.sum(axis=1, keepdims=True)
        radii = (high - low).max(axis=0) / 2
        return cls(np.concatenate([first, middle], axis=1), radii, tile_of_row)


@dataclass(frozen=True)
class _Bounds:
    """Upper bounds of the F1 of rows of weights.

    Scores become whole numbers, twice their level plus the label, and are sorted as
    such: where two classes share a level the abnormal sample comes out above, which
    is the better order, so that the best cut reaches at least the F1 of the scores.
    For the rows around a centre abnormal samples are raised and normal ones lowered
    by as much as any of those rows may move them.

    Attributes:
        scaled: `(m, n)` columns in levels.
        label: `(n,)` int32, 0 or 1.
        spread: `(m - 1, n)` levels that a sample moves when that much weight goes from
            the first column to another.
        margin: levels that rounding may move a score.
        gain: `(n + 1,)` F1 of the cut above k scores, were all of them normal.
        loss: `(n + 1,)` F1 that each abnormal one among the k subtracts from it.
    """

    scaled: Float
    label: npt.NDArray[np.int32]
    spread: Float
    margin: float
    gain: Float
    loss: Float

    @classmethod
    def around(cls, columns: list[Float], label: Label) -> Self | None:
        """Prepare bounds; None where the columns leave float64 no room for levels."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.stack(columns)
            # Shifting a column moves all scores of a row of weights alike.
            centred = values - _centres(values, label)[:, None]
            spread = np.abs(centred[1:] - centred[0])
            moved = float(spread.max(axis=1, initial=0.0).sum())
            largest = float(np.abs(values).max())
            rounding = 1e-14 * len(columns) * largest
            low, high = float(centred.min()), float(centred.max())
            total = high - low + 2 * (moved + rounding)
            scale = _LEVELS / total if total > 0 else np.inf
        if not (np.isfinite(total) and np.isfinite(scale)):
            return None
        below = np.arange(len(label) + 1)
        abnormal = int(np.count_nonzero(label))
        normal = len(label) - abnormal
        # F1 of equation (A f1 + N f0) / n as a line in the abnormal samples below the cut.
        gain_of_abnormal = 2 * abnormal / (len(label) - below + abnormal) / len(label)
        gain_of_normal = 2 * normal / (below + normal) / len(label)
        return cls(
            # From the lowest up: no sum on the way exceeds the total, which is finite.
            scaled=(centred - low + (moved + rounding)) * scale + 2,
            label=label.astype(np.int32),
            spread=spread * scale,
            margin=1 + rounding * scale,
            gain=abnormal * gain_of_abnormal + below * gain_of_normal,
            loss=gain_of_abnormal + gain_of_normal,
        )

    def compute(self, weights: Float, radii: Float | None = None) -> Float:
        """Return the bounds of `weights`, `(w, m)`, or of all rows within `radii` of each.

        Args:
            weights: rows, or the centres of tiles.
            radii: `(m - 1,)` reach of a tile in each weight but the first.

        Returns:
            `(w,)` F1 that no threshold of such a row exceeds, but for rounding.
        """
        count = len(self.label)
        lift = np.full(count, self.margin) if radii is None else radii @ self.spread + self.margin
        np.negative(lift, out=lift, where=self.label == 0)
        step = max(1, _CHUNK_VALUES // count)
        levels = np.empty((step, count))
        keys = np.empty((step, count), dtype=np.int32)
        result = np.empty(len(weights))
        for start in range(0, len(weights), step):
            part = weights[start : start + step]
            level, key = levels[: len(part)], keys[: len(part)]
            np.matmul(part, self.scaled, out=level)
            level += lift
            np.copyto(key, level, casting="unsafe")
            key <<= 1
            key |= self.label
            key.sort(axis=1)
            key &= 1
            np.cumsum(key, axis=1, out=key)
            np.multiply(key, self.loss[1:], out=level)
            np.subtract(self.gain[1:], level, out=level)
            level.max(axis=1, out=result[start : start + step])
        return np.asarray(np.maximum(result, self.gain[0]))


def _centres(values: Float, label: Label) -> Float:
    """Return `(m,)` values to subtract from the columns so that tiles have close bounds.

    Bounds are close where samples near the threshold hardly move as the weights do, that
    is, where all their columns are about equal. Any centres are valid.
    """
    part = slice(None, None, 1 + len(label) // _CHUNK_VALUES)
    values, label = values[:, part], label[part]
    score = values.mean(axis=0)
    if label.any() and not label.all() and np.isfinite(score).all():
        tau = best_threshold(score, label).tau
        if np.isfinite(tau):
            near = np.argsort(np.abs(score - tau))[: 1 + int(_NEAR * len(score))]
            values = values[:, near]
    return np.asarray(np.median(values - values[0], axis=1))
