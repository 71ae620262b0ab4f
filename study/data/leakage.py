"""What test samples share with those that train and validate: a gate before training.

Samples of one recording are not independent: beats are cut in windows longer than the
time to the next beat, and a person's beats are alike. Only `inter_patient` keeps people
apart; the other protocols divide as the paper does, and what that lets through is counted.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from study.data.samples import Samples
from study.data.splits import PARTS, Fold, Index, Splits
from study.data.windows import on_one_line, overlap
from study.errors import RequestError

_PAIRS = (PARTS[:2], PARTS[::2], PARTS[1:])
_UNKNOWN = -1


@dataclass(frozen=True)
class Leakage:
    """What a fold's test samples share with those that train, which are normal, or validate.

    Attributes:
        records_in_training: test samples of a record that training samples are of, too;
            samples of no known record are not counted.
        windows_overlapping_training: test samples whose window has a position in common
            with the window of a training sample of their record.
        duplicates_of_training: test samples whose values are those of a training sample,
            byte for byte.
        windows_overlapping_validation: test samples whose window has a position in common
            with the window of a validation sample of their record, by which thresholds,
            weights and epochs are chosen; null if it was not counted.
    """

    records_in_training: int
    windows_overlapping_training: int
    duplicates_of_training: int
    windows_overlapping_validation: int | None = None


def count_leakage(samples: Samples, fold: Fold) -> Leakage:
    """Count what the test samples of `fold` share with its other samples."""
    return _count(_Keys.of(samples), fold)


def refuse_leakage(samples: Samples, splits: Splits) -> tuple[Leakage, ...]:
    """Count what test shares with the rest in every fold, if no fold shares what it must not.

    No two parts of a fold share a sample, or two samples of the same window; of long recordings
    they share no point of time. Under `inter_patient` and `series` they share no record and no
    patient. What is unknown of two samples is
    taken for the same patient or record, for nothing shows that it is not.

    Raises:
        RequestError: two parts of a fold share one of these.
    """
    keys = _Keys.of(samples)
    for number, fold in enumerate(splits.folds):
        _refuse_samples(samples, keys, fold, f"split: fold {number}")
        where = f"split.protocol {splits.protocol}: fold {number}"
        if samples.events:
            _refuse_overlap(keys, fold, where)
        if splits.protocol in ("inter_patient", "series"):
            _refuse_people(samples, keys, fold, where)
    return tuple(_count(keys, fold) for fold in splits.folds)


def count_abnormal_neighbours(samples: Samples, splits: Splits) -> tuple[int, ...]:
    """Count the training samples of each fold whose window holds an abnormal sample.

    They are normal themselves, and teach a model what is not: `dataset.clean` leaves them out.
    """
    neighbours = samples.abnormal_neighbour
    return tuple(int(neighbours[fold.training].sum()) for fold in splits.folds)


@dataclass(frozen=True)
class _Keys:
    """Integers `(n,)` that are equal where two samples are equal in something.

    Attributes:
        record: of the record; unknown records are equal.
        recorded: whether the record is known.
        patient: of the patient; unknown patients are equal.
        values: of the values, byte for byte.
        window: of the window; -1 if it is unknown.
        begin: first position of the window, all records laid end to end on one line so
            that windows of two records never meet; -1 if it is unknown.
        end: the position after its last.
    """

    record: Index
    recorded: npt.NDArray[np.bool_]
    patient: Index
    values: Index
    window: Index
    begin: Index
    end: Index

    @classmethod
    def of(cls, samples: Samples) -> Self:
        record, recorded = _numbered(samples.record), samples.record != ""
        has_window = recorded & (samples.start >= 0) & (samples.extent > 0)
        begin, end = on_one_line(samples)
        begin = np.where(has_window, begin, _UNKNOWN)
        # Windows that would begin before their record all begin with it, and differ in length.
        longest = int(samples.extent.max(initial=0))
        window = np.where(has_window, begin * (longest + 1) + samples.extent, _UNKNOWN)
        return cls(
            record=record,
            recorded=recorded,
            patient=_numbered(samples.patient),
            values=_numbered_rows(samples.values),
            window=window,
            begin=begin,
            end=end,
        )


def _numbered(names: npt.NDArray[np.str_]) -> Index:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _numbered_rows(values: npt.NDArray[np.float32]) -> Index:
    """Number rows by their bytes, exactly: a hash table, not hashes instead of the rows."""
    numbers: dict[bytes, int] = {}
    rows = (row.tobytes() for row in values)
    return np.fromiter((numbers.setdefault(row, len(numbers)) for row in rows), np.int64)


def _count(keys: _Keys, fold: Fold) -> Leakage:
    shared = np.isin(keys.record[fold.test], keys.record[fold.training])
    copied = np.isin(keys.values[fold.test], keys.values[fold.training])
    return Leakage(
        records_in_training=int((shared & keys.recorded[fold.test]).sum()),
        windows_overlapping_training=_count_overlapping(keys, fold.test, fold.training),
        duplicates_of_training=int(copied.sum()),
        windows_overlapping_validation=_count_overlapping(keys, fold.test, fold.validation),
    )


def _count_overlapping(keys: _Keys, tested: Index, others: Index) -> int:
    test, other = (_without_unknown(keys.begin, members) for members in (tested, others))
    shared = overlap(keys.begin[test], keys.end[test], keys.begin[other], keys.end[other])
    return int(shared.sum())


def _refuse_samples(samples: Samples, keys: _Keys, fold: Fold, where: str) -> None:
    same = _first_shared(np.arange(len(samples)), fold)
    if same:
        raise RequestError(
            f"{where}: sample {same.first} is in {same.parts}; a sample must be in one part"
            " only: draw the folds again"
        )
    same = _first_shared(keys.window, fold)
    if same:
        raise RequestError(
            f"{where}: samples {same.first} and {same.second} are the same window of record"
            f" {str(samples.record[same.first])!r}, from {samples.start[same.first]}, and are in"
            f" {same.parts}; leave one of them out of the dataset"
        )


def _refuse_overlap(keys: _Keys, fold: Fold, where: str) -> None:
    for one, other in _PAIRS:
        shared = _count_overlapping(keys, getattr(fold, one), getattr(fold, other))
        if shared:
            raise RequestError(
                f"{where}: {shared} windows in {one} overlap windows in {other}; use split.protocol"
                " time or series, or windows that share no point: dataset.stride as dataset.length"
                " is, and recordings, and their parts, of a multiple of so many points"
            )


def _refuse_people(samples: Samples, keys: _Keys, fold: Fold, where: str) -> None:
    for what in ("record", "patient"):
        same = _first_shared(getattr(keys, what), fold)
        if same:
            name = str(getattr(samples, what)[same.first])
            raise RequestError(
                f"{where}: {what} {name!r} is in {same.parts} (samples"
                f" {same.first} and {same.second}); give all of it one patient and one side, or use"
                " paper or kfold"
            )


@dataclass(frozen=True)
class _Shared:
    """A sample in each of two parts that are one in what parts must not share."""

    parts: str
    first: int
    second: int


def _first_shared(key: Index, fold: Fold) -> _Shared | None:
    """Return the first two samples of equal `key` in two parts, None if there are none."""
    for one, other in _PAIRS:
        here, there = (_without_unknown(key, getattr(fold, part)) for part in (one, other))
        both = np.intersect1d(key[here], key[there])
        if len(both):
            first, second = (int(part[key[part] == both[0]][0]) for part in (here, there))
            return _Shared(f"{one} and in {other}", first, second)
    return None


def _without_unknown(key: Index, members: Index) -> Index:
    identified: Index = members[key[members] != _UNKNOWN]
    return identified
