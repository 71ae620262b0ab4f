"""Reconstruction by principal components."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from models.bases.classical import ClassicalModel, Fitted, Float, features
from models.entry import RECONSTRUCTION_ERROR
from models.pca.settings import PCASettings


def fit_principal_components(x: Float, components: int) -> tuple[Float, Float]:
    """Return the mean `(features,)` and the first principal components `(k, features)`.

    k is `components`, or as many as the samples or the features allow.
    """
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # equal samples have no variance to explain
        pca = PCA(min(components, *x.shape), svd_solver="covariance_eigh").fit(x)
    return pca.mean_, pca.components_


class PrincipalComponents(ClassicalModel):
    """PCA: R(x), the mean squared error of x and its projection on the components.

    The reconstruction is clipped to [0, 1], the range of samples and of a sigmoid
    output, so that R(x) is what it is for the networks. Clipping brings x̂ nearer to any
    x in this range; a sample outside of it (`scaling: training`) is the more abnormal.
    """

    components: tuple[str, ...] = (RECONSTRUCTION_ERROR,)
    parameters: ClassVar[tuple[str, ...]] = ("mean", "components")
    settings: PCASettings

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`."""
        mean, components = fit_principal_components(x, self.settings.components)
        return {"mean": mean, "components": components}

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        errors: Float = np.square(x - _projection(fitted, x)).mean(axis=1)
        return errors

    def reconstruct(self, samples: Tensor) -> Tensor:
        """Return the clipped projection; see `Model.reconstruct`."""
        projected = _projection(self._require_fitted(), features(samples)).astype(np.float32)
        x = torch.from_numpy(projected)
        return x.reshape(samples.shape).to(self.device)  # (n, features) -> (n, channels, length)


def _projection(fitted: Fitted, x: Float) -> Float:
    components = fitted["components"]
    projected: Float = fitted["mean"] + (x - fitted["mean"]) @ components.T @ components
    return np.clip(projected, 0, 1)
