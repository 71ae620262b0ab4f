"""Models that are fitted once, without gradients: PCA, nearest neighbours, one-class SVM.

They stand beside the networks in every study: a network that does not beat them is not
worth its training. A sample is here one vector of channels * length features; fitting
and scoring are float64 on the CPU, and scikit-learn is imported when a model is fitted.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models import OUTLIER_SCORE, RECONSTRUCTION_ERROR
from models.interface import Model, Seeds, Shape
from models.settings import KNNSettings, OneClassSVMSettings, PCASettings, TrainingSettings

SCORED_AT_ONCE = 1024

Float = npt.NDArray[np.float64]
Fitted = dict[str, npt.NDArray[Any]]


class ClassicalModel(Model):
    """A model whose fit gives arrays, and whose scores are a function of these arrays.

    A subclass names its arrays in `parameters`, and gives `fit` and `score`. Nothing but
    the arrays is kept of a fit: a loaded model scores from the same numbers.
    """

    parameters: ClassVar[tuple[str, ...]]
    latent_size = None

    def __init__(
        self,
        settings: Any,
        training: TrainingSettings,
        shape: Shape,
        seeds: Seeds,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.shape = shape
        self.seeds = seeds
        self.device = device
        self._fitted: Fitted = {}

    @abstractmethod
    def fit(self, x: Float) -> Fitted:
        """Return the arrays of `parameters`, fitted on normals `(m, features)`."""

    @abstractmethod
    def score(self, fitted: Fitted, x: Float) -> Float:
        """Return the model's one component of samples `(n, features)`, `(n,)`."""

    def train_epoch(self, samples: Tensor, members: Tensor) -> dict[str, float]:
        """Fit, always from the start: another epoch gives the same; see `Model.train_epoch`.

        Returns:
            The component's mean over the samples that were fitted, as `mean_<component>`.
        """
        x = _features(samples[self._drawn(members)])
        self._fitted = {name: np.ascontiguousarray(values) for name, values in self.fit(x).items()}
        assert tuple(self._fitted) == self.parameters
        return {f"mean_{self.components[0]}": float(self._in_parts(x).mean())}

    def _drawn(self, members: Tensor) -> Tensor:
        """Return the members that are fitted: all, or as many as the settings allow."""
        most = getattr(self.settings, "max_training_samples", len(members))
        if len(members) <= most:
            return members
        generator = np.random.default_rng(self.seeds.batches)
        drawn = np.sort(generator.choice(len(members), most, replace=False))
        return members[torch.from_numpy(drawn).to(members.device)]

    def _in_parts(self, x: Float) -> Float:
        """Score in parts of a fixed size, whatever the number of samples.

        Raises:
            RuntimeError: the model was neither trained nor loaded.
        """
        fitted = self._require_fitted()
        parts = range(0, len(x), SCORED_AT_ONCE)
        scores = [self.score(fitted, x[i : i + SCORED_AT_ONCE]) for i in parts]
        return np.concatenate([np.empty(0), *scores])

    def _require_fitted(self) -> Fitted:
        if not self._fitted:
            raise RuntimeError(f"{type(self).__name__} must be trained or loaded before it scores")
        return self._fitted

    def errors(self, samples: Tensor) -> dict[str, Tensor]:
        """See `Model.errors`; RuntimeError if the model was neither trained nor loaded."""
        scores = self._in_parts(_features(samples)).astype(np.float32)
        return {self.components[0]: torch.from_numpy(scores).to(self.device)}

    def reconstruct(self, samples: Tensor) -> Tensor | None:
        """Return None: only a subclass may reconstruct."""
        return None

    def freeze(self) -> None:
        """Nothing is to be done; see `Model.freeze`."""

    def weights(self) -> dict[str, Tensor]:
        """See `Model.weights`: the fitted arrays, none before training."""
        return {name: torch.from_numpy(values.copy()) for name, values in self._fitted.items()}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """See `Model.load_weights`.

        Raises:
            ValueError: these are not the weights of this kind of model.
        """
        if weights and set(weights) != set(self.parameters):
            raise ValueError(
                f"{type(self).__name__} needs the weights {', '.join(self.parameters)},"
                f" found {', '.join(weights)}"
            )
        names = self.parameters if weights else ()
        self._fitted = {name: weights[name].detach().cpu().numpy().copy() for name in names}

    def state(self) -> dict[str, Any]:
        """See `Model.state`: weights, and the seeds that each fit starts its streams from."""
        return {"weights": self.weights(), "seeds": dict(vars(self.seeds))}

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Model.load_state`."""
        self.load_weights(state["weights"])
        self.seeds = Seeds(**state["seeds"])


def _features(samples: Tensor) -> Float:
    """Return samples `(n, channels, length)` as `(n, channels * length)` float64."""
    return samples.detach().cpu().flatten(1).numpy().astype(np.float64)


def fit_principal_components(x: Float, components: int) -> tuple[Float, Float]:
    """Return the mean `(features,)` and the first principal components `(k, features)`.

    k is `components`, or as many as the samples or the features allow.
    """
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # equal samples have no variance to explain
        found = PCA(min(components, *x.shape), svd_solver="covariance_eigh").fit(x)
    return found.mean_, found.components_


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
        projected = _projection(self._require_fitted(), _features(samples)).astype(np.float32)
        return torch.from_numpy(projected).reshape(samples.shape).to(self.device)


def _projection(fitted: Fitted, x: Float) -> Float:
    components = fitted["components"]
    projected: Float = fitted["mean"] + (x - fitted["mean"]) @ components.T @ components
    return np.clip(projected, 0, 1)


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
        distances = np.sort(np.linalg.norm(x[:, None] - points[nearest], axis=2), axis=1)
        if count == 1:
            return distances[:, 0]
        others = np.where(distances[:, :1] == 0, distances[:, 1:], distances[:, :-1])
        mean: Float = others.mean(axis=1)
        return mean


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
        squares = np.square(z).sum(axis=1)[:, None] + np.square(vectors).sum(axis=1)
        kernel = np.exp(-fitted["gamma"] * np.maximum(squares - 2 * z @ vectors.T, 0))
        score: Float = -(kernel @ fitted["dual_coefficients"] + fitted["intercept"])
        return score
