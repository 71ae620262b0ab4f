"""beta-VAEGAN (section III-A): a beta-VAE as the generator of an adversarial pair."""

from models.bases.adversarial import AdversarialAutoencoder
from models.beta_vaegan.settings import BetaVAEGANSettings
from models.vae.model import VariationalAutoencoder


class BetaVAEGAN(AdversarialAutoencoder, VariationalAutoencoder):
    """The paper's model; the posterior q(z|x) is Gaussian with a N(0, I) prior."""

    settings: BetaVAEGANSettings
