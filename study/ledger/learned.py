"""What a search learns of other studies: their ended trials, fixed when the study starts."""

from collections.abc import Iterator, Mapping
from typing import Any

from study.config.schema import Study
from study.config.search_space import MODEL
from study.errors import RequestError
from study.ledger.ledger import LEARNED, Ledger
from study.ledger.study_folder import read_study
from study.search.trial import LearnedTrial, TrialRecord
from study.storage.folder import Folder, reach_folder


def has_learned(results: Folder) -> bool:
    """Return whether a results folder holds what its search learns of other studies."""
    return results.folder("ledger").exists(LEARNED)


def trials_to_learn(study: Study) -> list[LearnedTrial]:
    """Return the trials of `search.learn_from` that say something of this search.

    They are those with its metric and its model, whose settings, searched or fixed there, lie
    within its space; repetitions and failed ones are left out.

    Raises:
        RequestError: a folder holds no study, or none of its trials is one.
    """
    trials: list[LearnedTrial] = []
    for path in study.search.learn_from:
        results = reach_folder(path)
        read_study(results)  # refuses what holds none
        records = Ledger.of(results).trials()
        learned = list(_learned(study, path, records))
        if not learned:
            metrics = ", search.metrics" if study.search.metrics else ""
            raise RequestError(
                f"search.learn_from: {path}: none of its {len(records)} ended trial(s) has this"
                f" study's metric{metrics} and model, and settings within search.space"
            )
        trials += learned
    return trials


def _learned(study: Study, path: str, records: list[TrialRecord]) -> Iterator[LearnedTrial]:
    for record in records:
        config = record.trial.config
        has_model = MODEL in study.search.space or config.model.name == study.model.name
        if record.trial.is_repetition or record.state == "failed" or not has_model:
            continue
        parameters = _parameters(study, config.by_key())
        has_all = record.objectives.keys() >= set(study.search.metrics)
        if parameters is not None and has_all and config.metric == study.search.metric:
            yield LearnedTrial(
                path, record.name, parameters, record.state, record.values, record.objectives
            )


def _parameters(study: Study, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a trial's values of what is searched; None if one is not within the space."""
    parameters: dict[str, Any] = {}
    for key, values in study.search.space.items():
        if not values.holds_in(parameters):
            continue
        if key not in settings or not values.contains(settings[key]):
            return None
        parameters[key] = settings[key]
    return parameters
