"""`python -m tests.cluster.sick_cluster [ILLNESS [CPUS]]`: a head and two nodes, the first ill.

All are on this machine; the second node has two CPUs, or as many as are named. What is trained on
the sick node raises what is raised where that is ill; see `tests.gate`. Prints the address of the
head, and then does what its input says, line by line, and prints that it is done: `drain` gives
notice that the first node is to be taken away, `kill` takes it away. Ends when its input does.
"""

import sys
import time

import ray
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason

from tests.gate import SICK

NODE = {"num_gpus": 0, "object_store_memory": 10**8}
NOTICE_SECONDS = 120


def main() -> None:
    """Run the cluster."""
    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        ill = {SICK: sys.argv[1]} if len(sys.argv) > 1 else {}
        first = cluster.add_node(num_cpus=2, env_vars=ill, **NODE)
        cluster.add_node(num_cpus=int(sys.argv[2]) if len(sys.argv) > 2 else 2, **NODE)
        cluster.wait_for_nodes(timeout=300)
        _print(cluster.address)
        for command in map(str.strip, sys.stdin):
            if command == "drain":
                _drain(cluster.address, first.node_id)
            else:
                cluster.remove_node(first, allow_graceful=False)
            _print(command)
    finally:
        cluster.shutdown()


def _drain(address: str, node: str) -> None:
    """Give notice as an autoscaler does of a spot node."""
    deadline_ms = int((time.time() + NOTICE_SECONDS) * 1000)
    preemption = DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
    head = ray._raylet.GcsClient(address=address)
    is_accepted, reason = head.drain_node(node, preemption, "spot", deadline_ms)
    assert is_accepted, reason


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
