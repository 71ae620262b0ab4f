"""The adversarial training step and the errors that BeatGAN and beta-VAEGAN share.

One update of the generator (encoder and decoder together) follows
`discriminator_updates` updates of the discriminator on the same batch (equations 3
and 4). The generator does not change while the discriminator is trained, so its
output is computed once per batch and used for all of these updates.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models import ENCODER_ERRORS
from models.frozen import FrozenDiscriminator
from models.gradient import GradientModel, frozen
from models.interface import Seeds, Shape
from models.losses import binary_cross_entropy, discriminator_loss, mean_squared_error
from models.networks import Decoder, Discriminator
from models.settings import AdversarialSettings, TrainingSettings


@dataclass(frozen=True)
class Encoding:
    """What the encoder says of a batch.

    Attributes:
        z: latent vectors that are decoded, `(batch, latent)`.
        losses: further losses, by name, with the weight of each.
    """

    z: Tensor
    losses: dict[str, tuple[float, Tensor]]


class AdversarialAutoencoder(GradientModel):
    """An autoencoder whose reconstructions a discriminator compares with real samples."""

    components: ClassVar[tuple[str, ...]] = ENCODER_ERRORS
    optimized: dict[str, tuple[str, ...]] = {  # noqa: RUF012 - the same for every instance
        "generator": ("encoder", "decoder"),
        "discriminator": ("discriminator",),
    }

    settings: AdversarialSettings

    def __init__(
        self,
        settings: AdversarialSettings,
        training: TrainingSettings,
        shape: Shape,
        seeds: Seeds,
        device: torch.device,
    ) -> None:
        self.latent_size = settings.latent_size
        super().__init__(settings, training, shape, seeds, device)

    def build_networks(self) -> dict[str, nn.Module]:
        """See `GradientModel.build_networks`."""
        channels, length = self.shape.channels, self.shape.length
        return {
            "encoder": self.build_encoder(),
            "decoder": Decoder(channels, length, self.settings.latent_size),
            "discriminator": Discriminator(channels, length, spectral=self.settings.spectral_norm),
        }

    @abstractmethod
    def build_encoder(self) -> nn.Module:
        """Return the encoder that `encode` and `latent` use."""

    @abstractmethod
    def encode(self, x: Tensor) -> Encoding:
        """Encode a batch for training."""

    @abstractmethod
    def latent(self, x: Tensor) -> Tensor:
        """Return the z that x is scored with, `(batch, latent)`."""

    @property
    def _discriminator(self) -> Discriminator:
        network = self.networks["discriminator"]
        assert isinstance(network, Discriminator)
        return network

    def _decode(self, z: Tensor) -> Tensor:
        """Return x̂ before its output layer, float32."""
        logits: Tensor = self.networks["decoder"](z.to(self.dtype))
        return logits.float()

    def _output(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.settings.output_layer == "sigmoid" else logits.tanh()

    def training_step(self, x: Tensor) -> dict[str, Tensor]:
        """Update the discriminator, then the generator; see `GradientModel.training_step`."""
        encoding = self.encode(x)
        logits = self._decode(encoding.z)
        reconstructed = self._output(logits)
        for _ in range(self.training.discriminator_updates):
            discriminator = self._update_discriminator(x, reconstructed.detach())
        adversarial = self._feature_distance(x, reconstructed)
        reconstruction = (
            binary_cross_entropy(logits, x)
            if self.settings.reconstruction_loss == "bce"
            else mean_squared_error(reconstructed, x)
        )
        generator = adversarial + self.settings.nu * reconstruction
        for weight, loss in encoding.losses.values():
            generator = generator + weight * loss
        self._step("generator", generator)
        losses = {
            "discriminator_loss": discriminator,
            "generator_loss": generator,
            "adversarial_loss": adversarial,
            "reconstruction_loss": reconstruction,
        } | {name: loss for name, (_, loss) in encoding.losses.items()}
        return {name: loss.detach() for name, loss in losses.items()}

    def _update_discriminator(self, x: Tensor, reconstructed: Tensor) -> Tensor:
        with parametrize.cached():
            real, fake = self._discriminator.judge(x.to(self.dtype), reconstructed.to(self.dtype))
        loss = discriminator_loss(real, fake)
        self._step("discriminator", loss)
        return loss

    def _feature_distance(self, x: Tensor, reconstructed: Tensor) -> Tensor:
        """L_adv of equation 4; the discriminator's own weights take no gradient from it."""
        with frozen(self._discriminator), parametrize.cached():
            with torch.no_grad():
                real = self._discriminator.features(x.to(self.dtype))
            fake = self._discriminator.features(reconstructed.to(self.dtype))
        return mean_squared_error(fake, real)

    def _step(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def batch_errors(self, x: Tensor) -> dict[str, Tensor]:
        """R(x), D(x) and ||z|| (section III-B); see `GradientModel.batch_errors`."""
        z = self.latent(x)
        reconstructed = self._output(self._decode(z))
        both = torch.cat([x, reconstructed]).to(self.dtype)
        discriminator = self.networks["discriminator"]
        assert isinstance(discriminator, Discriminator | FrozenDiscriminator)
        real, fake = discriminator.features(both).float().chunk(2, dim=1)
        return {
            "reconstruction_error": (x - reconstructed).square().mean(dim=(1, 2)),
            "discrimination_error": (real - fake).square().mean(dim=(0, 2)),
            "latent_norm": z.norm(dim=1),
        }

    def batch_reconstruction(self, x: Tensor) -> Tensor:
        """x̂ = G(z); see `GradientModel.batch_reconstruction`."""
        return self._output(self._decode(self.latent(x)))
