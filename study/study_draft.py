"""Study files for data of one's own: what `study.init` writes."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.data.splits import ONE_TEST_SET
from study.errors import RequestError

if TYPE_CHECKING:
    from study.data.series_guess import SeriesGuess
    from study.data.tables.guess import Guess

LARGEST_LENGTH = 1024
UPDATES = 400
FOLDS = (5, 3, 2)
HELD_OUT_NORMALS = 19
"""So many allow the 0.95 quantile of held-out normals."""

TRAINING_SHARE = 0.85
BY_LABELS = {"composition": "svm_lambda", "score": "f1_weighted"}
BY_NORMALS = {"composition": "reconstruction_quantile", "score": "normal_error"}

_SCORES = {
    "prevalence": "the share of abnormal samples that thresholds are for, that of the file; every"
    " fold validates with all of them",
    "held_out": "the threshold: the 0.95 quantile of normals that did not train",
    "training": "the threshold: the 0.95 quantile of normals that trained; more than 5 % of others"
    " lie above it",
}
_COMMENTS = {
    "dataset": "what the samples are; relative paths are looked for beside this file",
    "split": "how samples are divided into training (normals alone), validation and test",
    "model": "others: beatgan, ae, vae, and the simple ones, pca, knn, rocket_knn",
    "training": "a recipe, and what is set beside it",
    "search": "the settings that are searched, and what trials and epochs are chosen by",
    "seed": "decides everything that is random",
}


def table_study(file: Path, guess: "Guess", test_file: Path | None, output: Path) -> dict[str, Any]:
    """Return a study of a table of samples, as plain values."""
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
    training, held_out = normals * TRAINING_SHARE, (1 - TRAINING_SHARE) * normals / 2
    protocol = "given" if test_file else "paper"
    if not has_both and not test_file and held_out < HELD_OUT_NORMALS:
        protocol, held_out = "kfold", training / FOLDS[0]
        training -= held_out
    split = {"protocol": protocol, "folds": FOLDS[0]}
    content = _study(file, dataset, split, training, held_out, by_labels=has_both)
    if has_both and test_file:
        content["scores"] = {"prevalence": float(f"{1 - normals / rows:.3g}")}
    return content


def series_study(file: Path, guess: "SeriesGuess", output: Path) -> dict[str, Any]:
    """Return a study of a recording, as plain values; no label chooses anything in it."""
    table = guess.table
    dataset: dict[str, Any] = {
        "name": "series",
        "path": _relative(file, output),
        **({} if table.label is None else {"label": table.label}),
        **({} if table.time is None else {"time": table.time}),
        "length": guess.length,
        "stride": guess.stride,
        **({} if guess.normal_until is None else {"normal_until": guess.normal_until}),
        **({"rate_hz": guess.rate_hz} if guess.rate_hz else {}),
        "scaling": "training",
    }
    normal = guess.normal_until or guess.recording.normal_until or len(guess.recording)
    windows, folds = normal / guess.stride, FOLDS[1]
    training, held_out = windows * (folds - 1) / folds, windows / folds
    return _study(
        file, dataset, {"protocol": "time", "folds": folds}, training, held_out, by_labels=False
    )


def runnable(content: dict[str, Any], output: Path) -> dict[str, Any]:
    """Return the study with as many folds as its data allow.

    Raises:
        RequestError: they allow none.
    """
    from study.config.study_file import check_study
    from study.data import data_folder
    from study.training.prepared import prepare

    folder = output.absolute().parent
    for folds in FOLDS:
        if folds > content["split"]["folds"]:
            continue
        tried = {**content, "split": {**content["split"], "folds": folds}}
        try:
            prepare(check_study(tried, str(output)), data_folder(None), folder)
        except RequestError as error:
            if folds == FOLDS[-1] or not str(error).startswith("split"):
                raise
            continue
        return tried
    raise AssertionError("the last number of folds is tried or refused")


def commented(content: dict[str, Any], reasons: Sequence[str]) -> str:
    """Return the study file, which says why it is as it is."""
    from study.config.study_file import to_yaml

    lines = [
        "# Written by study.init. docs/settings.md has every key; what is left out has a default.",
        *(f"# {reason[0].upper()}{reason[1:]}." for reason in reasons),
    ]
    quantile_of = content.get("scores", {}).get("quantile_of", "prevalence")
    comments = _COMMENTS | {"scores": _SCORES[quantile_of]}
    for line in to_yaml(content).splitlines():
        key = line.partition(":")[0]
        if key in comments:
            lines.append(f"# {comments[key]}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _study(
    file: Path,
    dataset: dict[str, Any],
    split: dict[str, Any],
    training: float,
    held_out: float,
    *,
    by_labels: bool,
) -> dict[str, Any]:
    """Return a study of beta-VAEGAN.

    Args:
        file: gives it its name.
        dataset: what its samples are.
        split: how they are divided.
        training: about how many samples train a fold.
        held_out: about how many normals validate one.
        by_labels: whether labels choose trials and epochs.
    """
    normals = round(training / TRAINING_SHARE)
    batch_size = next((size for size in (256, 128, 64, 32) if normals >= 8 * size), 16)
    epochs = max(12, math.ceil(UPDATES / math.ceil(training / batch_size)))
    content: dict[str, Any] = {
        "name": _study_name(file),
        "dataset": dataset,
        "split": split,
        "model": {"name": "beta_vaegan", "latent_size": 8},
        "training": {
            "recipe": "fast",
            "epochs": epochs,
            "batch_size": batch_size,
            "validation_interval": max(1, epochs // 6),
        },
        "search": {
            "trials": 4,
            "metric": BY_LABELS if by_labels else BY_NORMALS,
            "space": {"model.beta": {"loguniform": [1e-6, 0.01]}},
        },
        "seed": 0,
    }
    if not by_labels:
        content["scores"] = _threshold(held_out, split)
    return content


def _threshold(held_out: float, split: dict[str, Any]) -> dict[str, str]:
    """Return which normals the threshold is a quantile of: new ones, where they are enough."""
    if held_out >= HELD_OUT_NORMALS:
        return {"quantile_of": "held_out"}
    if split["protocol"] in ONE_TEST_SET and held_out * split["folds"] >= HELD_OUT_NORMALS:
        return {"quantile_of": "held_out", "fit_on": "all_folds"}
    return {"quantile_of": "training"}


def _relative(file: Path, output: Path) -> str:
    """Return a path as it is seen from the study file."""
    return Path(os.path.relpath(file.absolute(), output.absolute().parent)).as_posix()


def _study_name(file: Path) -> str:
    stem = file.name.partition(".")[0].lower().removesuffix("_train")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem)
    return plain.strip("_-")[:64] or "own"
