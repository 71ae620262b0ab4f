"""The files of `ray up`: Ray takes them, and nobody else gets in."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
FILES = {"aws": ROOT / "cluster.yaml", "local": ROOT / "clusters" / "local.yaml"}
WORLD = ("0.0.0.0", "::/0")


@pytest.fixture(params=FILES)
def cluster(request):
    return load(request.param)


def load(kind):
    return yaml.safe_load(FILES[kind].read_text())


def test_ray_accepts_it(cluster):
    validate_config(prepare_config(cluster))


def test_ray_accepts_no_node_types_of_a_local_provider():
    cluster = load("local")
    cluster["available_node_types"] = load("aws")["available_node_types"]
    with pytest.raises(Exception, match="available_node_types"):
        prepare_config(cluster)


def test_workers_have_gpus_come_when_asked_for_and_the_head_trains_nothing():
    cluster = load("aws")
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"]["CPU"] == 0
    workers = [types[name] for name in types if name != cluster["head_node_type"]]
    assert workers
    for worker in workers:
        assert worker["resources"]["GPU"] >= 1
        assert worker["min_workers"] == 0 < worker["max_workers"] <= cluster["max_workers"]
        assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    head = " ".join(load("local")["head_start_ray_commands"])
    assert "--num-cpus=0 --num-gpus=0" in head


def token_of(cluster):
    """Return where the nodes keep the token, if they get one."""
    return next((path for path in cluster.get("file_mounts", {}) if "auth_token" in path), None)


def openings(cluster):
    """Return what of a cluster lets strangers in, a line each."""
    text = yaml.safe_dump(cluster)
    problems = [f"{address} stands in it" for address in WORLD if address in text]
    for name, node in cluster.get("available_node_types", {}).items():
        if not node["node_config"].get("SecurityGroupIds"):
            problems.append(f"{name} is in the group of Ray's own making, with port 22 open to all")
    token = token_of(cluster)
    if token is None:
        problems.append("the nodes get no token")
    if not any(command == f"chmod 600 {token}" for command in cluster.get("setup_commands", ())):
        problems.append("others on a node may read the token")
    for part in ("head", "worker"):
        commands = cluster.get(f"{part}_start_ray_commands", ())
        starts = [command for command in commands if "ray start" in command]
        if not starts:
            problems.append(f"{part}: Ray's own command starts it, without a token")
        for command in starts:
            if f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={token} ray start" not in command:
                problems.append(f"{part}: Ray starts without the token")
        heads = [command for command in starts if "--head" in command]
        if any("--dashboard-host=127.0.0.1" not in command for command in heads):
            problems.append(f"{part}: the dashboard listens on all interfaces")
        if any("--ray-client-server-port" in command for command in starts):
            problems.append(f"{part}: a port for clients from outside")
    return problems


def test_no_port_is_open_to_the_world_and_every_ray_needs_the_token(cluster):
    assert openings(cluster) == []


def with_rule_for_all(cluster):
    cluster["provider"]["security_group"] = {"IpPermissions": [{"IpRanges": ["0.0.0.0/0"]}]}


def with_rule_for_all_of_ipv6(cluster):
    cluster["provider"]["security_group"] = {"IpPermissions": [{"Ipv6Ranges": ["::/0"]}]}


def with_open_dashboard(cluster):
    change_starts(cluster, "head", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0")


def with_dashboard_on_one_interface(cluster):
    change_starts(cluster, "head", "--dashboard-host=127.0.0.1", "--dashboard-host=192.0.2.10")


def with_default_dashboard(cluster):
    change_starts(cluster, "head", "--dashboard-host=127.0.0.1", "")


def with_port_for_clients(cluster):
    change_starts(cluster, "head", "--head", "--head --ray-client-server-port=10001")


def with_head_without_token(cluster):
    change_starts(cluster, "head", "RAY_AUTH_MODE=token", "")


def with_head_that_has_a_token_of_its_own(cluster):
    change_starts(cluster, "head", f"RAY_AUTH_TOKEN_PATH={token_of(cluster)}", "")


def with_worker_without_token(cluster):
    change_starts(cluster, "worker", "RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled")


def with_ray_started_by_default(cluster):
    cluster["worker_start_ray_commands"] = ["ray stop"]


def with_another_start_without_token(cluster):
    cluster["worker_start_ray_commands"].append("ray start --address=$RAY_HEAD_IP:6379")


def without_start_commands(cluster):
    del cluster["head_start_ray_commands"]


def without_token_on_the_nodes(cluster):
    del cluster["file_mounts"][token_of(cluster)]


def with_token_for_all_to_read(cluster):
    cluster["setup_commands"] = cluster["setup_commands"][1:]


def with_token_for_the_group_to_read(cluster):
    first, *rest = cluster["setup_commands"]
    cluster["setup_commands"] = [first.replace("600", "640"), *rest]


def change_starts(cluster, part, old, new):
    name = f"{part}_start_ray_commands"
    changed = [command.replace(old, new) for command in cluster[name]]
    assert changed != cluster[name]
    cluster[name] = changed


@pytest.mark.parametrize(
    "spoil",
    [
        with_rule_for_all,
        with_rule_for_all_of_ipv6,
        with_open_dashboard,
        with_dashboard_on_one_interface,
        with_default_dashboard,
        with_port_for_clients,
        with_head_without_token,
        with_head_that_has_a_token_of_its_own,
        with_worker_without_token,
        with_ray_started_by_default,
        with_another_start_without_token,
        without_start_commands,
        without_token_on_the_nodes,
        with_token_for_all_to_read,
        with_token_for_the_group_to_read,
    ],
)
def test_what_would_let_strangers_in_is_seen(spoil, cluster):
    spoil(cluster)
    assert openings(cluster)


@pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is not installed")
def test_all_of_the_project_is_shipped_and_results_and_data_are_not(cluster, tmp_path):
    project, node = tmp_path / "project", tmp_path / "node"
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    wanted = [path for path in tracked if path.endswith((".py", ".yaml", ".toml", ".txt"))]
    wanted = wanted or [str(p.relative_to(ROOT)) for p in ROOT.glob("study/**/*.py")]
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


@pytest.mark.parametrize("name", ["head", "gpu_worker"])
def test_a_node_of_aws_in_rays_own_group_is_seen(name):
    cluster = load("aws")
    node = dict(cluster["available_node_types"][name]["node_config"])
    del node["SecurityGroupIds"]
    cluster["available_node_types"][name]["node_config"] = node
    (opening,) = openings(cluster)
    assert opening.startswith(name)


def test_nodes_install_the_constrained_versions_and_workers_see_their_gpu(cluster):
    (install,) = [command for command in cluster["setup_commands"] if "pip install" in command]
    (project,) = [path for path, source in cluster["file_mounts"].items() if source == "."]
    assert install.endswith(f"pip install -c {project}/constraints.txt {project}")
    assert any("torch.cuda.is_available()" in c for c in cluster["worker_setup_commands"])


@pytest.mark.slow
def test_a_check_of_torch_refuses_a_build_without_cuda(cluster):
    """What the shell of a node runs, with the torch that is installed here."""
    import torch

    (check,) = [c for c in cluster["worker_setup_commands"] if "torch" in c]
    check = re.sub(r"^\S*python", sys.executable, check)
    done = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == torch.cuda.is_available()
    assert ("this torch sees no GPU" in done.stderr) == (not torch.cuda.is_available())


def test_ray_stop_is_found_by_who_comes_in_by_ssh(tmp_path):
    """`ray down` runs it in such a shell; the line that puts it there is written once."""
    commands = [c for c in load("local")["setup_commands"] if ".bashrc" in c]
    program = tmp_path / "study-env" / "bin" / "ray"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for command in commands * 2:
        subprocess.run(["bash", "-c", command], env=home, check=True)
    assert (tmp_path / ".bashrc").read_text().count("study-env") == 1
    login = ["bash", "--login", "-c", "-i", "source ~/.bashrc; ray stop"]
    done = subprocess.run(login, env=home, capture_output=True, text=True, check=True)
    assert "found" in done.stdout


def test_images_are_of_the_ray_that_is_pinned():
    pinned = (ROOT / "constraints.txt").read_text()
    docker = load("aws")["docker"]
    for image in (docker["head_image"], docker["worker_image"]):
        version = image.partition(":")[2].partition("-")[0]
        assert f"\nray=={version}\n" in pinned
