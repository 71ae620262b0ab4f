"""`python -m study.init FILE`: a study file for a table or a recording of one's own."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from study.errors import RequestError
from study.terminal.command import Command, refuse_options

if TYPE_CHECKING:
    from study.data.series_guess import SeriesGuess
    from study.data.tables.guess import Guess

EXAMPLES = """\b
Examples:
  python -m study.init pumps.csv
  python -m study.init GunPoint_TRAIN.tsv --normal 1 --output gunpoint.yaml
  python -m study.init healthy.parquet --unlabelled
  python -m study.init plant.csv --rows points"""

app = Command("Look at a table or a recording, say what it is, and write a study file that runs.")


@app.command(epilog=EXAMPLES)
def init(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="a row per sample, or per point of a recording: .csv, .tsv, .txt, .parquet,"
            " .arrow, .feather, .npy, .npz, .ts, compressed too",
        ),
    ],
    output: Annotated[Path, typer.Option(help="the study file; none is replaced")] = Path(
        "study.yaml"
    ),
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="the column of labels: its name, or position from 0"),
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="there are no labels: all rows are normal")
    ] = False,
    normal: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="a label of normals; repeatable")
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="the data's own test set; else NAME_TEST beside NAME_TRAIN"),
    ] = None,
    rows: Annotated[
        Literal["samples", "points"] | None,
        typer.Option(help="what a row is: a sample, or a point in time of a long recording"),
    ] = None,
) -> None:
    """Write a study file for FILE."""
    from study.data.series_guess import guess_recording, is_recording
    from study.data.tables.form import as_column
    from study.data.tables.guess import guess_table
    from study.study_draft import commented, runnable, series_study, table_study

    if output.exists():
        raise RequestError(f"{output}: is there already: give another --output")
    if not output.absolute().parent.is_dir():
        raise RequestError(f"{output}: expected a file in a folder that exists, found none")
    if unlabelled and (label or normal):
        raise RequestError("--unlabelled: a table without labels has none to name: leave one out")
    column = None if label is None else as_column(label)
    if rows == "points" or (rows is None and is_recording(file)):
        refuse_options(
            "is for tables of samples, and rows of this file are points of a recording: leave it"
            " out, or say --rows samples",
            normal=normal,
            test=test,
            unlabelled=unlabelled,
        )
        recording = guess_recording(file, column)
        study, reasons = series_study(file, recording, output), recording.reasons
        understood = _of_recording(file, recording)
    else:
        guess = guess_table(file, column, normal or (), unlabelled=unlabelled)
        test_file = test or _test_file(file)
        study, reasons = table_study(file, guess, test_file, output), guess.reasons
        understood = _of_table(file, guess, test_file)
    output.write_text(commented(runnable(study, output), reasons), encoding="utf-8")
    for line in understood:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f"study file in {output}: read it, then\n"
        f"  python -m study.run {output} --plan\n  python -m study.run {output}\n"
    )


def _test_file(file: Path) -> Path | None:
    """Return the file of the test set that lies beside that of a training set."""
    beside = file.with_name(file.name.replace("_TRAIN", "_TEST"))
    return beside if beside != file and beside.is_file() else None


def _of_table(file: Path, guess: "Guess", test_file: Path | None) -> list[str]:
    """Return what the file was taken for, a line each."""
    from study.data.tables.reader import open_table

    rows, channels, width = guess.table.values.shape
    lines = [
        f"{file}: {open_table(file, guess.form).understood}",
        f"rows are samples ({rows}; --rows points if they are moments of a recording)",
        f"{channels} channel(s) of {width} values",
    ]
    if guess.form.leave_out:
        lines.append(f"left out: {', '.join(map(str, guess.form.leave_out))}")
    lines.append("labels: " + "; ".join(guess.reasons))
    for name, count in guess.counts.items():
        lines.append(f"  {name}: {count} rows, {'normal' if name in guess.normal else 'abnormal'}")
    if not guess.counts:
        lines.append("  no labels: all rows are taken for normal; there will be no F1 or AUROC")
    if test_file:
        lines.append(f"its own test set: {test_file}")
    return lines


def _of_recording(file: Path, guess: "SeriesGuess") -> list[str]:
    """Return what a recording was taken for, a line each."""
    from study.data.tables.form import shown_column

    recording, table = guess.recording, guess.table
    channels, events = recording.channels, recording.events
    labels = "none" if table.label is None else str(table.label)
    return [
        f"{file}: {table.understood}",
        f"rows are points of a recording ({len(recording)} points; --rows samples if they are not)",
        f"{len(channels)} channel(s): {', '.join(channels[:12])}{', ...' * (len(channels) > 12)}",
        *([] if table.time is None else [f"times: {shown_column(table.time)}"]),
        f"labels: {labels}; {len(events)} abnormal stretches, {_points(events)} points of them",
        *(f"{reason[0].upper()}{reason[1:]}." for reason in guess.reasons),
    ]


def _points(events: Iterable[Iterable[int]]) -> int:
    return sum(stop - first for first, stop in events)


if __name__ == "__main__":
    sys.exit(app.main())
