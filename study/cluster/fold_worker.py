"""What runs in a worker of folds, and what the workers of a study share.

A worker is a fresh process: what it imports is paid for by every one. So this module
imports little, and `run_folds` the rest when it starts.
"""

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray

from study.cluster.exchange import FoldWorker
from study.cluster.faults import fault_of
from study.cluster.fold_reporter import FoldReporter, StoppedError
from study.data.variants import variant_number
from study.ledger.ledger import Ledger
from study.search.plan import Plan
from study.search.rungs import FoldSchedule
from study.search.trial import FoldAddress, Trial
from study.storage.folder import Folder, open_folder
from study.storage.locks import fold_of_run

if TYPE_CHECKING:
    from study.data.samples import Samples
    from study.data.settings import DatasetSettings
    from study.data.splits import Fold

# Numbers of glibc's malloc.h, and what `man mallopt` allows at most for the second.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, MAPPED_BYTES = 2**30, 2**25


@dataclass(frozen=True)
class WorkerContext:
    """What the workers of all trials of a study share.

    Attributes:
        study: the study's name.
        schedule: folds of each trial, and the rungs, at which the search may stop it.
        plan: resources of each fold.
        outputs: path or URI of the folder of all results.
        run: names the run that this is part of; see `study.storage.locks`.
        variants: datasets of trials: the one of the study, or each that its search can draw.
        samples: the samples of each, one copy on each node that trains with them.
        folds: the folds' sample indices, by protocol.
        coordinator: assigns trials and takes reports; see `study.cluster.coordinator`.
        checkpoint_seconds: from one checkpoint of a fold to the next.
    """

    study: str
    schedule: FoldSchedule
    plan: Plan
    outputs: str
    run: str
    variants: tuple["DatasetSettings", ...]
    samples: tuple["ray.ObjectRef", ...]
    folds: "ray.ObjectRef"
    coordinator: "ray.actor.ActorHandle"
    checkpoint_seconds: float = 0.0

    @property
    def results(self) -> Folder:
        """The study's results folder."""
        return open_folder(self.outputs).folder(self.study)

    def samples_of(self, trial: Trial) -> "ray.ObjectRef":
        """Return where the samples of a trial are."""
        return self.samples[variant_number(trial.config.dataset, self.variants)]


def run_folds(config: dict[str, Any]) -> None:
    """Train this worker's folds of one trial after the other: that of its rank, or several in turn.

    The loop that Ray Train runs; `config` holds the `context` and the name of the `group`.
    """
    import torch
    from ray import train
    from threadpoolctl import threadpool_limits

    context: WorkerContext = config["context"]
    runtime = ray.get_runtime_context()
    worker = FoldWorker(
        group=config["group"],
        fold=train.get_context().get_world_rank(),
        node=runtime.get_node_id(),
        address=ray.util.get_node_ip_address(),
        actor=runtime.current_actor,
    )
    torch.set_num_threads(context.plan.threads)
    threadpool_limits(context.plan.threads)  # a fork has one, as its fork server
    _keep_freed_memory()
    folds = ray.get(context.folds)
    held: dict[ray.ObjectRef, Samples] = {}
    reporter = FoldReporter(context.coordinator, worker)
    while (turn := reporter.next_turn()) is not None:
        trial, number = turn
        reference = context.samples_of(trial)
        if reference not in held:  # of one variant at a time
            held = {reference: ray.get(reference)}
        address = trial.folds[number]
        outputs = open_folder(context.outputs)
        try:
            with fold_of_run(outputs, context.study, context.run, address.path):
                fold = folds[trial.protocol][number]
                _train(context, trial, address, held[reference], fold, reporter)
        except StoppedError:
            continue
        except Exception as error:
            # A fresh process tries again, a few times, and elsewhere if this node is to blame.
            reporter.failed(fault_of(error, context.outputs))
            raise


def _keep_freed_memory() -> None:
    """Keep freed memory for the next batch, which otherwise gets it page by page anew."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # glibc's
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


def _train(
    context: WorkerContext,
    trial: Trial,
    address: FoldAddress,
    samples: "Samples",
    fold: "Fold",
    reporter: FoldReporter,
) -> None:
    """Train one fold of one trial.

    Raises:
        StoppedError: it was stopped on the way.
    """
    from study.cluster.ray_internals.train import is_node_leaving
    from study.training.events import FoldWriter
    from study.training.fold import FoldTask, Surroundings, train_fold

    results = context.results
    device = "cuda" if context.plan.gpu else "cpu"
    writer = FoldWriter(results.folder(f"tensorboard/{address.path}"))
    try:
        train_fold(
            FoldTask(
                trial.config, address, context.schedule.waits, device, context.checkpoint_seconds
            ),
            samples,
            fold,
            Ledger.of(results),
            results.folder(f"checkpoints/{address.path}"),
            reporter.validated,
            writer,
            Surroundings(is_node_leaving, reporter.epoch_ended, reporter.got_on),
        )
    finally:
        writer.close()
