"""A training step of beta-VAEGAN on a GPU: which way of making it is fastest.

`python -m benchmarks.gpu steps --to FILE [--batch 64 256]` times a step, as an epoch makes it,
operation by operation, recorded as a CUDA graph, compiled, and both; and a step of five
folds stacked in one process (`benchmarks.stacked_folds`). `python -m benchmarks.gpu processes
--to FILE --counts 1 5 10` lets as many processes train at a time, as Ray's workers that share
a GPU do, and counts their steps together; with NVIDIA's MPS where its daemon runs, which
`--label mps` notes. Lines of JSON are appended to FILE. Each measurement has a process of its own.
"""

import argparse
import itertools
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.stacked_folds import StackedFolds
from benchmarks.training_step import SETTINGS, SHAPE, beats
from models import implementation
from models.bases.recorded import RecordedSteps
from models.interface import Seeds
from models.settings import TrainingSettings

FOLDS = 5
STEPS_AN_EPOCH = 50
EPOCHS = 5
SECONDS = 5.0
"""For which processes train at a time, at least."""
NOT_OF_TRAINING = ("recorded", "device")
"""Options that are no settings of a training."""


def build(options: dict[str, Any], fold: int = 0) -> Any:
    """Return an untrained model; `options` are those of its training, and `NOT_OF_TRAINING`."""
    training = TrainingSettings(**{k: v for k, v in options.items() if k not in NOT_OF_TRAINING})
    seeds = Seeds(weights=fold, batches=1, noise=2, augmentation=3)
    device = torch.device(options["device"])
    model: Any = implementation("beta_vaegan")(SETTINGS, training, SHAPE, seeds, device)
    if not options["recorded"]:
        model._recorded = None
    return model


def epochs_of(model: Any) -> Callable[[], int]:
    """Return what trains an epoch and returns how many steps that took."""
    batch = model.training.batch_size
    samples = beats(STEPS_AN_EPOCH * batch).to(model.device)
    members = torch.arange(len(samples), device=model.device)

    def epoch() -> int:
        model.train_epoch(samples, members)
        return STEPS_AN_EPOCH

    return epoch


def stacked_epochs(options: dict[str, Any]) -> Callable[[], int]:
    """The same of five folds in one process; a step is one of all five."""
    models = [build(options | {"compile": False}, fold) for fold in range(FOLDS)]
    noise = torch.Generator(options["device"]).manual_seed(0)
    stacked = StackedFolds(models, noise)
    if options["compile"]:
        for name in ("encode", "decode", "features"):
            setattr(stacked, name, torch.compile(getattr(stacked, name)))
    step = stacked.training_step
    if options["recorded"]:
        recorded = RecordedSteps(step, stacked.optimizers.values(), [noise])

        def step(x: torch.Tensor) -> dict[str, torch.Tensor]:
            return recorded(x, ())

    batch = options["batch_size"]
    x = beats(FOLDS * batch).view(FOLDS, batch, SHAPE.channels, SHAPE.length).to(options["device"])

    def epoch() -> int:
        for _ in range(STEPS_AN_EPOCH):
            step(x)
        return STEPS_AN_EPOCH

    return epoch


