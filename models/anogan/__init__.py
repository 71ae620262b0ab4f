"""AnoGAN (Schlegl et al. 2017): a GAN without encoder."""

from models.anogan.settings import AnoGANSettings
from models.entry import ENCODER_ERRORS, ModelEntry

ENTRY = ModelEntry(
    settings=AnoGANSettings,
    location="models.anogan.model:AnoGAN",
    components=ENCODER_ERRORS,
    description="GAN without encoder: z is searched for every sample that is scored",
    training_defaults={"validation_interval": 100},
)
