"""BeatGAN (Zhou et al. 2019): the deterministic autoencoder with a discriminator."""

from models.beatgan.settings import BeatGANSettings
from models.entry import ENCODER_ERRORS, ModelEntry

ENTRY = ModelEntry(
    settings=BeatGANSettings,
    location="models.beatgan.model:BeatGAN",
    components=ENCODER_ERRORS,
    description="adversarial autoencoder of Zhou et al. 2019",
    training_defaults={
        "batch_size": 64,
        "discriminator_updates": 1,
        "optimizer": {
            "name": "adam",
            "learning_rate": 1e-4,
            "betas": (0.5, 0.999),
            "epsilon": 1e-8,
        },
    },
    generator="ae",
)
