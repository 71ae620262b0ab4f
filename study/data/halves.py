"""Halves of samples, one for validation and one for test, with as much of each class in both."""

import numpy as np
import numpy.typing as npt

from study.data.samples import Samples
from study.errors import RequestError

Index = npt.NDArray[np.int64]


def halve(samples: Samples, members: Index, random: np.random.Generator) -> tuple[Index, Index]:
    """Halve `members`, stratified by class; the halves of a class differ by one at most.

    Classes with a single member are halved together, those of normals and those of others; where
    there is one such class, its member is halved with the most frequent class of its label.

    Args:
        samples: all samples.
        members: `(n,)` which of them are halved.
        random: draws the halves.

    Raises:
        RequestError: a label has one member alone, which cannot be in both.
    """
    from sklearn.model_selection import train_test_split

    if not len(members) and not samples.label.any():
        return members, members
    strata = _strata(samples.kind[members], samples.label[members])
    if len(members) < 2 or np.unique(strata, return_counts=True)[1].min() < 2:
        raise RequestError(
            "split: fewer than two samples of one label, normal or abnormal, are outside training,"
            " so that it cannot be in both validation and test; add samples, or raise"
            " dataset.limit if it is set"
        )
    first, second = train_test_split(
        members,
        test_size=0.5,
        stratify=strata,
        random_state=int(random.integers(2**32)),
    )
    return first, second


def _strata(kind: npt.NDArray[np.str_], label: npt.NDArray[np.int8]) -> Index:
    """Return numbers `(n,)` of the classes, those with a single member joined by label."""
    _, strata, counts = np.unique(kind, return_inverse=True, return_counts=True)
    is_single = counts[strata] == 1
    for value in (0, 1):
        single, others = (
            np.flatnonzero((label == value) & is_in) for is_in in (is_single, ~is_single)
        )
        if len(single) == 1 and len(others):
            strata[single] = np.bincount(strata[others]).argmax()
        elif len(single):
            strata[single] = strata[single[0]]
    return np.asarray(strata, dtype=np.int64)
