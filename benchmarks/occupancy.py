"""How full a search keeps its cluster, and how long it takes, in virtual time.

`python -m benchmarks.occupancy --trials 200 --slots 20 [--json FILE]` runs a search with the real
searcher, sampler, scheduler and ledger, and beside it Ray Tune's own `OptunaSearch` and
`ASHAScheduler`. A trial takes one slot; what it reports, and when, is interpolated from recorded
curves of real trials (`benchmarks.learning_curves`). Nothing is trained, and nothing waits.

`occupancy` is the share of slots' seconds that trials ran. ASHA bounds it: when the last trial has
been proposed the slots of those that end stay empty, and the longest trial takes its time. `filled`
is the share until then, 1 where no slot ever waited for a proposal; `bound` is the occupancy of the
same trials if each could have been started at any time.
"""

import argparse
import itertools
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.learning_curves import Curves, CurveTable, curve_study
from benchmarks.virtual_time import Search, VirtualTime
from study.config.schema import StoppingSettings, Study
from study.ledger.fold_contents import history_file
from study.ledger.fold_files import HISTORY
from study.ledger.ledger import FoldManifest, Ledger
from study.search.rungs import FoldSchedule
from study.search.sources import trial_source
from study.search.trial import State, Trial
from study.storage.folder import LocalFolder

SCHEDULES = ((50, 4), (200, 20), (1000, 100))
"""Trials and slots that are measured, unless others are asked for."""


@dataclass(frozen=True)
class Schedule:
    """What became of a search.

    Attributes:
        search: whose.
        trials: how many ended.
        slots: trials that could run at a time.
        makespan: virtual seconds to the end of the last trial.
        occupancy: share of slots' seconds that trials ran.
        filled: the same until the last trial was started.
        bound: the occupancy that the same trials allow.
        epochs: epochs trained.
        best: the best value that a trial reached in its last epoch.
    """

    search: str
    trials: int
    slots: int
    makespan: float
    occupancy: float
    filled: float
    bound: float
    epochs: int
    best: float


class OurSearch:
    """The parts that `study.run` searches with, but for Tune's controller and the coordinator."""

    name = "study"

    def __init__(self, study: Study, folder: Path, slots: int | None = None) -> None:
        from study.cluster.scheduler import RungScheduler
        from study.cluster.slots import Slots
        from study.cluster.tune_search import SourceSearcher, search_state

        results = LocalFolder(folder)
        self.ledger = Ledger.of(results)
        taken = Slots(FoldSchedule.of(study), slots)
        self._state = search_state(study, results, self.ledger, _Nobody(), taken)
        self._searcher = SourceSearcher(self._state)
        self._scheduler = RungScheduler(
            self._state, study.search.stopping, _Nobody(), metrics=study.search.metrics
        )
        self._epochs = study.training.epochs
        self._reports: dict[str, list[tuple[int, float]]] = {}

    def propose(self, name: str) -> Mapping[str, Any] | None:
        """See `Search.propose`."""
        suggested = self._searcher.suggest(name)
        if not isinstance(suggested, dict):
            return None
        self._reports[name] = []
        parameters: Mapping[str, Any] = suggested["trial"].parameters
        return parameters

    def goes_on(self, name: str, epoch: int, value: float) -> bool:
        """See `Search.goes_on`."""
        self._reports[name].append((epoch, value))
        state = "completed" if epoch == self._epochs else "running"
        result = {"epoch": epoch, "value": value, "state": state, **self.costs(self.trial(name))}
        decision = self._scheduler.on_trial_result(None, SimpleNamespace(trial_id=name), result)
        is_stopped = self._state.running[name].name in self._state.stopped  # its folds end it
        return bool(decision == self._scheduler.CONTINUE and not is_stopped)

    def trial(self, name: str) -> Trial:
        """Return the trial that was proposed by a name."""
        return self._state.running[name]

    def end(self, name: str, folds: Sequence[Sequence[float]] = ()) -> None:
        """See `Search.end`; commits what workers would have."""
        reports, trial = self._reports.pop(name), self.trial(name)
        last = reports[-1][0]
        state: State = "completed" if last == self._epochs else "pruned"
        for address, values in zip(
            trial.folds, folds or [[value for _, value in reports]] * len(trial.folds), strict=False
        ):
            rows = [{"epoch": epoch, "value": values[epoch - 1]} for epoch, _ in reports]
            manifest = FoldManifest(address.trial, address.fold, state, "", last, last, {})
            files = {HISTORY: history_file(rows)} | self.other_files(trial, address.fold, last)
            self.ledger.commit_fold(manifest, files)
        self._state.finalize(trial)
        if self._state.errors:
            raise self._state.errors[0]

    def costs(self, trial: Trial) -> dict[str, float]:
        """Return what a trial reports of `search.metrics`, by name."""
        return {}

    def other_files(self, trial: Trial, fold: int, epochs: int) -> dict[str, bytes]:
        """Return what a worker would have committed of a fold beside its history, by file name."""
        return {}


