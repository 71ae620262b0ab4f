"""beta-VAEGAN (section III-A): a beta-VAE as the generator of an adversarial pair."""

from models.beta_vaegan.settings import BetaVAEGANSettings
from models.entry import ENCODER_ERRORS, ModelEntry

ENTRY = ModelEntry(
    settings=BetaVAEGANSettings,
    location="models.beta_vaegan.model:BetaVAEGAN",
    components=ENCODER_ERRORS,
    description="beta-VAE generator with a spectrally normalised discriminator (the paper's)",
    generator="vae",
)
