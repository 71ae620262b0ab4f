"""Latent refinement (appendix I): the encoder's z is where AnoGAN's search starts."""

from models.entry import REFINEMENT_ERRORS, ModelEntry
from models.latent_refinement.settings import LatentRefinementSettings

ENTRY = ModelEntry(
    settings=LatentRefinementSettings,
    location="models.latent_refinement.model:LatentRefinement",
    components=REFINEMENT_ERRORS,
    description="an encoder model, scored after a search for z that starts at the encoder's",
    training_defaults={"validation_interval": 100},
)
