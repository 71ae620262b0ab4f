"""Models that are fitted once, without gradients, and kept as arrays.

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

from models.bases.settings import TrainingSettings
from models.interface import Model, Seeds, Shape

SCORED_AT_ONCE = 1024
NORMALS_OF_THE_LOSS = 4096
"""Training normals whose mean is logged, evenly spaced if there are more: scoring all again
would take as long as the fold's evaluation."""

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
            The component's mean over samples that were fitted, as `mean_<component>`.
        """
        x = features(samples[self._drawn(members)])
        self._fitted = {name: np.ascontiguousarray(values) for name, values in self.fit(x).items()}
        assert tuple(self._fitted) == self.parameters
        logged = x[:: -(-len(x) // NORMALS_OF_THE_LOSS)]
        return {f"mean_{self.components[0]}": float(self._in_parts(logged).mean())}

    def _drawn(self, members: Tensor) -> Tensor:
        """Return the members that are fitted: all, or as many as the settings allow."""
        most = getattr(self.settings, "max_training_samples", None)
        if most is None or len(members) <= most:
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
        scores = self._in_parts(features(samples)).astype(np.float32)
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


def features(samples: Tensor) -> Float:
    """Return samples `(n, channels, length)` as `(n, channels * length)` float64."""
    flat = samples.detach().cpu().flatten(1)  # (n, channels, length) -> (n, features)
    return flat.numpy().astype(np.float64)
