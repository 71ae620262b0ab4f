"""One fold of an attempt at a trial: how far it is, and how long it may be silent."""

from dataclasses import dataclass

from study.cluster.exchange import FoldWorker
from study.cluster.faults import Fault, Owner

MOST_FAILURES = 4
"""How often a fold's workers may fail or die without the trial's getting on."""
EPOCHS_OF_SILENCE = 5
"""So many times its own longest epoch a fold may report nothing."""
FIRST_EPOCH_FACTOR = 6
"""So many times as long it may report nothing before an epoch of its own is known."""


@dataclass
class FoldState:
    """Where one fold of an attempt stands.

    Attributes:
        worker: the process that trains it, or trained it last and has no other fold since; None
            if none is known.
        latest: the last epoch that it has reported.
        has_ended: whether it was committed by then.
        longest_epoch: seconds of its longest epoch; 0 before one is known.
        last_heartbeat: when it last reported anything, if it is to report; None while it waits.
        hangs: how often it was killed because it reported nothing.
        failures: how often its workers failed or died since it, or all folds, last got on.
        fault: why the last of those did, if that is known.
    """

    worker: FoldWorker | None = None
    latest: int = 0
    has_ended: bool = False
    longest_epoch: float = 0.0
    last_heartbeat: float | None = None
    hangs: int = 0
    failures: int = 0
    fault: Fault | None = None

    def silence_allowed(self, least: float) -> float:
        """Return for how many seconds it may report nothing.

        Each hang doubles it: a fold that is only slow so gets the time that it needs.
        """
        known = max(least, EPOCHS_OF_SILENCE * self.longest_epoch)
        return (known if self.longest_epoch else FIRST_EPOCH_FACTOR * least) * 2.0**self.hangs

    def silent_seconds(self, now: float) -> float:
        """Return for how long it has reported nothing, if it is to report."""
        return 0.0 if self.last_heartbeat is None else now - self.last_heartbeat

    def fail(self, fault: Fault) -> None:
        """Take note of a fault of its worker, which is gone; no loss to the cluster is counted."""
        self.worker = self.last_heartbeat = None
        if fault.owner is not Owner.CLUSTER:
            self.failures += 1
        if fault.owner not in (Owner.CLUSTER, Owner.UNKNOWN):
            self.fault = fault
