"""The systems of a study file: the settings of each, laid over those of the study."""

from collections.abc import Mapping
from typing import Any

from models import is_fitted_once, training_defaults_of
from models.bases.recipes import laid_over, with_recipe
from study.config.error_messages import shown
from study.errors import RequestError


def resolve_systems(content: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return a study's content in which every system is complete.

    A system has a model of its own, and the training and the metric of the study but for
    what it sets itself. One that is null is left out. The study gets a trial for each
    system and protocol. What is not valid is left for the check that follows.

    Args:
        content: of a study file.
        source: names it in errors.

    Raises:
        RequestError: the study sets what only its systems can set.
    """
    content = dict(content)
    systems = content.get("systems")
    if not isinstance(systems, Mapping) or not systems:
        return content
    search = content.get("search", {})
    training, metric = content.get("training"), search.get("metric") if search else None
    complete = {
        str(name): _complete(system, training or {}, metric or {})
        for name, system in systems.items()
        if system is not None
    }
    content["systems"] = complete
    models = [system.get("model") for system in complete.values() if isinstance(system, Mapping)]
    if models and content.setdefault("model", models[0]) != models[0]:
        raise RequestError(
            f"{source}: model: a study of systems has a model in each; remove it, or set it there"
        )
    split = content.get("split")
    beside = split.get("beside") if isinstance(split, Mapping) else None
    trials = len(complete) * (2 if beside else 1)
    if isinstance(search, Mapping):
        if search.get("trials", trials) != trials:
            raise RequestError(
                f"{source}: search.trials: a study of systems has one for each, {trials} here,"
                f" found {shown(search['trials'])}; remove it"
            )
        content["search"] = {**search, "trials": trials}
    return content


def with_model_defaults(model: Any, training: Any) -> Any:
    """Return training settings laid over their recipe's, and these over the model's defaults."""
    if not isinstance(model, Mapping) or not isinstance(training, Mapping | None):
        return training
    training = with_recipe(training or {})
    defaults = dict(training_defaults_of(model))
    name = defaults.get("optimizer", {}).get("name", "adabelief")
    optimizer = training.get("optimizer")
    if isinstance(optimizer, Mapping) and optimizer.get("name", name) != name:
        defaults.pop("optimizer", None)  # they are another optimiser's
    return laid_over(defaults, training)


def _complete(system: Any, training: Any, metric: Any) -> Any:
    """Return one system with all that it takes from its study; what is no mapping as it is."""
    if not isinstance(system, Mapping):
        return system
    model, own = system.get("model"), system.get("training") or {}
    if not isinstance(own, Mapping) or not isinstance(training, Mapping):
        return system
    name = model.get("name") if isinstance(model, Mapping) else None
    if is_fitted_once(name):
        training = {}
    return {
        **system,
        "training": with_model_defaults(model, {**training, **own}),
        "metric": system.get("metric") or metric,
    }
