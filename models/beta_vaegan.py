"""beta-VAEGAN (section III-A): a beta-VAE as the generator of an adversarial pair."""

from models.adversarial import AdversarialAutoencoder
from models.settings import VariationalAdversarialSettings
from models.vae import VariationalAutoencoder


class BetaVAEGAN(AdversarialAutoencoder, VariationalAutoencoder):
    """The paper's model; the posterior q(z|x) is Gaussian with a N(0, I) prior."""

    settings: VariationalAdversarialSettings
