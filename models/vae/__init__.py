"""The paper's VAE baseline (equation 2, appendix C)."""

from models.entry import AUTOENCODER_ERRORS, ModelEntry
from models.vae.settings import VAESettings

ENTRY = ModelEntry(
    settings=VAESettings,
    location="models.vae.model:VariationalAutoencoder",
    components=AUTOENCODER_ERRORS,
    description="variational autoencoder: beta-VAEGAN without its discriminator",
)
