"""Settings of the variational autoencoder."""

from typing import Literal

from pydantic import Field

from models.bases.settings import VariationalSettings


class VAESettings(VariationalSettings):
    """The paper's VAE baseline (appendix C)."""

    name: Literal["vae"] = "vae"
    beta: float = Field(
        0.0, ge=0, description="weight of the KL divergence, summed over latent dimensions"
    )
