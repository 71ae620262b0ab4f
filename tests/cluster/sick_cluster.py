"""`python -m tests.cluster.sick_cluster`: a head and two nodes on this machine, one of them ill.

Prints the address of the head, and ends when its input does. Every fold that is trained on the
sick node raises what PyTorch raises where a GPU is broken.
"""

import sys

from ray.cluster_utils import Cluster

from tests.gate import SICK

NODE = {"num_gpus": 0, "object_store_memory": 10**8}


def main() -> None:
    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(num_cpus=2, env_vars={SICK: "1"}, **NODE)
        cluster.add_node(num_cpus=1, **NODE)
        cluster.wait_for_nodes(timeout=300)
        print(cluster.address, flush=True)  # noqa: T201
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
