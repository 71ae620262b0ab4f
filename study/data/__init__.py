"""Datasets: from files on disk, or from a seed, to samples."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.data.settings import (
    DatasetSettings,
    MitbihSettings,
    SyntheticSettings,
    UcrSettings,
    WaferSettings,
)
from study.errors import RequestError
from study.storage.cache_folder import prepared_folder, user_cache

if TYPE_CHECKING:
    from study.data.samples import Samples


@dataclass(frozen=True)
class Dataset:
    """What the platform knows of a dataset before it loads anything.

    Attributes:
        settings: class of its settings.
        description: one line.
        module: module with `sources`, `prepare`, `check` and `fetch`, imported on use.
        seeded: whether its samples depend on the study's seed.
        left_out: kinds of samples that are often left out of evaluations; metrics are
            given with and without each.
    """

    settings: type[MitbihSettings | UcrSettings | WaferSettings | SyntheticSettings]
    description: str
    module: str
    seeded: bool = False
    left_out: tuple[str, ...] = ()

    def function(self, name: str) -> Callable[..., Any]:
        """Return the function `name` of the dataset's module."""
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        return function


DATASETS = {
    "mitbih": Dataset(
        MitbihSettings,
        "109,446 heartbeats of 47 people, AAMI classes",
        "study.data.mitbih",
        left_out=("Q",),  # paced and unclassifiable beats
    ),
    "wafer": Dataset(WaferSettings, "7,164 process signals of silicon wafers", "study.data.wafer"),
    "ucr": Dataset(
        UcrSettings, "files of your own in the UCR archive's form, by path", "study.data.ucr"
    ),
    "synthetic": Dataset(
        SyntheticSettings,
        "generated heartbeats, four abnormal kinds, no download",
        "study.data.synthetic",
        seeded=True,
    ),
}


def dataset(name: str) -> Dataset:
    """Return the dataset called `name`.

    Raises:
        RequestError: there is none; the message names the valid ones.
    """
    if name not in DATASETS:
        raise RequestError(
            f"dataset.name: expected one of {', '.join(DATASETS)}, found {name!r}: choose one"
        )
    return DATASETS[name]


def data_folder(option: str | None) -> Path:
    """Return where datasets are: `option`, else STUDY_DATA_DIR, else a cache folder."""
    chosen = option or os.environ.get("STUDY_DATA_DIR")
    return Path(chosen).expanduser() if chosen else user_cache() / "data"


def load(
    settings: DatasetSettings, data_folder: Path, seed: int, cache_folder: Path | None = None
) -> "Samples":
    """Return the samples of a dataset, prepared now or read from the cache.

    Sources are verified every time; unchanged size and times spare the hashing. Arrays
    are read-only.

    Args:
        settings: the dataset and its settings.
        data_folder: where its files are.
        seed: the study's seed, for `limit` and for generated data.
        cache_folder: where prepared samples are kept; None is `prepared_folder()`. If it
            cannot be written, nothing is kept.

    Raises:
        RequestError: a file or a setting is missing or wrong.
    """
    from study.data.assembly import ARRAYS, stratified_subset
    from study.data.cache import entry_key, read_entry, write_entry

    entry = dataset(settings.name)
    folder = prepared_folder(cache_folder)
    sources = entry.function("sources")(settings, data_folder, folder)
    key = entry_key(settings.model_dump(mode="json"), sources, seed if entry.seeded else None)
    samples = read_entry(folder, key)
    if samples is None:
        samples = entry.function("prepare")(settings, data_folder, seed)
        write_entry(folder, key, samples)
    subset: Samples = stratified_subset(samples, settings.limit, seed)
    for name in ARRAYS:
        getattr(subset, name).setflags(write=False)
    return subset