def time_steps(options: dict[str, Any], folds: int, queue: Any, ready: Any, turn: Any) -> None:
    """Put milliseconds a step, of the median epoch, and the memory that was taken.

    Args:
        options: of the training.
        folds: one, or how many are stacked.
        queue: for the result.
        ready: how many processes are not yet ready to be timed.
        turn: a lock, held by the one that is timed.
    """
    torch.set_num_threads(1)
    started = time.perf_counter()
    try:
        epoch = stacked_epochs(options) if folds > 1 else epochs_of(build(options))
        epoch()
        synchronize()
    except Exception as error:  # one way that does not work keeps no other from being timed
        queue.put({"error": f"{type(error).__name__}: {error}"[:500]})
        return
    finally:
        with ready.get_lock():
            ready.value -= 1
    prepared = time.perf_counter() - started
    while ready.value:
        time.sleep(0.1)
    with turn:
        seconds = []
        for _ in range(EPOCHS):
            started = time.perf_counter()
            steps = epoch()
            synchronize()
            seconds.append((time.perf_counter() - started) / steps)
    queue.put(
        {
            "milliseconds_a_step": 1000 * statistics.median(seconds),
            "fastest": 1000 * min(seconds),
            "slowest": 1000 * max(seconds),
            "seconds_before": prepared,
            "reserved_mb": torch.cuda.max_memory_reserved() / 1e6,
        }
    )


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train_beside_others(options: dict[str, Any], barrier: Any, queue: Any) -> None:
    """Train for `SECONDS` from the moment that all are ready; put the steps a second."""
    torch.set_num_threads(1)
    epoch = epochs_of(build(options))
    epoch()
    synchronize()
    barrier.wait()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        steps += epoch()
        synchronize()
    queue.put(steps / (time.perf_counter() - started))


def steps(arguments: argparse.Namespace) -> None:
    """Time a step made in each way."""
    context = multiprocessing.get_context("spawn")
    ways = [
        (
            {
                "batch_size": batch,
                "precision": precision,
                "compile": compiled,
                "recorded": recorded,
                "discriminator_updates": arguments.updates,
                "device": arguments.device,
            },
            folds,
        )
        for batch, precision, compiled, recorded, folds in itertools.product(
            arguments.batch, arguments.precision, arguments.compile, (False, True), (1, FOLDS)
        )
    ]
    ready, turn = context.Value("i", len(ways)), context.Lock()
    started = []
    for options, folds in ways:
        queue = context.Queue()
        process = context.Process(target=time_steps, args=(options, folds, queue, ready, turn))
        process.start()
        started.append((options | {"folds": folds}, queue, process))
    for options, queue, process in started:
        write(arguments.to, options | queue.get())
        process.join()


def processes(arguments: argparse.Namespace) -> None:
    """Count the steps of processes that train at a time."""
    context = multiprocessing.get_context("spawn")
    for count in arguments.counts:
        for recorded in (True, False):
            options = {
                "batch_size": arguments.batch[0],
                "precision": arguments.precision[0],
                "recorded": recorded,
                "discriminator_updates": arguments.updates,
                "device": arguments.device,
            }
            barrier, queue = context.Barrier(count), context.Queue()
            workers = [
                context.Process(target=train_beside_others, args=(options, barrier, queue))
                for _ in range(count)
            ]
            for worker in workers:
                worker.start()
            rates = [queue.get(timeout=120) for _ in workers]
            for worker in workers:
                worker.join()
            result = {"processes": count, "label": arguments.label, "steps_a_second": sum(rates)}
            write(arguments.to, options | result)


def write(path: Path, line: dict[str, Any]) -> None:
    """Append and print a line."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    line = {"torch": torch.__version__, **line, "device": name}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for function in (steps, processes):
        command = commands.add_parser(function.__name__, help=(function.__doc__ or "").rstrip("."))
        command.set_defaults(function=function)
        command.add_argument("--to", type=Path, required=True, help="file of JSON lines")
        command.add_argument("--batch", type=int, nargs="+", default=[256], help="samples")
        command.add_argument("--precision", nargs="+", default=["bfloat16"], help="arithmetic")
        command.add_argument("--device", default="cuda", help="cuda or cpu")
        command.add_argument("--updates", type=int, default=3, help="of D for one of G")
        if function is processes:
            command.add_argument("--counts", type=int, nargs="+", default=[1, 5], help="processes")
            command.add_argument("--label", default="", help="goes into the lines")
        else:
            command.add_argument(
                "--plain",
                dest="compile",
                action="store_const",
                const=(False,),
                default=(False, True),
                help="without the ways that compile",
            )
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
