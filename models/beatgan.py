"""BeatGAN (Zhou et al. 2019): a deterministic autoencoder with a discriminator.

Its defaults are the original's; the paper's BeatGAN+ is the same model with a sigmoid
output, binary cross entropy, spectral norm and a smaller latent size.
"""

from torch import Tensor, nn

from models.adversarial import AdversarialAutoencoder, Encoding
from models.networks import Encoder


class BeatGAN(AdversarialAutoencoder):
    """BeatGAN: z = enc(x), and no loss on z."""

    def build_encoder(self) -> nn.Module:
        """Return the deterministic encoder."""
        return Encoder(self.shape.channels, self.shape.length, self.settings.latent_size)

    def encode(self, x: Tensor) -> Encoding:
        """Return enc(x) without further losses."""
        return Encoding(z=self.latent(x), losses={})

    def latent(self, x: Tensor) -> Tensor:
        """Return enc(x)."""
        z: Tensor = self.networks["encoder"](x.to(self.dtype))
        return z.float()
