"""beta-VAEGAN (section III-A): a beta-VAE as the generator of an adversarial pair."""

from torch import Tensor, nn

from models.adversarial import AdversarialAutoencoder, Encoding
from models.losses import kl_divergence
from models.networks import GaussianEncoder
from models.settings import BetaVAEGANSettings


class BetaVAEGAN(AdversarialAutoencoder):
    """The paper's model; the posterior q(z|x) is Gaussian with a N(0, I) prior."""

    settings: BetaVAEGANSettings

    def build_encoder(self) -> nn.Module:
        """Return the encoder of the posterior."""
        return GaussianEncoder(self.shape.channels, self.shape.length, self.settings.latent_size)

    def encode(self, x: Tensor) -> Encoding:
        """Draw z = mean + sigma * epsilon, epsilon ~ N(0, I); the KL term of equation 4."""
        mean, log_variance = self._posterior(x)
        return Encoding(
            z=self._draw(mean, log_variance),
            losses={"kl_divergence": (self.settings.beta, kl_divergence(mean, log_variance))},
        )

    def latent(self, x: Tensor) -> Tensor:
        """Return the posterior mean, or a draw from the posterior if `latent` is "sampled"."""
        mean, log_variance = self._posterior(x)
        return self._draw(mean, log_variance) if self.settings.latent == "sampled" else mean

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.networks["encoder"](x.to(self.dtype))
        return mean, log_variance

    def _draw(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        return mean + (0.5 * log_variance).exp() * self.noise_like(mean)
