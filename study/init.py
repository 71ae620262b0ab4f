"""`python -m study.init FILE`: a study file for a table of one's own."""

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from study.errors import RequestError
from study.terminal.command import Command

if TYPE_CHECKING:
    from study.data.tables.guess import Guess

EXAMPLES = """\b
Examples:
  python -m study.init pumps.csv
  python -m study.init GunPoint_TRAIN.tsv --normal 1 --output gunpoint.yaml
  python -m study.init healthy.parquet --unlabelled"""

LARGEST_LENGTH = 1024
UPDATES = 400
FOLDS = (5, 3, 2)
HELD_OUT_NORMALS = 19
"""So many allow the 0.95 quantile of held-out normals."""

app = Command("Look at a table, say what it is, and write a study file that runs.")


@app.command(epilog=EXAMPLES)
def init(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="a row per sample: .csv, .tsv, .txt, .parquet, .arrow, .feather, .npy, .npz, .ts",
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
) -> None:
    """Write a study file for FILE."""
    from study.data.tables.form import as_column
    from study.data.tables.guess import guess_table

    if output.exists():
        raise RequestError(f"{output}: is there already: give another --output")
    if not output.absolute().parent.is_dir():
        raise RequestError(f"{output}: expected a file in a folder that exists, found none")
    if unlabelled and (label or normal):
        raise RequestError("--unlabelled: a table without labels has none to name: leave one out")
    column = None if label is None else as_column(label)
    guess = guess_table(file, column, normal or (), unlabelled=unlabelled)
    test_file = test or _test_file(file)
    content = _runnable(_content(file, guess, test_file, output), output)
    output.write_text(_commented(content, guess), encoding="utf-8")
    for line in _understood(file, guess, test_file):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f"study file in {output}: read it, then\n"
        f"  python -m study.run {output} --plan\n  python -m study.run {output}\n"
    )


def _test_file(file: Path) -> Path | None:
    """Return the file of the test set that lies beside that of a training set."""
    beside = file.with_name(file.name.replace("_TRAIN", "_TEST"))
    return beside if beside != file and beside.is_file() else None


def _understood(file: Path, guess: "Guess", test_file: Path | None) -> list[str]:
    """Return what the file was taken for, a line each."""
    from study.data.tables.reader import open_table

    rows, channels, width = guess.table.values.shape
    lines = [
        f"{file}: {open_table(file, guess.form).understood}",
        f"{rows} samples of {channels} channel(s) and {width} values",
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


def _content(file: Path, guess: "Guess", test_file: Path | None, output: Path) -> dict[str, Any]:
    """Return the study, as plain values."""
    rows, _, width = guess.table.values.shape
    normals = sum(guess.counts[name] for name in guess.normal) if guess.counts else rows
    has_both = bool(guess.counts) and normals < rows
    dataset: dict[str, Any] = {
        "name": "table",
        "path": _relative(file, output),
        **({"test_path": _relative(test_file, output)} if test_file else {}),
        "label": guess.form.label,
        **({"normal_labels": list(guess.normal)} if guess.counts else {}),
        **({"leave_out": list(guess.form.leave_out)} if guess.form.leave_out else {}),
        "length": min(32 * math.ceil(width / 32), LARGEST_LENGTH),
        "scaling": "training",
    }
    batch_size = next((size for size in (256, 128, 64, 32) if normals >= 8 * size), 16)
    epochs = max(12, math.ceil(UPDATES / math.ceil(0.85 * normals / batch_size)))
    labelled = {"composition": "svm_lambda", "score": "f1_weighted"}
    unlabelled = {"composition": "reconstruction_quantile", "score": "normal_error"}
    content: dict[str, Any] = {
        "name": _study_name(file),
        "dataset": dataset,
        "split": {"protocol": "given" if test_file else "paper", "folds": FOLDS[0]},
        "model": {"name": "beta_vaegan", "latent_size": 8},
        "training": {
            "recipe": "fast",
            "epochs": epochs,
            "batch_size": batch_size,
            "validation_interval": max(1, epochs // 6),
        },
        "search": {"trials": 4, "metric": labelled if has_both else unlabelled},
        "seed": 0,
    }
    content["search"]["space"] = {"model.beta": {"loguniform": [1e-6, 0.01]}}
    if not has_both:
        content["scores"] = {"quantile_of": "held_out"}
        if 0.15 * normals / 2 < HELD_OUT_NORMALS:
            content["scores"] = {"quantile_of": "training"}
    return content


def _runnable(content: dict[str, Any], output: Path) -> dict[str, Any]:
    """Return the study with as many folds as its data allow.

    Raises:
        RequestError: they allow none.
    """
    from study.config.study_file import check_study
    from study.data import data_folder
    from study.training.prepared import prepare

    folder = output.absolute().parent
    for folds in FOLDS:
        tried = {**content, "split": {**content["split"], "folds": folds}}
        try:
            prepare(check_study(tried, str(output)), data_folder(None), folder)
        except RequestError as error:
            if folds == FOLDS[-1] or not str(error).startswith("split"):
                raise
            continue
        return tried
    raise AssertionError("the last number of folds is tried or refused")


def _commented(content: dict[str, Any], guess: "Guess") -> str:
    """Return the study file."""
    from study.config.study_file import to_yaml

    comments = {
        "dataset": "what the samples are; relative paths are looked for beside this file",
        "split": "how samples are divided into training (normals alone), validation and test",
        "model": "others: beatgan, ae, vae, and the simple ones, pca, knn, rocket_knn",
        "training": "a recipe, and what is set beside it",
        "scores": "the threshold: the 0.95 quantile of normals",
        "search": "the settings that are searched, and what trials and epochs are chosen by",
        "seed": "decides everything that is random",
    }
    lines = [
        "# Written by study.init. docs/settings.md has every key; what is left out has a default.",
        *(f"# {reason[0].upper()}{reason[1:]}." for reason in guess.reasons),
    ]
    for line in to_yaml(content).splitlines():
        key = line.partition(":")[0]
        if key in comments:
            lines.append(f"# {comments[key]}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _relative(file: Path, output: Path) -> str:
    """Return a path as it is seen from the study file."""
    return Path(os.path.relpath(file.absolute(), output.absolute().parent)).as_posix()


def _study_name(file: Path) -> str:
    stem = file.name.partition(".")[0].lower().removesuffix("_train")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem)
    return plain.strip("_-")[:64] or "own"


if __name__ == "__main__":
    sys.exit(app.main())
