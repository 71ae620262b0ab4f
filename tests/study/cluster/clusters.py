"""A cluster that is not there, for the coordinator and what it knows of nodes."""

from collections.abc import Sequence

from study.cluster.exchange import FoldWorker


class FewNodes:
    """Nodes by name, each with room for all folds of one trial.

    Attributes:
        killed: the workers that were to be killed.
    """

    def __init__(self, nodes: Sequence[str] = ("n0", "n1", "n2"), restarted: bool = False) -> None:
        self._nodes, self._restarted = frozenset(nodes), restarted
        self.killed: list[FoldWorker] = []

    def is_restarted(self) -> bool:
        return self._restarted

    def tidy(self) -> None:
        pass

    def has_room_without(self, nodes: frozenset[str]) -> bool:
        return bool(self._nodes - nodes)

    def kill(self, worker: FoldWorker) -> None:
        self.killed.append(worker)


def worker(group: str, fold: int = 0, node: str = "n0") -> FoldWorker:
    return FoldWorker(group, fold, node, f"address of {node}")
