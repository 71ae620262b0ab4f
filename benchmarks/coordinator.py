"""How many trials at a time the coordinator serves, and what one exchange with it takes.

`python -m benchmarks.coordinator --trials 1000 --folds 5 [--json FILE]` starts the real actor on a
private cluster. For each of 10, 100, ... trials at a time, what the folds' workers and the trials'
processes ask it comes from this one process: every fold takes its assignment, reports four epochs
and waits at a rung, and no trial goes on before all have reached it. So the calls of all
folds and all trials wait in the actor together. Seconds are those of this machine: one process
makes all calls, and one answers them.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from study.cluster.connection import connected
from study.cluster.exchange import Answer, Assignment, FoldWorker
from study.config.study_file import load_study
from study.config.trial_config import TrialConfig
from study.search.plan import Plan
from study.search.rungs import FoldSchedule
from study.search.trial import Trial
from study.training.validation_report import ValidationReport

EPOCHS, RUNG = 4, 2
SCORES = {f"score_{number}": 0.5 for number in range(10)}
"""As many as a fold of beta-VAEGAN reports."""
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Exchanges:
    """What trials at a time took.

    Attributes:
        trials: trials at a time.
        folds: folds of each.
        heard: trials that got the result of the rung, with the calls of all waiting.
        completed: trials that got that of their last epoch.
        exchanges: calls that were answered.
        seconds: of all of them.
        seconds_per_exchange: of one.
    """

    trials: int
    folds: int
    heard: int
    completed: int
    exchanges: int
    seconds: float
    seconds_per_exchange: float


class Players:
    """The workers and the processes of as many trials, all in this process."""

    def __init__(self, coordinator: Any, trials: int, folds: int) -> None:
        self._coordinator, self._trials, self._folds = coordinator, trials, folds
        self._config = TrialConfig.of(load_study("wafer"))
        self._all_at_rung = asyncio.Event()
        self.heard = self.completed = self.exchanges = 0

    async def play(self) -> None:
        """Play all trials to their ends, or until `PATIENCE_SECONDS` are over."""
        groups = [f"{self._trials}-{number}" for number in range(self._trials)]
        # Numbers that no level before this one had: the actor remembers rungs by trial.
        parts = [self._trial(self._trials + at, group) for at, group in enumerate(groups)]
        parts += [self._fold(group, fold) for group in groups for fold in range(self._folds)]
        tasks = [asyncio.ensure_future(part) for part in parts]
        done, waiting = await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()

    async def _ask(self, call: Any, *arguments: Any) -> Any:
        answer = await call.remote(*arguments)
        self.exchanges += 1
        return answer

    async def _trial(self, number: int, group: str) -> None:
        trial = Trial(number, self._config)
        assignment, epoch = Assignment.of(trial), 0
        while epoch < EPOCHS:
            call = self._coordinator.next_result
            epoch = (await self._ask(call, group, assignment, epoch))["epoch"]
            if epoch == RUNG:
                self.heard += 1
                if self.heard == self._trials:
                    self._all_at_rung.set()
                await self._all_at_rung.wait()
                await self._ask(self._coordinator.promote, trial.name, RUNG)
        self.completed += 1

    async def _fold(self, group: str, fold: int) -> None:
        worker = FoldWorker(group, fold, "node", "127.0.0.1")
        turn = await self._ask(self._coordinator.next_assignment, worker, "", 0)
        for epoch in range(1, EPOCHS + 1):
            state = "completed" if epoch == EPOCHS else "running"
            report = ValidationReport(epoch, state, value=0.5, scores=SCORES)
            arguments = (worker, turn.assignment.attempt, epoch - 1, [report], 1.0)
            answer = await self._ask(self._coordinator.report, *arguments)
            assert answer is Answer.GO_ON


def measure(coordinator: Any, trials: int, folds: int) -> Exchanges:
    """Play so many trials at a time with the actor."""

    async def play() -> Players:
        players = Players(coordinator, trials, folds)
        await players.play()
        return players

    started = time.monotonic()
    players = asyncio.run(play())
    seconds = time.monotonic() - started
    return Exchanges(
        trials=trials,
        folds=folds,
        heard=players.heard,
        completed=players.completed,
        exchanges=players.exchanges,
        seconds=seconds,
        seconds_per_exchange=seconds / players.exchanges,
    )


def levels(trials: int) -> Sequence[int]:
    """Return the numbers of trials at a time: powers of ten below the last, and it."""
    return [*(level for level in (10, 100, 1000) if level < trials), trials]


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coordinator", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="trials at a time at most")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    rows = []
    with connected(None):
        from study.cluster.coordinator_actor import start_coordinator

        resources = load_study("wafer").resources
        coordinator = start_coordinator(
            FoldSchedule(options.folds, (RUNG,)), Plan(1, 0, 1), resources
        )
        for level in levels(options.trials):
            measured = measure(coordinator, level, options.folds)
            print(
                f"{level} trials at a time: heard {measured.heard}, completed"
                f" {measured.completed}, {measured.seconds_per_exchange:.5f} s an exchange"
                f" ({measured.exchanges} in {measured.seconds:.1f} s)",
                flush=True,
            )
            rows.append(asdict(measured))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
