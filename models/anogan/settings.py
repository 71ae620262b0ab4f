"""Settings of AnoGAN."""

from typing import Literal

from pydantic import Field

from models.bases.settings import DiscriminatorSettings, LatentSearchSettings


class AnoGANSettings(LatentSearchSettings, DiscriminatorSettings):
    """AnoGAN (Schlegl et al. 2017), with BeatGAN+'s decoder and discriminator."""

    name: Literal["anogan"] = "anogan"
    starts: int = Field(4, ge=1, le=1024, description="searches for each sample; the best counts")
