"""The paper's AE baseline (appendix C): a deterministic encoder and BeatGAN+'s decoder."""

from torch import Tensor

from models.bases.encoder_decoder import EncoderDecoder, Encoding
from models.interface import Latents
from models.networks.architecture import Encoder


class Autoencoder(EncoderDecoder):
    """z = enc(x), and no loss on z."""

    encoder_class = Encoder

    def encode(self, x: Tensor) -> Encoding:
        """Return enc(x) without further losses."""
        return Encoding(z=self.latent(x), losses={})

    def batch_latents(self, x: Tensor) -> Latents:
        """Return enc(x), which nothing is drawn from."""
        z = self.latent(x)
        return Latents(z=z, drawn=z, kl=None)

    def latent(self, x: Tensor) -> Tensor:
        """Return enc(x)."""
        z: Tensor = self.networks["encoder"](self.network_input(x))
        return z.float()
