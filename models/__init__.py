"""The models: networks, losses, training and per-sample errors, in plain PyTorch.

Nothing here knows of clusters, files or the command line. Each model is a folder: its line
for the table in `__init__.py`, its settings in `settings.py`, and itself in `model.py`;
`networks` and `bases` hold what they share. Importing this package does not import
PyTorch; `implementation` does, for the model that is wanted.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.bases.settings import EncoderDecoderSettings, any_of
from models.entry import (
    AUTOENCODER_ERRORS,
    DRAWN_NORM,
    ENCODER_ERRORS,
    OUTLIER_SCORE,
    RECONSTRUCTION_ERROR,
    REFINEMENT_ERRORS,
    ModelEntry,
)
from models.extensions import extended

if TYPE_CHECKING:
    from models.interface import Model

__all__ = [
    "AUTOENCODER_ERRORS",
    "DRAWN_NORM",
    "ENCODER_ERRORS",
    "MODELS",
    "OUTLIER_SCORE",
    "RECONSTRUCTION_ERROR",
    "REFINEMENT_ERRORS",
    "ModelEntry",
    "components_of",
    "implementation",
    "training_defaults_of",
]


def _entry(module: str) -> ModelEntry:
    """Return the entry in a model's folder."""
    entry: ModelEntry = import_module(module).ENTRY
    return entry


MODELS: dict[str, ModelEntry] = {
    "beta_vaegan": _entry("models.beta_vaegan"),
    "beatgan": _entry("models.beatgan"),
    "beatgan_plus": _entry("models.beatgan_plus"),
    "ae": _entry("models.ae"),
    "vae": _entry("models.vae"),
    "anogan": _entry("models.anogan"),
    "latent_refinement": _entry("models.latent_refinement"),
    "pca": _entry("models.pca"),
    "knn": _entry("models.knn"),
    "ocsvm": _entry("models.ocsvm"),
    "isolation_forest": _entry("models.isolation_forest"),
    "rocket_knn": _entry("models.rocket_knn"),
    "median_beat": _entry("models.median_beat"),
}
MODELS = extended(MODELS, "study.models", ModelEntry)


def _name_encoders() -> None:
    """Resolve `EncoderSettings` in settings that hold those of an encoder model."""
    settings = [entry.settings for entry in MODELS.values()]
    encoders = any_of(each for each in settings if issubclass(each, EncoderDecoderSettings))
    for each in settings:
        each.model_rebuild(_types_namespace={"EncoderSettings": encoders})


_name_encoders()


def components_of(settings: Any) -> tuple[str, ...]:
    """Return the error components of a model with these settings, in order.

    A model that scores posterior means gives the norm of draws as well; where a z is searched,
    it is no posterior's, and there is no such norm.
    """
    own = MODELS[settings.name].components
    trained = getattr(settings, "encoder", None)
    if trained:
        return (*(name for name in components_of(trained) if name != DRAWN_NORM), *own)
    return (*own, DRAWN_NORM) if getattr(settings, "latent", None) == "mean" else own


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


def is_fitted_once(name: object) -> bool:
    """Return whether a model of this name is fitted in one epoch; of unknown names none is."""
    return name in MODELS and MODELS[str(name)].fitted_once


def implementation(name: str) -> "type[Model]":
    """Return the class that implements the model `name` (importing PyTorch)."""
    module, _, class_name = MODELS[name].location.partition(":")
    model: type[Model] = getattr(import_module(module), class_name)
    return model
