"""Real studies on a private Ray cluster, run as users run them."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gate import Gate
from tests.small_studies import BETA_TO_FAIL, FOUR_EPOCHS, LEARNING_RATE, RUNG_AT_2, study_text
from tests.study_run import Run

STUDY = study_text(
    "tiny",
    training=FOUR_EPOCHS | {"batch_size": 16},
    search={
        "trials": 3,
        "space": BETA_TO_FAIL | LEARNING_RATE,
        "enqueue": [
            {"model.beta": beta, "training.optimizer.learning_rate": learning_rate}
            for beta, learning_rate in ((1e-4, 8e-3), (1e-4, 1e-5), (1e300, 1e-3))
        ],
        "stopping": RUNG_AT_2,
    },
    seed=23,
)
"""One trial completes, one that hardly learns is stopped at epoch 2, and one fails."""
SECRET = "planted-5f1c9e"
"""Stands in the environment and in the home folder's path of every run."""
LISTENING = "0A"


def run_with_secrets(folder: Path, *arguments: object, **environment: str) -> Run:
    """Start a study whose home folder and environment hold what it must not repeat."""
    home = folder / SECRET
    home.mkdir(exist_ok=True)
    known = {"HOME": str(home), "STUDY_TEST_PASSWORD": SECRET}
    return Run(folder, *map(str, arguments), **known, **environment)


@pytest.fixture(scope="session")
def study_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "tiny.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def start(tmp_path):
    """Start runs that are gone when the test is over."""
    runs = []

    def start_run(*arguments):
        runs.append(run_with_secrets(tmp_path, *arguments))
        return runs[-1]

    yield start_run
    for run in runs:
        run.stop()


@dataclass(frozen=True)
class Undisturbed:
    """A study that nothing disturbed.

    Attributes:
        results: its results folder.
        printed: what it printed.
        listening: addresses that its processes listened on, as the kernel writes them.
        processes: what it had started when a first worker was there, as commands.
        refused: what another run of it printed in the meantime.
        refusal: the exit code of that one.
    """

    results: Path
    printed: str
    listening: set[str]
    processes: list[str]
    refused: str
    refusal: int


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, study_file):
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments = (study_file, "--output", folder / "results")
    gate = Gate(folder, epochs=1)
    run = run_with_secrets(folder, *arguments, **gate.environment)
    other = None
    try:
        run.wait_for_worker()
        other = run_with_secrets(folder, *arguments)
        refusal = other.wait()
        listening, processes = listening_addresses(run), list(run.others().values())
        gate.open()
        assert run.wait() == 0, run.printed()
    finally:
        for each in (run, other):
            if each:
                each.stop()
    results = folder / "results" / "tiny"
    return Undisturbed(results, run.printed(), listening, processes, other.printed(), refusal)


def listening_addresses(run: Run) -> set[str]:
    sockets = set()
    for pid in [run.driver.pid, *run.others()]:
        with contextlib.suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets.add(str(handle.readlink()))
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and f"socket:[{inode}]" in sockets:
                addresses.add(local.partition(":")[0][-8:])
    return addresses
