"""The variants of a study's dataset: what its trials can choose of how samples are made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from study.config.error_messages import first_problem, shown
from study.config.schema import Study
from study.config.search_space import DATASET, WINDOW, Distribution
from study.config.trial_config import TrialConfig
from study.data.settings import DatasetSettings

MOST_VARIANTS = 16
"""All are made when a study starts, and each node has them in memory."""
MOST_DRAWN = 10_000
"""Draws of settings of the dataset, with those that conditions on them are on."""


@dataclass(frozen=True)
class Variant:
    """How samples are made for some trials of a study.

    Attributes:
        searched: what such a trial has drawn of the dataset's settings, by dotted key.
        dataset: all settings of its dataset.
    """

    searched: Mapping[str, Any]
    dataset: DatasetSettings

    @property
    def label(self) -> str:
        """What it has drawn, in words: it differs from variant to variant."""
        drawn = (f"{key.removeprefix(DATASET)} {value}" for key, value in self.searched.items())
        return ", ".join(drawn) or "as in the study"


def variants(study: Study) -> tuple[Variant, ...]:
    """Return the variants that trials of a study can draw; the study's own if none is searched.

    Raises:
        ValueError: there are too many, or a trial could draw what is not allowed.
    """
    config, distinct = TrialConfig.of(study), list[Variant]()
    for searched in _drawn(study):
        dataset = config.with_parameters(searched).dataset
        if all(dataset != other.dataset for other in distinct):
            distinct.append(Variant(searched, dataset))
    return tuple(distinct)


def unsearchable(study: Study) -> Iterator[str]:
    """Yield an error message for each setting of the dataset that cannot be searched so."""
    dataset = study.dataset
    for key, values in study.search.space.items():
        if not key.startswith(DATASET):
            continue
        if key.removeprefix(DATASET) not in dataset.searchable:
            able = [f"{DATASET}{name}" for name in dataset.searchable]
            yield (
                f"search.space: {key} cannot be searched: with it trials would have other samples,"
                f" or train on others; run a study for each value (of {dataset.name} these can be"
                f" searched: {', '.join(able) or 'none'})"
            )
        elif values.choice is None:
            yield (
                f"search.space.{key}: must be a choice, since samples are made for each value when"
                f" the study starts, not {values.form}"
            )
        elif key == WINDOW and values.when:
            yield f"search.space.{WINDOW}: must be searched in all trials; remove its when"


def variant_problems(study: Study) -> Iterator[str]:
    """Yield an error message for each variant that no trial can have, or that they are too many."""
    config = TrialConfig.of(study)
    try:
        drawn = _drawn(study)
    except ValueError as error:
        yield f"search.space: {error}"
        return
    for searched in drawn:
        try:
            config.with_parameters(searched)
        except ValidationError as error:
            setting = " with ".join(f"search.space.{k}: {shown(v)}" for k, v in searched.items())
            yield f"{setting} is not allowed: {first_problem(error)}"


def _drawn(study: Study) -> list[dict[str, Any]]:
    """Return what trials can draw of the dataset's settings; ValueError if that is too much."""
    space = study.search.space
    needed = [key for key in space if key.startswith(DATASET)]
    for key in needed:  # which grows by what conditions are on
        needed += [other for other in space[key].when if other in space and other not in needed]
    drawn: list[dict[str, Any]] = [{}]
    for key in (key for key in space if key in needed):
        values = space[key]
        if len(drawn) * len(values.ends) > MOST_DRAWN:
            raise _too_many()
        drawn = [before | own for before in drawn for own in _draws(key, values, before)]
        if len(_of_dataset(drawn)) > MOST_VARIANTS:
            raise _too_many()
    return _of_dataset(drawn)


def _draws(key: str, values: Distribution, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a trial that has drawn some settings can draw of one more, if it has it."""
    return [{key: value} for value in values.ends] if values.holds_in(before) else [{}]


def _too_many() -> ValueError:
    return ValueError(
        f"settings of the dataset must have at most {MOST_VARIANTS} combinations, for each of which"
        " all samples are made and held in memory; search fewer"
    )


def _of_dataset(drawn: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the distinct draws of settings of the dataset, in their order."""
    own = [{key: v for key, v in each.items() if key.startswith(DATASET)} for each in drawn]
    return list({tuple(each.items()): each for each in own}.values())
