"""Error components of beats that no model gives: from time, and from the patient's own beats.

No label is read. A beat that is early, that a pause follows, or that differs from what the
patient's beats usually look like, is more likely abnormal; see de Chazal, O'Dwyer, Reilly (2004)
for R-R intervals, and AAMI EC57 for what a device may learn of a patient.
"""

import numpy as np

from study.data.amplitude import learning
from study.data.beat_settings import Reference
from study.data.resampling import FloatArray, IntArray

INTERVALS_BEFORE = 10
MOST_TEMPLATE_BEATS = 10_000
"""Beats of which a median beat is taken at most, evenly over the record: it is held in memory."""


def patient_components(
    position: IntArray, rate_hz: float, reference: Reference, values: FloatArray
) -> dict[str, FloatArray]:
    """Return the error components of all beats but the last one, `(m - 1,)` each.

    Args:
        position: `(m,)` ascending R peaks, m >= 2.
        rate_hz: rate that they are counted in.
        reference: the record, or its first minutes.
        values: `(m - 1, length)` the beats, or `(m - 1, leads, length)`.
    """
    template = median_beat(values[template_members(position, rate_hz, reference)])
    distance = {"template_distance": template_distance(values, template)}
    return timing_components(position, rate_hz, reference) | distance


def timing_components(
    position: IntArray, rate_hz: float, reference: Reference
) -> dict[str, FloatArray]:
    """Return those that follow from the R peaks alone; arguments as of `patient_components`."""
    return {
        "prematurity": prematurity(position),
        "pause": pause(position, rate_hz, reference),
    }


def prematurity(position: IntArray) -> FloatArray:
    """Return how early each beat but the last one comes, `(m - 1,)`, below 1; causal.

    1 - RR / median of the ten intervals before: 0 is on time, 0.3 is 30 % early, and a late
    beat is below 0. At a record's beginning the median is of the intervals that there are; the
    first two beats, which have none before theirs, count as on time.

    Args:
        position: `(m,)` ascending R peaks, m >= 2.
    """
    intervals = np.diff(position).astype(np.float64)
    early = np.zeros(len(intervals))
    if len(intervals) > 2:
        padded = np.concatenate([np.full(INTERVALS_BEFORE, np.nan), intervals[:-1]])
        before = np.lib.stride_tricks.sliding_window_view(padded, INTERVALS_BEFORE)
        early[2:] = 1 - intervals[1:-1] / np.nanmedian(before[1:-1], axis=1)
    return early


def pause(position: IntArray, rate_hz: float, reference: Reference) -> FloatArray:
    """Return how much longer than usual the interval after each beat is, `(m - 1,)`, above -1.

    The interval over the median of the record's, or of those that end in its first minutes,
    less 1. Not causal: it is known when the next beat comes.

    Args:
        position: `(m,)` ascending R peaks, m >= 2.
        rate_hz: rate that they are counted in.
        reference: the record, or its first minutes.
    """
    intervals = np.diff(position).astype(np.float64)
    learned = learning(position, rate_hz, reference)[1:]
    learned[0] = True
    return np.asarray(intervals / np.median(intervals[learned]) - 1)


def template_members(position: IntArray, rate_hz: float, reference: Reference) -> IntArray:
    """Return which beats the patient's median beat is taken of, at most 10,000.

    Args:
        position: `(m,)` ascending R peaks, m >= 2; the last beat is never one of them.
        rate_hz: rate that they are counted in.
        reference: the record, or its first minutes.
    """
    members = np.flatnonzero(learning(position[:-1], rate_hz, reference))
    return members[:: -(-len(members) // MOST_TEMPLATE_BEATS)]


def median_beat(values: FloatArray) -> FloatArray:
    """Return the median of beats `(n, ...)` at each of their values, `(...)`."""
    return np.asarray(np.median(values, axis=0))


def template_distance(values: FloatArray, template: FloatArray) -> FloatArray:
    """Return the root mean square difference of beats `(n, ...)` from a template, `(n,)`."""
    squares = ((values - template) ** 2).reshape(len(values), template.size)
    return np.asarray(np.sqrt(np.mean(squares, axis=1)))
