"""BeatGAN (Zhou et al. 2019): the deterministic autoencoder with a discriminator.

Its defaults are the original's, which trains on samples in [-1, 1], the range of its tanh. The
paper's BeatGAN+ is the same model with a sigmoid output, binary cross entropy (its reference
code: mean squared error, `reconstruction_loss: mse`), spectral norm and a smaller latent size.
"""

from models.ae.model import Autoencoder
from models.bases.adversarial import AdversarialAutoencoder
from models.bases.settings import AdversarialSettings


class BeatGAN(AdversarialAutoencoder, Autoencoder):
    """BeatGAN: z = enc(x), and no loss on z."""

    settings: AdversarialSettings
