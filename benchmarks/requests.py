"""How many requests a driver makes of an object store, and how long they take.

`python -m benchmarks.requests --json FILE [--trials 10000] [--folds 5] [--delay 0.02]` fills a
server in a process of its own with a study whose trials have ended, each answer of which takes
`--delay` seconds, and does what `study.run` does between its first look at the store and the
next trial's proposal. Then it ends some trials whose folds are committed. It prints `requests`
and `seconds` of the start, and of an end `requests_per_end`, the largest mean of ten in a row, and
`seconds_per_end`, the mean. Ray, and what workers write, are not counted.
"""

import argparse
import functools
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from study import driver
from study.cluster.scheduler import RungScheduler
from study.cluster.search_state import SearchState
from study.cluster.tune_search import SourceSearcher, TrialFinalizer, search_state
from study.config.study_file import check_study
from study.config.trial_config import TrialConfig
from study.ledger.fold_contents import history_file, json_file
from study.ledger.fold_files import (
    COMPONENTS,
    EXTREMES,
    HISTORY,
    INTERPOLATION,
    RECONSTRUCTIONS,
    TIMINGS,
    TRAINING_COMPONENTS,
    WEIGHTS,
)
from study.ledger.index import open_ledger
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.request import Request
from study.search.plan import NodeCapacity, make_plan
from study.search.trial import Proposal, RungDecision, Trial, TrialRecord, fold_name
from study.storage.folder import Folder, open_folder
from study.terminal.progress import Display
from study.training.hparams import write_outcomes
from study.training.prepared import Prepared
from tests.s3_server import ACCESS_KEY, Objects, S3Server

NAME, LEDGER = "requests", "results/requests/ledger/"
EPOCHS, RUNGS = 30, (10,)
ENDS, IN_A_ROW = 30, 10
STAND_INS = (
    COMPONENTS,
    TRAINING_COMPONENTS,
    WEIGHTS,
    MODEL,
    RECONSTRUCTIONS,
    INTERPOLATION,
    EXTREMES,
)


@dataclass(frozen=True)
class Measured:
    """What a driver asked of the store.

    Attributes:
        trials: ended trials.
        folds: of each.
        delay_seconds: of each answer.
        requests: of its start.
        seconds: of its start.
        cpu_seconds: of its process during its start.
        requests_per_end: of the end of a trial: the largest mean of ten in a row.
        seconds_per_end: of the end of a trial: the mean.
    """

    trials: int
    folds: int
    delay_seconds: float
    requests: int
    seconds: float
    cpu_seconds: float
    requests_per_end: float
    seconds_per_end: float


class _ServerMemory:
    """A ledger's folder in the server's memory, which is filled without requests."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def write(self, path: str, content: bytes) -> None:
        self._objects[LEDGER + path] = content

    def write_all(self, files: dict[str, bytes]) -> None:
        for path in sorted(files):
            self.write(path, files[path])

    def create(self, path: str, content: bytes) -> bool:
        self.write(path, content)
        return True

    def exists(self, path: str) -> bool:
        return LEDGER + path in self._objects


def small_search(trials: int, folds: int) -> Any:
    """Return a search whose data are small."""
    content = {
        "name": NAME,
        "dataset": {"name": "synthetic", "length": 32, "patients": 4, "beats_per_patient": 20},
        "split": {"folds": folds},
        "model": {"name": "beta_vaegan"},
        "training": {"epochs": EPOCHS},
        "search": {
            "trials": trials,
            "sampler": "random",
            "metric": {"composition": "lambda_grid"},
            "space": {
                "model.beta": {"loguniform": [1e-6, 0.1]},
                "model.latent_size": {"int": [2, 64]},
            },
            "stopping": {"grace_epochs": RUNGS[0], "reduction": 3},
        },
    }
    return check_study(content, "benchmark")


def commit(ledger: Ledger, trial: Trial) -> None:
    """Commit folds that hold next to nothing, in as many files as folds have."""
    files = {name: f"{trial.name} {name}".encode() for name in STAND_INS}
    files |= {HISTORY: _history(), TIMINGS: json_file({"train_seconds": 60.0})}
    for address in trial.folds:
        manifest = FoldManifest(trial.name, address.fold, "completed", "", EPOCHS, EPOCHS, {})
        ledger.commit_fold(manifest, files)


@functools.cache
def _history() -> bytes:
    return history_file([{"epoch": epoch, "value": 0.5} for epoch in range(1, EPOCHS + 1)])


def fill(objects: Objects, trials: int, folds: int) -> None:
    """Write trials that have ended."""
    ledger: Ledger = Ledger(_ServerMemory(objects))  # type: ignore[arg-type]
    config, random = TrialConfig.of(small_search(trials, folds)), np.random.default_rng(0)
    for number in range(trials):
        parameters = {
            "model.beta": float(random.uniform(1e-6, 0.1)),
            "model.latent_size": int(random.integers(2, 65)),
        }
        trial = Trial(number, config.with_parameters(parameters), parameters)
        commit(ledger, trial)
        ledger.record_proposal(Proposal(trial, number, (), 0))
        for epoch in RUNGS:
            ledger.record_decision(RungDecision(trial.name, epoch, 0.5, True, number))
        values = [(epoch, 0.5) for epoch in range(1, EPOCHS + 1)]
        ledger.record_trial(TrialRecord(trial, "completed", values=values, completion_order=number))


def serve(channel: Connection, trials: int, folds: int) -> None:
    """Fill a server; send its URI, then on each message set the delay and send the count."""
    server = S3Server("bucket")
    fill(server.objects, trials, folds)
    channel.send(server.uri("results"))
    while (delay := channel.recv()) is not None:
        server.delay_seconds = delay
        channel.send(len(server.requests))


@contextmanager
def served(trials: int, folds: int) -> Iterator[tuple[str, Callable[[float], int]]]:
    """Run a server in a process; yield its URI, and what sets its delay and counts requests."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=serve, args=(theirs, trials, folds), daemon=True)
    process.start()

    def count(delay: float) -> int:
        ours.send(delay)
        return int(ours.recv())

    try:
        yield ours.recv(), count
    finally:
        ours.send(None)
        process.join()


