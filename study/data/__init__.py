"""Datasets: from files on disk, or from a seed, to samples."""

import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from models.extensions import extended
from study.data.entry import DatasetEntry
from study.data.samples import ARRAYS, Samples
from study.errors import RequestError
from study.storage.cache_folder import prepared_folder, user_cache

if TYPE_CHECKING:
    from study.data.settings import DatasetSettings


def _entry(module: str) -> DatasetEntry:
    """Return the entry in a dataset's module."""
    entry: DatasetEntry = import_module(module).ENTRY
    return entry


DATASETS: dict[str, DatasetEntry] = {
    "mitbih": _entry("study.data.mitbih"),
    "wafer": _entry("study.data.wafer"),
    "ucr": _entry("study.data.ucr"),
    "synthetic": _entry("study.data.synthetic"),
    "table": _entry("study.data.table"),
    "series": _entry("study.data.series"),
}
DATASETS = extended(DATASETS, "study.datasets", DatasetEntry)


def dataset(name: str) -> DatasetEntry:
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
    settings: "DatasetSettings", data_folder: Path, seed: int, cache_folder: Path | None = None
) -> Samples:
    """Return the samples of a dataset, prepared now or read from the cache.

    Arrays are read-only; see `load_all`.

    Args:
        settings: the dataset and its settings.
        data_folder: where its files are.
        seed: the study's seed, for `limit` and for generated data.
        cache_folder: where prepared samples are kept; None is `prepared_folder()`. If it
            cannot be written, nothing is kept.

    Raises:
        RequestError: a file or a setting is missing or wrong.
    """
    return limited(load_all(settings, data_folder, seed, cache_folder), settings, seed)


def load_all(
    settings: "DatasetSettings", data_folder: Path, seed: int, cache_folder: Path | None = None
) -> Samples:
    """Return all samples of a dataset, whatever its `limit`; arguments as of `load`.

    Sources are verified every time; unchanged size and times spare the hashing.

    Raises:
        RequestError: a file or a setting is missing or wrong.
    """
    from study.data.cache import entry_key, read_entry, write_entry

    entry = dataset(settings.name)
    folder = prepared_folder(cache_folder)
    sources = entry.sources(settings, data_folder, folder)
    key = entry_key(settings.model_dump(mode="json"), sources, seed if entry.seeded else None)
    samples = read_entry(folder, key)
    if samples is None:
        samples = entry.prepare(settings, data_folder, seed)
        write_entry(folder, key, samples)
    return samples


def limited(samples: Samples, settings: "DatasetSettings", seed: int) -> Samples:
    """Return as many samples as a dataset is limited to, read-only, `clean` as it says."""
    from study.data.assembly import stratified_subset

    subset = stratified_subset(samples, settings.limit, seed)
    subset = replace(subset, clean=settings.leaves_out_neighbours)
    for array in (*(getattr(subset, name) for name in ARRAYS), *subset.components.values()):
        array.setflags(write=False)
    return subset
