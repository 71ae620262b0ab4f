"""The cluster file of the lab: the shipped one's commands, on machines that are there."""

from typing import Any

import yaml

from tests.cluster.ray_up.machines import HOME, ILLNESS, KEY, PROJECT, Lab
from tests.gate import SICK_FILE

SHIPPED = PROJECT / "cluster.yaml"
HEAD_FLAGS = "--num-cpus=0 --object-store-memory=100000000"
WORKER_FLAGS = "--num-cpus=1 --object-store-memory=100000000"
WORKER_ENVIRONMENT = f"{SICK_FILE}={ILLNESS} PYTHONPATH={HOME}/study/tests/gate/site:{HOME}/study"
CARRIED_OVER = ("idle_timeout_minutes", "rsync_exclude", "file_mounts")


def cluster_file(lab: Lab) -> dict[str, Any]:
    """Return what `ray up` reads: AWS and Docker are replaced, all else is as it is shipped.

    Nodes share this machine's Python environment, so that nothing is installed. They have
    no CPUs of their own either: how many Ray counts is set when it starts.
    """
    shipped = yaml.safe_load(
        SHIPPED.read_text().replace("/home/ray/", f"{HOME}/").replace(": .\n", f": {PROJECT}\n")
    )
    head, *workers = lab.nodes
    found = {name: shipped[name] for name in CARRIED_OVER}
    return found | {
        "cluster_name": "lab",
        "provider": {
            "type": "local",
            "head_ip": head.address,
            "worker_ips": [worker.address for worker in workers],
        },
        "auth": {"ssh_user": "root", "ssh_private_key": KEY},
        "setup_commands": [c for c in shipped["setup_commands"] if not c.startswith("pip ")],
        "head_start_ray_commands": _started(shipped["head_start_ray_commands"], HEAD_FLAGS),
        "worker_start_ray_commands": _started(
            shipped["worker_start_ray_commands"], WORKER_FLAGS, WORKER_ENVIRONMENT
        ),
    }


def _started(commands: list[str], flags: str, environment: str = "") -> list[str]:
    return [
        f"{environment} {command} {flags}".lstrip() if "ray start" in command else command
        for command in commands
    ]


def write_cluster_file(lab: Lab) -> str:
    """Write it to the operator's home folder, and return its path there."""
    place = HOME / "cluster.yaml"
    lab.operator.on_disk(place).write_text(yaml.safe_dump(cluster_file(lab)))
    return str(place)
