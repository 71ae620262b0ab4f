"""Search algorithms: what proposes the settings of the next trial, a table of Optuna's samplers.

A sampler is made anew for every trial, with a seed of its own, so that a proposal follows from
the seed and the trials that it learns from. A new algorithm is named by its import path, or is a
function here and a line in the table.
"""

import importlib
import inspect
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from study.errors import RequestError, one_line

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class SamplerRequest:
    """What a sampler is made for: one trial of a study.

    Attributes:
        seed: the trial's own.
        study_seed: the same for all trials of the study, for what is one sequence.
        startup_trials: trials that are drawn at random before it learns.
        is_conditional: whether some settings are searched in some trials only.
    """

    seed: int
    study_seed: int
    startup_trials: int
    is_conditional: bool


@dataclass(frozen=True)
class SamplerEntry:
    """A search algorithm, and what is known of it without importing Optuna.

    Attributes:
        make: makes it.
        learns: whether it draws its first trials at random, and learns from values then.
        reads_pruned: whether it learns from trials that Optuna knows as pruned. If not, a trial
            that was stopped early counts as one that completed, with the value that it had then.
        remembers: whether it keeps what it knows with trials or study, so that it has to propose
            again what it proposed before where a study goes on.
        takes_conditions: whether settings may be searched in some trials only.
        takes_choices: whether it searches the values of a `choice`.
        takes_metrics: whether it improves several metrics.
    """

    make: Callable[[SamplerRequest], "BaseSampler"]
    learns: bool = True
    reads_pruned: bool = True
    remembers: bool = False
    takes_conditions: bool = False
    takes_choices: bool = True
    takes_metrics: bool = True


def tpe(request: SamplerRequest) -> "BaseSampler":
    """Tree-structured Parzen estimators of all settings together (Bergstra et al. 2011).

    Trials that run count as bad ones (constant liar). Settings that only some trials have are
    estimated in the groups in which they occur.
    """
    from optuna.samplers import TPESampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    class OfOwnSettings(TPESampler):
        """Of trials that run, it heeds only settings that they have.

        Optuna's heeds those, too, that were drawn for such a trial and do not hold in it. They are
        unknown where a study goes on, which would then propose something else.
        """

        def _get_params(self, trial: FrozenTrial, study: Study) -> dict[str, Any]:
            return trial.params

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls `group` an experiment
        return OfOwnSettings(
            seed=request.seed,
            n_startup_trials=request.startup_trials,
            multivariate=True,
            group=request.is_conditional,
            constant_liar=True,
        )


def gp(request: SamplerRequest) -> "BaseSampler":
    """Expected improvement of a Gaussian process, also over trials that run.

    Optuna's leaves pruned trials out, and would propose again and again what was stopped.
    """
    from optuna.samplers import GPSampler

    return GPSampler(
        seed=request.seed,
        n_startup_trials=request.startup_trials,
        warn_independent_sampling=False,
    )


def cmaes(request: SamplerRequest) -> "BaseSampler":
    """CMA-ES (Hansen 2016), generation by generation; values of stopped trials count."""
    from optuna.samplers import CmaEsSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls pruned trials an experiment
        return CmaEsSampler(
            seed=request.seed,
            n_startup_trials=request.startup_trials,
            consider_pruned_trials=True,
            warn_independent_sampling=False,
        )


def qmc(request: SamplerRequest) -> "BaseSampler":
    """The points of one scrambled Sobol sequence, which cover the space evenly."""
    from optuna.samplers import QMCSampler, RandomSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls it an experiment
        return QMCSampler(
            seed=request.study_seed,
            scramble=True,
            independent_sampler=RandomSampler(seed=request.seed),
            warn_independent_sampling=False,
        )


def random(request: SamplerRequest) -> "BaseSampler":
    """Independent draws from the search space."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=request.seed)


SAMPLERS: dict[str, SamplerEntry] = {
    "tpe": SamplerEntry(tpe, takes_conditions=True),
    "gp": SamplerEntry(gp, reads_pruned=False),
    "cmaes": SamplerEntry(cmaes, remembers=True, takes_choices=False, takes_metrics=False),
    "qmc": SamplerEntry(qmc, learns=False, remembers=True),
    "random": SamplerEntry(random, learns=False, takes_conditions=True),
}
"""Search algorithms by name."""


def sampler_entry(name: str) -> SamplerEntry:
    """Return a sampler of the table, or one by its import path.

    Raises:
        RequestError: there is nothing to import, it is no class of Optuna's samplers, or one that
            cannot be made from a request.
    """
    if name in SAMPLERS:
        return SAMPLERS[name]
    from optuna.samplers import BaseSampler

    module, _, attribute = name.partition(":")
    try:
        sampler = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the module does when it is imported
        problem = f"{type(error).__name__}: {one_line(error)}"
        raise RequestError(f"search.sampler: {name} cannot be imported ({problem})") from None
    if not (inspect.isclass(sampler) and issubclass(sampler, BaseSampler)):
        raise RequestError(f"search.sampler: {name} is no class of optuna.samplers.BaseSampler")
    make = partial(_made, sampler)
    try:
        make(SamplerRequest(seed=0, study_seed=0, startup_trials=1, is_conditional=False))
    except Exception as error:  # whatever its constructor does
        problem = f"{type(error).__name__}: {one_line(error)}"
        raise RequestError(
            f"search.sampler: {name} cannot be made of a seed and a number of startup trials"
            f" ({problem})"
        ) from None
    return SamplerEntry(make, remembers=True, takes_conditions=True)


def _made(sampler: type["BaseSampler"], request: SamplerRequest) -> "BaseSampler":
    """Make a sampler from as much of a request as it takes, by Optuna's names."""
    known = {"seed": request.seed, "n_startup_trials": request.startup_trials}
    takes = _parameter_names(sampler)
    return sampler(**{key: value for key, value in known.items() if key in takes})


def _parameter_names(sampler: type) -> set[str]:
    """Return what a class can be made of, also what it hands on to its base as `**`."""
    names: set[str] = set()
    for base in sampler.__mro__:
        if "__init__" not in vars(base):
            continue
        own = inspect.signature(vars(base)["__init__"]).parameters
        names |= own.keys()
        if all(each.kind != inspect.Parameter.VAR_KEYWORD for each in own.values()):
            break
    return names


def _known_or_a_path(name: str) -> str:
    if name not in SAMPLERS and not IMPORT_PATH.fullmatch(name):
        raise ValueError(
            f"must be one of {', '.join(SAMPLERS)}, or package.module:Class, found {name!r}"
        )
    return name


SamplerName = Annotated[str, AfterValidator(_known_or_a_path)]
