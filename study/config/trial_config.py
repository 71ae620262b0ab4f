"""What the folds of one trial need to know, and nothing else."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from models import is_fitted_once
from models.settings import ModelSettings, TrainingSettings
from study.config.dotted_keys import assign, by_dotted_key, flatten
from study.config.schema import (
    MeasureSettings,
    MetricSettings,
    Name,
    Objective,
    Study,
    SystemSettings,
)
from study.config.search_space import MODEL, of_dataset
from study.data.settings import DatasetSettings, Protocol, SplitSettings
from study.scores.settings import ScoreSettings
from study.settings import Settings, added_field


class TrialConfig(Settings):
    """The configuration of one trial: every setting that decides what its folds store.

    It is made once, where the trial is proposed, and goes as it is to the workers, to the
    trial's record and to each fold's `model.json`.
    """

    study: Name = Field(description="the study that it is a configuration of")
    dataset: DatasetSettings
    split: SplitSettings
    model: ModelSettings
    training: TrainingSettings
    scores: ScoreSettings
    measures: MeasureSettings
    metric: MetricSettings
    metrics: tuple[Objective, ...] = added_field(())
    seed: int

    @classmethod
    def of(cls, study: Study, system: SystemSettings | None = None) -> Self:
        """Return what all trials of a study share, or those of one system.

        Args:
            study: the study.
            system: one of `study.systems`, which has a model, training and metric of its own.
        """
        return cls(
            study=study.name,
            dataset=study.dataset,
            split=study.split.model_copy(update={"beside": None}),
            model=(system or study).model,
            training=(system or study).training,
            scores=study.scores,
            measures=study.measures,
            metric=system.metric if system else study.search.metric,
            metrics=study.search.metrics,
            seed=study.seed,
        )

    def under(self, protocol: Protocol) -> Self:
        """Return the same with the samples divided by another protocol."""
        split = self.split.model_copy(update={"protocol": protocol})
        return self.model_copy(update={"split": split})

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """Return the same with searched settings replaced, by dotted key.

        Another model has its own defaults for what is not searched: what is set here is of this
        one. So has another window of heartbeats. Training is as it is here, but for what is fitted
        once.

        Raises:
            ValidationError: a value is not allowed.
        """
        if not parameters:
            return self
        content = self.to_dict()
        name = parameters.get(MODEL, self.model.name)
        if name != self.model.name:
            content["model"] = {"name": name}
            if is_fitted_once(name):
                content["training"] = {"epochs": 1}
        if replaced := of_dataset(parameters):
            content["dataset"] = self.dataset.without_replaced(replaced)
        for key, value in parameters.items():
            assign(content, key, value)
        return self.model_validate(content)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which `model_validate` reads back."""
        return self.model_dump(mode="json", by_alias=True)

    def by_key(self) -> dict[str, Any]:
        """Return every setting by dotted key, also what `to_dict` does not write down."""
        return by_dotted_key(self) | flatten(self.to_dict())

    @classmethod
    def from_stored(cls, content: Mapping[str, Any]) -> Self:
        """Read what a fold or a trial stores.

        Older results hold a study in its place, whose search has the metric.

        Raises:
            ValidationError: it is neither.
        """
        parts = {name: content[name] for name in cls.model_fields if name in content}
        if "search" in content:
            parts |= {"study": content["name"], "metric": content["search"]["metric"]}
        return cls.model_validate(parts)
