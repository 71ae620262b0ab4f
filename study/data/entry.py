"""What the table of datasets holds of each, and the settings that all of them share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from study.data.resampling import FloatArray, interpolate_rows
from study.data.samples import Samples
from study.settings import Settings

if TYPE_CHECKING:
    from study.data.fetch import Progress

UNKNOWN = -1
"""Stands for a label that nobody knows."""


class BaseDatasetSettings(Settings):
    """What every dataset can be set to.

    Each class has the dataset's name as `name: Literal["..."] = "..."`, by which a study
    file says which of them it means.

    `searchable` names settings, by their keys in it, that change how samples are made and never
    what they are of: a search can have them, and its trials are compared on the same samples.
    """

    searchable: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:  # each class has its own, in its own place among its fields
        name: str = ""

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
        "drawn from the study's seed; at least 1; null keeps all, as windows of recordings need",
    )

    @model_validator(mode="after")
    def _series_are_whole(self) -> Self:
        if self.is_series and self.limit is not None:
            raise ValueError(
                "limit must be null where samples are windows of recordings, for points between"
                " those that are kept would have no score: set a longer stride, or read fewer"
                " recordings"
            )
        return self

    @property
    def scaled_by_fold(self) -> bool:
        """Whether values are to be scaled with limits of a fold's training samples."""
        return False

    @property
    def is_series(self) -> bool:
        """Whether samples are windows of long recordings, whose points are scored as well."""
        return False

    @property
    def unlike_published(self) -> str:
        """How samples differ from those of publications, in words; "" if they do not."""
        return ""

    @property
    def leaves_out_neighbours(self) -> bool:
        """Whether normals with an abnormal neighbour in their window are left out of training."""
        return False

    @property
    def component_names(self) -> tuple[str, ...]:
        """Names of the error components that come with the samples; see `Samples.components`."""
        return ()

    def beside(self, folder: Path) -> Self:
        """Return the same with files that lie in a folder, the study file's, named by it."""
        del folder
        return self

    def without_replaced(self, replaced: Mapping[str, Any]) -> dict[str, Any]:
        """Return plain settings, without what follows from those that are to be replaced.

        Args:
            replaced: the new values, by keys in these settings, such as `window.name`.
        """
        del replaced
        return self.model_dump(mode="json", by_alias=True)

    def labels_of(self, written: npt.NDArray[np.str_]) -> npt.NDArray[np.int8]:
        """Return `(n,)` 0 normal, 1 abnormal, -1 unknown, of labels as the source writes them."""
        return np.full(len(written), UNKNOWN, dtype=np.int8)

    @property
    def row_width(self) -> int | None:
        """Width of the dataset's own rows before they are brought to `length`; None if none."""
        return None


class ScaledDatasetSettings(BaseDatasetSettings):
    """What datasets can be set to whose values have no range of their own."""

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


@dataclass(frozen=True)
class DatasetEntry:
    """An entry of the table of datasets.

    Attributes:
        settings: the class of its settings.
        description: one line for listings.
        sources: from settings, data folder and a folder for digests that are kept, the name
            and sha256 (hex) of each source file.
        prepare: from settings, data folder and the study's seed, the samples.
        check: from settings and data folder, a line on each file that is right.
        fetch: from data folder, a URL in place of the published one and a progress callback,
            lines on what was downloaded; or a line that says why there is nothing to fetch.
        seeded: whether the samples depend on the study's seed.
        left_out: kinds of samples that are often left out of evaluations; metrics are
            reported with and without each.
        records_apart: of a dataset whose kinds are the classes N, S, V, F and Q of AAMI EC57,
            records that hold most beats of one, so that clinical tables are made without each
            as well; None for other datasets, which have no such tables.
        record_rate_hz: sampling rate of the records whose heartbeats are the samples; None
            where samples are no heartbeats of records.
        fit_rows: how rows of another width are brought to the length of a sample.
    """

    settings: type[BaseDatasetSettings]
    description: str
    sources: Callable[[Any, Path, Path | None], list[tuple[str, str]]]
    prepare: Callable[[Any, Path, int], Samples]
    check: Callable[[Any, Path], list[str]]
    fetch: Callable[[Path, str | None, "Progress"], list[str]] | str
    seeded: bool = False
    left_out: tuple[str, ...] = ()
    records_apart: tuple[str, ...] | None = None
    record_rate_hz: int | None = None
    fit_rows: Callable[[FloatArray, int], FloatArray] = interpolate_rows
