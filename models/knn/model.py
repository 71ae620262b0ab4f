"""Distance to the nearest training normals."""

from typing import ClassVar

import numpy as np

from models.bases.classical import ClassicalModel, Fitted, Float
from models.bases.neighbours import distance_to_others, nearest_distances
from models.entry import OUTLIER_SCORE
from models.knn.settings import KNNSettings


class NearestNeighbours(ClassicalModel):
    """Mean Euclidean distance to the nearest training normals (Ramaswamy et al. 2000)."""

    components: tuple[str, ...] = (OUTLIER_SCORE,)
    parameters: ClassVar[tuple[str, ...]] = ("points",)
    settings: KNNSettings

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`; samples are float32, and kept so without loss."""
        return {"points": x.astype(np.float32)}

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        points = fitted["points"]
        count = min(self.settings.neighbours + 1, len(points))
        return distance_to_others(nearest_distances(points, x, count))
