"""The paper's AE baseline (appendix C)."""

from models.ae.settings import AutoencoderSettings
from models.entry import AUTOENCODER_ERRORS, ModelEntry

ENTRY = ModelEntry(
    settings=AutoencoderSettings,
    location="models.ae.model:Autoencoder",
    components=AUTOENCODER_ERRORS,
    description="autoencoder: BeatGAN+ without its discriminator",
)
