"""What a table or picture rests on, as it says on its face."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from models import MODELS
from study.report.paper.names import dataset_label
from study.report.paper.published import EPOCHS, FOLDS

BEST, LAST = "best_validation", "last"
WEIGHTS = {BEST: "weights of the best validation epoch", LAST: "weights of the last epoch"}

_LIMIT = "param.dataset.limit"
_COLUMNS = ("dataset", "protocol", "system", "model", "fold", "epoch_rule", "epoch", _LIMIT)


@dataclass(frozen=True)
class Basis:
    """What a table or picture rests on.

    Attributes:
        dataset: the dataset's name.
        protocol: how training, validation and test samples were drawn.
        epochs: fewest and most epochs that a fold of a trained system was trained;
            None if every system is fitted once.
        folds: numbers of the folds that are shown.
        of_folds: folds there are.
        limit: samples of the dataset that the study kept; None for all.
    """

    dataset: str
    protocol: str
    epochs: tuple[int, int] | None
    folds: tuple[int, ...]
    of_folds: int
    limit: int | None = None


def basis_of(
    scores: pa.Table, protocol: str, systems: Sequence[str], folds: Sequence[int] | None = None
) -> Basis:
    """Return what is shown of `systems` under `protocol` rests on.

    Args:
        scores: `scores.parquet` with rows of at least one of the systems.
        protocol: of the rows that are shown.
        systems: whose rows are shown.
        folds: that are shown; None for all.
    """
    columns = [name for name in _COLUMNS if name in scores.column_names]
    frame = scores.select(columns).to_pandas()
    frame = frame[(frame["protocol"] == protocol) & frame["system"].isin(list(systems))]
    there = sorted({int(fold) for fold in frame["fold"]})
    shown = there if folds is None else [fold for fold in folds if fold in there]
    trained = [name for name in set(frame["model"]) if not _fitted_once(str(name))]
    rows = (frame["epoch_rule"] == LAST) & frame["model"].isin(trained)
    epochs = frame[rows & frame["fold"].isin(shown)]["epoch"]
    return Basis(
        dataset=str(frame["dataset"].iloc[0]),
        protocol=protocol,
        epochs=None if epochs.empty else (int(epochs.min()), int(epochs.max())),
        folds=tuple(shown),
        of_folds=len(there),
        limit=_limit(frame),
    )


def footer(basis: Basis, *notes: str) -> str:
    """Return what a table or picture says of itself, `notes` last."""
    said = [dataset_label(basis.dataset)]
    if basis.limit is not None:
        said.append(f"a random subset of {basis.limit:,} samples")
    said += [f"protocol {basis.protocol}", _folds_said(basis)]
    if basis.epochs is not None:
        said.append(_epochs_said(*basis.epochs))
    return "; ".join([*said, *(note for note in notes if note)]) + "."


def only_the_papers(basis: Basis) -> str:
    """Return a warning beside numbers of the paper where the study's protocol is another."""
    return "" if basis.protocol == "paper" else "the paper's numbers are of protocol paper"


def _epochs_said(fewest: int, most: int) -> str:
    trained = f"{most}" if fewest == most else f"{fewest} to {most}"
    if fewest < EPOCHS:
        return f"{trained} of the paper's {EPOCHS} epochs"
    return f"{trained} epochs (the paper: {EPOCHS})"


def _folds_said(basis: Basis) -> str:
    if len(basis.folds) < basis.of_folds:
        numbers = " and ".join(str(fold) for fold in basis.folds)
        plural = "s" * (len(basis.folds) > 1)
        return f"fold{plural} {numbers} of folds 0 to {basis.of_folds - 1}"
    said = f"{basis.of_folds} fold{'s' * (basis.of_folds != 1)}"
    return said if basis.of_folds == FOLDS else f"{said} (the paper: {FOLDS})"


def _fitted_once(model: str) -> bool:
    return model in MODELS and MODELS[model].fitted_once


def _limit(frame: pd.DataFrame) -> int | None:
    """Return `dataset.limit`, which is one for all rows of a study."""
    if _LIMIT not in frame:
        return None
    limits = frame[_LIMIT].dropna()
    return None if limits.empty else int(limits.iloc[0])
