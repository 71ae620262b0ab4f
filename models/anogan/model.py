"""AnoGAN (Schlegl et al. 2017): a GAN without encoder; z is searched for every sample.

G is the decoder of the other models on z ~ N(0, I), D their discriminator. Both learn by
equation 1: D by binary cross entropy, and G, as in Goodfellow et al. 2014 and in AnoGAN,
in the non-saturating form, -log D(G(z)), whose gradient does not vanish while D is right.
Matching features, as the autoencoders do, needs an x̂ of each x, which a GAN has not.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models.anogan.settings import AnoGANSettings
from models.bases.adversarial import AdversarialModel
from models.bases.gradient import frozen
from models.bases.latent_search import search_latent
from models.bases.losses import non_saturating_loss, real_or_not


class Starts(nn.Module):
    """The points where every search starts, drawn once from N(0, I): `z` `(starts, latent)`.

    They belong to the weights, so that a sample's errors depend on neither the samples
    beside it nor on what was scored before.
    """

    z: Tensor

    def __init__(self, count: int, latent_size: int) -> None:
        super().__init__()
        self.register_buffer("z", torch.randn(count, latent_size))


class AnoGAN(AdversarialModel):
    """A GAN, scored at the z whose G(z) is nearest to the sample."""

    optimized: ClassVar[dict[str, tuple[str, ...]]] = {
        "generator": ("decoder",),
        "discriminator": ("discriminator",),
    }
    settings: AnoGANSettings

    def build_networks(self) -> dict[str, nn.Module]:
        """See `GradientModel.build_networks`."""
        starts = Starts(self.settings.starts, self.settings.latent_size)
        return {**super().build_networks(), "starts": starts}

    def training_step(self, x: Tensor) -> dict[str, Tensor]:
        """Update D on new samples of G each time, then G; see `GradientModel.training_step`."""
        targets = real_or_not(len(x), self.device)
        for _ in range(self.training.discriminator_updates):
            with torch.no_grad():
                both = self._together(x, self.decode(self._draw_prior(len(x))))
            discriminator = self._update_discriminator(both, targets)
        generated = self.decode(self._draw_prior(len(x)))
        with frozen(self._discriminator), parametrize.cached():
            logits = self._discriminator(self.network_input(generated))
        generator = non_saturating_loss(logits)
        self._step("generator", generator)
        return {
            "discriminator_loss": discriminator.detach(),
            "generator_loss": generator.detach(),
        }

    def pass_through(self, x: Tensor) -> None:
        """Compare as many samples of G; see `GradientModel.pass_through`."""
        generated = self.decode(self._draw_prior(len(x)))
        self._discriminator.logits_of_both(self._together(x, generated))

    def _draw_prior(self, count: int) -> Tensor:
        """Return z ~ N(0, I), `(count, latent)`."""
        return self.noise_like(torch.empty(count, self.settings.latent_size))

    def latent(self, x: Tensor) -> Tensor:
        """Return the z that the search finds."""
        starts = self.networks["starts"].z
        assert isinstance(starts, Tensor)
        starts = starts.expand(len(x), -1, -1)  # (starts, latent) -> (n, starts, latent)
        with frozen(self.networks["decoder"]):
            return search_latent(self.decode, x, starts, self.settings, self.on_progress).z

    def freeze(self) -> None:
        """Freeze the networks, through which gradients still reach z; see `Model.freeze`."""
        starts = self.scored.pop("starts")
        super().freeze()
        self.networks["starts"] = starts
