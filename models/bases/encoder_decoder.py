"""What models share whose reconstructions come from a decoder, x̂ = G(z).

`DecoderModel` is the decoder and what follows from a z. `EncoderDecoder` adds the
encoder that z comes from, and trains both on the reconstruction loss: by itself it is
the paper's AE and VAE, and `models.bases.adversarial` adds a discriminator to it.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.bases.batches import joined
from models.bases.gradient import GradientModel
from models.bases.losses import binary_cross_entropy, mean_squared_error
from models.bases.settings import DecoderSettings, EncoderDecoderSettings, TrainingSettings
from models.entry import AUTOENCODER_ERRORS, DRAWN_NORM
from models.interface import Examination, Latents, Model, Seeds, Shape
from models.networks.architecture import Decoder, Encoder, GaussianEncoder


class DecoderModel(GradientModel):
    """A model that finds a z for every sample and decodes it."""

    components: tuple[str, ...] = AUTOENCODER_ERRORS
    settings: DecoderSettings

    def __init__(
        self,
        settings: DecoderSettings,
        training: TrainingSettings,
        shape: Shape,
        seeds: Seeds,
        device: torch.device,
    ) -> None:
        self.latent_size = settings.latent_size
        super().__init__(settings, training, shape, seeds, device)

    def build_networks(self) -> dict[str, nn.Module]:
        """See `GradientModel.build_networks`."""
        return {
            "decoder": Decoder(
                self.shape.channels,
                self.shape.length,
                self.settings.latent_size,
                self.settings.width,
            )
        }

    @abstractmethod
    def latent(self, x: Tensor) -> Tensor:
        """Return the z that x is scored with, `(batch, latent)` float32."""

    def _logits(self, z: Tensor) -> Tensor:
        """Return x̂ before its output layer, float32."""
        logits: Tensor = self.networks["decoder"](z.to(self.dtype))
        return logits.float()

    def _output(self, logits: Tensor) -> Tensor:
        """Return x̂ in the units of samples."""
        if self.settings.output_layer == "sigmoid":
            return logits.sigmoid()
        output = logits.tanh()
        return (output + 1) / 2 if self.settings.output_layer == "tanh_rescaled" else output

    def in_output_range(self, x: Tensor) -> Tensor:
        """Return samples, or x̂, in the range of the output layer."""
        return 2 * x - 1 if self.settings.output_layer == "tanh_rescaled" else x

    def network_input(self, x: Tensor) -> Tensor:
        """Return samples, or x̂, as encoder and discriminator see them."""
        return self.in_output_range(x).to(self.dtype)

    def decode(self, z: Tensor) -> Tensor:
        """Return x̂ = G(z), `(batch, channels, length)` float32, in the units of samples."""
        return self._output(self._logits(z))

    def compare(self, x: Tensor, reconstructed: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Return R(x) and ||z|| (section III-B), `(batch,)` each."""
        return {
            "reconstruction_error": (x - reconstructed).square().mean(dim=(1, 2)),
            "latent_norm": z.norm(dim=1),
        }

    def batch_errors(self, x: Tensor) -> dict[str, Tensor]:
        """Compare x with G(z) of its z; see `GradientModel.batch_errors`."""
        return self.scored_batch(x)[0]

    def scored_batch(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the errors of one batch, and x̂, from which they come."""
        z = self.latent(x)
        reconstructed = self.decode(z)
        return self.compare(x, reconstructed, z), reconstructed

    def batch_reconstruction(self, x: Tensor) -> Tensor:
        """x̂ = G(z); see `GradientModel.batch_reconstruction`."""
        return self.decode(self.latent(x))

    def examine(self, samples: Tensor) -> Examination:
        """Find each z once, in batches; see `Model.examine`."""
        return joined_examinations(self.in_batches(self.batch_examination, samples))

    def batch_examination(self, x: Tensor) -> Examination:
        """Return errors, x̂ and latents of one batch; networks are in evaluation mode."""
        return Examination(*self.scored_batch(x), None)

    def generate(self, z: Tensor) -> Tensor:
        """Decode in batches; see `Model.generate`."""
        return torch.cat(self.in_batches(self.decode, z))


@dataclass(frozen=True)
class Encoding:
    """A batch as the encoder puts it, for training.

    Attributes:
        z: latent vectors that are decoded, `(batch, latent)`.
        losses: further losses, by name, with the weight of each.
    """

    z: Tensor
    losses: dict[str, tuple[float, Tensor]]

    def added_to(self, loss: Tensor) -> Tensor:
        """Return `loss` plus the weighted further losses."""
        for weight, further in self.losses.values():
            loss = loss + weight * further
        return loss

    def logged(self) -> dict[str, Tensor]:
        """Return the further losses without their weights."""
        return {name: loss for name, (_, loss) in self.losses.items()}


def joined_latents(parts: Sequence[Latents]) -> Latents:
    """Return the latents of batches as those of all their samples."""
    kl = [part.kl for part in parts if part.kl is not None]
    norms = [part.drawn_norm for part in parts if part.drawn_norm is not None]
    return Latents(
        z=torch.cat([part.z for part in parts]),
        drawn=torch.cat([part.drawn for part in parts]),
        kl=torch.cat(kl) if kl else None,
        drawn_norm=torch.cat(norms) if norms else None,
    )


def joined_examinations(parts: Sequence[Examination]) -> Examination:
    """Return the examinations of batches as that of all their samples."""
    latents = [part.latents for part in parts if part.latents is not None]
    reconstructions = [p.reconstruction for p in parts if p.reconstruction is not None]
    return Examination(
        errors=joined([part.errors for part in parts], parts[0].errors),
        reconstruction=torch.cat(reconstructions).float(),
        latents=joined_latents(latents) if latents else None,
    )


class EncoderDecoder(DecoderModel):
    """An encoder and a decoder that learn to reconstruct (equation 2)."""

    optimized: ClassVar[dict[str, tuple[str, ...]]] = {"generator": ("encoder", "decoder")}
    encoder_class: ClassVar[type[Encoder | GaussianEncoder]]
    settings: EncoderDecoderSettings

    def build_networks(self) -> dict[str, nn.Module]:
        """See `GradientModel.build_networks`."""
        shape, size, width = self.shape, self.settings.latent_size, self.settings.width
        encoder = self.encoder_class(shape.channels, shape.length, size, width)
        return {"encoder": encoder, **super().build_networks()}

    @abstractmethod
    def encode(self, x: Tensor) -> Encoding:
        """Encode a batch for training."""

    def training_step(self, x: Tensor) -> dict[str, Tensor]:
        """Update encoder and decoder; see `GradientModel.training_step`."""
        encoding = self.encode(x)
        logits = self._logits(encoding.z)
        reconstruction = self._reconstruction_loss(x, logits, self._output(logits))
        generator = encoding.added_to(reconstruction)
        self._step("generator", generator)
        losses = {"generator_loss": generator, "reconstruction_loss": reconstruction}
        return {name: loss.detach() for name, loss in (losses | encoding.logged()).items()}

    def pass_through(self, x: Tensor) -> None:
        """Encode and decode; see `GradientModel.pass_through`."""
        self._logits(self.encode(x).z)

    def _reconstruction_loss(self, x: Tensor, logits: Tensor, reconstructed: Tensor) -> Tensor:
        """L_rec of equation 4."""
        if self.settings.reconstruction_loss == "bce":
            return binary_cross_entropy(logits, x)
        return mean_squared_error(self.in_output_range(reconstructed), self.in_output_range(x))

    @abstractmethod
    def batch_latents(self, x: Tensor) -> Latents:
        """Return where the encoder puts a batch; networks are in evaluation mode."""

    def latents(self, samples: Tensor) -> Latents:
        """Encode in batches; see `Model.latents`."""
        return joined_latents(self.in_batches(self.batch_latents, samples))

    def batch_examination(self, x: Tensor) -> Examination:
        """Encode once; see `DecoderModel.batch_examination`."""
        latents = self.batch_latents(x)
        reconstructed = self.decode(latents.z)
        errors = self.compare(x, reconstructed, latents.z)
        if DRAWN_NORM in self.components and latents.drawn_norm is not None:
            errors[DRAWN_NORM] = latents.drawn_norm
        return Examination(errors, reconstructed, latents)


def with_fixed_scores(model: Model) -> EncoderDecoder:
    """Return `model` if its scores are a fixed function of the sample's values.

    Raises:
        TypeError: they need a search or draws, or no network.
    """
    if not isinstance(model, EncoderDecoder):
        raise TypeError("only models whose encoder gives z have fixed scores")
    if model.draws_scores:
        raise TypeError("models that are scored with draws (latent: sampled) have no fixed scores")
    return model
