"""What folds side by side cost each other: five on two cores, and one after another."""

import multiprocessing
import statistics
import time
from multiprocessing.synchronize import Barrier

from benchmarks.measurement import Measurement

FOLDS = 5
STEPS = 10
REPEATS = 3


def measure(cores: int, steps: int) -> list[Measurement]:
    """Train five folds at once with a thread each, and one after another on all cores.

    Args:
        cores: of this machine.
        steps: training steps of each fold.
    """
    together = statistics.median(_run(FOLDS, 1, steps) for _ in range(REPEATS))
    alone = statistics.median(_run(1, 1, steps) for _ in range(REPEATS))
    turn = statistics.median(_run(1, cores, steps) for _ in range(REPEATS))
    return [
        Measurement(
            name=f"{FOLDS} folds side by side, {steps} steps of each, bfloat16",
            seconds=together,
            threads=1,
            reference=f"one after another with {cores} threads",
            reference_seconds=FOLDS * turn,
            floor_seconds=FOLDS * alone / cores,
            floor="one after another with one thread, over the cores",
            note=f"{together * cores / (FOLDS * alone):.2f} times that work",
        )
    ]


def _run(processes: int, threads: int, steps: int) -> float:
    """Return the seconds from the common start of processes to the end of the last."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    workers = [
        context.Process(target=_fold, args=(barrier, threads, steps)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return seconds


def _fold(barrier: Barrier, threads: int, steps: int) -> None:
    import torch

    from models.beta_vaegan.model import BetaVAEGAN
    from models.beta_vaegan.settings import BetaVAEGANSettings
    from models.interface import Seeds, Shape
    from models.settings import TrainingSettings

    torch.set_num_threads(threads)
    model = BetaVAEGAN(
        BetaVAEGANSettings(),
        TrainingSettings(precision="bfloat16"),
        Shape(1, 160),
        Seeds(0, 1, 2, 3),
        torch.device("cpu"),
    )
    x = torch.rand(256, 1, 160)
    model.training_step(x)
    barrier.wait()
    for _ in range(steps):
        model.training_step(x)
    barrier.wait()
