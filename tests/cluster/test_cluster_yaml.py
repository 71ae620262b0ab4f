from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parents[2] / "cluster.yaml"


@pytest.fixture
def cluster():
    return yaml.safe_load(CLUSTER.read_text())


def test_ray_accepts_it(cluster):
    validate_config(prepare_config(cluster))


def test_workers_have_gpus_and_the_head_trains_nothing(cluster):
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"]["CPU"] == 0
    workers = [types[name] for name in types if name != cluster["head_node_type"]]
    assert workers
    assert all(worker["resources"]["GPU"] >= 1 for worker in workers)


def test_no_port_is_open_to_the_world_and_every_ray_needs_the_token(cluster):
    assert "0.0.0.0" not in CLUSTER.read_text()
    for node in cluster["available_node_types"].values():
        assert node["node_config"]["SecurityGroupIds"], "Ray's own group opens port 22 to the world"
    commands = [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]
    starts = [command for command in commands if "ray start" in command]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert "/home/ray/.ray/auth_token" in cluster["file_mounts"]


def test_nodes_install_the_constrained_versions(cluster):
    assert any("-c /home/ray/study/constraints.txt" in c for c in cluster["setup_commands"])
    pinned = (CLUSTER.parent / "constraints.txt").read_text()
    version = cluster["docker"]["head_image"].partition(":")[2].partition("-")[0]
    assert f"\nray=={version}\n" in pinned
