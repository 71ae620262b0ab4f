"""A picture of samples of a table: each with its reconstruction and its score."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.data.tables.reader import ROWS_AT_ONCE
from study.detectors.detector import Detector
from study.detectors.signals.picture import (
    ABNORMAL,
    RECONSTRUCTION,
    SIGNAL,
    require_members,
)
from study.detectors.signals.rows import RowSource
from study.detectors.signals.table import Written

DRAWN = 12
MOST_DRAWN = 60
COLUMNS = 3
ROW_INCHES = 1.9


def require_samples(source: RowSource, first: int, last: int | None) -> None:
    """Refuse samples that cannot be drawn; see `chosen_samples`.

    Raises:
        RequestError: there are none, or too many.
    """
    sizes = (len(rows.values) for rows in source.table.blocks(ROWS_AT_ONCE))
    require_members(first, last, MOST_DRAWN, sizes, "sample", "table")


def chosen_samples(
    written: Written, first: int, last: int | None
) -> tuple[npt.NDArray[np.int64], str]:
    """Return which samples are drawn, and which those are in words.

    Args:
        written: scores of all samples.
        first: the first sample, which is one of them.
        last: the sample after the last; None for those of highest score from the first one on.
    """
    members = np.arange(first, len(written) if last is None else min(last, len(written)))
    if last is not None:
        return members, f"samples {first} to {members[-1]}"
    highest = members[np.argsort(-written.score[members], kind="stable")[:DRAWN]]
    return highest, f"the {len(highest)} samples of highest score"


def draw_samples(
    path: Path,
    detector: Detector,
    source: RowSource,
    written: Written,
    members: npt.NDArray[np.int64],
    what: str,
) -> None:
    """Draw samples in their order, one beside the other; those that are abnormal are shaded.

    Args:
        path: the file.
        detector: reconstructs the samples.
        source: of the samples.
        written: scores of all of them.
        members: which are drawn.
        what: which these are, in words.
    """
    from matplotlib.figure import Figure

    values = _values(source, members)
    reconstructed = detector.reconstruct(values)
    lines = -(-len(members) // COLUMNS)
    figure = Figure(figsize=(12, 0.8 + ROW_INCHES * lines), layout="constrained")
    axes = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for axis in axes[len(members) :]:
        axis.set_axis_off()
    for i, (axis, member) in enumerate(zip(axes, members, strict=False)):
        is_abnormal = bool(written.decision[member])
        if is_abnormal:
            axis.set_facecolor((*_rgb(ABNORMAL), 0.12))
        axis.plot(values[i].T, color=SIGNAL, linewidth=0.8)
        if reconstructed is not None:
            axis.plot(reconstructed[i].T, color=RECONSTRUCTION, linewidth=0.9)
        known = {0: ", labelled normal", 1: ", labelled abnormal"}.get(int(written.label[member]))
        axis.set_title(f"sample {member}: {written.score[member]:.4g}{known or ''}", fontsize=8)
        axis.tick_params(labelsize=7)
    abnormal = int(written.decision[members].sum())
    figure.suptitle(
        f"{source.table.path.name}, {what}: {abnormal} of {len(members)} abnormal by"
        f" {detector.folds[0].composition} (shaded); reconstructions in green"
    )
    figure.savefig(path, dpi=110)


def _values(source: RowSource, members: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the samples `members`, `(m, channels, length)`, in their order."""
    by_member: dict[int, npt.NDArray[np.float32]] = {}
    wanted, first = set(members.tolist()), 0
    for block in source.blocks():
        for i in wanted & set(range(first, first + len(block))):
            by_member[i] = block.values[i - first]
        first += len(block)
    return np.stack([by_member[member] for member in members.tolist()])


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
