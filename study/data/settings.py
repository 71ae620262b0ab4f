"""Settings of every dataset and of its division: `dataset` and `split` of a study file."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from study.settings import Settings


def _as_tuple(value: object) -> object:
    """Take one value for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _as_texts(value: object) -> object:
    """Write numbers as text, for YAML reads the label 1 as an integer."""
    values = _as_tuple(value)
    assert isinstance(values, list | tuple)
    return tuple(
        str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item
        for item in values
    )


class _DatasetSettings(Settings):
    """What all datasets share."""

    length: int = Field(
        default=160,
        ge=32,
        le=65_536,
        multiple_of=32,
        description="length of a sample along time, in samples; a multiple of 32, at least 32",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="keep this many samples, a random subset with the kinds' own proportions, "
        "drawn from the study's seed; at least 1; null keeps all",
    )

    @property
    def scaled_by_fold(self) -> bool:
        """Whether values are to be scaled with limits of a fold's training samples."""
        return False


class MitbihSettings(_DatasetSettings):
    """Beats of the MIT-BIH Arrhythmia Database after Kachuee et al. (2018)."""

    name: Literal["mitbih"] = "mitbih"


class _ScaledSettings(_DatasetSettings):
    """Datasets whose values have no range of their own."""

    scaling: Literal["training", "sample", "none"] = Field(
        default="training",
        description="to [0, 1] by minimum and maximum: 'training' takes those of a fold's "
        "training samples, so that others may leave [0, 1]; 'sample' each sample's own; "
        "'none' takes values as they are, which must be in [0, 1]",
    )

    @property
    def scaled_by_fold(self) -> bool:
        """Whether values are to be scaled with limits of a fold's training samples."""
        return self.scaling == "training"


class UcrSettings(_ScaledSettings):
    """Files in the form of the UCR archive: a row per sample, its label first."""

    name: Literal["ucr"] = "ucr"
    path: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        min_length=1,
        description="one file or several, which are joined in this order; relative paths are "
        "looked for in the data folder, then in the current folder",
    )
    normal_labels: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        min_length=1,
        description="labels of normal samples; those that are numbers are compared as numbers, "
        "so that 1, '1' and 1.0 are one label",
    )


class WaferSettings(_ScaledSettings):
    """CMU Wafer (Olszewski 2001), both files; label 1 is normal, -1 abnormal."""

    name: Literal["wafer"] = "wafer"


class SyntheticSettings(_DatasetSettings):
    """Heartbeats generated after McSharry et al. (2003)."""

    name: Literal["synthetic"] = "synthetic"
    patients: int = Field(
        default=8,
        ge=1,
        le=10_000,
        description="number of patients, each with a morphology of its own; 1 to 10000",
    )
    beats_per_patient: int = Field(
        default=120, ge=1, le=100_000, description="beats of each patient; 1 to 100000"
    )
    abnormal_fraction: float = Field(
        default=0.2,
        ge=0.0,
        le=1.0,
        description="share of each patient's beats that is abnormal; 0 to 1",
    )


DatasetSettings = Annotated[
    MitbihSettings | UcrSettings | WaferSettings | SyntheticSettings,
    Field(discriminator="name"),
]

Protocol = Literal["paper", "kfold", "inter_patient"]


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
