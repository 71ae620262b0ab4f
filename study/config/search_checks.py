"""What no trial of a search could have: settings without meaning or effect, and their values."""

import itertools
from collections.abc import Iterator, Mapping, Set
from typing import Any

from pydantic import ValidationError

from models import MODELS
from study.config.components import metric_problems
from study.config.effects import why_without_effect
from study.config.error_messages import first_problem, nearest, shown
from study.config.samplers import SAMPLERS
from study.config.schema import Study
from study.config.search_space import (
    DATASET,
    MODEL,
    NAMES,
    WINDOW,
    Distribution,
    is_among,
    searched_in,
)
from study.config.trial_config import TrialConfig
from study.config.variants import unsearchable, variant_problems, variants

SPACE = "search.space."


def search_problems(study: Study, assigned: Set[str]) -> Iterator[str]:
    """Yield an error message for each setting of a search that contradicts another.

    Each takes those that came before it to be right.

    Args:
        study: the study, of no systems.
        assigned: dotted keys that are set on the command line.
    """
    space = study.search.space
    for check in (
        _unknown_models,
        _unknown_windows,
        _without_meaning,
        _wrong_conditions,
        _lacking_conditions,
        _sampler_problems,
        variant_problems,
    ):
        problems = list(check(study))
        yield from problems
        if problems:
            return
    yield from (
        f"{key} is searched; end that with --set {SPACE}{key}=null to fix it"
        for key in space
        if key in assigned
    )
    for context in _contexts(study):
        yield from _problems_of_model(study, context)


def _contexts(study: Study) -> Iterator[dict[str, Any]]:
    """Yield the parameters that say which settings a trial has: all pairs of searched names."""
    space = study.search.space
    names = [key for key in NAMES if key in space]
    for values in itertools.product(*(space[key].ends for key in names)):
        yield dict(zip(names, values, strict=True))


def _without_meaning(study: Study) -> Iterator[str]:
    """Yield settings that no model of the study has, and values of the wrong kind."""
    configs = [TrialConfig.of(study).with_parameters(context) for context in _contexts(study)]
    defined = [config.by_key() for config in configs]
    known = {key: None for settings in defined for key in settings}
    for key, distribution in study.search.space.items():
        if key not in known:
            yield f"search.space: {key} is not a setting of this study{nearest(key, known)}"
        values = [settings[key] for settings in defined if key in settings]
        if any(type(value) is int for value in values) and not distribution.is_integer:
            yield f"{SPACE}{key}: needs whole numbers: int, logint or choice"


def _unknown_models(study: Study) -> Iterator[str]:
    """Yield what is wrong with a choice of models."""
    models = study.search.space.get(MODEL)
    if models is None:
        return
    if models.choice is None or models.when:
        yield f"{SPACE}{MODEL}: must be a choice of models, in all trials"
        return
    for name in models.choice:
        if name not in MODELS:
            known = ", ".join(MODELS)
            yield f"{SPACE}{MODEL}: must be some of {known}, found {shown(name)}"
            return
    own = study.model.name
    if MODELS[own].fitted_once and not all(MODELS[str(n)].fitted_once for n in models.choice):
        yield f"{MODEL}: {own} is fitted once; name a network, whose epochs the others have"


def _unknown_windows(study: Study) -> Iterator[str]:
    """Yield settings of the dataset that cannot be searched, and windows that there are not."""
    problems = list(unsearchable(study))
    yield from problems
    if problems or WINDOW not in study.search.space:
        return
    for name in study.search.space[WINDOW].ends:
        try:
            TrialConfig.of(study).with_parameters({WINDOW: name})
        except ValidationError as error:
            yield f"{SPACE}{WINDOW}: {shown(name)} is not allowed: {first_problem(error)}"


def _wrong_conditions(study: Study) -> Iterator[str]:
    """Yield conditions on what no trial has drawn when they are asked."""
    space, above = study.search.space, list[str]()
    for key, distribution in space.items():
        for other, values in distribution.when.items():
            where = f"{SPACE}{key}.when.{other}"
            choice = space[other].choice if other in above else None
            if other not in above:
                near = nearest(other, above)
                yield f"{where}: must be a searched setting that stands above{near}"
            elif choice is None:
                yield f"{where}: conditions are on a choice, found {space[other].form}"
            elif wrong := [value for value in values if not is_among(value, choice)]:
                allowed = ", ".join(map(str, choice))
                yield f"{where}: must be some of {allowed}, found {shown(wrong[0])}"
        above.append(key)


