"""What a study will ask of a cluster, and how many trials run at a time."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from study.config.schema import Study
from study.errors import RequestError
from study.search.rungs import FoldSchedule

SHARED_GPU = 0.2
FINEST_CPU_PART = 100
MOST_FOLDS_OF_A_CPU = 4
"""More would take long to start, each a process with PyTorch in its memory."""
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
class NodeKind:
    """Nodes of one kind that an autoscaler may add.

    Attributes:
        name: what the cluster calls them.
        node: what each has.
        most: how many may be added.
    """

    name: str
    node: NodeCapacity
    most: int


@dataclass(frozen=True)
class Growth:
    """What an autoscaler may add to the nodes that exist.

    Attributes:
        kinds: the kinds of nodes.
        most: how many may be added, of all kinds together.
    """

    kinds: tuple[NodeKind, ...] = ()
    most: int = 0


NO_GROWTH = Growth()


@dataclass(frozen=True)
class Plan:
    """What each fold gets and what runs at a time.

    Attributes:
        cpu: CPUs of each fold.
        gpu: GPUs of each fold.
        trials_at_a_time: trials that run side by side, each with the folds that it starts with.
        slots: folds that fit at a time; None where trials start with all the workers that they
            will have, so that their number says it.
        workers: a trial's folds that train at a time, where that is not all: the others wait
            their turn.
    """

    cpu: float
    gpu: float
    trials_at_a_time: int
    slots: int | None = None
    workers: int | None = None

    @property
    def threads(self) -> int:
        """Threads of each fold's arithmetic."""
        return max(1, math.floor(self.cpu))

    def workers_for(self, folds: int) -> int:
        """Return how many workers train so many folds of a trial."""
        return min(folds, self.workers or folds)


def this_machine() -> list[NodeCapacity]:
    """Return what a private cluster on this machine has."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = len(list(NVIDIA.iterdir())) if NVIDIA.is_dir() else 0
    if visible is not None:
        gpus = min(gpus, len([device for device in visible.split(",") if device.strip()]))
    return [NodeCapacity(cpus=len(os.sched_getaffinity(0)), gpus=gpus)]


def make_plan(study: Study, nodes: Sequence[NodeCapacity], growth: Growth = NO_GROWTH) -> Plan:
    """Fit the folds of as many trials as possible onto `nodes` and those that may be added.

    A trial has a worker for each fold, or as many as fit; folds beyond wait their turn. Workers of
    a trial start together or wait together, so that trials never hold part of what they need: no
    number of them can block each other. A trial that gets further folds at a rung gives back
    what it has before it waits for more.

    Raises:
        RequestError: not even one fold fits.
    """
    folds, per_fold = study.split.folds, study.resources.per_fold
    most = min(folds, study.resources.workers_per_trial or folds)
    gpu = per_fold.gpu
    if gpu == "auto":
        possible = [*nodes, *(kind.node for kind in growth.kinds)]
        gpu = SHARED_GPU if any(node.gpus for node in possible) else 0.0
    cpu = per_fold.cpu
    if cpu == "auto":
        cpu = _largest_cpu(most, gpu, nodes, growth)
    slots, schedule = _slots(cpu, gpu, nodes, growth), FoldSchedule.of(study)
    if not slots:
        raise RequestError(_too_much(cpu, gpu, nodes, growth))
    workers = min(most, slots)
    at_start = min(workers, schedule.after(0))
    at_a_time = slots // at_start
    wished = study.resources.max_concurrent_trials
    if wished != "auto":
        at_a_time = min(at_a_time, wished)
    return Plan(
        cpu=cpu,
        gpu=gpu,
        trials_at_a_time=min(at_a_time, study.search.trials),
        slots=slots if at_start < workers else None,
        workers=workers if workers < folds else None,
    )


def _largest_cpu(folds: int, gpu: float, nodes: Sequence[NodeCapacity], growth: Growth) -> float:
    """Return 1, or the largest 1/n that lets all folds run together, if that is a fair share.

    Where GPUs are too few for all folds, it lets as many run as these hold. Where CPUs are, folds
    have the largest share that one can have, and wait their turn.
    """

    def largest(wanted: int, finest: int) -> float | None:
        shares = (_part_of_one(part) for part in range(1, finest + 1))
        fitting = (cpu for cpu in shares if _slots(cpu, gpu, nodes, growth) >= wanted)
        return next(fitting, None)

    on_gpus = _slots(_part_of_one(FINEST_CPU_PART), gpu, nodes, growth) if gpu else folds
    together = largest(min(folds, on_gpus), MOST_FOLDS_OF_A_CPU)
    return together or largest(1, FINEST_CPU_PART) or 1.0


def _slots(cpu: float, gpu: float, nodes: Sequence[NodeCapacity], growth: Growth) -> int:
    """Count the folds that fit on all nodes at once, with all that may be added."""
    slots = sum(folds_on(node, cpu, gpu) for node in nodes)
    return slots + sum(
        count * folds_on(kind.node, cpu, gpu) for kind, count in _best_added(cpu, gpu, growth)
    )


def _best_added(cpu: float, gpu: float, growth: Growth) -> Iterator[tuple[NodeKind, int]]:
    """Return how many of each kind to add for most folds: those that hold most first."""
    left = growth.most
    for kind in sorted(growth.kinds, key=lambda kind: -folds_on(kind.node, cpu, gpu)):
        yield kind, min(kind.most, left)
        left -= min(kind.most, left)


def nodes_for(folds: int, plan: Plan, growth: Growth) -> list[tuple[NodeKind, int]]:
    """Return how many nodes of each kind hold `folds`, with as few nodes as can be."""
    needed = []
    for kind, count in _best_added(plan.cpu, plan.gpu, growth):
        on_each = folds_on(kind.node, plan.cpu, plan.gpu)
        number = min(count, math.ceil(folds / on_each)) if on_each and folds > 0 else 0
        if number:
            needed.append((kind, number))
            folds -= number * on_each
    return needed


def folds_on(node: NodeCapacity, cpu: float, gpu: float) -> int:
    """Count the folds that fit on a node at once."""
    by_cpu = _fitting(node.cpus, cpu)
    return min(by_cpu, _gpu_slots(node.gpus, gpu)) if gpu else by_cpu


def _gpu_slots(gpus: float, gpu: float) -> int:
    """Count the folds that a node's GPUs hold; a share is of one GPU, never of two."""
    return int(gpus) * _fitting(1, gpu) if gpu < 1 else _fitting(gpus, gpu)


