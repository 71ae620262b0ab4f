"""Distributions of searched settings, as a study file writes them."""

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from study.settings import Settings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SEARCHABLE = ("model.", "training.")
FIXED = ("model.name", "training.recipe", "training.epochs", "training.validation_interval")


def _searchable(key: str) -> str:
    if key.startswith("dataset."):
        raise ValueError(
            f"{key} cannot be searched: all trials of a study have the same samples; run a study "
            "for each value"
        )
    if not key.startswith(SEARCHABLE) or key in FIXED:
        raise ValueError(
            f"{key} cannot be searched; keys of model and training can, but for {', '.join(FIXED)}"
        )
    return key


SpaceKey = Annotated[str, AfterValidator(_searchable)]
Scalar = bool | int | float | str | None


class Distribution(Settings):
    """Exactly one of these forms, each written as `{form: [...]}`.

    Bounds are inclusive.
    """

    uniform: tuple[float, float] | None = Field(None, description="[low, high]")
    loguniform: tuple[float, float] | None = Field(None, description="[low, high], low > 0")
    int_: tuple[int, int] | None = Field(None, alias="int", description="[low, high]")
    logint: tuple[int, int] | None = Field(None, description="[low, high], low > 0")
    choice: tuple[Scalar, ...] | None = Field(None, min_length=1, description="the values")

    @model_validator(mode="after")
    def _exactly_one_form(self) -> Self:
        forms = self.model_dump(exclude_none=True, by_alias=True)
        if len(forms) != 1:
            names = ", ".join(
                field.alias or name for name, field in type(self).model_fields.items()
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
    def ends(self) -> tuple[Any, ...]:
        """The values that bound all others: both ends of a range, or every choice."""
        (values,) = self.model_dump(exclude_none=True).values()
        return tuple(values)

    @property
    def is_integer(self) -> bool:
        """Whether every value is an integer."""
        return all(type(value) is int for value in self.ends)

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
