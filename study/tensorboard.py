"""TensorBoard's files of a study: scalars and pictures of folds, HParams of trials."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from study.data.samples import Samples
from study.splits import Fold
from study.storage import Folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tensorboardX import SummaryWriter

PICTURED = 4
PROJECTED = 500
"""Validation samples whose z is shown in the projector."""

Reconstruct = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32] | None]


class FoldWriter:
    """Writes one fold's events below `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._opened: SummaryWriter | None = None

    def resume(self, trained_epochs: int) -> None:
        """Hide what an earlier attempt wrote of epochs that are trained again."""
        from tensorboardX import SummaryWriter

        self._opened = SummaryWriter(self._folder, purge_step=trained_epochs + 1, flush_secs=10)

    @property
    def _writer(self) -> "SummaryWriter":
        if self._opened is None:
            self.resume(0)
        assert self._opened is not None
        return self._opened

    def scalars(self, epoch: int, group: str, scalars: Mapping[str, float]) -> None:
        """Write scalars by name, grouped; with no group, a name holds its own."""
        for name, value in scalars.items():
            self._writer.add_scalar(f"{group}/{name}" if group else name, value, epoch)

    def reconstructions(
        self, epoch: int, samples: Samples, fold: Fold, reconstruct: Reconstruct
    ) -> None:
        """Draw the first few normal and abnormal validation samples over x̂."""
        labels = samples.label[fold.validation]
        members = np.concatenate([fold.validation[labels == label][:PICTURED] for label in (0, 1)])
        reconstructed = reconstruct(members)
        if reconstructed is not None:
            figure = _reconstruction_figure(samples.take(members), reconstructed)
            self._writer.add_figure("reconstructions", figure, epoch)
        self._writer.flush()

    def projector(
        self, epoch: int, samples: Samples, members: npt.NDArray[np.int64], z: npt.NDArray[Any]
    ) -> None:
        """Write z of `members`, `(n, latent)`, with label and kind, on a disk only."""
        if "://" not in self._folder:
            known = samples.take(members)
            rows = [[("normal", "abnormal")[label], kind, str(index)] for label, kind, index in
                    zip(known.label, known.kind, members, strict=True)]  # fmt: skip
            header = ["label", "kind", "sample"]
            self._writer.add_embedding(z, rows, global_step=epoch, tag="z", metadata_header=header)

    def close(self) -> None:
        """Write what is still buffered."""
        if self._opened is not None:
            self._opened.close()


def write_hparams(
    results: Folder, trial: str, parameters: Mapping[str, Any], scores: Mapping[str, float]
) -> None:
    """Write a trial's settings and scores for the HParams tab, in place of what is there."""
    from tensorboardX import SummaryWriter
    from tensorboardX.summary import hparams

    place = f"tensorboard/{trial}"
    for name in results.names(place):
        if name.startswith("events.out"):
            results.remove(f"{place}/{name}")
    shown = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in parameters.items()
    }
    with SummaryWriter(results.locate(place)) as writer:
        for summary in hparams(shown, dict(scores)):
            writer.file_writer.add_summary(summary)
        for name, value in scores.items():
            writer.add_scalar(name, value, 0)


def _reconstruction_figure(samples: Samples, reconstructed: npt.NDArray[np.float32]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * PICTURED, 3.6), layout="constrained")
    axes = figure.subplots(2, PICTURED, sharex=True, sharey=True, squeeze=False)
    position = {0: 0, 1: 0}
    for values, label, kind, found in zip(
        samples.values, samples.label, samples.kind, reconstructed, strict=True
    ):
        axis = axes[int(label)][position[int(label)]]
        position[int(label)] += 1
        axis.plot(values[0], color="tab:blue", linewidth=1, label="x")
        axis.plot(found[0], color="tab:red", linewidth=1, label="x̂")
        error = float(np.mean((values - found) ** 2))
        axis.set_title(f"{'abnormal' if label else 'normal'} ({kind}), R {error:.4f}", fontsize=8)
    axes[0][0].legend(fontsize=7)
    return figure
