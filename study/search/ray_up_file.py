"""A plan for a cluster that is not there, from the file that `ray up` would read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from study.config.schema import Study
from study.errors import RequestError
from study.search.node_types import capacity_of, growth_of
from study.search.plan import Growth, NodeCapacity, Plan, folds_on, nodes_for

MOST_BYTES = 10**6


@dataclass(frozen=True)
class PlannedCluster:
    """A cluster as its file describes it.

    Attributes:
        head: the node that is there from the start.
        growth: what its autoscaler may add.
    """

    head: NodeCapacity
    growth: Growth


@dataclass(frozen=True)
class TrialCosts:
    """What ended trials took.

    Attributes:
        trials: how many of them were measured.
        hours: of a trial, on average, its folds side by side.
        devices: what they were trained on.
    """

    trials: int
    hours: float
    devices: tuple[str, ...]


def read_cluster(path: str) -> PlannedCluster:
    """Read a file of `ray up`.

    Raises:
        RequestError: it cannot be read, or does not say what its nodes have.
    """
    content = _content(path)
    provider = content.get("provider")
    kind = provider.get("type") if isinstance(provider, dict) else None
    if kind == "local":
        raise RequestError(
            f"--cluster {path}: a local provider's file does not say what its machines have;"
            " start the cluster and plan there, with --address"
        )
    types, head = content.get("available_node_types"), content.get("head_node_type")
    if not isinstance(types, dict) or head not in list(types):
        raise RequestError(
            f"--cluster {path}: must be a file of `ray up` with available_node_types and"
            " head_node_type among them"
        )
    _check_number(path, "max_workers", content.get("max_workers", 0), whole=True)
    for name, node in types.items():
        _check_node(path, str(name), node)
    return PlannedCluster(capacity_of(types[head]["resources"]), growth_of(content))


def _content(path: str) -> dict[str, Any]:
    try:
        raw = Path(path).read_bytes()
        content = yaml.safe_load(raw) if len(raw) <= MOST_BYTES else None
    except OSError as error:
        raise RequestError(f"--cluster {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RequestError(f"--cluster {path}: must be one YAML document that `ray up` reads")
    return content


def _check_node(path: str, name: str, node: Any) -> None:
    resources = node.get("resources") if isinstance(node, dict) else None
    if not isinstance(resources, dict) or "CPU" not in resources:
        raise RequestError(
            f"--cluster {path}: {name} must say what it has, such as resources: {{CPU: 8, GPU: 1}}"
        )
    for resource in ("CPU", "GPU"):
        key = f"{name}.resources.{resource}"
        _check_number(path, key, resources.get(resource, 0), whole=False)
    _check_number(path, f"{name}.max_workers", node.get("max_workers", 0), whole=True)


def _check_number(path: str, key: str, value: Any, *, whole: bool) -> None:
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 10**6:
        kind = "a whole number" if whole else "a number"
        raise RequestError(
            f"--cluster {path}: {key} must be {kind} from 0 to 1000000, found {value!r}"
        )


def described(
    study: Study,
    plan: Plan,
    cluster: PlannedCluster,
    left: int,
    price: float | None,
    costs: TrialCosts | None,
) -> dict[str, str]:
    """Return the lines of a plan for a cluster, by their names.

    Args:
        study: the study.
        plan: its plan on this cluster.
        cluster: the cluster.
        left: trials to run.
        price: of a worker node's hour; None if it is not known.
        costs: what ended trials took; None if none has ended.
    """
    running, workers = min(plan.trials_at_a_time, left), plan.workers_for(study.split.folds)
    if costs:
        in_turn = math.ceil(study.split.folds / workers)
        costs = replace(costs, hours=in_turn * costs.hours)
    training = running * workers
    if plan.slots is not None:
        training = min(training, plan.slots)
    folds = max(0, training - folds_on(cluster.head, plan.cpu, plan.gpu))
    needed = nodes_for(folds, plan, cluster.growth)
    return {
        "nodes": ", ".join(
            f"{count} of {kind.most} {kind.name} ({_capacity(kind.node)})" for kind, count in needed
        )
        + f"{' and ' if needed else ''}the head ({_capacity(cluster.head)})",
        "per GPU": ", ".join(_on_gpus(plan, cluster)),
        "waiting": f"{left - running} trial(s), until others end",
        "hours": _hours(left, running, costs),
        "cost": _cost(left, running, sum(count for _, count in needed), price, costs),
    }


def _capacity(node: NodeCapacity) -> str:
    return f"{node.cpus:g} CPU, {node.gpus:g} GPU"


def _on_gpus(plan: Plan, cluster: PlannedCluster) -> Iterator[str]:
    """Say for each kind of nodes how many folds share a GPU, or how many GPUs one has."""
    if not plan.gpu:
        yield "none"
        return
    for kind in cluster.growth.kinds:
        folds = folds_on(kind.node, plan.cpu, plan.gpu)
        if folds and plan.gpu >= 1:
            yield f"a fold has {plan.gpu:g} of a {kind.name}"
        elif folds:
            yield f"{folds / kind.node.gpus:g} folds on a {kind.name}"


def _hours(left: int, running: int, costs: TrialCosts | None) -> str:
    if costs is None:
        return "known when a trial has ended"
    hours = _until_done(left, running, costs)
    return (
        f"about {hours:.2g}, if trials take {costs.hours:.2g} as the {costs.trials} that ended"
        f" did on {', '.join(costs.devices)}"
    )


def _cost(
    left: int, running: int, nodes: int, price: float | None, costs: TrialCosts | None
) -> str:
    if price is None:
        return "known with --price, of a worker node's hour"
    if costs is None:
        return f"{nodes * price:g} an hour; in all, known when a trial has ended"
    hours = _until_done(left, running, costs)
    return (
        f"about {hours * nodes * price:.2f} ({hours:.2g} h x {nodes} node(s) x {price:g}), without"
        " the head, storage and the time in which nodes start"
    )


def _until_done(left: int, running: int, costs: TrialCosts) -> float:
    return math.ceil(left / running) * costs.hours if running else 0.0
