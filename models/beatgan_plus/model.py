"""BeatGAN+: BeatGAN with the paper's settings."""

from models.beatgan.model import BeatGAN
from models.beatgan_plus.settings import BeatGANPlusSettings


class BeatGANPlus(BeatGAN):
    """BeatGAN with a sigmoid output, binary cross entropy, spectral norm and a smaller z."""

    settings: BeatGANPlusSettings
