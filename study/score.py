"""`python -m study.score MODEL INPUT`: score new signals with what a study trained."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from study.errors import RequestError
from study.terminal.command import Command, refuse_options

if TYPE_CHECKING:
    from study.detectors.detector import Detector
    from study.detectors.signals.records import BeatSource
    from study.detectors.signals.rows import RowSource
    from study.detectors.signals.table import Written

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
            help="a WFDB record, or a table with a row per sample, or per point for a model of"
            " dataset series: .csv, .tsv, .txt, .parquet, .arrow, .feather, .npy, .npz, .ts,"
            " compressed too",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="a file ending in .parquet, .csv, .arrow or .feather; else"
            " <INPUT>.scores.parquet here"
        ),
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
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="column of a table's labels: its name, its position from 0, or none; else that of"
            " the model's data, the first one of .tsv and .txt, or one called label",
        ),
    ] = None,
    label_first: Annotated[
        bool, typer.Option("--label-first", help="the same as --label 0")
    ] = False,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="a column that is no value of a sample; repeatable"),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="draw a stretch of the record, the samples or the points of highest score: .png,"
            " .svg, .pdf"
        ),
    ] = None,
    from_: Annotated[
        float, typer.Option("--from", min=0, help="first second, sample or point of the picture")
    ] = 0.0,
    to: Annotated[
        float | None,
        typer.Option("--to", min=0, help="its last second, or the sample or point after its last"),
    ] = None,
) -> None:
    """Score INPUT with MODEL: a row per sample."""
    target = output or Path(f"{signals.stem if signals.suffix else signals.name}.scores.parquet")
    _check_targets(target, plot)
    if label_first and label not in (None, "0"):
        raise RequestError(f"--label-first, --label {label}: are two columns: leave one out")
    from study.data.tables.reader import is_table
    from study.detectors.detector import load_detector

    detector, picture = load_detector(model, composition, latent_form), _Picture(plot, from_, to)
    if detector.folds[0].config.dataset.is_series:
        refuse_options(
            "is for tables of samples; the columns of a recording are those of the model's dataset:"
            " leave it out",
            resample=resample,
            label=label,
            label_first=label_first,
            leave_out=leave_out,
        )
        _score_recording(detector, signals, target, picture)
    elif is_table(signals):
        _require_no_beats(detector, signals)
        from study.detectors.signals.rows import open_rows

        rows = open_rows(
            signals,
            detector.folds[0].rows,
            label="0" if label_first else label,
            leave_out=leave_out or (),
            resample=resample,
        )
        _score_table(detector, rows, target, picture)
    else:
        from study.detectors.signals.records import read_beats

        beats = read_beats(signals, detector.folds[0].config.dataset, peaks, resample=resample)
        _score_record(detector, beats, target, picture)
    if plot:
        sys.stdout.write(f"picture in {plot}\n")


def _check_targets(target: Path, plot: Path | None) -> None:
    """Raise `RequestError` unless scores and picture have a folder and a form that is written."""
    from study.detectors.signals.score_file import require_form

    for path in (target, *((plot,) if plot else ())):
        if not path.absolute().parent.is_dir():
            raise RequestError(f"{path}: expected a file in a folder that exists, found none")
    require_form(target)
    if plot:
        from study.detectors.signals.picture import require_format

        require_format(plot)


def _require_no_beats(detector: "Detector", signals: Path) -> None:
    """Raise `RequestError` if the samples of a table lack what the detector needs of beats."""
    needed = [*detector.sample_components, *(["time"] if detector.is_relative else [])]
    if needed:
        raise RequestError(
            f"{signals}: expected a WFDB record, since {detector.folds[0].composition} needs"
            f" the {' and the '.join(needed)} of beats, found a table: give a record"
        )


@dataclass(frozen=True)
class _Picture:
    """What is to be drawn.

    Attributes:
        path: where to; None for nothing.
        first: the first second of a record, or sample or point of a table.
        last: the last second, or the sample or point after the last; None for as many as there
            is room.
    """

    path: Path | None
    first: float
    last: float | None

    @property
    def rows(self) -> tuple[int, int | None]:
        """The first sample or point, and the one after the last."""
        return int(self.first), None if self.last is None else int(self.last)


def _score_table(detector: "Detector", rows: "RowSource", target: Path, picture: _Picture) -> None:
    from study.detectors.signals.rows_picture import (
        chosen_samples,
        draw_samples,
        require_samples,
    )
    from study.detectors.signals.table import write_scores

    if picture.path:
        require_samples(rows, *picture.rows)
    sys.stdout.write(f"{rows.table.path}: {rows.table.understood}\n")
    if rows.note:
        sys.stdout.write(f"{rows.note}\n")
    written = write_scores(target, detector, rows.blocks())
    _report(written, "samples", target)
    if picture.path:
        chosen = chosen_samples(written, *picture.rows)
        draw_samples(picture.path, detector, rows, written, *chosen)


def _score_recording(detector: "Detector", path: Path, target: Path, picture: _Picture) -> None:
    import numpy as np

    from study.data.series_settings import SeriesSettings
    from study.detectors.signals.points import recording_parts, write_points
    from study.scores.confusion import Confusion

    fold = detector.folds[0]
    assert isinstance(fold.config.dataset, SeriesSettings)
    dataset = fold.config.dataset
    if picture.path:
        from study.detectors.signals.points_picture import require_points

        require_points(recording_parts(path, dataset, fold.channels), *picture.rows)
    counts = write_points(target, detector, recording_parts(path, dataset, fold.channels))
    if counts.labelled is not None:
        normal, alarms = counts.points - counts.labelled, counts.abnormal - counts.hits
        _report_hits("points", counts.labelled, counts.hits, normal, alarms)
        if counts.labelled and normal:
            cells = np.array([normal, counts.labelled, alarms, counts.hits], dtype=float)
            confusion = Confusion(*cells[:, np.newaxis])
            metrics = confusion.f1_weighted, confusion.f1_anomaly, confusion.phi
            _report_metrics(*(metric.item() for metric in metrics))
    sys.stdout.write(f"{counts.abnormal} of {counts.points} points abnormal; scores in {target}\n")
    if picture.path:
        from study.detectors.signals.points_picture import chosen_points, draw_points

        stretch = chosen_points(counts, *picture.rows)
        parts = recording_parts(path, dataset, fold.channels)
        draw_points(picture.path, detector, parts, path.name, *stretch)


def _score_record(
    detector: "Detector", beats: "BeatSource", target: Path, picture: _Picture
) -> None:
    from study.detectors.signals.picture import draw_stretch, stretch_of
    from study.detectors.signals.table import write_scores

    stretch = stretch_of(beats, picture.first, picture.last) if picture.path else None
    written = write_scores(target, detector, beats.blocks())
    _report(written, "beats", target)
    if picture.path and stretch:
        draw_stretch(picture.path, detector, beats, stretch, written.decision)


def _report(written: "Written", what: str, target: Path) -> None:
    """Say how many samples are abnormal, and how well that agrees with labels, if there are any."""
    from study.scores.metrics import compute_metrics

    abnormal = int(written.decision.sum())
    known = written.label >= 0
    label, decision = written.label[known], written.decision[known]
    if known.any():
        hits, alarms = int((decision & label).sum()), int((decision & (1 - label)).sum())
        labelled = int(label.sum())
        _report_hits(what, labelled, hits, len(label) - labelled, alarms)
        if 0 < labelled < len(label):
            metrics = compute_metrics(label, written.score[known], decision)
            _report_metrics(metrics.f1_weighted, metrics.f1_anomaly, metrics.phi, metrics.auroc)
    sys.stdout.write(f"{abnormal} of {len(written)} {what} abnormal; scores in {target}\n")


def _report_hits(what: str, labelled: int, hits: int, normal: int, alarms: int) -> None:
    sys.stdout.write(
        f"of {labelled} abnormal {what} {hits} found and {labelled - hits} missed; of {normal}"
        f" normal ones {alarms} called abnormal\n"
    )


def _report_metrics(*values: float) -> None:
    named = zip(("F1 weighted", "F1 of abnormal", "phi", "AUROC"), values, strict=False)
    sys.stdout.write(", ".join(f"{name} {value:.4f}" for name, value in named) + "\n")


if __name__ == "__main__":
    sys.exit(app.main())