def write_index(outputs: Folder) -> None:
    """Leave what a driver leaves that has seen all trials end."""
    ledger = open_ledger(outputs.folder(NAME))
    for name in ledger.names():
        ledger.remember(name)
    ledger.save()


@contextmanager
def started(outputs: Folder, trials: int, folds: int) -> Iterator[SearchState]:
    """Do what a driver does until it proposes the trial that is missing."""
    study = small_search(trials + ENDS, folds)
    console = Console(file=io.StringIO())
    request = Request(study, outputs, console, fresh=False)
    prepared: Prepared = driver._prepare(request, None)

    class Observer(Display):
        def on_ended(self, record: TrialRecord) -> None:
            super().on_ended(record)
            write_outcomes([record], request.results)

    with driver._begun(request, prepared, lambda reason: None):
        assert len(request.missing()) == ENDS
        request.show_plan(make_plan(study, [NodeCapacity(folds, 0)]))
        observer = Observer(study.name, request.source(), console)
        observer.start(request.ended())
        try:
            state = search_state(study, request.results, request.ledger, observer)
            messages = SimpleNamespace()
            RungScheduler(state, study.search.stopping, messages)
            yield state
        finally:
            observer.stop()


def measure(trials: int, folds: int, delay_seconds: float) -> Measured:
    """Start a study that has `trials` ended trials, and end some more."""
    with served(trials, folds) as (uri, count):
        return measure_at(uri, count, trials, folds, delay_seconds)


def measure_at(
    uri: str, count: Callable[[float], int], trials: int, folds: int, delay_seconds: float
) -> Measured:
    """Measure on a store that is filled; `count` sets its delay and returns its requests so far."""
    outputs = open_folder(uri)
    write_index(outputs)
    before, began, cpu_began = count(delay_seconds), time.perf_counter(), time.process_time()
    with started(outputs, trials, folds) as state:
        searcher, finalizer = SourceSearcher(state), TrialFinalizer(state)
        searcher.suggest("0")
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        requests = count(delay_seconds) - before
        ends = [_end(state, searcher, finalizer, str(n), count, delay_seconds) for n in range(ENDS)]
    rows = [ends[at : at + IN_A_ROW] for at in range(ENDS - IN_A_ROW + 1)]
    return Measured(
        trials=trials,
        folds=folds,
        delay_seconds=delay_seconds,
        requests=requests,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        requests_per_end=max(sum(each for each, _ in row) / IN_A_ROW for row in rows),
        seconds_per_end=sum(taken for _, taken in ends) / ENDS,
    )


def _end(
    state: SearchState,
    searcher: SourceSearcher,
    finalizer: TrialFinalizer,
    number: str,
    count: Callable[[float], int],
    delay_seconds: float,
) -> tuple[int, float]:
    """End the trial that was proposed as `number`; return requests and seconds of that."""
    if number not in state.running:
        searcher.suggest(number)
    trial, tune_trial = state.running[number], SimpleNamespace(trial_id=number)
    count(0.0)
    commit(Ledger.of(state.results), trial)
    for epoch in range(1, EPOCHS + 1):
        ended = "completed" if epoch == EPOCHS else "running"
        result = {"epoch": epoch, "state": ended, "reason": "", "value": 0.5}
        result |= {f"{fold_name(address.fold)}/value": 0.5 for address in trial.folds}
        finalizer.on_trial_result(1, [], tune_trial, result)
    before, began = count(delay_seconds), time.perf_counter()
    finalizer.on_trial_complete(1, [], tune_trial)
    seconds = time.perf_counter() - began
    assert not state.errors, state.errors
    return count(delay_seconds) - before, seconds


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file of the result")
    parser.add_argument("--trials", type=int, default=10_000, help="ended trials")
    parser.add_argument("--folds", type=int, default=5, help="folds of each")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds of each answer")
    options = parser.parse_args()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with tempfile.TemporaryDirectory() as cache:
        os.environ["STUDY_CACHE_DIR"] = cache
        measured = asdict(measure(options.trials, options.folds, options.delay))
    options.json.write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
