"""The data that a table or picture rests on, and the footer that states it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from models import is_fitted_once
from study.ledger.fold_files import EPOCH_RULES
from study.report.paper.names import dataset_label
from study.report.paper.published import EPOCHS, FOLDS

BEST, LAST = EPOCH_RULES
WEIGHTS = {BEST: "weights of the best validation epoch", LAST: "weights of the last epoch"}

_LIMIT = "param.dataset.limit"
_WINDOW, _AMPLITUDE = "param.dataset.window.name", "param.dataset.amplitude"
_COLUMNS = ("dataset", "protocol", "system", "model", "fold", "epoch_rule", "epoch")


@dataclass(frozen=True)
class Basis:
    """The data that a table or picture rests on.

    Attributes:
        dataset: the dataset's name.
        protocol: how training, validation and test samples were drawn.
        epochs: fewest and most epochs that a fold of a trained system was trained;
            None if every system is fitted once.
        folds: numbers of the folds that are shown.
        num_folds: of the study, shown or not.
        limit: samples of the dataset that the study kept; None for all.
        window: name of the window that beats were cut in; None for the paper's.
        amplitude: what their values are relative to; None for the beat itself, as in the paper.
    """

    dataset: str
    protocol: str
    epochs: tuple[int, int] | None
    folds: tuple[int, ...]
    num_folds: int
    limit: int | None = None
    window: str | None = None
    amplitude: str | None = None


def basis_of(
    scores: pa.Table, protocol: str, systems: Sequence[str], folds: Sequence[int] | None = None
) -> Basis:
    """Return the basis of what is shown of `systems` under `protocol`.

    Args:
        scores: `scores.parquet` with rows of at least one of the systems.
        protocol: that of the rows that are shown.
        systems: those of the rows that are shown.
        folds: those that are shown; None for all.
    """
    wanted = (*_COLUMNS, _LIMIT, _WINDOW, _AMPLITUDE)
    columns = [name for name in wanted if name in scores.column_names]
    frame = scores.select(columns).to_pandas()
    frame = frame[(frame["protocol"] == protocol) & frame["system"].isin(list(systems))]
    existing = sorted({int(fold) for fold in frame["fold"]})
    shown = existing if folds is None else [fold for fold in folds if fold in existing]
    trained = [name for name in set(frame["model"]) if not is_fitted_once(name)]
    rows = (frame["epoch_rule"] == LAST) & frame["model"].isin(trained)
    epochs = frame[rows & frame["fold"].isin(shown)]["epoch"]
    return Basis(
        dataset=str(frame["dataset"].iloc[0]),
        protocol=protocol,
        epochs=None if epochs.empty else (int(epochs.min()), int(epochs.max())),
        folds=tuple(shown),
        num_folds=len(existing),
        limit=int(limit) if (limit := _setting(frame, _LIMIT)) is not None else None,
        window=_setting(frame, _WINDOW),
        amplitude=_setting(frame, _AMPLITUDE),
    )


def footer(basis: Basis, *notes: str) -> str:
    """Return the footer of a table or picture, `notes` last."""
    parts = [dataset_label(basis.dataset)]
    if basis.limit is not None:
        parts.append(f"a random subset of {basis.limit:,} samples")
    if basis.window is not None:
        parts.append(f"{basis.window} windows")
    if basis.amplitude is not None:
        parts.append(f"values relative to the {basis.amplitude.replace('_', ' ')}")
    parts += [f"protocol {basis.protocol}", _folds_text(basis)]
    if basis.epochs is not None:
        parts.append(_epochs_text(*basis.epochs))
    return "; ".join([*parts, *(note for note in notes if note)]) + "."


def protocol_note(basis: Basis) -> str:
    """Return a warning beside numbers of the paper where the study's samples are others."""
    others = ["protocol paper"] if basis.protocol != "paper" else []
    if basis.window is not None or basis.amplitude is not None:
        others.append("windows from R on, scaled beat by beat")
    return f"the paper's numbers are of {' and of '.join(others)}" if others else ""


def _epochs_text(fewest: int, most: int) -> str:
    trained = f"{most}" if fewest == most else f"{fewest} to {most}"
    if fewest < EPOCHS:
        return f"{trained} of the paper's {EPOCHS} epochs"
    return f"{trained} epochs (the paper: {EPOCHS})"


def _folds_text(basis: Basis) -> str:
    if len(basis.folds) < basis.num_folds:
        numbers = " and ".join(str(fold) for fold in basis.folds)
        plural = "s" * (len(basis.folds) > 1)
        return f"fold{plural} {numbers} of folds 0 to {basis.num_folds - 1}"
    text = f"{basis.num_folds} fold{'s' * (basis.num_folds != 1)}"
    return text if basis.num_folds == FOLDS else f"{text} (the paper: {FOLDS})"


def _setting(frame: pd.DataFrame, column: str) -> Any:
    """Return a setting of the dataset, which is one for all rows of a study; None if not set."""
    values = frame[column].dropna().tolist() if column in frame else []
    return values[0] if values else None
