"""What runs in the worker of one fold, and what the workers of a study share.

A worker is a fresh process: what it imports is paid for by every one. So this module
imports little, and `run_folds` the rest when it starts.
"""

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError

from study.cluster.coordinator import CLOSED, Assignment
from study.config.schema import Study
from study.errors import StudyFailedError
from study.ledger.ledger import Ledger, fold_name, trial_name
from study.search.plan import Plan
from study.storage.folder import Folder, open_folder
from study.storage.locks import fold_of_run

if TYPE_CHECKING:
    from study.data.samples import Samples
    from study.data.splits import Fold
    from study.training.validation_report import FoldReport

# Numbers of glibc's malloc.h, and what `man mallopt` allows at most for the second.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, MAPPED_BYTES = 2**30, 2**25

BLOCKING = (OSError, StudyFailedError)
"""What keeps every trial from going on: a full disk, say, or a damaged file."""
REASON_LENGTH = 300


@dataclass(frozen=True)
class TrialJob:
    """What all trials of a study share.

    Attributes:
        study: the study.
        plan: resources of each fold.
        outputs: path or URI of the folder of all results.
        run: names the run that this is part of; see `study.storage.locks`.
        milestones: epochs at which the search may stop a trial.
        samples: the dataset, one copy on each node.
        folds: the folds' sample indices, by protocol.
        desk: hands out trials and hears of them; see `study.cluster.coordinator`.
    """

    study: Study
    plan: Plan
    outputs: str
    run: str
    milestones: frozenset[int]
    samples: "ray.ObjectRef"
    folds: "ray.ObjectRef"
    desk: "ray.actor.ActorHandle"

    @property
    def results(self) -> Folder:
        """The study's results folder."""
        return open_folder(self.outputs).folder(self.study.name)


class _StoppedError(Exception):
    """The trial was stopped, or given to other workers."""


def run_folds(config: dict[str, Any]) -> None:
    """Train the fold of this worker's rank of one trial after the other.

    The loop that Ray Train runs; `config` holds the `job` and the name of the `group`.
    """
    import torch
    from ray import train

    job: TrialJob = config["job"]
    group, fold = config["group"], train.get_context().get_world_rank()
    torch.set_num_threads(job.plan.threads)
    _keep_freed_memory()
    samples, folds = ray.get(job.samples), ray.get(job.folds)
    token = 0
    while True:
        assignment = ray.get(job.desk.take.remote(group, fold, token))
        token = assignment.token
        if token == CLOSED:
            return
        place = f"{trial_name(assignment.number)}/{fold_name(fold)}"
        try:
            with fold_of_run(open_folder(job.outputs), job.study.name, job.run, place):
                _train(job, group, fold, assignment, samples, folds)
        except _StoppedError:
            continue
        except RayError:
            raise  # the cluster's own trouble, which it mends
        except Exception as error:
            # A fresh process tries again, a few times: this one may be broken.
            complaint = job.desk.complain.remote(
                group, token, fold, reason_of(error), blocked=isinstance(error, BLOCKING)
            )
            ray.get(complaint)
            raise


def reason_of(error: Exception) -> str:
    """Return what went wrong in one line, short enough for a table."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}"[:REASON_LENGTH] if said else type(error).__name__


def _keep_freed_memory() -> None:
    """Keep freed memory for the next batch, which otherwise gets it page by page anew."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # glibc's
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


def _train(
    job: TrialJob,
    group: str,
    fold: int,
    assignment: Assignment,
    samples: "Samples",
    folds: "dict[str, tuple[Fold, ...]]",
) -> None:
    """Train one fold of one trial.

    Raises:
        _StoppedError: it was stopped on the way.
    """
    from study.config.study_file import configure
    from study.training.events import FoldWriter
    from study.training.fold import FoldTask, train_fold

    results = job.results
    study = configure(job.study, assignment.parameters)
    place = f"{trial_name(assignment.number)}/{fold_name(fold)}"

    def watch(report: "FoldReport") -> None:
        if not ray.get(job.desk.report.remote(group, assignment.token, fold, report)):
            raise _StoppedError

    writer = FoldWriter(results.folder(f"tensorboard/{place}"))
    try:
        train_fold(
            FoldTask(
                study=study,
                trial=trial_name(assignment.number),
                fold=fold,
                milestones=job.milestones,
                device="cuda" if job.plan.gpu else "cpu",
            ),
            samples,
            folds[study.split.protocol][fold],
            Ledger(results.folder("ledger")),
            results.folder(f"checkpoints/{place}"),
            watch,
            writer,
        )
    finally:
        writer.close()
