"""What a study needs of a model: to be trained on normals and to score samples."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.bases.settings import TrainingSettings
from models.entry import RECONSTRUCTION_ERROR


@dataclass(frozen=True)
class Shape:
    """Shape of one sample.

    Attributes:
        channels: number of channels.
        length: samples along time; a multiple of 32.
    """

    channels: int
    length: int


@dataclass(frozen=True)
class Seeds:
    """Where randomness enters a model, a stream each.

    Attributes:
        weights: initial weights.
        batches: order of the training samples.
        noise: draws from the posterior.
        augmentation: how training samples are warped and stretched.
    """

    weights: int
    batches: int
    noise: int
    augmentation: int


@dataclass(frozen=True)
class Latents:
    """Where an encoder puts samples.

    Attributes:
        z: `(n, latent)` float32, what samples are decoded from: enc(x), the posterior
            mean, or a draw where `latent` is "sampled".
        drawn: `(n, latent)`, a draw from the posterior of each; z where there is none.
        kl: `(n, latent)`, divergence of the posterior from the prior by dimension, in
            nats; None where there is no posterior.
        drawn_norm: `(n,)`, root mean square of the norms of all draws from the posterior of
            each, which nothing is drawn for; None where there is no posterior.
    """

    z: Tensor
    drawn: Tensor
    kl: Tensor | None
    drawn_norm: Tensor | None = None


@dataclass(frozen=True)
class Examination:
    """All that a model says of samples.

    Attributes:
        errors: see `Model.errors`.
        reconstruction: see `Model.reconstruct`.
        latents: see `Model.latents`.
    """

    errors: dict[str, Tensor]
    reconstruction: Tensor | None
    latents: Latents | None


def _nothing() -> None:
    """Nobody listens."""


class Model(ABC):
    """A one-class model.

    It is trained on normal samples only, one epoch at a time, and gives every sample
    its error components. `samples` are always `(n, channels, length)` float32 in
    [0, 1], on the model's device; scoring is deterministic and leaves the model as
    it was.

    Attributes:
        components: names of the error components.
        latent_size: of z; None without an encoder or generator.
        shape: of one sample.
        device: where it is.
        on_progress: called after each batch that it trains on or scores, and each step of a search
            for z: a sign of life, as these may take long. A model that never calls it is judged
            by how long its epochs take.
    """

    components: tuple[str, ...]
    latent_size: int | None
    shape: Shape
    device: torch.device
    on_progress: Callable[[], None] = staticmethod(_nothing)

    @abstractmethod
    def __init__(
        self,
        settings: Any,
        training: TrainingSettings,
        shape: Shape,
        seeds: Seeds,
        device: torch.device,
    ) -> None:
        """Build the untrained model; `settings` are of the class in the table of models."""

    @abstractmethod
    def train_epoch(self, samples: Tensor, members: Tensor) -> dict[str, float]:
        """Train once on each of the samples that `members` lists; return mean losses by name.

        Args:
            samples: all samples of the dataset, which folds on a host share.
            members: `(m,)` int64, indices of the training normals.
        """

    @abstractmethod
    def errors(self, samples: Tensor) -> dict[str, Tensor]:
        """Return each of `components` as `(n,)` float32; larger is more abnormal."""

    @abstractmethod
    def reconstruct(self, samples: Tensor) -> Tensor | None:
        """Return x̂ in the shape of `samples`; None if the model reconstructs nothing."""

    def latents(self, samples: Tensor) -> Latents | None:
        """Return where the encoder puts samples; None if the model has no encoder."""
        return None

    def examine(self, samples: Tensor) -> Examination:
        """Return errors, x̂ and latents of samples; in one pass where a model can."""
        return Examination(self.errors(samples), self.reconstruct(samples), self.latents(samples))

    def channel_errors(self, samples: Tensor) -> dict[str, Tensor]:
        """Return error components of each channel, `(n, channels)` float32 by component.

        Empty with one channel, and where nothing is reconstructed. R of a sample is the mean
        of its channels' R.
        """
        reconstructed = self.reconstruct(samples) if self.shape.channels > 1 else None
        return {} if reconstructed is None else self.compare_channels(samples, reconstructed)

    def compare_channels(self, x: Tensor, reconstructed: Tensor) -> dict[str, Tensor]:
        """Return what `channel_errors` does, by samples and x̂, `(n, channels, length)` each."""
        return {RECONSTRUCTION_ERROR: (x - reconstructed).square().mean(dim=2)}

    def generate(self, z: Tensor) -> Tensor | None:
        """Return G(z) of `(n, latent)`, in the shape of samples; None without a decoder."""
        return None

    def error_variances(self, samples: Tensor, draws: int) -> dict[str, Tensor]:
        """Return the variance of each error component over `draws` scorings, `(n,)` float32.

        Empty where scoring draws nothing; `errors` is one of the scorings.
        """
        return {}

    @abstractmethod
    def freeze(self) -> None:
        """Make scoring few samples at once fast; from then on the model only scores.

        Errors and reconstructions stay the same up to rounding.
        """

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Return copies of all that `errors` depends on, by name."""

    @abstractmethod
    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over what `weights` returned."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return all that further training depends on: a tree of tensors and plain values."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned; training goes on as if never interrupted."""
