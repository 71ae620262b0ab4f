"""An entry of the table of models, and the names of error components."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.bases.settings import NamedSettings

RECONSTRUCTION_ERROR = "reconstruction_error"
OUTLIER_SCORE = "outlier_score"
AUTOENCODER_ERRORS = (RECONSTRUCTION_ERROR, "latent_norm")
ENCODER_ERRORS = (RECONSTRUCTION_ERROR, "discrimination_error", "latent_norm")
DRAWN_NORM = "drawn_norm"
"""Norm of draws from a sample's posterior, their root mean square; see `models.components_of`."""
REFINEMENT_ERRORS = ("latent_distance", "start_norm", "end_norm")


@dataclass(frozen=True)
class ModelEntry:
    """A model of the table: what is known of it without importing its implementation.

    Attributes:
        settings: the class of the model's settings.
        location: `module:class` of its implementation.
        components: the error components it gives each sample, as columns; a model that
            trains another gives those of that one first, see `models.components_of`.
        training_defaults: training settings that differ from the common defaults.
        description: one line for listings.
        fitted_once: whether it is fitted in one epoch, and no training setting moves it.
        generator: of an adversarial model, the one that is its generator trained alone; "" if
            there is none.
    """

    settings: type[NamedSettings]
    location: str
    components: tuple[str, ...]
    description: str
    training_defaults: Mapping[str, Any] = field(default_factory=dict)
    fitted_once: bool = False
    generator: str = ""
