"""`python -m study.score MODEL INPUT`: score new signals with what a study trained."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from study.errors import RequestError
from study.terminal.command import Command

if TYPE_CHECKING:
    from study.detectors.detector import Detector
    from study.detectors.signals.records import Peaks
    from study.detectors.signals.table import Counts

EXAMPLES = """\b
Examples:
  python -m study.score results/mitbih/ledger/trial-00000 mitdb/208
  python -m study.score results/wafer/ledger/trial-00000/fold-0 Wafer_TEST.tsv"""

app = Command("Score new signals with a trained fold, or with a trial's folds together.")


@app.command(epilog=EXAMPLES)
def score(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="results/<study>/ledger/<trial>/fold-<k>, or <trial> for all"
        ),
    ],
    signals: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="a WFDB record, or a table with a row per sample: .tsv or .txt (UCR form, label"
            " first), .csv, .npy, .parquet; of a model of dataset series a recording",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Parquet file; else <INPUT>.scores.parquet here")
    ] = None,
    composition: Annotated[
        str | None, typer.Option(help="how errors become a score; else that of the study's metric")
    ] = None,
    latent_form: Annotated[
        str | None, typer.Option(help="implicit, chi_mode or empirical_mode; else the metric's")
    ] = None,
    peaks: Annotated[
        Literal["annotated", "detected"],
        typer.Option(help="R peaks of a record: its annotations, or wfdb's detector"),
    ] = "annotated",
    resample: Annotated[
        bool, typer.Option("--resample", help="take signals of another rate or length")
    ] = False,
    label_first: Annotated[
        bool, typer.Option("--label-first", help="rows of a .csv or .npy start with a label")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="draw a stretch of the record: .png, .svg or .pdf")
    ] = None,
    from_: Annotated[
        float, typer.Option("--from", min=0, help="first second of the picture")
    ] = 0.0,
    to: Annotated[
        float | None, typer.Option("--to", min=0, help="its last second; else a minute later")
    ] = None,
) -> None:
    """Score INPUT with MODEL: a Parquet row per sample."""
    target = output or Path(f"{signals.stem if signals.suffix else signals.name}.scores.parquet")
    for path in (target, *((plot,) if plot else ())):
        if not path.absolute().parent.is_dir():
            raise RequestError(f"{path}: expected a file in a folder that exists, found none")
    from study.detectors.signals.rows import is_table

    if is_table(signals) and plot:
        raise RequestError("--plot: expected a WFDB record, found a table: leave it out")
    from study.detectors.detector import load_detector

    detector = load_detector(model, composition, latent_form)
    if detector.folds[0].config.dataset.is_series:
        _score_recording(detector, signals, target)
    elif is_table(signals):
        needed = [*detector.sample_components, *(["time"] if detector.is_relative else [])]
        if needed:
            raise RequestError(
                f"{signals}: expected a WFDB record, since {detector.folds[0].composition} needs"
                f" the {' and the '.join(needed)} of beats, found a table: give a record"
            )
        _score_table(detector, signals, target, resample=resample, label_first=label_first)
    else:
        _score_record(detector, signals, target, peaks, plot, from_, to, resample=resample)


def _score_table(
    detector: "Detector", path: Path, target: Path, *, resample: bool, label_first: bool
) -> None:
    from study.detectors.signals.rows import read_blocks
    from study.detectors.signals.table import write_scores

    dataset = detector.folds[0].config.dataset
    blocks = read_blocks(path, dataset, resample=resample, label_first=label_first)
    _report(write_scores(target, detector, blocks), "samples", target)


def _score_recording(detector: "Detector", path: Path, target: Path) -> None:
    from study.data.series_settings import SeriesSettings
    from study.detectors.signals.points import recording_parts, write_points

    fold = detector.folds[0]
    assert isinstance(fold.config.dataset, SeriesSettings)
    parts = recording_parts(path, fold.config.dataset, fold.channels)
    _report(write_points(target, detector, parts), "points", target)


def _score_record(
    detector: "Detector",
    path: Path,
    target: Path,
    peaks: "Peaks",
    plot: Path | None,
    first: float,
    last: float | None,
    *,
    resample: bool,
) -> None:
    from study.detectors.signals.picture import draw_stretch, stretch_of
    from study.detectors.signals.records import read_beats
    from study.detectors.signals.table import read_decisions, write_scores

    dataset = detector.folds[0].config.dataset
    beats = read_beats(path, dataset, peaks, resample=resample)
    stretch = stretch_of(beats, plot, first, last) if plot else None
    _report(write_scores(target, detector, beats.blocks()), "beats", target)
    if plot and stretch:
        draw_stretch(plot, detector, beats, stretch, read_decisions(target))
        sys.stdout.write(f"picture in {plot}\n")


def _report(counts: "Counts", what: str, target: Path) -> None:
    sys.stdout.write(f"{counts.abnormal} of {counts.samples} {what} abnormal; scores in {target}\n")


if __name__ == "__main__":
    sys.exit(app.main())
