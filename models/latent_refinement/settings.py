"""Settings of latent refinement."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from models.bases.settings import LatentSearchSettings
from models.beta_vaegan.settings import BetaVAEGANSettings

if TYPE_CHECKING:  # any encoder model of the table, which `models` puts in its place
    from models.bases.settings import EncoderDecoderSettings as EncoderSettings


class LatentRefinementSettings(LatentSearchSettings):
    """An encoder model, scored after a search from the encoder's z (appendix I)."""

    name: Literal["latent_refinement"] = "latent_refinement"
    encoder: "EncoderSettings" = Field(
        BetaVAEGANSettings(), description="the model that is trained, and whose z is refined"
    )
