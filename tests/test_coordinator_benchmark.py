"""The workers and processes of the benchmark speak with the coordinator as those of a study do."""

import asyncio
from types import SimpleNamespace
from typing import Any

from benchmarks.coordinator import EPOCHS, RUNG, Players, levels
from study.cluster.coordinator import Coordinator
from study.cluster.exchange import Patience
from study.search.rungs import FoldSchedule
from tests.study.cluster.clusters import FewNodes


class Handle:
    """A coordinator in this process, called as an actor is."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._coordinator, name))


def test_all_trials_reach_the_rung_and_their_end() -> None:
    folds = 3

    async def play() -> None:
        coordinator = Coordinator(FoldSchedule(folds, (RUNG,)), Patience(600.0), FewNodes())
        for trials in levels(20):
            players = Players(Handle(coordinator), trials, folds)
            await asyncio.wait_for(players.play(), 60)
            assert (players.heard, players.completed) == (trials, trials)
            # An assignment and its reports of each fold; results, and a promotion, of each trial.
            assert players.exchanges == trials * (folds * (1 + EPOCHS) + EPOCHS + 1)

    asyncio.run(play())


def test_levels_are_powers_of_ten_up_to_what_is_asked_for() -> None:
    assert [list(levels(trials)) for trials in (10, 200, 1000)] == [
        [10],
        [10, 100, 200],
        [10, 100, 1000],
    ]
