"""Distance to the nearest training normals."""

from typing import ClassVar

import numpy as np

from models.bases.classical import Fitted, Float
from models.bases.neighbours import NeighbourModel
from models.entry import OUTLIER_SCORE
from models.knn.settings import KNNSettings


class NearestNeighbours(NeighbourModel):
    """Mean Euclidean distance to the nearest training normals (Ramaswamy et al. 2000)."""

    components: tuple[str, ...] = (OUTLIER_SCORE,)
    parameters: ClassVar[tuple[str, ...]] = ("points",)
    settings: KNNSettings

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`; samples are float32, and kept so without loss."""
        return {"points": x.astype(np.float32)}

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        return self.distance_to_points(fitted, x)
