"""Distributions of searched settings, as a study file writes them."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from study.settings import Settings, added_field, as_tuple

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

MODEL = "model.name"
WINDOW = "dataset.window.name"
NAMES = (MODEL, WINDOW)
"""Settings that say which others there are: each model and each window has its own."""
DATASET = "dataset."
SEARCHABLE = ("model.", "training.", DATASET, "scores.svm_", "metric.")
FIXED = (
    "training.recipe",
    "training.epochs",
    "training.validation_interval",
    "scores.svm_nystroem_from",
    "metric.score",
)


def _searchable(key: str) -> str:
    if not key.startswith(SEARCHABLE) or key in FIXED:
        raise ValueError(
            f"{key} cannot be searched; keys of model, training and dataset can, scores.svm_* and"
            f" metric.composition, but for {', '.join(FIXED)}"
        )
    return key


SpaceKey = Annotated[str, AfterValidator(_searchable)]
Scalar = bool | int | float | str | None
OneOf = Annotated[tuple[Scalar, ...], BeforeValidator(as_tuple), Field(min_length=1)]


class Distribution(Settings):
    """Exactly one of these forms, each written as `{form: [...]}`, and when it is searched.

    Bounds are inclusive.
    """

    uniform: tuple[float, float] | None = Field(None, description="[low, high]")
    loguniform: tuple[float, float] | None = Field(None, description="[low, high], low > 0")
    int_: tuple[int, int] | None = Field(None, alias="int", description="[low, high]")
    logint: tuple[int, int] | None = Field(None, description="[low, high], low > 0")
    choice: tuple[Scalar, ...] | None = Field(None, min_length=1, description="the values")
    when: dict[str, OneOf] = added_field(
        {}, description="in which trials: those where other searched settings have these values"
    )

    @model_validator(mode="after")
    def _exactly_one_form(self) -> Self:
        forms = self.model_dump(exclude={"when"}, exclude_none=True, by_alias=True)
        if len(forms) != 1:
            names = ", ".join(
                field.alias or name
                for name, field in type(self).model_fields.items()
                if name != "when"
            )
            raise ValueError(f"must have exactly one of {names}, found {sorted(forms) or 'none'}")
        (form,) = forms
        if form != "choice":
            low, high = forms[form]
            if low > high:
                raise ValueError(f"{form}: low must not exceed high, found [{low}, {high}]")
            if form.startswith("log") and low <= 0:
                raise ValueError(f"{form}: low must be positive, found {low}")
        return self

    @property
    def form(self) -> str:
        """The name of its form."""
        (form,) = self.model_dump(exclude={"when"}, exclude_none=True, by_alias=True)
        return str(form)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that bound all others: both ends of a range, or every choice."""
        (values,) = self.model_dump(exclude={"when"}, exclude_none=True).values()
        return tuple(values)

    def holds_in(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether a trial with these parameters has this setting, by `when`."""
        return all(
            key in parameters and is_among(parameters[key], allowed)
            for key, allowed in self.when.items()
        )

    def contains(self, value: Any) -> bool:
        """Return whether a trial can draw `value`."""
        if self.choice is not None:
            return is_among(value, self.choice)
        if isinstance(value, bool) or not isinstance(
            value, int if self.is_integer else int | float
        ):
            return False
        low, high = self.ends
        return bool(low <= value <= high)

    def index(self, value: Any) -> int:
        """Return which value of the choice it is, by type, too: 1 is not true."""
        assert self.choice is not None
        kinds = [(type(each), each) for each in self.choice]
        return kinds.index((type(value), value))

    def share(self, value: Any) -> float:
        """Return where a value lies between the ends, from 0 to 1; a choice by its order."""
        if self.choice is not None:
            return self.index(value) / max(1, len(self.choice) - 1)
        is_log = self.form.startswith("log")
        at, low, high = (math.log(v) if is_log else float(v) for v in (value, *self.ends))
        return (at - low) / (high - low) if high > low else 0.5

    @property
    def is_integer(self) -> bool:
        """Whether every value is an integer."""
        return all(type(value) is int for value in self.ends)

    @property
    def is_continuous(self) -> bool:
        """Whether it is a range of numbers that need not be whole."""
        return self.choice is None and not self.is_integer

    @property
    def values(self) -> Sequence[Any]:
        """Every value of a choice, or of a range of whole numbers."""
        return self.choice if self.choice is not None else range(self.ends[0], self.ends[1] + 1)

    def suggest(self, trial: "Trial", key: str) -> Any:
        """Have Optuna draw a value of setting `key` for a trial; return it."""
        if self.choice is not None:
            return trial.suggest_categorical(key, self.choice)
        values: Any = self.to_optuna()
        suggest: Any = trial.suggest_int if self.is_integer else trial.suggest_float
        return suggest(key, values.low, values.high, log=values.log)

    def to_optuna(self) -> "BaseDistribution":
        """Return the same distribution as Optuna's class."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.uniform:
            return FloatDistribution(*self.uniform)
        if self.loguniform:
            return FloatDistribution(*self.loguniform, log=True)
        if self.int_:
            return IntDistribution(*self.int_)
        if self.logint:
            return IntDistribution(*self.logint, log=True)
        assert self.choice is not None
        return CategoricalDistribution(self.choice)


def is_among(value: Any, values: tuple[Scalar, ...]) -> bool:
    """Return whether `value` is one of `values`, of the same type: 1 is not true."""
    return any(type(value) is type(each) and value == each for each in values)


def of_dataset(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are settings of the dataset, by their keys in it."""
    return {
        key.removeprefix(DATASET): value
        for key, value in parameters.items()
        if key.startswith(DATASET)
    }


def shares(space: Mapping[str, Distribution], parameters: Mapping[str, Any]) -> list[float]:
    """Return where each setting of a trial that has all of them lies between its ends."""
    return [form.share(parameters[key]) for key, form in space.items()]


def count_settings(space: Mapping[str, Distribution]) -> float:
    """Return at most how many different settings a space has; infinity with a continuous one."""
    return math.prod(math.inf if v.is_continuous else len(v.values) for v in space.values())


def all_settings(space: Mapping[str, Distribution]) -> list[dict[str, Any]]:
    """Return the settings of all trials that a space without continuous values can have."""
    settings: list[dict[str, Any]] = [{}]
    for key, form in space.items():  # what a `when` names comes first
        settings = [
            {**each, key: value} if form.holds_in(each) else each
            for each in settings
            for value in (form.values if form.holds_in(each) else (None,))
        ]
    return settings


def searched_in(
    space: Mapping[str, Distribution], parameters: Mapping[str, Any]
) -> dict[str, Distribution]:
    """Return the settings of a space that a trial with these parameters has, by `when`."""
    return {key: values for key, values in space.items() if values.holds_in(parameters)}
