"""Latent refinement (appendix I): the encoder's z is where AnoGAN's search starts.

Trained, it is the encoder model that its settings name. Only the errors differ: they are
those of the z that the search finds, with how far it went. Scoring costs up to
`max_steps` passes of the decoder, there and back.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models import components_of, implementation
from models.bases.batches import joined, variances_over
from models.bases.encoder_decoder import EncoderDecoder, joined_examinations
from models.bases.gradient import frozen
from models.bases.latent_search import SearchResult, search_latent
from models.bases.settings import TrainingSettings
from models.interface import Examination, Latents, Model, Seeds, Shape
from models.latent_refinement.settings import LatentRefinementSettings


class LatentRefinement(Model):
    """An encoder model, scored at the best z of a search that starts at the encoder's."""

    def __init__(
        self,
        settings: LatentRefinementSettings,
        training: TrainingSettings,
        shape: Shape,
        seeds: Seeds,
        device: torch.device,
    ) -> None:
        build = implementation(settings.encoder.name)
        encoder_model = build(settings.encoder, training, shape, seeds, device)
        assert isinstance(encoder_model, EncoderDecoder)
        self.encoder_model = encoder_model
        self.settings = settings
        self.components = components_of(settings)
        self.latent_size, self.shape, self.device = encoder_model.latent_size, shape, device

    @property
    def on_progress(self) -> Callable[[], None]:
        """What the encoder model calls; see `Model`."""
        return self.encoder_model.on_progress

    @on_progress.setter
    def on_progress(self, called: Callable[[], None]) -> None:
        self.encoder_model.on_progress = called

    def train_epoch(self, samples: Tensor, members: Tensor) -> dict[str, float]:
        """Train the encoder model; see `Model.train_epoch`."""
        return self.encoder_model.train_epoch(samples, members)

    def errors(self, samples: Tensor) -> dict[str, Tensor]:
        """Score at the refined z, in batches; see `Model.errors`."""
        return joined(self.encoder_model.in_batches(self._batch_errors, samples), self.components)

    def error_variances(self, samples: Tensor, draws: int) -> dict[str, Tensor]:
        """Refine from `draws` draws, if z is drawn; see `Model.error_variances`."""
        if not self.encoder_model.draws_scores:
            return {}
        variances = partial(variances_over, self._batch_errors, draws)
        return joined(self.encoder_model.in_batches(variances, samples), self.components)

    def reconstruct(self, samples: Tensor) -> Tensor:
        """Return G(z) of the refined z; see `Model.reconstruct`."""
        return torch.cat(self.encoder_model.in_batches(self._batch_reconstruction, samples))

    def latents(self, samples: Tensor) -> Latents:
        """Return where the encoder puts samples and searches start; see `Model.latents`."""
        return self.encoder_model.latents(samples)

    def examine(self, samples: Tensor) -> Examination:
        """Encode and refine once, in batches; see `Model.examine`."""
        parts = self.encoder_model.in_batches(self._batch_examination, samples)
        return joined_examinations(parts)

    def compare_channels(self, x: Tensor, reconstructed: Tensor) -> dict[str, Tensor]:
        """Compare as the encoder model does; see `Model.compare_channels`."""
        return self.encoder_model.compare_channels(x, reconstructed)

    def generate(self, z: Tensor) -> Tensor:
        """See `Model.generate`."""
        return self.encoder_model.generate(z)

    def freeze(self) -> None:
        """Freeze the networks, through which gradients still reach z; see `Model.freeze`."""
        self.encoder_model.freeze()

    def weights(self) -> dict[str, Tensor]:
        """Return those of the encoder model; see `Model.weights`."""
        return self.encoder_model.weights()

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """See `Model.load_weights`."""
        self.encoder_model.load_weights(weights)

    def state(self) -> dict[str, Any]:
        """See `Model.state`."""
        return self.encoder_model.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Model.load_state`."""
        self.encoder_model.load_state(state)

    def _batch_errors(self, x: Tensor) -> dict[str, Tensor]:
        """Return the model's errors at the refined z, and where the search came from.

        `latent_distance` is the length of the search's path, `start_norm` the norm of the
        encoder's z and `end_norm` that of the refined z, which is `latent_norm` as well.
        """
        start = self.encoder_model.latent(x)
        end = self._refine(x, start)
        return self._compare(x, start, end, self.encoder_model.decode(end.z))

    def _compare(
        self, x: Tensor, start: Tensor, end: SearchResult, reconstructed: Tensor
    ) -> dict[str, Tensor]:
        errors = self.encoder_model.compare(x, reconstructed, end.z)
        return {
            **errors,
            "latent_distance": end.distance,
            "start_norm": start.norm(dim=1),
            "end_norm": errors["latent_norm"],
        }

    def _batch_examination(self, x: Tensor) -> Examination:
        latents = self.encoder_model.batch_latents(x)
        end = self._refine(x, latents.z)
        reconstructed = self.encoder_model.decode(end.z)
        errors = self._compare(x, latents.z, end, reconstructed)
        return Examination(errors, reconstructed, latents)

    def _batch_reconstruction(self, x: Tensor) -> Tensor:
        return self.encoder_model.decode(self._refine(x, self.encoder_model.latent(x)).z)

    def _refine(self, x: Tensor, start: Tensor) -> SearchResult:
        with frozen(self.encoder_model.networks["decoder"]):
            starts = start.unsqueeze(1)  # (n, latent) -> (n, 1, latent)
            decode = self.encoder_model.decode
            return search_latent(decode, x, starts, self.settings, self.on_progress)
