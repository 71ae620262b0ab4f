"""Nearest neighbours in MiniRocket's features."""

from dataclasses import fields
from typing import ClassVar

import numpy as np

from models.bases.classical import Fitted, Float
from models.bases.minirocket import Float32, MiniRocket
from models.bases.neighbours import NeighbourModel
from models.entry import OUTLIER_SCORE
from models.pca.model import fit_principal_components
from models.rocket_knn.settings import RocketKNNSettings

NORMALS_OF_COMPONENTS = 8192
"""Normals that principal components are fitted on, evenly spaced if there are more."""

_ROCKET = tuple(field.name for field in fields(MiniRocket))


class RocketNeighbours(NeighbourModel):
    """Mean distance to the nearest training normals in principal components of MiniRocket.

    Features as in Dempster et al. (2021). Nearest neighbours in them find anomalies without
    labels in ROCKAD (Theissler et al. 2024), of which this is one member without its ensemble.
    """

    components: tuple[str, ...] = (OUTLIER_SCORE,)
    parameters: ClassVar[tuple[str, ...]] = (*_ROCKET, "mean", "components", "points")
    settings: RocketKNNSettings
    same = 1e-4  # above rounding, below a step of a feature

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`; samples are drawn from the stream of weights."""
        samples = self._shaped(x)
        random = np.random.default_rng(self.seeds.weights)
        rocket = MiniRocket.fit(samples, self.settings.kernels, random)
        features = rocket.transform(samples)
        mean, components = self._principal_components(features)
        fitted = {**vars(rocket), "mean": mean, "components": components}
        return {**fitted, "points": _projected(fitted, features)}

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        rocket = MiniRocket(**{name: fitted[name] for name in _ROCKET})
        projected = _projected(fitted, rocket.transform(self._shaped(x)))
        return self.distance_to_points(fitted, projected.astype(np.float64))

    def _shaped(self, x: Float) -> Float32:
        """Return samples `(n, features)` as `(n, channels, length)`."""
        return x.astype(np.float32).reshape(-1, self.shape.channels, self.shape.length)

    def _principal_components(self, features: Float32) -> tuple[Float, Float]:
        """Return mean `(f,)` and components `(k, f)`; no components, `(0, f)`, for the features."""
        wanted, size = self.settings.components, features.shape[1]
        if wanted is None:
            return np.zeros(size), np.empty((0, size))
        some = features[:: -(-len(features) // NORMALS_OF_COMPONENTS)]
        # Of m samples only m - 1 directions are known; any other would be chance.
        most = max(1, min(wanted, len(some) - 1))
        return fit_principal_components(some.astype(np.float64), most)


def _projected(fitted: Fitted, features: Float32) -> Float32:
    """Return features `(n, f)` in the principal components, `(n, k)`."""
    components = fitted["components"]
    if not len(components):
        return features
    projected: Float32 = ((features - fitted["mean"]) @ components.T).astype(np.float32)
    return projected
