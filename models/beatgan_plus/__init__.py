"""BeatGAN+, the paper's form of BeatGAN (appendix "Experimental setup")."""

from models.beatgan_plus.settings import BeatGANPlusSettings
from models.entry import ENCODER_ERRORS, ModelEntry

ENTRY = ModelEntry(
    settings=BeatGANPlusSettings,
    location="models.beatgan_plus.model:BeatGANPlus",
    components=ENCODER_ERRORS,
    description="BeatGAN with a sigmoid output and a spectrally normalised discriminator",
    generator="ae",
)
