"""The settings that a study file holds of a model and its training.

Those of one model stand in its folder, and what they have in common in
`models.bases.settings`.
"""

from typing import TYPE_CHECKING

from models import MODELS
from models.bases.settings import (
    AdversarialSettings,
    DecoderSettings,
    DiscriminatorSettings,
    EncoderDecoderSettings,
    LatentSearchSettings,
    NamedSettings,
    OptimizerSettings,
    TrainingSettings,
    VariationalSettings,
    any_of,
)

__all__ = [
    "AdversarialSettings",
    "DecoderSettings",
    "DiscriminatorSettings",
    "EncoderDecoderSettings",
    "LatentSearchSettings",
    "ModelSettings",
    "NamedSettings",
    "OptimizerSettings",
    "TrainingSettings",
    "VariationalSettings",
]

# Type checkers know what the settings of all models have in common; pydantic, which of them
# a `name` means.
if TYPE_CHECKING:
    ModelSettings = NamedSettings
else:
    ModelSettings = any_of(entry.settings for entry in MODELS.values())
