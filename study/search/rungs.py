"""The rungs of early stopping: epochs at which trials are compared, and may be stopped."""

from study.config.schema import StoppingSettings


def rungs(stopping: StoppingSettings | None, epochs: int) -> tuple[int, ...]:
    """Return the epochs grace * reduction^k below the last, in order (ASHA, Li et al. 2020).

    Args:
        stopping: the study's; None without early stops, and so without rungs.
        epochs: of a trial that is not stopped.
    """
    epochs_of_rungs = []
    epoch = stopping.grace_epochs if stopping else epochs
    while stopping and epoch < epochs:
        epochs_of_rungs.append(epoch)
        epoch *= stopping.reduction
    return tuple(epochs_of_rungs)
