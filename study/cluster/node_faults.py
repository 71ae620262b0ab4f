"""Which nodes fail folds, and which of them a run leaves alone."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from study.cluster.exchange import FoldWorker
from study.cluster.faults import Fault, Owner

MOST_TRIALS = 1
"""A node that fails folds of more trials than this is left alone."""


class NodeFaults:
    """What went wrong on each node, by trial.

    One trial's fault says little of a node, since the trial may be to blame; so a node is left
    alone when it has failed two. What a trial met that turns out to be its own fault is no
    node's any more.

    Args:
        has_room_without: returns whether the folds of a trial fit on the other living nodes.
    """

    def __init__(self, has_room_without: Callable[[frozenset[str]], bool]) -> None:
        self._has_room_without = has_room_without
        self._reasons: dict[str, dict[str, str]] = defaultdict(dict)
        self._got_on: dict[str, set[str]] = defaultdict(set)
        self._restored: set[str] = set()

    def failed(self, worker: FoldWorker, trial: str, fault: Fault) -> str:
        """Take note that a fold failed by its node's fault; return a line if that is news."""
        before = self.left_alone
        self._reasons[worker.node][trial] = fault.reason
        if worker.node not in self.left_alone - before:
            return ""
        trials = " and ".join(sorted(self._reasons[worker.node]))
        follows = (
            "it is left alone for the rest of this run"
            if worker.node in self.avoidable()
            else "it stays in use: the other nodes have no room for a trial"
        )
        return f"node {worker.address} failed folds of {trials} ({fault.reason}): {follows}"

    def got_on(self, node: str, trial: str) -> None:
        """Take note that a fold of a trial was trained on a node."""
        if len(self._got_on[node]) < 2:  # one that is not the trial that is asked about
            self._got_on[node].add(trial)

    def leave_alone(self, nodes: Iterable[str]) -> None:
        """Leave nodes alone that the coordinator before this one had left alone."""
        self._restored.update(nodes)

    def has_room(self) -> bool:
        """Return whether the folds of a trial fit on the living nodes."""
        return self._has_room_without(frozenset())

    @property
    def left_alone(self) -> frozenset[str]:
        """The nodes that have failed too many trials."""
        known = {node for node, reasons in self._reasons.items() if len(reasons) > MOST_TRIALS}
        return frozenset(known | self._restored)

    def avoidable(self, trial: str = "") -> frozenset[str]:
        """Return the nodes that are left alone, and those that have failed a trial.

        As far as there is room elsewhere: a trial that has no choice is tried where it failed.
        """
        of_trial = {node for node, reasons in self._reasons.items() if trial in reasons}
        for nodes in (self.left_alone | of_trial, self.left_alone):
            if nodes and self._has_room_without(nodes):
                return nodes
        return frozenset()

    def is_trials_own(self, trial: str, fault: Fault) -> bool:
        """Return whether a fault that does not go away is the trial's own.

        What a node might be to blame for is the trial's where the nodes train others.
        """
        owner = fault.everywhere if fault.owner is Owner.NODE else fault.owner
        if owner is not None:
            return owner is Owner.TRIAL
        failed_on = [node for node, reasons in self._reasons.items() if trial in reasons]
        return any(self._got_on[node] - {trial} for node in failed_on)

    def acquit(self, trial: str) -> None:
        """Blame no node any more for what was a trial's own fault."""
        for reasons in self._reasons.values():
            reasons.pop(trial, None)
