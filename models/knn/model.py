"""Distance to the nearest training normals."""

from typing import ClassVar

import numpy as np

from models.bases.classical import ClassicalModel, Fitted, Float
from models.entry import OUTLIER_SCORE
from models.knn.settings import KNNSettings


class NearestNeighbours(ClassicalModel):
    """Mean Euclidean distance to the nearest training normals (Ramaswamy et al. 2000).

    A stored sample is not its own neighbour: training normals are scored as if they had
    been left out, or a threshold from their scores would be too low for new normals.
    """

    components: tuple[str, ...] = (OUTLIER_SCORE,)
    parameters: ClassVar[tuple[str, ...]] = ("points",)
    settings: KNNSettings

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`; samples are float32, and kept so without loss."""
        return {"points": x.astype(np.float32)}

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        from sklearn.neighbors import NearestNeighbors

        points = fitted["points"].astype(np.float64)
        count = min(self.settings.neighbours + 1, len(points))
        search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(points)
        nearest = search.kneighbors(x, return_distance=False)
        # The search expands squares; only the plain difference is exactly 0 for itself.
        differences = x[:, None] - points[nearest]  # (n, features) -> (n, count, features)
        distances = np.sort(np.linalg.norm(differences, axis=2), axis=1)
        if count == 1:
            return distances[:, 0]
        others = np.where(distances[:, :1] == 0, distances[:, 1:], distances[:, :-1])
        mean: Float = others.mean(axis=1)
        return mean
