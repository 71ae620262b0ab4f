"""Search algorithms: what proposes the settings of the next trial, a table of Optuna's samplers.

A sampler is made anew for every trial, with a seed of its own, so that a proposal follows
from the seed and the trials that it learns from. A new algorithm is a function here and a
line in the table.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def tpe(seed: int, startup_trials: int) -> "BaseSampler":
    """Tree-structured Parzen estimators (Bergstra et al. 2011); the first trials are random."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=startup_trials)


def random(seed: int, startup_trials: int) -> "BaseSampler":
    """Independent draws from the search space."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[[int, int], "BaseSampler"]] = {
    "tpe": tpe,
    "random": random,
}
"""Search algorithms by name: functions of a seed and of `search.startup_trials`."""


def _in_the_table(name: str) -> str:
    if name not in SAMPLERS:
        raise ValueError(f"must be one of {', '.join(SAMPLERS)}, found {name!r}")
    return name


SamplerName = Annotated[str, AfterValidator(_in_the_table)]
