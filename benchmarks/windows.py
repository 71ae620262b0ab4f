"""`python -m benchmarks.windows --data DATA FILE`: the picture of both windows of heartbeats."""

import argparse
import sys
from pathlib import Path

import numpy as np

from study.data.beat_settings import CentredWindow
from study.data.beats import cut_beats
from study.data.mitbih import MitbihSettings, locate
from study.data.mitbih_records import CLASS_OF_SYMBOL, Record, read_record

RECORD = "119"
WINDOWS = {
    "published: from R, beat by beat": MitbihSettings(),
    "centred: around R, relative to the record": MitbihSettings(
        window=CentredWindow(), amplitude="record"
    ),
}
_LINE, _R, _ABNORMAL = "#333333", "#999999", "#d95f02"


def chosen_beats(record: Record) -> list[int]:
    """Return a normal beat among normals, the next that is abnormal, and the normal before it."""
    first = int(np.flatnonzero(record.abnormal)[2])
    return [first - 3, first - 1, first]


def draw_windows(data: Path, file: Path) -> None:
    """Draw three beats of a record, a row each, in both windows, with the R peaks in them."""
    from matplotlib.figure import Figure

    record = read_record(locate(data) / RECORD)
    beats = chosen_beats(record)
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots(len(beats), len(WINDOWS), sharex=True, sharey=True)
    for column, (title, settings) in enumerate(WINDOWS.items()):
        seconds, values, peaks = _windows(record, settings)
        for row, beat in enumerate(beats):
            axis = axes[row, column]
            axis.plot(seconds, values[beat], color=_LINE, linewidth=1)
            for other, at in enumerate(peaks - peaks[beat]):
                if seconds[0] <= at <= seconds[-1]:
                    colour = _ABNORMAL if record.abnormal[other] else _R
                    axis.axvline(at, color=colour, linewidth=1, linestyle=":" if at else "-")
            axis.set_ylim(-0.03, 1.03)
            if column == 0:
                axis.set_ylabel(CLASS_OF_SYMBOL[str(record.symbol[beat])], rotation=0)
        axes[0, column].set_title(title, fontsize=10)
        axes[-1, column].set_xlabel("seconds from R")
    figure.suptitle(f"Record {RECORD}; lines are R peaks, of abnormal beats in colour", fontsize=10)
    figure.savefig(file, dpi=80)


def _windows(record: Record, settings: MitbihSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return seconds from R `(width,)`, windows `(m - 1, width)`, and R peaks in seconds `(m,)`."""
    window = settings.window
    whole = settings.model_copy(update={"length": window.width})  # as it was cut
    values = cut_beats(
        record.signal, record.rate_hz, record.position, record.abnormal, whole
    ).values
    seconds = (np.arange(window.width) - window.values_before) / window.rate_hz
    return seconds, values, record.position / record.rate_hz


def main() -> int:
    """Read arguments and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.windows", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mitdb/")
    parser.add_argument("file", type=Path, help="a .png file")
    arguments = parser.parse_args()
    draw_windows(arguments.data, arguments.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
