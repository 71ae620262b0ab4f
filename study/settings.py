"""What every settings class of a study file shares."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen part of a study file; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
