"""Settings that a search tries first: `search.enqueue`."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from study.config.error_messages import first_problem, nearest, shown
from study.config.schema import Study
from study.config.search_space import NAMES
from study.config.trial_config import TrialConfig


def enqueued_parameters(study: Study, number: int) -> dict[str, Any] | None:
    """Return the parameters of trial `number` where the study names them; None if it does not.

    What it does not name of the searched settings is as in the study itself.
    """
    if number >= len(study.search.enqueue) or not study.search.space:
        return None
    return _completed(study, study.search.enqueue[number])


def enqueue_problems(study: Study) -> Iterator[str]:
    """Yield an error message for each setting of `search.enqueue` that no trial can have."""
    search = study.search
    if len(search.enqueue) > search.trials:
        yield (
            f"search.enqueue: has {len(search.enqueue)} trials, more than search.trials,"
            f" {search.trials}"
        )
    for number, named in enumerate(search.enqueue):
        where = f"search.enqueue.{number}"
        for key in named:
            if key not in search.space:
                yield f"{where}: {key} is not searched{nearest(key, search.space)}"
                return
        parameters = _completed(study, named)
        for key, value in parameters.items():
            if not search.space[key].contains(value):
                whose = "" if key in named else ", the study's own,"
                yield (
                    f"{where}.{key}: {shown(value)}{whose} is not within search.space,"
                    f" {search.space[key].form} {list(search.space[key].ends)}; change one of them"
                )
                return
        for key in named.keys() - parameters.keys():
            yield f"{where}: {key} is not searched in such a trial, by its `when`"
        try:
            TrialConfig.of(study).with_parameters(parameters)
        except ValidationError as error:
            yield f"{where}: {first_problem(error)}"


def _completed(study: Study, named: Mapping[str, Any]) -> dict[str, Any]:
    config = TrialConfig.of(study)
    space = study.search.space
    chosen = {
        key: named[key]
        for key in NAMES
        if key in space and key in named and space[key].contains(named[key])
    }
    own = config.with_parameters(chosen).by_key()
    parameters: dict[str, Any] = {}
    for key, values in space.items():
        if values.holds_in(parameters) and (key in named or key in own):
            parameters[key] = named.get(key, own.get(key))
    return parameters
