"""Distances to nearest points: exact, in blocks, in memory that does not grow with the points.

A block of squared distances is one product of matrices in float32, and only rows with
something nearer than they have are looked at again. What is near by it is measured in float64, and
a row for which rounding could have hidden a nearer point is searched in float64 as well.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.bases.classical import ClassicalModel, Fitted, Float

POINTS_AT_ONCE = 1024
SPARE = 2
"""Candidates beyond those that are asked for: what rounding may have put in a wrong order."""
VALUES_AT_ONCE = 2**22

Points = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]


class NearestPoints:
    """Finds the points that are nearest to samples.

    Args:
        points: `(m, features)`, at least one.
    """

    def __init__(self, points: Points) -> None:
        self.points = points
        self._centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._centred = torch.from_numpy(points - self._centre)  # what is far from 0 cancels
        self._squares = _squares(self._centred)

    def distances(self, x: Float, count: int) -> Float:
        """Return the distances of samples `(n, features)` to `count` points, rising, `(n, count)`.

        `count` is at least 1 and at most the number of points.
        """
        kept = min(count + SPARE, len(self.points))
        rows = max(1, VALUES_AT_ONCE // (kept * x.shape[1]))
        parts = (x[start : start + rows] for start in range(0, len(x), rows))
        return np.concatenate(
            [np.empty((0, count)), *(self._distances(part, count, kept) for part in parts)]
        )

    def _distances(self, x: Float, count: int, kept: int) -> Float:
        centred = x - self._centre
        farthest, index = self._candidates(torch.from_numpy(centred.astype(np.float32)), kept)
        distances = self._measured(x, index)[:, :count]
        if kept == len(self.points):
            return distances
        # A point nearer than the last of these is no farther from the centre than sample and
        # distance together; so much its square may be off, and a candidate is below.
        norm, last = np.linalg.norm(centred, axis=1), distances[:, -1]
        rounding = (x.shape[1] + 8) * np.finfo(np.float32).eps * (2 * norm + last) ** 2
        unsure = np.flatnonzero(farthest + norm**2 <= last**2 + rounding)
        if len(unsure):
            _, index = self._candidates(torch.from_numpy(centred[unsure]), kept)
            distances[unsure] = self._measured(x[unsure], index)[:, :count]
        return distances

    def _measured(self, x: Float, index: Index) -> Float:
        """Return `(n, kept)` distances to the points at `index`, rising, 0 to what is equal."""
        differences = x[:, None] - self.points[index]  # (n, features) -> (n, kept, features)
        return np.sort(np.linalg.norm(differences, axis=2), axis=1)

    def _candidates(self, x: Tensor, kept: int) -> tuple[Float, Index]:
        """Return the points that are nearest in the arithmetic of `x`, which is centred.

        Returns:
            `(n,)` squared distance of the farthest of them, less the sample's squared norm; and
            `(n, kept)` their indices.
        """
        nearest = x.new_full((len(x), kept), torch.inf)
        index = torch.zeros((len(x), kept), dtype=torch.int64)
        for start in range(0, len(self.points), POINTS_AT_ONCE):
            block, norms = self._block(slice(start, start + POINTS_AT_ONCE), x.dtype)
            squares = torch.addmm(norms, x, block.T, alpha=-2)  # (n, block)
            rows = (squares.amin(dim=1) < nearest.amax(dim=1)).nonzero()[:, 0]
            numbers = torch.arange(start, start + len(block)).expand(len(rows), -1)
            both = torch.cat([nearest[rows], squares[rows]], dim=1)
            nearest[rows], chosen = both.topk(kept, largest=False)
            index[rows] = torch.cat([index[rows], numbers], dim=1).gather(1, chosen)
        return nearest.amax(dim=1).double().numpy(), index.numpy()

    def _block(self, block: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return centred points `(k, features)` and their squared norms, `(k,)`."""
        if dtype == torch.float32:
            return self._centred[block], self._squares[block]
        points = torch.from_numpy(self.points[block].astype(np.float64) - self._centre)
        return points, _squares(points)


class NeighbourModel(ClassicalModel):
    """A model that stores normals as `points`, and scores a sample by those that are nearest.

    A stored sample is not its own neighbour: training normals are scored as if they had been
    left out, or a threshold from their scores would be too low for new normals.
    """

    same = 0.0
    """Distance up to which a sample and a point are one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._nearest: NearestPoints | None = None

    def distance_to_points(self, fitted: Fitted, x: Float) -> Float:
        """Return the mean distance of samples `(n, features)` to their neighbours, `(n,)`."""
        points = fitted["points"]
        if self._nearest is None or self._nearest.points is not points:
            self._nearest = NearestPoints(points)
        count = min(self.settings.neighbours + 1, len(points))
        return distance_to_others(self._nearest.distances(x, count), self.same)


def distance_to_others(distances: Float, same: float = 0.0) -> Float:
    """Return the mean of each row's distances but one, `(n,)`.

    Args:
        distances: `(n, count)` rising. The nearest is left out if it is the sample itself,
            else the farthest; a single one stays.
        same: distance up to which two are one.
    """
    if distances.shape[1] == 1:
        return distances[:, 0]
    is_stored = distances[:, :1] <= same
    mean: Float = np.where(is_stored, distances[:, 1:], distances[:, :-1]).mean(axis=1)
    return mean


def _squares(points: Tensor) -> Tensor:
    return points.square().sum(dim=1)
