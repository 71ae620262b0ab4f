"""A picture of a stretch of a record: its signal, abnormal beats, and reconstructions."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from study.detectors.detector import Detector
from study.detectors.signals.records import BeatSource
from study.errors import RequestError
from study.scores.components import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg", ".pdf")
STRETCH_SECONDS = 60.0
LONGEST_SECONDS = 600.0
ROW_SECONDS = 10.0

SIGNAL, ABNORMAL, RECONSTRUCTION = "#333333", "#d95f02", "#1b9e77"


def require_format(plot: Path) -> None:
    """Refuse a picture whose ending is unknown.

    Raises:
        RequestError: it is.
    """
    if plot.suffix.lower() not in FORMATS:
        raise RequestError(f"--plot {plot}: expected a file ending in {', '.join(FORMATS)}")


def require_members(
    first: int, last: int | None, most: int, sizes: Iterable[int], member: str, whole: str
) -> None:
    """Refuse a part of a table or a recording that cannot be drawn.

    Args:
        first: the first sample or point.
        last: the one after the last; None for as many as there is room for.
        most: as many may be drawn.
        sizes: of consecutive parts of the whole; read as far as `first` alone.
        member: what is counted, in a word.
        whole: what it is of, in a word.

    Raises:
        RequestError: there are none, or too many.
    """
    if last is not None and last <= first:
        raise RequestError(
            f"--from {first}, --to {last}: expected --to above --from, found no {member}"
            " between them: --to is the one after the last"
        )
    if last is not None and last - first > most:
        raise RequestError(
            f"--from {first}, --to {last}: expected at most {most} {member}s, found"
            f" {last - first}: draw fewer"
        )
    count = 0
    for size in sizes if first else ():
        count += size
        if count > first:
            return
    if first:
        raise RequestError(
            f"--from {first}: expected a {member} of the {whole}, which has {count}, counted from 0"
        )


@dataclass(frozen=True)
class Stretch:
    """From one second of a record to another.

    Attributes:
        first: the first second.
        last: the second after the last.
    """

    first: float
    last: float


def stretch_of(beats: BeatSource, first: float, last: float | None) -> Stretch:
    """Return the stretch to draw: to `last`, or a minute, and not past the record's end.

    Raises:
        RequestError: there is no such stretch, or it is too long.
    """
    end = beats.record.seconds
    if first >= end or (last is not None and last <= first):
        raise RequestError(
            f"--from {first:g}, --to {last if last is None else f'{last:g}'}: expected a stretch "
            f"of the record, which is {end:g} s long"
        )
    last = min(end, first + STRETCH_SECONDS if last is None else last)
    if last - first > LONGEST_SECONDS:
        raise RequestError(
            f"--from {first:g}, --to {last:g}: expected at most {LONGEST_SECONDS:g} s, found "
            f"{last - first:g} s: draw less of it"
        )
    return Stretch(first, last)


def draw_stretch(
    path: Path, detector: Detector, beats: BeatSource, stretch: Stretch, decision: Label
) -> None:
    """Draw the signal, ten seconds a row, with abnormal beats shaded and x̂ over each beat.

    A reconstruction is drawn in the record's unit, at the positions that its values were taken
    from.

    Args:
        path: the file.
        detector: reconstructs the beats.
        beats: of the record.
        stretch: what is drawn of it.
        decision: `(n,)` of all beats of the record; 1 abnormal.
    """
    from matplotlib.figure import Figure

    edges = np.arange(stretch.first, stretch.last, ROW_SECONDS)
    figure = Figure(figsize=(12, 1.1 + 1.5 * len(edges)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(edges), 1, squeeze=False)[:, 0])
    members = beats.between(stretch.first, stretch.last)
    drawn = _beats(detector, beats, members, decision) if len(members) else []
    for axis, first in zip(axes, edges, strict=True):
        last = min(first + ROW_SECONDS, stretch.last)
        _draw_signal(axis, beats, first, last)
        for beat in drawn:
            _draw_beat(axis, beat)
        axis.set_xlim(first, first + ROW_SECONDS)
    axes[-1].set_xlabel("seconds")
    abnormal = sum(beat.is_abnormal for beat in drawn)
    record, composition = beats.record, detector.folds[0].composition
    figure.suptitle(
        f"{record.path.name}, {record.channel}: {abnormal} of {len(drawn)} beats abnormal by "
        f"{composition} (shaded); reconstructions in green"
    )
    figure.savefig(path, dpi=110)


@dataclass(frozen=True)
class _Beat:
    """What is drawn of a beat: its ends and R in seconds, its symbol, and x̂ over time."""

    first: float
    peak: float
    last: float
    symbol: str
    is_abnormal: bool
    seconds: npt.NDArray[np.float64]
    reconstruction: npt.NDArray[np.float64]


def _beats(
    detector: Detector, beats: BeatSource, members: npt.NDArray[np.int64], decision: Label
) -> list[_Beat]:
    block = beats.block(members)
    reconstructed = detector.reconstruct(block.values)
    nothing = [(np.empty(0), np.empty(0))] * len(members)
    drawn = nothing if reconstructed is None else beats.in_record(members, reconstructed[:, 0])
    return [
        _Beat(
            first=float(beats.shown.first[member]),
            peak=float(block.columns["seconds"][i]),
            last=float(beats.shown.last[member]),
            symbol=str(block.columns["symbol"][i]),
            is_abnormal=bool(decision[member]),
            seconds=drawn[i][0],
            reconstruction=drawn[i][1],
        )
        for i, member in enumerate(members)
    ]


def _draw_signal(axis: "Axes", beats: BeatSource, first: float, last: float) -> None:
    record = beats.record
    start, stop = (min(round(s * record.rate_hz), record.length) for s in (first, last))
    if stop > start:
        seconds = np.arange(start, stop) / record.rate_hz
        axis.plot(seconds, record.read(start, stop), color=SIGNAL, linewidth=0.8)
    axis.set_ylabel(record.unit)


def _draw_beat(axis: Any, beat: _Beat) -> None:
    if beat.is_abnormal:
        axis.axvspan(beat.first, beat.last, color=ABNORMAL, alpha=0.2, linewidth=0)
    axis.plot(beat.seconds, beat.reconstruction, color=RECONSTRUCTION, linewidth=0.9)
    axis.annotate(
        beat.symbol,
        (beat.peak, 1.0),
        xycoords=("data", "axes fraction"),
        verticalalignment="bottom",
        horizontalalignment="center",
        fontsize=7,
        annotation_clip=True,
    )
