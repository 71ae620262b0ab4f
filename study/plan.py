"""What a study will ask of a cluster, and how many trials run at a time."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.definition import ResourceSettings, Study
from study.errors import RequestError

SHARED_GPU = 0.2
FINEST_CPU_PART = 100
NVIDIA = Path("/proc/driver/nvidia/gpus")
PRECISION = 4  # Ray counts resources in units of 0.0001


@dataclass(frozen=True)
class NodeCapacity:
    """What one node has.

    Attributes:
        cpus: CPUs that Ray may use.
        gpus: GPUs that Ray may use.
    """

    cpus: float
    gpus: float


@dataclass(frozen=True)
class Plan:
    """What each fold gets and what runs at a time.

    Attributes:
        cpu: CPUs of each fold.
        gpu: GPUs of each fold.
        trials_at_a_time: trials that run side by side, each with all its folds.
    """

    cpu: float
    gpu: float
    trials_at_a_time: int

    @property
    def threads(self) -> int:
        """Threads of each fold's arithmetic."""
        return max(1, math.floor(self.cpu))


def this_machine() -> list[NodeCapacity]:
    """Return what a private cluster on this machine has."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = len(list(NVIDIA.iterdir())) if NVIDIA.is_dir() else 0
    if visible is not None:
        gpus = min(gpus, len([device for device in visible.split(",") if device.strip()]))
    return [NodeCapacity(cpus=len(os.sched_getaffinity(0)), gpus=gpus)]


def make_plan(study: Study, nodes: Sequence[NodeCapacity]) -> Plan:
    """Fit the folds of as many trials as possible onto `nodes`.

    All folds of a trial start together or wait together, so that trials never hold
    part of what they need: no number of them can block each other.

    Raises:
        RequestError: not even one trial's folds fit.
    """
    folds, per_fold = study.split.folds, study.resources.per_fold
    gpu = per_fold.gpu
    if gpu == "auto":
        gpu = SHARED_GPU if any(node.gpus for node in nodes) else 0.0
    cpu = per_fold.cpu
    if cpu == "auto":
        cpu = _largest_cpu(folds, gpu, nodes)
    at_a_time = _slots(cpu, gpu, nodes) // folds
    if at_a_time < 1:
        raise RequestError(_too_much(study.resources, folds, cpu, gpu, nodes))
    wished = study.resources.max_concurrent_trials
    if wished != "auto":
        at_a_time = min(at_a_time, wished)
    return Plan(
        cpu=cpu,
        gpu=gpu,
        trials_at_a_time=min(at_a_time, study.search.parallel, study.search.trials),
    )


def _largest_cpu(folds: int, gpu: float, nodes: Sequence[NodeCapacity]) -> float:
    """Return 1, or the largest 1/n that lets all folds of a trial run together."""
    for part in range(1, FINEST_CPU_PART + 1):
        cpu = math.floor(10**PRECISION / part) / 10**PRECISION
        if _slots(cpu, gpu, nodes) >= folds:
            return float(cpu)
    return 1.0


def _slots(cpu: float, gpu: float, nodes: Sequence[NodeCapacity]) -> int:
    """Count the folds that fit on all nodes at once."""
    return sum(
        min(_fitting(node.cpus, cpu), _gpu_slots(node.gpus, gpu))
        if gpu
        else _fitting(node.cpus, cpu)
        for node in nodes
    )


def _gpu_slots(gpus: float, gpu: float) -> int:
    """Count the folds that a node's GPUs hold; a share is of one GPU, never of two."""
    return int(gpus) * _fitting(1, gpu) if gpu < 1 else _fitting(gpus, gpu)


def _fitting(have: float, need: float) -> int:
    scale = 10**PRECISION
    return int(round(have * scale) // max(1, round(need * scale)))


def _too_much(
    resources: ResourceSettings,
    folds: int,
    cpu: float,
    gpu: float,
    nodes: Sequence[NodeCapacity],
) -> str:
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    return (
        f"resources.per_fold: {folds} folds with {cpu:g} CPU and {gpu:g} GPU each do not fit"
        f" {len(nodes)} node(s) with {cpus:g} CPUs and {gpus:g} GPUs in all; ask for less or"
        " use auto"
    )
