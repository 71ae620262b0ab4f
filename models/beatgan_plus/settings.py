"""Settings of BeatGAN+."""

from typing import Literal

from models.bases.settings import AdversarialSettings


class BeatGANPlusSettings(AdversarialSettings):
    """The paper's BeatGAN+ (appendix "Experimental setup")."""

    name: Literal["beatgan_plus"] = "beatgan_plus"
