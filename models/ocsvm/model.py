"""One-class SVM on principal components (appendix C)."""

from typing import ClassVar

import numpy as np

from models.bases.classical import ClassicalModel, Fitted, Float
from models.entry import OUTLIER_SCORE
from models.ocsvm.settings import OneClassSVMSettings
from models.pca.model import fit_principal_components


class OneClassSVM(ClassicalModel):
    """One-class SVM with an RBF kernel on principal components (appendix C).

    Components and machine are fitted on training normals alone. The score is the
    decision function of Schölkopf et al. (2001) with its sign turned: above 0 is outside.
    """

    components: tuple[str, ...] = (OUTLIER_SCORE,)
    parameters: ClassVar[tuple[str, ...]] = (
        "mean",
        "components",
        "support_vectors",
        "dual_coefficients",
        "intercept",
        "gamma",
    )
    settings: OneClassSVMSettings

    def fit(self, x: Float) -> Fitted:
        """See `ClassicalModel.fit`."""
        from sklearn import svm

        mean, components = fit_principal_components(x, self.settings.components)
        z = (x - mean) @ components.T
        gamma = self.settings.gamma
        if gamma == "scale":  # scikit-learn's: 1 / (columns * variance)
            gamma = 1 / (z.shape[1] * z.var()) if z.var() > 0 else 1.0
        machine = svm.OneClassSVM(nu=self.settings.nu, gamma=gamma).fit(z)
        return {
            "mean": mean,
            "components": components,
            "support_vectors": machine.support_vectors_,
            "dual_coefficients": machine.dual_coef_[0],
            "intercept": machine.intercept_,
            "gamma": np.array([gamma]),
        }

    def score(self, fitted: Fitted, x: Float) -> Float:
        """See `ClassicalModel.score`."""
        z = (x - fitted["mean"]) @ fitted["components"].T
        vectors = fitted["support_vectors"]
        squares = np.square(z).sum(axis=1)[:, None]  # (n,) -> (n, 1)
        squares = squares + np.square(vectors).sum(axis=1)  # (n, 1), (vectors,) -> (n, vectors)
        kernel = np.exp(-fitted["gamma"] * np.maximum(squares - 2 * z @ vectors.T, 0))
        score: Float = -(kernel @ fitted["dual_coefficients"] + fitted["intercept"])
        return score
