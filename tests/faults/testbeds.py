"""Where a study meets a fault: alone, on two nodes, or with its results in a store."""

import contextlib
import os
import random
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from study.storage.folder import Folder, open_folder
from tests.gate import Gate
from tests.s3_server import ACCESS_KEY, S3Server
from tests.study_run import MARK, Run, kill_marked

RESULTS = "results"
STARTS = 3
"""Ray gives a node half a minute to start, which a busy machine may need longer for."""


@dataclass
class Testbed:
    """What a study of one case runs on, and its latest run.

    Attributes:
        folder: for its files.
        gate: what it waits at.
        environment: of its processes.
        options: of its command line, where it runs on nodes of the testbed.
        results: the folder of all results.
        store: where these are, if not on a disk.
    """

    folder: Path
    gate: Gate
    environment: dict[str, str]
    options: tuple[str, ...]
    results: Folder
    store: S3Server | None = None
    _cluster: "subprocess.Popen[str] | None" = None
    _runs: list[Run] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """The latest run."""
        return self._runs[-1]

    def start(self, *arguments: str) -> Run:
        """Start the study, or continue it."""
        output = ("--output", self.results.locate())
        self._runs.append(Run(self.folder, *arguments, *output, *self.options, **self.environment))
        return self.run

    def strike(self, kind: str) -> None:
        """Kill or stop one process of a kind; see `Run.kill_one`."""
        processes = self.run.find(kind)
        if kind == "hang":
            processes = sorted(self.run.folds_in_training())
        assert self.run.kill_one(kind, processes, random.Random(0)), f"there is no {kind}"

    def command_cluster(self, command: str) -> None:
        """Have something done to the cluster of two nodes, and wait until it is done."""
        assert self._cluster
        assert self._cluster.stdin
        assert self._cluster.stdout
        self._cluster.stdin.write(f"{command}\n")
        self._cluster.stdin.flush()
        answer = self._cluster.stdout.readline().strip()
        assert answer == command, f"{command}: {answer!r}"

    def stop(self) -> None:
        """End what is left of the runs."""
        for run in self._runs:
            run.stop()


@contextlib.contextmanager
def testbed_of(
    where: str, folder: Path, illness: str, environment: dict[str, str]
) -> Iterator[Testbed]:
    """Make a testbed; whatever happens, nothing of it is left."""
    gate = Gate(folder, epochs=1)
    environment = gate.environment | environment
    results = open_folder(str(folder / RESULTS))
    with contextlib.ExitStack() as left:
        if where == "nodes":
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            cluster, address = left.enter_context(_two_nodes(illness, environment))
            options = ("--address", address)
            testbed = Testbed(folder, gate, environment, options, results, None, cluster)
        elif where == "store":
            store = S3Server("bucket")
            left.callback(store.close)
            environment |= {
                "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": "none",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            os.environ.update({name: environment[name] for name in environment if "AWS" in name})
            testbed = Testbed(folder, gate, environment, (), open_folder(store.uri(RESULTS)), store)
        else:
            testbed = Testbed(folder, gate, environment, (), results)
        left.callback(testbed.stop)
        yield testbed


@contextlib.contextmanager
def _two_nodes(
    illness: str, environment: dict[str, str]
) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """Start a cluster; yield its process, which takes commands, and its address."""
    with contextlib.ExitStack() as left:
        for _ in range(STARTS):
            cluster = left.enter_context(_marked_cluster(illness, environment))
            assert cluster.stdout
            if address := cluster.stdout.readline().strip():
                yield cluster, address
                return
            left.close()
        raise AssertionError(f"the cluster did not start in {STARTS} tries")


@contextlib.contextmanager
def _marked_cluster(illness: str, environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    mark = secrets.token_hex(16)
    cluster = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.sick_cluster", *filter(None, [illness])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment, MARK: mark},
    )
    try:
        yield cluster
    finally:
        kill_marked(mark)
        cluster.wait()
        for stream in (cluster.stdin, cluster.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
