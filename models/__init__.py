"""The models: networks, losses, training and per-sample errors, in plain PyTorch.

Nothing here knows of clusters, files or the command line. Importing this package
does not import PyTorch; `implementation` does, for the model that is wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from models.settings import (
    AnoGANSettings,
    AutoencoderSettings,
    BeatGANPlusSettings,
    BeatGANSettings,
    BetaVAEGANSettings,
    IsolationForestSettings,
    KNNSettings,
    LatentRefinementSettings,
    OneClassSVMSettings,
    PCASettings,
    VAESettings,
)

if TYPE_CHECKING:
    from models.interface import Model

RECONSTRUCTION_ERROR = "reconstruction_error"
OUTLIER_SCORE = "outlier_score"
AUTOENCODER_ERRORS = (RECONSTRUCTION_ERROR, "latent_norm")
ENCODER_ERRORS = (RECONSTRUCTION_ERROR, "discrimination_error", "latent_norm")
REFINEMENT_ERRORS = ("latent_distance", "start_norm", "end_norm")


@dataclass(frozen=True)
class ModelEntry:
    """A row of the table of models.

    Attributes:
        settings: the class of the model's settings.
        location: `module:class` of its implementation.
        components: the error components it gives each sample, as columns; a model that
            trains another gives those of that one first, see `components_of`.
        training_defaults: training settings that differ from the common defaults.
        description: one line for listings.
        fitted_once: whether it is fitted in one epoch, and no training setting moves it.
    """

    settings: type[BaseModel]
    location: str
    components: tuple[str, ...]
    description: str
    training_defaults: Mapping[str, Any] = field(default_factory=dict)
    fitted_once: bool = False


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
    "beatgan_plus": ModelEntry(
        settings=BeatGANPlusSettings,
        location="models.beatgan:BeatGAN",
        components=ENCODER_ERRORS,
        description="BeatGAN with a sigmoid output and a spectrally normalised discriminator",
    ),
    "ae": ModelEntry(
        settings=AutoencoderSettings,
        location="models.autoencoder:Autoencoder",
        components=AUTOENCODER_ERRORS,
        description="autoencoder: BeatGAN+ without its discriminator",
    ),
    "vae": ModelEntry(
        settings=VAESettings,
        location="models.vae:VariationalAutoencoder",
        components=AUTOENCODER_ERRORS,
        description="variational autoencoder: beta-VAEGAN without its discriminator",
    ),
    "anogan": ModelEntry(
        settings=AnoGANSettings,
        location="models.anogan:AnoGAN",
        components=ENCODER_ERRORS,
        description="GAN without encoder: z is searched for every sample that is scored",
        training_defaults={"validation_interval": 100},
    ),
    "latent_refinement": ModelEntry(
        settings=LatentRefinementSettings,
        location="models.latent_refinement:LatentRefinement",
        components=REFINEMENT_ERRORS,
        description="an encoder model, scored after a search for z that starts at the encoder's",
        training_defaults={"validation_interval": 100},
    ),
    "pca": ModelEntry(
        settings=PCASettings,
        location="models.classical:PrincipalComponents",
        components=(RECONSTRUCTION_ERROR,),
        description="reconstruction by principal components",
        training_defaults={"epochs": 1},
        fitted_once=True,
    ),
    "knn": ModelEntry(
        settings=KNNSettings,
        location="models.classical:NearestNeighbours",
        components=(OUTLIER_SCORE,),
        description="mean distance to the nearest training normals",
        training_defaults={"epochs": 1},
        fitted_once=True,
    ),
    "ocsvm": ModelEntry(
        settings=OneClassSVMSettings,
        location="models.classical:OneClassSVM",
        components=(OUTLIER_SCORE,),
        description="one-class SVM on principal components (the paper's appendix C)",
        training_defaults={"epochs": 1},
        fitted_once=True,
    ),
    "isolation_forest": ModelEntry(
        settings=IsolationForestSettings,
        location="models.isolation_forest:IsolationForest",
        components=(OUTLIER_SCORE,),
        description="isolation forest of Liu et al. 2008",
        training_defaults={"epochs": 1},
        fitted_once=True,
    ),
}


def components_of(settings: Any) -> tuple[str, ...]:
    """Return the error components of a model with these settings, in order."""
    trained = getattr(settings, "encoder", None)
    return (*(components_of(trained) if trained else ()), *MODELS[settings.name].components)


def training_defaults_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the training settings by which a model, in a study file's form, differs.

    They are those of the model that it trains and its own. An unknown name has none.
    """
    trained = model.get("encoder")
    entry = MODELS.get(str(model.get("name")))
    return {
        **(training_defaults_of(trained) if isinstance(trained, Mapping) else {}),
        **(entry.training_defaults if entry else {}),
    }


def implementation(name: str) -> "type[Model]":
    """Return the class that implements the model `name` (importing PyTorch)."""
    module, _, cls = MODELS[name].location.partition(":")
    found: type[Model] = getattr(import_module(module), cls)
    return found
