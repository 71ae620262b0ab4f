"""Distance from the median training normal."""

from typing import ClassVar

import numpy as np

from models.bases.classical import ClassicalModel, Fitted, Float
from models.entry import OUTLIER_SCORE
from models.median_beat.settings import MedianBeatSettings


class MedianBeat(ClassicalModel):
    """Euclidean distance from the median of the training normals, time point by time point."""

    components: tuple[str, ...] = (OUTLIER_SCORE,)
    parameters: ClassVar[tuple[str, ...]] = ("median",)
    settings: MedianBeatSettings

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`."""
        return {"median": np.median(x, axis=0)}

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        distance: Float = np.linalg.norm(x - fitted["median"], axis=1)
        return distance
