"""The Gaussian kernel, a cacheful of rows at a time."""

from collections.abc import Iterator

import numpy as np

from study.scores.components import Float

# Kernel values held at once, so that they stay in the processor's cache.
_CHUNK_VALUES = 2**16


def rbf_chunks(
    columns: Float, vectors: Float, kernel_gamma: float
) -> Iterator[tuple[slice, Float]]:
    """Yield exp(-gamma ||x - v||^2) of all `vectors` for a few rows at a time.

    Args:
        columns: `(n, m)` samples x.
        vectors: `(s, m)` vectors v.
        kernel_gamma: gamma > 0.

    Yields:
        The rows, and their `(rows, s)` kernel in memory that the next rows overwrite.
    """
    from scipy.spatial.distance import cdist  # slow to import, and not every request fits

    # A multiple of 8 rows: BLAS sums whole groups of rows alike, wherever they begin.
    step = max(8, _CHUNK_VALUES // max(1, len(vectors)) // 8 * 8)
    kernel = np.empty((min(step, len(columns)), len(vectors)))
    for start in range(0, len(columns), step):
        rows = slice(start, min(start + step, len(columns)))
        part = columns[rows]
        # Differences, not norms and products: nothing cancels, nothing is inf - inf.
        distance = cdist(part, vectors, "sqeuclidean", out=kernel[: len(part)])
        distance *= -kernel_gamma
        yield rows, np.exp(distance, out=distance)


def rbf(columns: Float, vectors: Float, kernel_gamma: float) -> Float:
    """Return the whole kernel, `(n, s)`; arguments as `rbf_chunks`."""
    result = np.empty((len(columns), len(vectors)))
    for rows, kernel in rbf_chunks(columns, vectors, kernel_gamma):
        result[rows] = kernel
    return result