class _Nobody:
    """Stands for the coordinator and for whoever watches; takes all, and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return _Nobody()

    def __call__(self, *_: Any, **__: Any) -> None:
        """Do nothing."""


class StockSearch:
    """Ray Tune's `OptunaSearch` and `ASHAScheduler`."""

    name = "Ray Tune"

    def __init__(self, study: Study, folder: Path) -> None:
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.optuna import OptunaSearch

        stopping = study.search.stopping
        assert isinstance(stopping, StoppingSettings)
        space = trial_source(study).space
        self._searcher = OptunaSearch(
            space,
            metric="value",
            mode="max",
            seed=study.seed,
            points_to_evaluate=[dict(known) for known in study.search.enqueue] or None,
        )
        self._scheduler = ASHAScheduler(
            time_attr="epoch",
            metric="value",
            mode="max",
            max_t=study.training.epochs,
            grace_period=stopping.grace_epochs,
            reduction_factor=stopping.reduction,
        )
        self._left = study.search.trials
        self._results: dict[str, dict[str, Any]] = {}

    def propose(self, name: str) -> Mapping[str, Any] | None:
        """See `Search.propose`."""
        if not self._left:
            return None
        self._left -= 1
        self._scheduler.on_trial_add(None, SimpleNamespace(trial_id=name))
        parameters: Mapping[str, Any] | None = self._searcher.suggest(name)
        return parameters

    def goes_on(self, name: str, epoch: int, value: float) -> bool:
        """See `Search.goes_on`."""
        result = {"epoch": epoch, "training_iteration": epoch, "value": value}
        self._results[name] = result
        self._searcher.on_trial_result(name, result)
        decision = self._scheduler.on_trial_result(None, SimpleNamespace(trial_id=name), result)
        return bool(decision == self._scheduler.CONTINUE)

    def end(self, name: str, folds: Sequence[Sequence[float]] = ()) -> None:
        """See `Search.end`; Tune knows of no folds."""
        result = self._results.pop(name)
        self._scheduler.on_trial_complete(None, SimpleNamespace(trial_id=name), result)
        self._searcher.on_trial_complete(name, result)


def play(search: Search, slots: int, curves: Curves, epochs: int) -> Schedule:
    """Run a search in virtual time.

    Args:
        search: the search.
        slots: trials at a time.
        curves: what trials report, and when.
        epochs: of a trial that is not stopped.
    """
    names = (f"trial-{number}" for number in itertools.count())
    running: dict[str, tuple[list[float], list[float]]] = {}
    spans: dict[str, tuple[float, float]] = {}
    reached: dict[str, int] = {}
    clock, best = VirtualTime(), float("-inf")
    while True:
        while len(running) < slots:
            name = next(names)
            parameters = search.propose(name)
            if parameters is None:
                break
            running[name] = curves.at(parameters)
            reached[name], spans[name] = 0, (clock.now, clock.now)
            clock.train(name, running[name][1][0])
        trial = clock.next_end()
        if trial is None:
            break
        values, seconds = running[trial]
        reached[trial] = epoch = reached[trial] + 1
        if search.goes_on(trial, epoch, values[epoch - 1]) and epoch < epochs:
            clock.train(trial, seconds[epoch])
            continue
        search.end(trial)
        spans[trial] = (spans[trial][0], clock.now)
        best = max(best, values[epoch - 1])
        del running[trial]
    return _schedule(search.name, slots, list(spans.values()), sum(reached.values()), best)


def _schedule(
    name: str, slots: int, spans: list[tuple[float, float]], epochs: int, best: float
) -> Schedule:
    makespan = max(end for _, end in spans)
    last_start = max(start for start, _ in spans)
    work = sum(end - start for start, end in spans)
    until = sum(min(end, last_start) - start for start, end in spans)
    longest = max(end - start for start, end in spans)
    return Schedule(
        search=name,
        trials=len(spans),
        slots=slots,
        makespan=makespan,
        occupancy=work / (slots * makespan),
        filled=until / (slots * last_start) if last_start else 1.0,
        bound=work / (slots * max(work / slots, longest)),
        epochs=epochs,
        best=best,
    )


def measure(trials: int, slots: int, seed: int = 0) -> list[Schedule]:
    """Run both searches on as many slots; return what became of them."""
    study = curve_study(f"search.trials={trials}", "split.folds=1", f"seed={seed}")
    curves, epochs = CurveTable.read(study), study.training.epochs
    schedules = []
    for build in (OurSearch, StockSearch):
        with tempfile.TemporaryDirectory() as folder:
            search: Search = build(study, Path(folder))
            schedules.append(play(search, slots, curves, epochs))
    return schedules


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.occupancy", description=__doc__)
    parser.add_argument("--trials", type=int, help="with --slots; else 50/4, 200/20 and 1,000/100")
    parser.add_argument("--slots", type=int, help="trials at a time")
    parser.add_argument("--seed", type=int, default=0, help="the study's")
    parser.add_argument("--json", type=Path, help="where to write the schedules")
    options = parser.parse_args()
    if (options.trials is None) != (options.slots is None):
        parser.error("--trials and --slots go together")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    chosen = SCHEDULES if options.trials is None else ((options.trials, options.slots),)
    rows = []
    for trials, slots in chosen:
        for schedule in measure(trials, slots, options.seed):
            rows.append(asdict(schedule))
            print(
                f"{schedule.search:>8}  {trials} trials, {slots} slots:"
                f" occupancy {schedule.occupancy:.3f}, filled {schedule.filled:.3f},"
                f" bound {schedule.bound:.3f}, makespan {schedule.makespan:.0f} s,"
                f" {schedule.epochs} epochs, best {schedule.best:.4f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
