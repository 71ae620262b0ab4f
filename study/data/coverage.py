"""How much signal samples cover: what false alarms are counted by."""

import numpy as np
import numpy.typing as npt

from study.data.samples import Samples


def covered_seconds(
    samples: Samples, members: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64] | None:
    """Return the seconds of its record that each of `members` covers, and none before it does.

    Windows overlap, so that their lengths add up to more than there is signal. What several
    members cover is counted for the one that begins first: the sum over members of a record
    is the length of the union of their windows.

    Returns:
        `(m,)`, 0 for a window that others cover, nan where a sample has no window; None if the
        rate that windows count in is unknown.
    """
    if not samples.sampling_rate_hz:
        return None
    start, extent = samples.start[members], samples.extent[members]
    record = np.unique(samples.record[members], return_inverse=True)[1]
    known = (samples.record[members] != "") & (start >= 0)
    # Records are laid end to end on one line, so that windows of two never meet.
    begin = record * int((start + extent).max(initial=0)) + start
    end = begin + extent
    order = np.flatnonzero(known)
    order = order[np.lexsort((end[order], begin[order]))]
    covered = np.maximum.accumulate(end[order])
    before = np.concatenate([begin[order][:1], covered[:-1]])
    seconds = np.full(len(members), np.nan)
    new = covered - np.maximum(before, begin[order])
    seconds[order] = np.maximum(new, 0) / samples.sampling_rate_hz
    return seconds
