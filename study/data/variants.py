"""Variants of a dataset: the same samples, made with other settings.

A search may choose how samples are made: with which window, relative to what, from which leads. Its
trials are compared all the same, since every variant has the same samples of the same people in
one order. A sample is known by its record and its position in it, whatever its window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.data import limited, load, load_all
from study.data.assembly import content_hash
from study.data.samples import Samples
from study.data.settings import DatasetSettings
from study.errors import RequestError

Index = npt.NDArray[np.int64]

OF_THE_SAMPLE = ("label", "kind", "symbol", "record", "patient", "side")
"""What all variants say of a sample alike, so that they are divided alike."""


@dataclass(frozen=True)
class Variants:
    """Samples of every variant: the same ones, in the same order.

    Attributes:
        settings: the dataset of each variant; at least one.
        samples: of each.
        left_out: samples that are left out because not every variant has them.
    """

    settings: tuple[DatasetSettings, ...]
    samples: tuple[Samples, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.settings)

    def of(self, dataset: DatasetSettings) -> Samples:
        """Return the samples of a trial's dataset."""
        return self.samples[variant_number(dataset, self.settings)]

    @property
    def size(self) -> int:
        """Bytes that the values of all variants take."""
        return sum(each.values.nbytes for each in self.samples)


def variant_number(dataset: DatasetSettings, variants: Sequence[DatasetSettings]) -> int:
    """Return which of a study's variants a trial's dataset is; of one alone it is that."""
    return variants.index(dataset) if len(variants) > 1 else 0


def load_variants(
    settings: Sequence[DatasetSettings],
    data_folder: Path,
    seed: int,
    cache_folder: Path | None = None,
) -> Variants:
    """Return every variant of a dataset, with those samples that all of them have.

    The limit of the dataset is drawn from these. Where all have all samples, each variant is what
    `load` returns of it.

    Args:
        settings: of the variants, at least one.
        data_folder: as of `load`.
        seed: as of `load`.
        cache_folder: as of `load`.

    Raises:
        RequestError: as of `load`; or it is not known which samples are the same, or others are to
            train in each variant.
    """
    if len(settings) == 1:
        return Variants(tuple(settings), (load(settings[0], data_folder, seed, cache_folder),))
    whole = [load_all(each, data_folder, seed, cache_folder) for each in settings]
    common, left_out = in_common(whole)
    samples = tuple(limited(each, own, seed) for each, own in zip(common, settings, strict=True))
    for each in samples[1:]:
        _refuse_other_neighbours(samples[0], each)
    return Variants(tuple(settings), samples, left_out)


def in_common(variants: Sequence[Samples]) -> tuple[list[Samples], int]:
    """Return those samples that all variants have, in the order of the first one.

    A variant of which nothing is left out, and whose order is that already, is returned as it is.

    Returns:
        The samples of each variant, and how many are left out that only some have.

    Raises:
        RequestError: a variant has two samples at one position, or does not say where they are; or
            variants have no sample in common, or say different things of one.
    """
    keys = _keys(variants)
    shared = keys[0]
    for key in keys[1:]:
        shared = shared[np.isin(shared, key)]
    if not len(shared):
        raise RequestError("search.space: no sample is in all variants of the dataset")
    taken = [_taken(each, key, shared) for each, key in zip(variants, keys, strict=True)]
    for other in taken[1:]:
        _refuse_difference(taken[0], other)
    return taken, len(np.unique(np.concatenate(keys))) - len(shared)


def _keys(variants: Sequence[Samples]) -> list[Index]:
    """Return a number `(n,)` for each sample of each variant, which is its record and position."""
    records = np.unique(np.concatenate([np.unique(each.record) for each in variants]))
    furthest = max(int(each.position.max(initial=0)) for each in variants)
    keys = []
    for each in variants:
        if (each.position < 0).any():
            raise RequestError(
                "search.space: settings of this dataset cannot be searched: its samples do not say"
                " where in their records they are (`position` of build_samples)"
            )
        key = np.searchsorted(records, each.record) * (furthest + 1) + each.position
        if len(np.unique(key)) < len(key):
            raise RequestError(
                "search.space: settings of this dataset cannot be searched: two of its samples are"
                " at the same position of one record"
            )
        keys.append(key.astype(np.int64))
    return keys


def _taken(samples: Samples, key: Index, shared: Index) -> Samples:
    """Return the samples whose keys are `shared`, in its order; fewer have a hash of their own."""
    if np.array_equal(key, shared):
        return samples
    order = np.argsort(key)
    taken = samples.take(order[np.searchsorted(key, shared, sorter=order)])
    return replace(taken, content_hash=content_hash(taken))


def _refuse_other_neighbours(first: Samples, other: Samples) -> None:
    differ = (first.abnormal_neighbour != other.abnormal_neighbour)[first.label == 0]
    if first.clean and differ.any():
        raise RequestError(
            "search.space: with dataset.clean each window leaves other normals out of training"
            f" ({differ.sum()} here), and trials must train on the same ones; set it to false, or"
            " run a study for each window"
        )


def _refuse_difference(first: Samples, other: Samples) -> None:
    windows = ("start", "extent") if first.events or other.events else ()
    for name in (*OF_THE_SAMPLE, *windows):
        one, two = getattr(first, name), getattr(other, name)
        if not np.array_equal(one, two):
            at = int(np.flatnonzero(one != two)[0])
            raise RequestError(
                f"search.space: variants of the dataset must say the same of each sample, not"
                f" {name} {one[at]!s} and {two[at]!s} at position {first.position[at]} of record"
                f" {str(first.record[at])!r}"
            )
