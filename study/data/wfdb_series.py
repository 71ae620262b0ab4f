"""WFDB records of any database as recordings, their abnormal beats as abnormal stretches."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from study.data.recordings import Recording, merged
from study.data.resampling import IntArray
from study.data.wfdb_files import annotated_beats, channel_indices, damaged_record, reading

if TYPE_CHECKING:
    from study.data.series_settings import WfdbSettings


def read_wfdb(path: Path, settings: "WfdbSettings", channels: tuple[str, ...] | None) -> Recording:
    """Return a record with all its signals, or those of these names.

    Args:
        path: the record without extension.
        settings: which annotations mark which beats.
        channels: names of signals; None for all.

    Raises:
        RequestError: a file is damaged or missing, beats are not in order or not in the signal, or
            a signal is not there.
    """
    import wfdb

    names, indices = channel_indices(path, channels or ())
    with reading(path):
        stored = wfdb.rdrecord(str(path), channels=indices)
        values = np.asarray(stored.p_signal, dtype=np.float64)
        rate_hz = float(stored.fs)
    if not values.size or not np.isfinite(values).all():
        raise damaged_record(path, "an empty signal or values that are not finite")
    beats = settings.beats
    symbols = (*beats.normal, *beats.abnormal)
    position, symbol = annotated_beats(path, settings.annotator, symbols, len(values))
    events = abnormal_stretches(position, np.isin(symbol, beats.abnormal), len(values))
    return Recording(path.name, values, names, events, None, rate_hz)


def abnormal_stretches(position: IntArray, abnormal: "np.ndarray", count: int) -> IntArray:
    """Return the stretches of abnormal beats, `(k, 2)`.

    A beat reaches halfway to the beats around it, so that neighbours are one stretch.

    Args:
        position: `(m,)` rising positions of the beats.
        abnormal: `(m,)` whether each is abnormal.
        count: points of the record.
    """
    middle = (position[1:] + position[:-1]) // 2
    edges = np.concatenate([[0], middle, [count]])
    return merged(np.stack([edges[:-1], edges[1:]], axis=1)[abnormal])
