"""What becomes of trials whose folds fail, hang, or have no nodes."""

from collections.abc import Callable, Iterable

from study.cluster.attempts import Attempt
from study.cluster.exchange import FoldWorker, Patience
from study.cluster.faults import Fault, Owner
from study.cluster.fold_state import MOST_FAILURES
from study.cluster.node_faults import NodeFaults


class Overseer:
    """Takes note of faults, and ends what does not get on.

    Args:
        patience: how long folds and nodes are waited for.
        nodes: what went wrong on each node.
        announce: takes lines for people.
        clock: returns seconds.
    """

    def __init__(
        self,
        patience: Patience,
        nodes: NodeFaults,
        announce: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._patience, self._nodes, self._announce, self._clock = patience, nodes, announce, clock

    def failed(self, attempt: Attempt, fold: int, fault: Fault) -> None:
        """Take note of why a fold failed; give its trial up when it does not get on."""
        state = attempt.folds[fold]
        if state.worker and fault.owner is Owner.NODE:
            line = self._nodes.failed(state.worker, attempt.trial, fault)
            if line:
                self._announce(line)
        state.fail(fault)
        if state.failures >= MOST_FAILURES:
            self._give_up(attempt)

    def _give_up(self, attempt: Attempt) -> None:
        """End an attempt that does not get on: how, depends on whose fault that is."""
        faults = {fold: state.fault for fold, state in enumerate(attempt.folds) if state.fault}
        reason = "; ".join(f"fold {fold}: {fault.reason}" for fold, fault in faults.items())
        if not faults:
            attempt.end("lost", f"workers died {MOST_FAILURES} times at one epoch")
        elif all(self._nodes.is_trials_own(attempt.trial, fault) for fault in faults.values()):
            self._nodes.acquit(attempt.trial)
            attempt.end("failed", reason)
        else:
            attempt.end("blocked", reason)

    def look_at(self, attempt: Attempt) -> list[FoldWorker]:
        """Return workers that hang, to be killed; give a trial up that waits too long for nodes."""
        hung = []
        for fold, state in enumerate(attempt.folds):
            silent = state.silent_seconds(self._clock())
            if state.worker and silent > state.silence_allowed(self._patience.silence_seconds):
                hung.append(state.worker)
                state.hangs += 1
                reason = f"it said nothing for {silent / 60:.1f} minutes"
                self._announce(
                    f"{attempt.trial}: fold {fold} on {state.worker.address} hangs, {reason}; it is"
                    " killed, and goes on elsewhere from its checkpoint"
                )
                self.failed(attempt, fold, Fault(Owner.NODE, reason))
        if not attempt.is_over and attempt.waits_since is not None:
            waited = self._clock() - attempt.waits_since
            if waited > (self._patience.nodes_seconds or float("inf")):
                if attempt.is_raced and self._nodes.has_room():  # it waits for other trials' slots
                    attempt.waits_since = self._clock()
                else:
                    attempt.end("lost", f"no nodes for {waited / 60:.0f} minutes")
        return hung

    @staticmethod
    def forgive(attempts: Iterable[Attempt], seconds: float) -> None:
        """Leave time out of account in which no reports were taken."""
        for attempt in attempts:
            for fold in attempt.folds:
                if fold.last_heartbeat is not None:
                    fold.last_heartbeat += seconds
