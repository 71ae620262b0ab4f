"""The short form: the machines, without Ray. With Ray it takes minutes; see README.md."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster.ray_up.cluster_file import cluster_file
from tests.cluster.ray_up.machines import HOME, KEY, PROJECT, SHARED, TOKEN, Lab, missing

pytestmark = pytest.mark.slow
needs_machines = pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")
PATIENCE_SECONDS = 60
HOLDER = """
import sys, time
from pathlib import Path
from tests.cluster.ray_up.machines import Lab

with Lab(Path(sys.argv[1]), ("node",)) as lab:
    print(lab.operator.pid, lab.nodes[0].pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def tmp_path():
    """On the disk: machines have a memory of their own in place of this one's."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path / "lab", ("head", "worker")) as lab:
        yield lab


def links():
    return sorted(path.name for path in Path("/sys/class/net").iterdir())


@needs_machines
def test_a_machine_sees_its_own_processes_links_and_files_only(lab, tmp_path):
    (lab.shared / "for all").write_text("")
    (tmp_path / "here").write_text("")
    places = f"/sys/class/net /tmp {SHARED}"
    look = f"for place in {places}; do ls $place; done; hostname; test ! -e {tmp_path}/here"
    done = lab.nodes[1].run("bash", "-c", f"mount -t sysfs none /sys; echo /proc/[0-9]*; {look}")
    processes, *lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert "/proc/1 " in processes
    assert len(processes.split()) <= 3
    environment = {Path(sys.prefix), Path(sys.base_prefix), PROJECT}
    inside = {p.relative_to("/tmp").parts[0] for p in environment if p.is_relative_to("/tmp")}
    assert lines == ["eth0", "lo", *sorted(inside), "for all", "worker"]
    assert not lab.nodes[1].run("bash", "-c", f"ls {PROJECT}/study").stdout


@needs_machines
def test_machines_reach_each_other_by_ssh_until_the_plug_is_pulled(lab):
    before = links()
    worker = lab.nodes[1]
    options = ("-i", KEY, "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=2")
    login = ("ssh", *options, worker.address, "touch ~/kept; hostname")
    assert lab.operator.run(*login).stdout.splitlines()[-1] == "worker"
    worker.pull_plug()
    assert worker.processes() == {}
    assert lab.operator.run(*login).returncode
    lab.boot(worker)
    assert lab.operator.run(*login).returncode == 0
    assert worker.on_disk(HOME / "kept").exists()
    assert links() == before


@needs_machines
def test_machines_end_with_a_killed_holder_and_what_was_left_bars_nothing(tmp_path):
    before = links()
    for number in range(2):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, tmp_path / str(number)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        assert holder.stdout
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        assert len(pids) == 2
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(Path(f"/proc/{pid}/exe").exists() for pid in pids):
            assert time.monotonic() < deadline, "a machine outlived its holder"
            time.sleep(0.05)
    assert links() == before


def test_ray_accepts_the_cluster_file_whose_commands_are_the_shipped_ones(tmp_path):
    config = cluster_file(Lab(tmp_path, ("head", "worker-1", "worker-2")))
    validate_config(prepare_config(config))
    assert config["file_mounts"] == {
        f"{HOME}/study": str(PROJECT),
        TOKEN: "~/.ray/auth_token",
    }
    assert config["setup_commands"] == [f"chmod 600 {TOKEN}"]
    for part in ("head", "worker"):
        stop, start = config[f"{part}_start_ray_commands"]
        assert stop == "ray stop"
        assert f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={TOKEN}" in start
