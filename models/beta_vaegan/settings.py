"""Settings of beta-VAEGAN."""

from typing import Literal

from models.bases.settings import AdversarialSettings, VariationalSettings


class BetaVAEGANSettings(VariationalSettings, AdversarialSettings):
    """The paper's model (section III-A); beta 0 is its VAEGAN_1, 1e-4 its VAEGAN_2."""

    name: Literal["beta_vaegan"] = "beta_vaegan"
