"""The discriminator beside a decoder, and the training step of BeatGAN and beta-VAEGAN.

One update of the generator (encoder and decoder together) follows
`discriminator_updates` updates of the discriminator on the same batch (equations 3
and 4). The generator does not change while the discriminator is trained, so its
output is computed once per batch and used for all of these updates.
"""

from collections.abc import Hashable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models.bases.encoder_decoder import DecoderModel, EncoderDecoder
from models.bases.gradient import frozen
from models.bases.losses import discriminator_loss, mean_squared_error, real_or_not
from models.bases.settings import AdversarialSettings, DiscriminatorSettings
from models.entry import ENCODER_ERRORS
from models.networks.architecture import Discriminator, together
from models.networks.frozen import FrozenDiscriminator


class AdversarialModel(DecoderModel):
    """A decoder whose output a discriminator compares with real samples."""

    components: tuple[str, ...] = ENCODER_ERRORS
    settings: DiscriminatorSettings

    def build_networks(self) -> dict[str, nn.Module]:
        """See `GradientModel.build_networks`."""
        return {
            **super().build_networks(),
            "discriminator": Discriminator(
                self.shape.channels,
                self.shape.length,
                self.settings.width,
                spectral=self.settings.spectral_norm,
            ),
        }

    @property
    def _discriminator(self) -> Discriminator:
        network = self.networks["discriminator"]
        assert isinstance(network, Discriminator)
        return network

    def _update_discriminator(self, both: Tensor, targets: Tensor) -> Tensor:
        """Move D toward telling x from x̂, which are `together`; return its loss."""
        with parametrize.cached():
            logits = self._discriminator.logits_of_both(both)
        loss = discriminator_loss(logits, targets)
        self._step("discriminator", loss)
        return loss

    def _together(self, x: Tensor, generated: Tensor) -> Tensor:
        return together(self.network_input(x), self.network_input(generated))

    def compare(self, x: Tensor, reconstructed: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Return R(x), D(x) and ||z|| (section III-B), `(batch,)` each."""
        both = torch.cat([x, reconstructed])  # (b, ...), (b, ...) -> (2b, ...)
        features = self._features(both)
        length, _, width = features.shape
        features = features.view(length, 2, -1, width)  # (length, 2b, 16 w) -> (length, 2, b, 16 w)
        real, fake = features.unbind(1)  # (length, 2, b, 16 w) -> (length, b, 16 w) twice
        return {
            **super().compare(x, reconstructed, z),
            "discrimination_error": (real - fake).square().mean(dim=(0, 2)),
        }

    def compare_channels(self, x: Tensor, reconstructed: Tensor) -> dict[str, Tensor]:
        """Return R and D of each channel; see `Model.compare_channels`.

        Features mix channels: D of one is that of x with x̂ in this channel alone.
        """
        both = torch.stack([x, reconstructed], dim=1)  # (n, c, l) twice -> (n, 2, c, l)
        distances = self.in_batches(self._channel_distances, both)
        errors = super().compare_channels(x, reconstructed)
        return {**errors, "discrimination_error": torch.cat(distances)}

    def _channel_distances(self, both: Tensor) -> Tensor:
        x, reconstructed = both.unbind(1)  # (b, 2, c, l) -> (b, c, l) twice
        real, distances = self._features(x), []
        for channel in range(x.shape[1]):
            exchanged = x.clone()
            exchanged[:, channel] = reconstructed[:, channel]
            distances.append((real - self._features(exchanged)).square().mean(dim=(0, 2)))
        return torch.stack(distances, dim=1)  # (b,), ... -> (b, c)

    def _features(self, x: Tensor) -> Tensor:
        """Return f(x) of samples, `(length / 32, batch, 512)` float32."""
        discriminator = self.networks["discriminator"]
        assert isinstance(discriminator, Discriminator | FrozenDiscriminator)
        features: Tensor = discriminator.features(self.network_input(x)).float()
        return features


class AdversarialAutoencoder(AdversarialModel, EncoderDecoder):
    """An autoencoder whose reconstructions a discriminator compares with real samples."""

    optimized: ClassVar[dict[str, tuple[str, ...]]] = {
        **EncoderDecoder.optimized,
        "discriminator": ("discriminator",),
    }
    settings: AdversarialSettings

    def training_step(self, x: Tensor) -> dict[str, Tensor]:
        """Update the discriminator, then the generator; see `GradientModel.training_step`."""
        encoding = self.encode(x)
        logits = self._logits(encoding.z)
        reconstructed = self._output(logits)
        discriminator = adversarial = None
        if self._discriminator_trains:
            real, fake = self.network_input(x), self.network_input(reconstructed)
            both = together(real, fake.detach())
            targets = real_or_not(len(x), self.device)
            for _ in range(self.training.discriminator_updates):
                discriminator = self._update_discriminator(both, targets)
            adversarial = self._feature_distance(real, fake)
        reconstruction = self._reconstruction_loss(x, logits, reconstructed)
        generator = self.settings.nu * reconstruction
        if adversarial is not None:
            generator = adversarial + generator
        generator = encoding.added_to(generator)
        self._step("generator", generator)
        losses = {
            "discriminator_loss": discriminator,
            "generator_loss": generator,
            "adversarial_loss": adversarial,
            "reconstruction_loss": reconstruction,
            **encoding.logged(),
        }
        return {name: loss.detach() for name, loss in losses.items() if loss is not None}

    def step_form(self) -> tuple[Hashable, ...]:
        """Whether the discriminator trains, besides; see `GradientModel.step_form`."""
        return (*super().step_form(), self._discriminator_trains)

    @property
    def _discriminator_trains(self) -> bool:
        return self.trained_share >= self.training.discriminator_from

    def pass_through(self, x: Tensor) -> None:
        """Encode, decode and compare; see `GradientModel.pass_through`."""
        self._discriminator.logits_of_both(self._together(x, self.decode(self.encode(x).z)))

    def _feature_distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """L_adv of equation 4; the discriminator's own weights take no gradient from it.

        Args:
            real: samples, as `network_input` returns them.
            fake: x̂, likewise.
        """
        discriminator = self._discriminator
        with frozen(discriminator), parametrize.cached():
            weights = None if self.training.compile else discriminator.trunk.weights(self.dtype)
            with torch.no_grad():
                real_features = discriminator.features(real, weights)
            return mean_squared_error(discriminator.features(fake, weights), real_features)
