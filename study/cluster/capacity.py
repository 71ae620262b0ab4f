"""What the connected cluster has, and what its autoscaler may add."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from study.config.schema import Study
from study.errors import RequestError
from study.search.node_types import capacity_of, growth_of, not_there_yet
from study.search.plan import NO_GROWTH, Growth, NodeCapacity, Plan, make_plan

KUBERNETES_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
NO_LIMIT = 10**6
JOIN_SECONDS = 600.0
"""How long a cluster's nodes may take to join: `ray up` returns before workers do."""
POLL_SECONDS = 0.2
ANSWER_SECONDS = 60.0
"""How long the head may take to say what its autoscaler may add."""


def capacity() -> list[NodeCapacity]:
    """Return what each living node of the connected cluster has."""
    return [capacity_of(node["Resources"]) for node in _living()]


def growth() -> Growth:
    """Return what an autoscaler may add to the living nodes; nothing if it cannot be known.

    Ray has a field for it that its own autoscaler leaves empty, and that some platforms fill.
    Else the head is asked: by `ray up` its autoscaler reads a file there, and by KubeRay the
    description that the API server has.
    """
    import ray

    from study.cluster.ray_internals.core import HEAD_NODE, autoscaler_description

    workers = [capacity_of(n["Resources"]) for n in _living() if HEAD_NODE not in n["Resources"]]
    reported = autoscaler_description()
    if reported is not None and reported.node_group_configs:
        return not_there_yet(growth_of(_description(reported)), workers)
    asked = ray.remote(num_cpus=0, resources={HEAD_NODE: 0.001})(_head_description).remote(
        ray.get_runtime_context().gcs_address
    )
    try:
        description = ray.get(asked, timeout=ANSWER_SECONDS)
    except (ray.exceptions.RayError, TimeoutError):
        return NO_GROWTH
    return not_there_yet(growth_of(description), workers) if description else NO_GROWTH


def plan_on_cluster(
    study: Study, waiting: Callable[[str], object] | None = None, *, is_private: bool
) -> tuple[Plan, dict[str, str]]:
    """Fit a study onto the connected cluster; return the plan, and the nodes for display.

    Args:
        study: the study.
        waiting: of a cluster that is not this machine's own some nodes may be yet to join;
            they are waited for, and this is called once with what is missing. None: the
            plan is of what is there now.
        is_private: the cluster is this machine's own.

    Raises:
        RequestError: it does not fit.
    """
    if is_private:
        return make_plan(study, capacity()), {}
    added = growth()
    # Where an autoscaler says what may come, waiting brings nothing more.
    if waiting and not added.kinds:
        plan = plan_when_joined(study, waiting)
    else:
        plan = make_plan(study, capacity(), added)
    kinds = [f"{kind.most} {kind.name}" for kind in added.kinds if kind.most]
    may_come = f", and up to {added.most} may come ({', '.join(kinds)})" if kinds else ""
    return plan, {"nodes": f"{len(_living())} there{may_come if added.most else ''}"}


def plan_when_joined(
    study: Study, show: Callable[[str], object], patience_seconds: float = JOIN_SECONDS
) -> Plan:
    """Fit a study onto the nodes of the connected cluster, once enough of them have joined.

    They are enough where no fold waits its turn, but for the study's own wish.

    Args:
        study: the study.
        show: called once with what is missing, if anything is waited for.
        patience_seconds: how long to wait.

    Raises:
        RequestError: it still does not fit.
    """
    deadline, wished = time.monotonic() + patience_seconds, study.resources.workers_per_trial
    is_shown = False
    while True:
        is_last = time.monotonic() >= deadline
        try:
            plan = make_plan(study, capacity())
        except RequestError as error:
            if is_last:
                raise
            missing = str(error)
        else:
            if is_last or plan.workers in (None, wished):
                return plan
            missing = (
                f"{plan.workers} of {study.split.folds} folds of a trial fit;"
                f" set resources.workers_per_trial={plan.workers} to start without waiting"
            )
        if not is_shown:
            show(f"waiting up to {patience_seconds:.0f} s for nodes: {missing}")
        is_shown = True
        time.sleep(POLL_SECONDS)


def _living() -> list[dict[str, Any]]:
    # Imported late: a private cluster sets what Ray reads as it is imported.
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _description(reported: Any) -> dict[str, Any]:
    """Return what a platform reported in the form of a `ray up` file; -1 is no limit."""
    kinds = {
        group.name or str(number): {
            "resources": dict(group.resources),
            "max_workers": group.max_count if group.max_count >= 0 else NO_LIMIT,
        }
        for number, group in enumerate(reported.node_group_configs)
    }
    return {"available_node_types": kinds, "max_workers": NO_LIMIT}


def _head_description(gcs_address: str) -> dict[str, Any] | None:
    """Return the description that the autoscaler of the cluster has; runs on the head."""
    import yaml

    port = gcs_address.rpartition(":")[2]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
            words = entry.read_bytes().decode().split("\0")
            options = dict(word.split("=", 1) for word in words if "=" in word)
            file = options.get("--autoscaling-config")
            of_this = options.get("--gcs-address", "").rpartition(":")[2] == port
            if file and of_this and any(word.endswith("monitor.py") for word in words):
                description = yaml.safe_load(Path(file).expanduser().read_text())
                return description if isinstance(description, dict) else None
    return _kuberay_description()


def _kuberay_description() -> dict[str, Any] | None:
    """Return Ray's reading of the cluster that KubeRay runs, if this is in one of its pods."""
    name = os.environ.get("RAY_CLUSTER_NAME")
    if not name or not KUBERNETES_NAMESPACE.is_file():
        return None
    from study.cluster.ray_internals.core import kuberay_description

    with contextlib.suppress(OSError, KeyError, ValueError):
        return kuberay_description(KUBERNETES_NAMESPACE.read_text().strip(), name)
    return None
