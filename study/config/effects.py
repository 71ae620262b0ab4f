"""Settings that change nothing of a trial: a search of them is wasted."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from models import MODELS
from models.bases.settings import (
    AdversarialSettings,
    DiscriminatorSettings,
    VariationalSettings,
)
from study.config.trial_config import TrialConfig
from study.data.beat_settings import PATIENT_COMPONENTS
from study.scores.compositions import Composition
from study.scores.rules import compositions_of


@dataclass(frozen=True)
class _Need:
    """What a setting needs to have an effect.

    Attributes:
        what: in words.
        is_met: whether a trial has it.
        setting: the setting that brings it; "" where only the model does.
    """

    what: str
    is_met: Callable[[TrialConfig], bool]
    setting: str = ""


def why_without_effect(key: str, config: TrialConfig, searched: Set[str]) -> str:
    """Return why a searched setting changes nothing of a trial; "" if it may.

    Args:
        key: the setting, by dotted key.
        config: the trial's configuration.
        searched: all settings that are searched in it, which may bring what this one needs.
    """
    name = config.model.name
    if key.startswith("training.") and MODELS[name].fitted_once:
        return f"changes nothing of {name}, which is fitted once"
    need = _NEEDS.get(key)
    if need is None or need.setting in searched or need.is_met(config):
        return ""
    return f"changes nothing of {name} here: it needs {need.what}"


def _trains(*kinds: type) -> Callable[[TrialConfig], bool]:
    """Tell whether the networks that are trained are of one of these kinds."""

    def is_met(config: TrialConfig) -> bool:
        return isinstance(getattr(config.model, "encoder", config.model), kinds)

    return is_met


def _composition(config: TrialConfig) -> Composition:
    return compositions_of(config.scores)[config.metric.composition]


def _kernel(config: TrialConfig) -> Any:
    return getattr(_composition(config), "kernel", None)


_ADABELIEF = _Need(
    "training.optimizer.name adabelief",
    lambda config: config.training.optimizer.name == "adabelief",
    "training.optimizer.name",
)
_MACHINE = _Need(
    "a metric.composition by an svm",
    lambda config: _kernel(config) is not None,
    "metric.composition",
)
_NEEDS = {
    "dataset.components": _Need(
        f"a metric.composition of {', '.join(PATIENT_COMPONENTS)}",
        lambda config: bool(set(PATIENT_COMPONENTS) & set(_composition(config).components)),
        "metric.composition",
    ),
    "training.discriminator_updates": _Need("a discriminator", _trains(DiscriminatorSettings)),
    "training.discriminator_from": _Need(
        "an autoencoder with a discriminator", _trains(AdversarialSettings)
    ),
    "training.kl_warmup": _Need("a posterior", _trains(VariationalSettings)),
    "training.final_share": _Need(
        "training.schedule cosine",
        lambda config: config.training.schedule == "cosine",
        "training.schedule",
    ),
    "training.optimizer.rectify": _ADABELIEF,
    "training.optimizer.implementation": _ADABELIEF,
    "scores.svm_c": _MACHINE,
    "scores.svm_solver": _MACHINE,
    "scores.svm_gamma": _Need(
        "a metric.composition by an svm with an RBF kernel",
        lambda config: _kernel(config) == "rbf",
        "metric.composition",
    ),
    "metric.latent_form": _Need(
        "a metric.composition of L",
        lambda config: _composition(config).uses_latent,
        "metric.composition",
    ),
}
