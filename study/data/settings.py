"""The settings of samples and their division: `dataset` and `split` of a study file.

Those of one dataset stand in its module.
"""

from typing import TYPE_CHECKING, Annotated, Literal, Self, Union

from pydantic import Field, model_validator

from study.data import DATASETS
from study.data.entry import BaseDatasetSettings
from study.settings import Settings

# Type checkers know what the settings of all datasets have in common; pydantic, which of them
# a `name` means.
if TYPE_CHECKING:
    DatasetSettings = BaseDatasetSettings
else:
    DatasetSettings = Annotated[
        Union[tuple(entry.settings for entry in DATASETS.values())],  # noqa: UP007
        Field(discriminator="name"),
    ]

Protocol = Literal["paper", "kfold", "inter_patient", "given", "time", "series"]


class SplitSettings(Settings):
    """How samples are divided; see `study.data.splits`."""

    protocol: Protocol = Field(
        "paper", description="how training, validation and test samples are drawn"
    )
    beside: Protocol | None = Field(
        None,
        description="a second protocol, under which every system is trained as well, or the "
        "best trial of a search",
    )
    folds: int = Field(5, ge=1, le=100, description="folds of every trial")

    @model_validator(mode="after")
    def _protocols_can_be_drawn(self) -> Self:
        if self.beside == self.protocol:
            raise ValueError(f"beside must be another protocol than {self.protocol}")
        if "kfold" in self.protocols and self.folds < 2:
            raise ValueError("protocol kfold needs folds >= 2")
        return self

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocol, and the one beside it if there is one."""
        return (self.protocol, self.beside) if self.beside else (self.protocol,)
