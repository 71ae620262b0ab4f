"""A cluster with an autoscaler and no workers: a study is planned with those that may come.

Ray's own autoscaler runs, with the provider that it has for tests: a node that it adds is a
process on this machine.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from ray._private.services import get_node_ip_address
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

from tests.commands import Answer
from tests.study_run import MARK, kill_marked

pytestmark = pytest.mark.cluster
MOST = 2
CLUSTER = {
    "cluster_name": "test",
    "max_workers": MOST,
    "idle_timeout_minutes": 1,
    "provider": {
        # By its module: a wheel lacks the file of defaults of the type `fake_multinode`.
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
        "head_node_id": FAKE_HEAD_NODE_ID,
    },
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": MOST},
    },
    "head_node_type": "ray.head.default",
    "upscaling_speed": 10.0,
    "auth": {},
    "docker": {},
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
}
FIRST = "search.enqueue=[{model.beta: 1.0e-4, training.optimizer.learning_rate: 8.0e-3}]"
PATIENCE_SECONDS = 300
REQUESTS = """
import dataclasses, json, sys
from study import run
from tests.commands import call

json.dump([dataclasses.astuple(call(run.app, *each)) for each in json.load(sys.stdin)], sys.stdout)
"""
"""Answers requests in one process, which saves the start of others."""
PORTS = range(20_000, 32_000)
"""Between those that Ray gives its workers and those that the kernel gives to anybody."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, and that nobody gets by chance."""
    ports: list[int] = []
    while len(ports) < count:
        port = secrets.choice(PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            ports += [port] * (port not in ports)
    return ports


class Head:
    """A head, its autoscaler, and the nodes that this adds."""

    def __init__(self, folder: Path, cluster: dict) -> None:
        self.mark = secrets.token_hex(16)
        self.temporary = tempfile.mkdtemp(prefix="ray-")  # short, for the sockets in it
        port, dashboard, agent, client = free_ports(4)
        self.address = f"{get_node_ip_address()}:{port}"
        self.environment = {
            **os.environ,
            MARK: self.mark,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "STUDY_CACHE_DIR": str(folder / "cache"),
        }
        as_node = {
            "PYTHONUNBUFFERED": "1",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
        }
        provider = cluster["provider"] | {"gcs_address": self.address}
        file = folder / "cluster.yaml"
        file.write_text(yaml.safe_dump(cluster | {"provider": provider}))
        self.log = folder / "head.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(Path(sys.executable).with_name("ray"), "start", "--head", "--block"),
                    f"--temp-dir={self.temporary}",
                    f"--port={port}",
                    *("--num-cpus=0", "--num-gpus=0", "--object-store-memory=100000000"),
                    "--include-dashboard=false",  # a dozen processes
                    f"--dashboard-port={dashboard}",
                    f"--dashboard-agent-listen-port={agent}",
                    f"--ray-client-server-port={client}",
                    f"--autoscaling-config={file}",
                ],
                env={**self.environment, **as_node},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def answers(self, *requests: list[str]) -> list[Answer]:
        """Return what `study.run` answers one after the other, on this cluster."""
        here = [[*request, "--address", self.address] for request in requests]
        done = subprocess.run(
            [sys.executable, "-c", REQUESTS],
            env=self.environment,
            input=json.dumps(here),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [Answer(*each) for each in json.loads(done.stdout.splitlines()[-1])]

    def wait(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Ray runtime started" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """Kill all that it started, by process id."""
        kill_marked(self.mark)
        self.process.wait()
        shutil.rmtree(self.temporary, ignore_errors=True)


@pytest.fixture
def start(tmp_path):
    heads = []

    def start_head(cluster):
        heads.append(Head(tmp_path, cluster))
        heads[-1].wait()
        return heads[-1]

    yield start_head
    for head in heads:
        head.stop()


def test_a_study_is_planned_with_nodes_that_may_come_and_they_come(
    start, study_file, tmp_path, undisturbed
):
    """Two trials of two folds with half a CPU each: one node holds one of them.

    What is refused leaves nothing behind that would refuse the next study.
    """
    head = start(CLUSTER)
    arguments = [str(study_file), "--output", str(tmp_path / "results")]
    halves = [*arguments, "--set", "resources.per_fold={cpu: 0.5, gpu: 0}"]
    refused, planned, done, again = head.answers(
        [*arguments, "--set", "resources.per_fold.cpu=2"],
        [*halves, "--plan"],
        [*halves, "--set", "search.trials=1", "--set", FIRST],
        [*halves, "--plan", "--fresh", "--set", "resources.per_fold.cpu=1"],
    )
    assert refused.code == 2
    assert refused.errors.count("\n") == 1
    assert "cpu: 1 would fit" in refused.errors
    assert planned.code == 0, planned.errors
    assert "1 there, and up to 2 may come (2 worker)" in planned.output
    assert "2 trial(s), each with all its folds" in planned.output
    assert done.code == 0, done.errors
    ours, theirs = (
        pd.read_parquet(results / "scores.parquet").query("trial == 'trial-00000'")
        for results in (tmp_path / "results" / "tiny", undisturbed.results)
    )
    pd.testing.assert_frame_equal(ours, theirs)
    # One node holds a fold now: both are needed by one trial, whether they live or may come.
    assert "1 trial(s), each with all its folds" in again.output, again.errors
