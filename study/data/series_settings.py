"""Settings of long recordings that are cut into windows."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from study.data.entry import ScaledDatasetSettings
from study.data.tables.form import Column
from study.settings import Settings, Texts

Part = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)]


class BeatSymbols(Settings):
    """Which annotations of a database mark normal beats, and which abnormal ones."""

    normal: Texts = Field(("N",), description="symbols of normal beats")
    abnormal: Texts = Field(min_length=1, description="symbols of abnormal beats")


class WfdbSettings(Settings):
    """WFDB records of any database, whose annotated beats are the labels."""

    folder: str = Field(description="folder of the records, all of which are read")
    beats: BeatSymbols = Field(description="what its annotations mean; others mark no beat")
    annotator: str = Field("atr", description="extension of the annotation files")


class SeriesSettings(ScaledDatasetSettings):
    """Long recordings, cut into windows."""

    searchable: ClassVar[tuple[str, ...]] = ("scaling",)

    name: Literal["series"] = "series"
    path: Texts = Field(
        (),
        description="files, or patterns such as 'plant/*.csv', a recording each; relative ones are "
        "looked for beside the study file, in the data folder, and in the current folder",
    )
    wfdb: WfdbSettings | None = Field(None, description="WFDB records, in place of path")
    label: Column | None = Field(
        None,
        description="column of the points' labels, 0 normal, by name or position; null takes one "
        "called label, is_anomaly or the like, or the name that a benchmark gave the file",
    )
    time: Column | None = Field(
        None, description="column that is no channel; null takes one called time, date or the like"
    )
    channels: tuple[str, ...] | None = Field(
        None, description="columns that are channels; null takes all that are left"
    )
    events: str | None = Field(
        None,
        description="JSON file of abnormal stretches by recording, {name: [[first, last], ...]}, "
        "positions from 0 or times, as NAB's combined_windows.json; a recording without an entry "
        "has none",
    )
    normal_until: Part | None = Field(
        None,
        description="how much at the beginning of each recording is known to be normal and trains "
        "under protocol time: points, or a share below 1; null takes what a benchmark's file name "
        "says",
    )
    validate_until: Part | None = Field(
        None,
        description="up to where what follows validates, likewise, and what follows that tests; "
        "null tests on all of it",
    )
    stride: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="points from one window to the next, at most length; null takes an eighth of "
        "length",
    )
    rate_hz: float = Field(
        0.0, ge=0, le=1e9, description="points a second, for false alarms a day; 0 if unknown"
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.path) == (self.wfdb is not None):
            raise ValueError("path or wfdb must be given, and not both")
        unread = [name for name in ("events", "label", "time") if getattr(self, name) is not None]
        if self.wfdb and unread:
            raise ValueError(
                f"{unread[0]} must be left out beside wfdb, for labels of records are their"
                " annotations"
            )
        return self

    @model_validator(mode="after")
    def _channels_differ(self) -> Self:
        names = self.channels or ()
        if len(set(names)) < len(names):
            raise ValueError(f"channels must be different ones, found {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _windows_leave_no_point_out(self) -> Self:
        if self.step > self.length:
            raise ValueError(
                f"stride must be at most length, {self.length}, for points between two windows"
                f" would have no score; found {self.step}"
            )
        return self

    def beside(self, folder: Path) -> Self:
        """Return the same with the files that are in a folder named by their whole paths."""
        whole: dict[str, Any] = {"path": tuple(_in_folder(item, folder) for item in self.path)}
        if self.events:
            whole |= {"events": _in_folder(self.events, folder)}
        if self.wfdb:
            records = _in_folder(self.wfdb.folder, folder)
            whole |= {"wfdb": self.wfdb.model_copy(update={"folder": records})}
        return self.model_copy(update=whole)

    @property
    def step(self) -> int:
        """Points from one window to the next."""
        return self.stride or self.length // 8

    @property
    def is_series(self) -> bool:
        """That samples are windows of long recordings, whose points are scored."""
        return True


def _in_folder(item: str, folder: Path) -> str:
    """Return a file, a folder or a pattern as it is in `folder`, if it is there."""
    own = folder / item
    is_there = own.exists() or (item and own.parent.is_dir() and any(own.parent.glob(own.name)))
    return str(own) if is_there else item
