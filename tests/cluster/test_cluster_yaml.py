import shutil
import subprocess
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


WORLD = ("0.0.0.0", "::/0")
TOKEN = "/home/ray/.ray/auth_token"


def openings(cluster):
    """Return what of a cluster lets strangers in, a line each."""
    text = yaml.safe_dump(cluster)
    found = [f"{address} stands in it" for address in WORLD if address in text]
    for name, node in cluster["available_node_types"].items():
        if not node["node_config"].get("SecurityGroupIds"):
            found.append(f"{name} is in the group of Ray's own making, with port 22 open to all")
    for part in ("head", "worker"):
        commands = cluster[f"{part}_start_ray_commands"]
        starts = [command for command in commands if "ray start" in command]
        if not starts:
            found.append(f"{part}: Ray's own command starts it, without a token")
        for command in starts:
            if "RAY_AUTH_MODE=token" not in command or TOKEN not in command:
                found.append(f"{part}: Ray starts without the token")
        heads = [command for command in starts if "--head" in command]
        if any("--dashboard-host=127.0.0.1" not in command for command in heads):
            found.append(f"{part}: the dashboard listens on all interfaces")
    if TOKEN not in cluster.get("file_mounts", {}):
        found.append("the nodes get no token")
    if not any("chmod 600" in c and TOKEN in c for c in cluster.get("setup_commands", ())):
        found.append("others on a node may read the token")
    return found


def test_no_port_is_open_to_the_world_and_every_ray_needs_the_token(cluster):
    assert openings(cluster) == []


def without_group(cluster):
    del cluster["available_node_types"]["gpu_worker"]["node_config"]["SecurityGroupIds"]


def with_rule_for_all(cluster):
    cluster["provider"]["security_group"] = {"IpPermissions": [{"IpRanges": ["0.0.0.0/0"]}]}


def with_rule_for_all_of_ipv6(cluster):
    cluster["provider"]["security_group"] = {"IpPermissions": [{"Ipv6Ranges": ["::/0"]}]}


def with_open_dashboard(cluster):
    change_starts(cluster, "head", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0")


def with_default_dashboard(cluster):
    change_starts(cluster, "head", "--dashboard-host=127.0.0.1", "")


def with_head_without_token(cluster):
    change_starts(cluster, "head", "RAY_AUTH_MODE=token", "")


def with_worker_without_token(cluster):
    change_starts(cluster, "worker", "RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled")


def with_ray_started_by_default(cluster):
    cluster["worker_start_ray_commands"] = ["ray stop"]


def without_token_on_the_nodes(cluster):
    del cluster["file_mounts"][TOKEN]


def with_token_for_all_to_read(cluster):
    cluster["setup_commands"] = cluster["setup_commands"][1:]


def change_starts(cluster, part, old, new):
    name = f"{part}_start_ray_commands"
    cluster[name] = [command.replace(old, new) for command in cluster[name]]


@pytest.mark.parametrize(
    "spoil",
    [
        without_group,
        with_rule_for_all,
        with_rule_for_all_of_ipv6,
        with_open_dashboard,
        with_default_dashboard,
        with_head_without_token,
        with_worker_without_token,
        with_ray_started_by_default,
        without_token_on_the_nodes,
        with_token_for_all_to_read,
    ],
)
def test_what_would_let_strangers_in_is_seen(spoil, cluster):
    spoil(cluster)
    assert openings(cluster)


def test_nodes_install_the_constrained_versions(cluster):
    assert any("-c /home/ray/study/constraints.txt" in c for c in cluster["setup_commands"])
    pinned = (CLUSTER.parent / "constraints.txt").read_text()
    version = cluster["docker"]["head_image"].partition(":")[2].partition("-")[0]
    assert f"\nray=={version}\n" in pinned


@pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is not installed")
def test_all_of_the_project_is_shipped_and_results_and_data_are_not(cluster, tmp_path):
    project, node = tmp_path / "project", tmp_path / "node"
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=CLUSTER.parent, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    wanted = [path for path in tracked if path.endswith((".py", ".yaml", ".toml", ".txt"))]
    wanted = wanted or [
        str(p.relative_to(CLUSTER.parent)) for p in CLUSTER.parent.glob("study/**/*.py")
    ]
    assert "study/data/__init__.py" in wanted
    unwanted = [
        "results/tiny/scores.parquet",
        "data/mitdb/100.dat",
        ".venv/bin/python",
        ".git/HEAD",
    ]
    for path in (*wanted, *unwanted):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).touch()
    excludes = [f"--exclude={pattern}" for pattern in cluster["rsync_exclude"]]
    # As Ray does: a mounted folder's name ends with a slash.
    subprocess.run(["rsync", "-a", *excludes, f"{project}/", f"{node}/"], check=True)
    shipped = {str(path.relative_to(node)) for path in node.rglob("*") if path.is_file()}
    assert shipped == set(wanted)
