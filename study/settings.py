"""What every settings class of a study file shares."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """A frozen part of a study file; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def as_tuple(value: object) -> object:
    """Take one value for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
"""One text or several."""


def added_field(default: Any, **constraints: Any) -> Any:
    """Return a setting that studies came to have later; arguments as of pydantic's `Field`.

    Where it has its default it is not written down, so that studies from before and studies
    that leave it alone have the tables and hashes that they always had.
    """
    return Field(default, exclude_if=lambda value: value == default, **constraints)
