"""TensorBoard's files of folds: scalars, pictures and z of samples, and how they are laid out.

A file in an object store cannot grow: there events are written to files on this machine's disk,
each of which is copied once, after a minute, with a checkpoint, or at the end. TensorBoard reads
all of a folder as one.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from study.data.samples import Samples
from study.data.splits import Fold
from study.storage.folder import Folder, LocalFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tensorboardX import SummaryWriter

PICTURED = 4
PROJECTED = 500
"""Validation samples whose z is shown in the projector."""

PUBLISH_SECONDS = 60.0
"""From one file of events in a store to the next."""

LAYOUT = {
    "Validation": {
        "weighted F1, phi, AUROC": ["Multiline", ["validation/(f1_weighted|phi|auroc)$"]],
        "weighted F1 of the compositions that are followed": [
            "Multiline",
            ["(?!validation|answer)[^/]+/f1_weighted$"],
        ],
        "lambda": ["Multiline", ["[^/]+/lambda$"]],
    },
    "Losses": {"all": ["Multiline", ["loss/.*"]]},
    "Latent space": {
        "fit to the chi distribution": ["Multiline", ["latent/chi_.*"]],
        "all measures": ["Multiline", ["latent/.*"]],
    },
    "Reconstructions": {
        "TSTR": ["Multiline", ["generation/tstr.*"]],
        "MMD": ["Multiline", ["generation/mmd"]],
    },
}
"""Custom scalars: charts by category, with patterns of the tags that share one, and of none that a
trial's outcome has (`study.training.hparams`). All folds have the same, which TensorBoard shows
once."""

Reconstruct = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32] | None]


class EventFolder:
    """A folder on a disk to write events to: `folder`, or one whose files are copied there.

    Attributes:
        path: the folder on a disk.
        is_copied: whether its files are copied to `folder`.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._drafts = None
        if isinstance(folder, LocalFolder):
            self.path = folder.locate()
        else:
            self._drafts = tempfile.TemporaryDirectory(prefix="study-events-")
            self.path = self._drafts.name
        self.is_copied = self._drafts is not None

    def publish(self) -> None:
        """Copy the files that are written, and delete them here, if they are not in `folder`."""
        if self._drafts is not None:
            for file in sorted(Path(self.path).glob("events.out.*")):
                self._folder.write(file.name, file.read_bytes())
                file.unlink()

    def close(self) -> None:
        """Copy the rest, and delete the folder here."""
        try:
            self.publish()
        finally:
            if self._drafts is not None:
                self._drafts.cleanup()


class FoldWriter:
    """Writes one fold's events to `folder`."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._events = EventFolder(folder)
        self._opened: SummaryWriter | None = None
        self._published_at = time.monotonic()

    def resume(self, trained_epochs: int) -> None:
        """Hide what an earlier attempt wrote of epochs that are trained again."""
        self._opened = self._open(purge_step=trained_epochs + 1)

    def _open(self, **options: Any) -> "SummaryWriter":
        from tensorboardX import SummaryWriter

        suffix = f".{time.time_ns():020d}"  # several may begin in one second
        path = self._events.path
        writer = SummaryWriter(path, flush_secs=10, filename_suffix=suffix, **options)
        writer.add_custom_scalars(LAYOUT)
        return writer

    @property
    def _writer(self) -> "SummaryWriter":
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def publish(self) -> None:
        """Make all that is written by now readable; in a store what follows is another file."""
        if self._opened is None:
            return
        if self._events.is_copied:
            self._opened.close()
            self._opened = None
            self._events.publish()
            self._published_at = time.monotonic()
        else:
            self._opened.flush()

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
        if not self._events.is_copied or time.monotonic() - self._published_at >= PUBLISH_SECONDS:
            self.publish()

    def projector(
        self, epoch: int, samples: Samples, members: npt.NDArray[np.int64], z: npt.NDArray[Any]
    ) -> None:
        """Write z of `members`, `(n, latent)`, with label and kind, on a disk only."""
        if isinstance(self._folder, LocalFolder):
            embedded = samples.take(members)
            rows = [[("normal", "abnormal")[label], kind, str(index)] for label, kind, index in
                    zip(embedded.label, embedded.kind, members, strict=True)]  # fmt: skip
            header = ["label", "kind", "sample"]
            self._writer.add_embedding(z, rows, global_step=epoch, tag="z", metadata_header=header)

    def close(self) -> None:
        """Write what is still buffered."""
        if self._opened is not None:
            self._opened.close()
        self._events.close()


def _reconstruction_figure(samples: Samples, reconstructed: npt.NDArray[np.float32]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * PICTURED, 3.6))
    # A layout that follows from what is drawn would take half as long again.
    figure.subplots_adjust(0.04, 0.07, 0.995, 0.92, wspace=0.06, hspace=0.2)
    axes = figure.subplots(2, PICTURED, sharex=True, sharey=True, squeeze=False)
    position = {0: 0, 1: 0}
    for values, label, kind, again in zip(
        samples.values, samples.label, samples.kind, reconstructed, strict=True
    ):
        axis = axes[int(label)][position[int(label)]]
        position[int(label)] += 1
        for name, curves, colour in (("x", values, "tab:blue"), ("x̂", again, "tab:red")):
            above = curves + np.arange(len(curves))[:, np.newaxis]  # channel above channel
            axis.plot(above.T, color=colour, linewidth=1)[0].set_label(name)
        error = float(np.mean((values - again) ** 2))
        axis.set_title(f"{'abnormal' if label else 'normal'} ({kind}), R {error:.4f}", fontsize=8)
    axes[0][0].legend(fontsize=7)
    return figure
