"""Folds of windows of long recordings: by time within each, or by whole recordings.

Windows overlap their neighbours, so that none is dealt by itself: parts are stretches of time, and
what would overlap another part is left out of training.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from study.data.samples import Samples
from study.data.windows import on_one_line, overlap
from study.errors import RequestError
from study.randomness import stream_seed

Index = npt.NDArray[np.int64]
Parts = tuple[Index, Index, Index]
"""Members of training, validation and test."""

FEWEST_GROUPS = 3
"""Of recordings: one trains, one validates and one tests."""


def by_time(samples: Samples, groups: int) -> Iterator[Parts]:
    """Yield parts of which each validates with another stretch of the normal beginnings.

    The normal beginning of each recording is cut into as many stretches as there are groups. One
    validates, together with what is labelled for validation; the others train, without windows
    that overlap it. All that follows tests.

    Args:
        samples: windows; their side says what of its recording each is.
        groups: stretches, at least 2.

    Raises:
        RequestError: no recording has a normal beginning and something after it.
    """
    own, later, test = (
        np.flatnonzero(samples.side == side) for side in ("train", "validation", "test")
    )
    if not samples.events or not len(own) or not len(test):
        raise RequestError(
            "split.protocol: time needs recordings (dataset series) whose beginning is known to be"
            " normal and which go on after it; set dataset.normal_until, or use series"
        )
    own = own[samples.label[own] == 0]
    begin, end = on_one_line(samples)
    stretch = np.empty(len(own), dtype=np.int64)
    for record in np.unique(samples.record[own]):
        members = np.flatnonzero(samples.record[own] == record)
        rank = np.argsort(np.argsort(samples.start[own[members]]))
        stretch[members] = rank * groups // len(members)
    for number in range(groups):
        held, rest = own[stretch == number], own[stretch != number]
        apart = ~overlap(begin[rest], end[rest], begin[held], end[held])
        yield rest[apart], np.concatenate([held, later]), test


def by_series(samples: Samples, folds: int, seed: int) -> Iterator[Parts]:
    """Yield parts of whole recordings: one group tests, the next one validates, the others train.

    Recordings are dealt into as many groups as there are folds, three at least, those with
    abnormal points first, so that groups have as many of them as can be. Of a recording that trains
    only the beginning is taken that is known to be normal, if that is known.

    Args:
        samples: windows.
        folds: how many are wanted.
        seed: of the dealing.

    Raises:
        RequestError: there are fewer recordings than groups.
    """
    records = np.unique(samples.record)
    groups = max(folds, FEWEST_GROUPS)
    if not samples.events or len(records) < groups:
        count = len(records) if samples.events else 0
        raise RequestError(
            f"split.protocol: series needs at least {groups} recordings (dataset series) for"
            f" {folds} folds, found {count}; use fewer folds, or time"
        )
    random = np.random.default_rng(stream_seed(seed, "series"))
    has_events = np.isin(records, samples.record[samples.label == 1])
    dealt = np.concatenate([random.permutation(records[has]) for has in (has_events, ~has_events)])
    group_of = {str(record): k % groups for k, record in enumerate(dealt)}
    group = np.array([group_of[record] for record in samples.record.tolist()])
    normal = (samples.label == 0) & np.isin(samples.side, ("train", ""))
    for number in range(folds):
        tests, validates = group == number, group == (number + 1) % groups
        trains = ~tests & ~validates & normal
        yield np.flatnonzero(trains), np.flatnonzero(validates), np.flatnonzero(tests)
