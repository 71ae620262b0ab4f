"""How a study's cost grows with its trials: 1,000 trials of five folds on many raylets.

`python -m benchmarks.growth FOLDER --trials 1000 --raylets 10` starts a cluster of that many
nodes on this machine, each with one CPU to give away, runs one study of a model that is
fitted within milliseconds, and prints what had been used up when 10, 30, 100, ... trials had
ended: so growth shows within one run. Linux. All nodes share this machine's cores: its
seconds a trial are those of the work of fitting and writing, not of a real cluster. With
several trials at a time they are mostly those of starting processes: Tune starts one for the
next trial, which ends in another process before the new one is there.
"""

import argparse
import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measurement import memory
from study.storage.folder import LocalFolder

FOLDS = 5
STUDY = """
name: growth
dataset: {name: synthetic, length: 32, patients: 5, beats_per_patient: 20, abnormal_fraction: 0.3}
split: {folds: FOLDS}
model: {name: pca, components: 4}
scores: {gamma_steps: 3, lambda_steps: 3}
search:
  trials: TRIALS
  startup_trials: 10
  metric: {composition: reconstruction, score: auroc}
  space:
    model.components: {int: [1, 16]}
  stopping: null
resources: {per_fold: {cpu: 1, gpu: 0}, max_concurrent_trials: PARALLEL}
seed: 4
"""
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Growth:
    """What a study had used when a number of its trials had ended.

    Attributes:
        trials: that number.
        seconds: since the first trial ended.
        driver_cpu_seconds: processor time of the driver, all its threads.
        driver_rss_bytes: its resident memory.
        coordinator_rss_bytes: that of the actor which assigns trials.
        written_bytes: size of the results folder.
    """

    trials: int
    seconds: float
    driver_cpu_seconds: float
    driver_rss_bytes: int
    coordinator_rss_bytes: int
    written_bytes: int


def measure(folder: Path, trials: int, at_a_time: int, address: str) -> float:
    """Run the study in `folder`, print its growth, and return the seconds of its first report.

    Raises:
        RuntimeError: the study did not end well.
    """
    file = folder / "growth.yaml"
    text = STUDY.replace("TRIALS", str(trials)).replace("FOLDS", str(FOLDS))
    file.write_text(text.replace("PARALLEL", str(at_a_time)))
    results = folder / "growth"
    command = [sys.executable, "-m", "study.run", str(file), "--output", str(folder)]
    with (folder / "growth.log").open("w") as log:
        driver = subprocess.Popen([*command, "--address", address], stdout=log, stderr=log)
    counts = [n * m for n in (10, 100, 1000, 10_000) for m in (1, 3) if n * m < trials] + [trials]
    began = last = 0.0
    while driver.poll() is None:
        time.sleep(LOOK_SECONDS)
        ended = len(list(results.glob("ledger/*/trial.json")))
        began = began or (time.monotonic() if ended else 0.0)
        if counts and ended >= counts[0]:
            counts.pop(0)
            last = time.monotonic()
            growth = Growth(
                trials=ended,
                seconds=last - began,
                driver_cpu_seconds=_cpu_seconds(driver.pid),
                driver_rss_bytes=memory(driver.pid)["Rss"],
                coordinator_rss_bytes=memory(_coordinator())["Rss"],
                written_bytes=LocalFolder(folder).size("growth"),
            )
            print(asdict(growth), flush=True)
    if driver.returncode:
        raise RuntimeError(f"exit code {driver.returncode}: {(folder / 'growth.log').read_text()}")
    return time.monotonic() - last


@contextlib.contextmanager
def _cluster(raylets: int) -> Iterator[str]:
    """Run a head without CPUs, and nodes with one each; return the head's address."""
    from ray.cluster_utils import Cluster

    node = {"num_gpus": 0, "object_store_memory": 10**8}
    cluster = Cluster(
        initialize_head=True, head_node_args={**node, "num_cpus": 0, "include_dashboard": False}
    )
    try:
        for _ in range(raylets):
            cluster.add_node(num_cpus=1, **node)
        cluster.wait_for_nodes(timeout=600)
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def _coordinator() -> int:
    """Return the id of the coordinator's process; 0 if there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes().startswith(b"ray::Coordinator"):
                return int(entry.name)
        except OSError:
            continue
    return 0


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the study is kept")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--raylets", type=int, default=10)
    parser.add_argument("--at-a-time", type=int, default=1, help=f"{FOLDS} raylets for each")
    arguments = parser.parse_args()
    # Its nodes listen to more than this machine: nobody else is let in.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with _cluster(arguments.raylets) as address:
        report = measure(arguments.folder, arguments.trials, arguments.at_a_time, address)
    print(f"the report of {arguments.trials} trials took {report:.1f} s")


if __name__ == "__main__":
    main()
