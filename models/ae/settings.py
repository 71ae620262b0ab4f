"""Settings of the autoencoder."""

from typing import Literal

from models.bases.settings import EncoderDecoderSettings


class AutoencoderSettings(EncoderDecoderSettings):
    """The paper's AE baseline (appendix C)."""

    name: Literal["ae"] = "ae"
