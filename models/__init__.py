"""The models: networks, losses, training and per-sample errors, in plain PyTorch.

Nothing here knows of clusters, files or the command line. Importing this package
does not import PyTorch; `implementation` does, for the model that is wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.settings import BeatGANSettings, BetaVAEGANSettings

if TYPE_CHECKING:
    from models.interface import Model

ENCODER_ERRORS = ("reconstruction_error", "discrimination_error", "latent_norm")


@dataclass(frozen=True)
class ModelEntry:
    """A row of the table of models.

    Attributes:
        settings: the class of the model's settings.
        location: `module:class` of its implementation.
        components: the error components it gives each sample, as columns.
        training_defaults: training settings that differ from the common defaults.
        description: one line for listings.
    """

    settings: type
    location: str
    components: tuple[str, ...]
    description: str
    training_defaults: Mapping[str, Any] = field(default_factory=dict)


MODELS: dict[str, ModelEntry] = {
    "beta_vaegan": ModelEntry(
        settings=BetaVAEGANSettings,
        location="models.beta_vaegan:BetaVAEGAN",
        components=ENCODER_ERRORS,
        description="beta-VAE generator with a spectrally normalised discriminator (the paper's)",
    ),
    "beatgan": ModelEntry(
        settings=BeatGANSettings,
        location="models.beatgan:BeatGAN",
        components=ENCODER_ERRORS,
        description="adversarial autoencoder of Zhou et al. 2019",
        training_defaults={
            "batch_size": 64,
            "discriminator_updates": 1,
            "optimizer": {
                "name": "adam",
                "learning_rate": 1e-4,
                "betas": (0.5, 0.999),
                "epsilon": 1e-8,
            },
        },
    ),
}


def implementation(name: str) -> "type[Model]":
    """Return the class that implements the model `name` (importing PyTorch)."""
    module, _, cls = MODELS[name].location.partition(":")
    found: type[Model] = getattr(import_module(module), cls)
    return found
