"""Distances to nearest points: exact, in blocks, in memory that does not grow with the points.

A block of squared distances is one product of matrices in float32, and only rows with
something nearer than they have are looked at again. What is near by it is measured in float64, and
a row for which rounding could have hidden a nearer point is searched in float64 as well.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Float = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]

POINTS_AT_ONCE = 1024
SPARE = 4
"""Candidates beyond those that are asked for: what rounding may have put in a wrong order."""
VALUES_AT_ONCE = 2**22


def nearest_distances(points: Points, x: Float, count: int) -> Float:
    """Return the distances of samples to their nearest points, `(n, count)`, rising.

    Args:
        points: `(m, features)`, at least `count`.
        x: `(n, features)`.
        count: how many are wanted, at least 1.
    """
    kept = min(count + SPARE, len(points))
    rows = max(1, VALUES_AT_ONCE // (kept * points.shape[1]))
    centre = points.mean(axis=0, dtype=np.float64)  # what is far from 0 cancels
    centred = (points - centre).astype(np.float32)
    parts = (x[start : start + rows] for start in range(0, len(x), rows))
    found = [_nearest(points, centred, part, part - centre, count, kept) for part in parts]
    return np.concatenate([np.empty((0, count)), *found])


def distance_to_others(distances: Float, same: float = 0.0) -> Float:
    """Return the mean of each row's distances but one, `(n,)`: a stored sample is no neighbour.

    Training normals are scored as if they had been left out, or a threshold from their scores
    would be too low for new normals.

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


def _nearest(
    points: Points, centred: Points, x: Float, x_centred: Float, count: int, kept: int
) -> Float:
    """Return `(n, count)` distances of some samples, as `nearest_distances` does."""
    single = x_centred.astype(np.float32)
    farthest, index = _candidates(torch.from_numpy(centred), torch.from_numpy(single), kept)
    distances = _measured(points, x, index)[:, :count]
    if kept == len(points):
        return distances
    # A point nearer than the last of these is no farther from the centre than sample and
    # distance together; so much its square may be off, and a candidate is below.
    norm, last = np.linalg.norm(x_centred, axis=1), distances[:, -1]
    rounding = (points.shape[1] + 8) * np.finfo(np.float32).eps * (2 * norm + last) ** 2
    unsure = np.flatnonzero(farthest + norm**2 <= last**2 + rounding)
    if len(unsure):
        double = torch.from_numpy(x_centred[unsure])
        _, index = _candidates(torch.from_numpy(centred), double, kept)
        distances[unsure] = _measured(points, x[unsure], index)[:, :count]
    return distances


def _measured(points: Points, x: Float, index: npt.NDArray[np.int64]) -> Float:
    """Return `(n, kept)` distances to the points at `index`, rising, 0 to what is equal."""
    differences = x[:, None] - points[index]  # (n, features) -> (n, kept, features)
    return np.sort(np.linalg.norm(differences, axis=2), axis=1)


def _candidates(points: Tensor, x: Tensor, kept: int) -> tuple[Float, npt.NDArray[np.int64]]:
    """Return the nearest points in the arithmetic of `x`.

    Returns:
        `(n,)` squared distance of the farthest of them, less the sample's squared norm; and
        `(n, kept)` their indices.
    """
    nearest = x.new_full((len(x), kept), torch.inf)
    index = torch.zeros((len(x), kept), dtype=torch.int64)
    for start in range(0, len(points), POINTS_AT_ONCE):
        block = points[start : start + POINTS_AT_ONCE].to(x.dtype)
        squares = torch.addmm(block.square().sum(dim=1), x, block.T, alpha=-2)  # (n, block)
        rows = (squares.amin(dim=1) < nearest.amax(dim=1)).nonzero()[:, 0]
        numbers = torch.arange(start, start + len(block)).expand(len(rows), -1)
        both = torch.cat([nearest[rows], squares[rows]], dim=1)
        nearest[rows], place = both.topk(kept, largest=False)
        index[rows] = torch.cat([index[rows], numbers], dim=1).gather(1, place)
    return nearest.amax(dim=1).double().numpy(), index.numpy()
