"""The paper's VAE baseline (equation 2, appendix C): a Gaussian posterior, N(0, I) prior."""

from collections.abc import Hashable

import torch
from torch import Tensor

from models import DRAWN_NORM, components_of
from models.bases.encoder_decoder import EncoderDecoder, Encoding
from models.bases.losses import drawn_norm, kl_by_dimension, kl_divergence
from models.bases.settings import TrainingSettings, VariationalSettings
from models.interface import Latents, Seeds, Shape
from models.networks.architecture import GaussianEncoder
from models.networks.frozen import FrozenGaussianEncoder


class VariationalAutoencoder(EncoderDecoder):
    """The posterior q(z|x) is Gaussian; beta weighs its divergence from the prior.

    beta 0 leaves a draw from the posterior between encoder and decoder, whose variance
    nothing holds up: it is not the deterministic autoencoder, but near to it once trained.
    """

    encoder_class = GaussianEncoder
    settings: VariationalSettings

    def __init__(
        self,
        settings: VariationalSettings,
        training: TrainingSettings,
        shape: Shape,
        seeds: Seeds,
        device: torch.device,
    ) -> None:
        self.components = components_of(settings)
        super().__init__(settings, training, shape, seeds, device)

    def encode(self, x: Tensor) -> Encoding:
        """Draw z = mean + sigma * epsilon, epsilon ~ N(0, I); the KL term of equation 4."""
        mean, log_variance = self._posterior(x)
        return Encoding(
            z=self._draw(mean, log_variance),
            losses={"kl_divergence": (self._kl_weight, kl_divergence(mean, log_variance))},
        )

    def step_form(self) -> tuple[Hashable, ...]:
        """The weight of the KL term, besides; see `GradientModel.step_form`."""
        return (*super().step_form(), self._kl_weight)

    @property
    def _kl_weight(self) -> float:
        """Beta, or the share of it that its warm-up has reached."""
        warmup = self.training.kl_warmup
        return self.settings.beta * (min(self.trained_share / warmup, 1.0) if warmup else 1.0)

    def batch_latents(self, x: Tensor) -> Latents:
        """Return the posterior's mean, a draw from it and its divergence from the prior."""
        mean, log_variance = self._posterior(x)
        drawn = self._draw(mean, log_variance)
        z = drawn if self.settings.latent == "sampled" else mean
        return Latents(
            z=z,
            drawn=drawn,
            kl=kl_by_dimension(mean, log_variance),
            drawn_norm=drawn_norm(mean, log_variance),
        )

    def scored_batch(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Score the posterior mean, or a draw; of the mean, with the norm of draws."""
        if self.settings.latent == "sampled":
            return super().scored_batch(x)
        mean, log_variance = self._posterior(x)
        reconstructed = self.decode(mean)
        errors = self.compare(x, reconstructed, mean)
        return {**errors, DRAWN_NORM: drawn_norm(mean, log_variance)}, reconstructed

    def latent(self, x: Tensor) -> Tensor:
        """Return the posterior mean, or a draw from the posterior if `latent` is "sampled"."""
        if self.settings.latent == "sampled":
            return self._draw(*self._posterior(x))
        encoder = self.networks["encoder"]
        assert isinstance(encoder, GaussianEncoder | FrozenGaussianEncoder)
        return encoder.posterior_mean(self.network_input(x))

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.networks["encoder"](self.network_input(x))
        return mean, log_variance

    def _draw(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        return mean + (0.5 * log_variance).exp() * self.noise_like(mean)
