"""Recipes of training: what settings are where a study file does not set them.

`paper` is the paper's appendix "Experimental setup", or a model's own publication. `fast`
anneals a five times larger learning rate, averages the weights and updates the
discriminator once: on Wafer it is past the paper's F1 in 8 epochs where `paper` takes 12 longer
ones, on MIT-BIH in 12 past what that has after 20 (`benchmarks/results/recipes.md`).
"""

from collections.abc import Mapping
from typing import Any, Literal, cast

RecipeName = Literal["paper", "fast"]

RECIPES: dict[RecipeName, Mapping[str, Any]] = {
    "paper": {},
    "fast": {
        "epochs": 12,
        "discriminator_updates": 1,
        "schedule": "cosine",
        "warmup_share": 0.05,
        "average": 0.999,
        "validation_interval": 2,
        "optimizer": {"learning_rate": 1e-3},
    },
}


def with_recipe(training: Any) -> Any:
    """Return training settings laid over those of the recipe that they name.

    Args:
        training: in a study file's form; what is not valid is left for the check.
    """
    if not isinstance(training, Mapping):
        return training
    return laid_over(recipe_of(training), training)


def recipe_of(training: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of the recipe that `training` names; an unknown one has none."""
    name = training.get("recipe", "paper")
    return RECIPES.get(cast(RecipeName, name), {}) if isinstance(name, str) else {}


def laid_over(defaults: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Return `training` over `defaults`; settings of the optimiser one by one."""
    merged = {**defaults, **training}
    below, above = defaults.get("optimizer"), training.get("optimizer")
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        merged["optimizer"] = {**below, **above}
    return merged