def _fitting(have: float, need: float) -> int:
    scale = 10**PRECISION
    return int(round(have * scale) // max(1, round(need * scale)))


def _too_much(cpu: float, gpu: float, nodes: Sequence[NodeCapacity], growth: Growth) -> str:
    added = list(_best_added(cpu, gpu, growth))
    count = len(nodes) + sum(number for _, number in added)
    cpus = sum(node.cpus for node in nodes) + sum(n * kind.node.cpus for kind, n in added)
    gpus = sum(node.gpus for node in nodes) + sum(n * kind.node.gpus for kind, n in added)
    return (
        f"resources.per_fold: a fold with {cpu:g} CPU and {gpu:g} GPU does not fit"
        f" {count} node(s) with {cpus:g} CPUs and {gpus:g} GPUs in all;"
        f" {_what_fits(cpu, gpu, nodes, growth)}"
    )


def _what_fits(cpu: float, gpu: float, nodes: Sequence[NodeCapacity], growth: Growth) -> str:
    """Say the largest smaller request that would fit: CPUs, GPUs, or CPUs and GPUs."""

    def fits(less_cpu: float, less_gpu: float) -> bool:
        return _slots(less_cpu, less_gpu, nodes, growth) > 0

    for less in _smaller(cpu):
        if fits(less, gpu):
            return f"cpu: {less:g} would fit"
    fewer_gpus = [*_smaller(gpu), 0.0] if gpu else []
    for less in fewer_gpus:
        if fits(cpu, less):
            return f"gpu: {less:g} would fit"
    for less in fewer_gpus:
        if fits(share := _largest_cpu(1, less, nodes, growth), less):
            return f"cpu: {share:g} and gpu: {less:g} would fit"
    return "no request fits them"


def _smaller(amount: float) -> Iterator[float]:
    """Yield amounts below `amount`, largest first: whole numbers, then 1/n of one."""
    yield from (float(whole) for whole in range(math.ceil(amount) - 1, 0, -1))
    for part in range(2, FINEST_CPU_PART + 1):
        if (less := _part_of_one(part)) < amount:
            yield less


def _part_of_one(part: int) -> float:
    """Return 1/`part` as Ray counts it, rounded down."""
    scale = 10.0**PRECISION
    return math.floor(scale / part) / scale
