"""Settings of BeatGAN."""

from typing import Literal

from pydantic import Field

from models.bases.settings import OUTPUT_LAYER, AdversarialSettings, OutputLayer


class BeatGANSettings(AdversarialSettings):
    """BeatGAN (Zhou et al. 2019) as it was published."""

    name: Literal["beatgan"] = "beatgan"
    latent_size: int = Field(50, ge=1, le=1024, description="dimensions of z")
    output_layer: OutputLayer = Field("tanh_rescaled", description=OUTPUT_LAYER)
    reconstruction_loss: Literal["bce", "mse"] = Field(
        "mse", description="binary cross entropy (needs sigmoid) or mean squared error"
    )
    spectral_norm: bool = Field(
        False, description="spectral norm in the discriminator; batch norm if false"
    )