def _lacking_conditions(study: Study) -> Iterator[str]:
    """Yield settings that only some of the searched models or windows have."""
    for context in _contexts(study):
        config = TrialConfig.of(study).with_parameters(context)
        defined = config.by_key()
        for key in _space_in(study.search.space, context):
            if key not in defined:
                name = WINDOW if key.startswith(DATASET) else MODEL
                of = f"the {context[WINDOW]} window" if name == WINDOW else config.model.name
                yield f"search.space: {key} is no setting of {of}; say `when: {{{name}: ...}}`"
                break


def _sampler_problems(study: Study) -> Iterator[str]:
    search = study.search
    if search.metric.score in search.metrics or len(set(search.metrics)) < len(search.metrics):
        yield f"search.metrics: must differ, and from search.metric, {search.metric.score}"
    entry = SAMPLERS.get(search.sampler)  # of another one nothing is known
    if entry is None:
        return
    conditional = [key for key, values in search.space.items() if values.when]
    choices = [key for key, values in search.space.items() if values.choice is not None]
    if conditional and not (entry.takes_conditions and search.startup == "random"):
        able = [name for name, each in SAMPLERS.items() if each.takes_conditions]
        what = f"sampler: {search.sampler}" if not entry.takes_conditions else "startup: qmc"
        yield (
            f"search.{what} needs settings that all trials have, {conditional[0]} has a `when`;"
            f" {' and '.join(able)} take it, with startup: random"
        )
    if search.metrics and not entry.takes_metrics:
        yield f"search.sampler: {search.sampler} improves search.metric alone; remove metrics"
    if choices and not entry.takes_choices:
        yield f"search.sampler: {search.sampler} searches numbers, {choices[0]} is a choice"


def _problems_of_model(study: Study, context: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong of the trials of one model, and of one window."""
    config = TrialConfig.of(study).with_parameters(context)
    space = _space_in(study.search.space, context)
    compositions = space.get("metric.composition")
    datasets = {each.dataset.component_names: each.dataset for each in variants(study)}
    for composition in compositions.ends if compositions else (config.metric.composition,):
        metric = config.metric.model_copy(update={"composition": composition})
        for dataset in datasets.values():
            yield from metric_problems(metric, config.model, dataset, study.scores)
    for key in space:
        if reason := why_without_effect(key, config, space.keys()):
            yield f"search.space: {key} {reason}"
    yield from _unusable_values(config, context, space)


def _space_in(
    space: Mapping[str, Distribution], context: Mapping[str, Any]
) -> dict[str, Distribution]:
    """Return the settings that trials of one model and one window may have."""
    own: dict[str, Distribution] = {}
    for key, values in space.items():
        is_of_context = all(
            is_among(context[name], values.when[name]) for name in context if name in values.when
        )
        if is_of_context and all(other in own for other in values.when):
            own[key] = values
    return own


def _unusable_values(
    config: TrialConfig, context: Mapping[str, Any], space: Mapping[str, Distribution]
) -> Iterator[str]:
    """Yield an error message for each end, or pair of ends, that no trial can have.

    Settings of the dataset are not among them: `variant_problems` has all of their combinations.
    """
    ends = [
        (key, value)
        for key, values in space.items()
        if key != MODEL and not key.startswith(DATASET)
        for value in values.ends
    ]
    together = [pair for pair in itertools.combinations(ends, 2) if pair[0][0] != pair[1][0]]
    refused: list[tuple[str, Any]] = []
    for values in [*((end,) for end in ends), *together]:
        if any(end in refused for end in values):
            continue
        drawn = {**context, **_conditions(space, [key for key, _ in values]), **dict(values)}
        if not all(key in searched_in(space, drawn) for key, _ in values):
            continue  # never together
        try:
            config.with_parameters(drawn)
        except ValidationError as error:
            refused += values if len(values) == 1 else ()
            problem = first_problem(error)
            setting = " with ".join(f"{SPACE}{key}: {shown(value)}" for key, value in values)
            yield f"{setting} is not allowed: {problem}"


def _conditions(space: Mapping[str, Distribution], keys: list[str]) -> dict[str, Any]:
    """Return values of other settings with which a trial has these."""
    needed: dict[str, Any] = {}
    for key in keys:
        for other, allowed in space[key].when.items():
            needed |= _conditions(space, [other])
            needed.setdefault(other, allowed[0])
    return needed
