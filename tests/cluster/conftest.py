"""Real studies on a private Ray cluster, run as users run them."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

STUDY = """
name: tiny
dataset: {name: synthetic, length: 32, patients: 4, beats_per_patient: 60, abnormal_fraction: 0.3}
split: {folds: 2}
model: {name: beta_vaegan, latent_size: 3}
training: {epochs: 4, batch_size: 32, discriminator_updates: 1, validation_interval: 2}
scores: {gamma_steps: 5, lambda_steps: 10}
search:
  trials: 2
  parallel: 2
  startup_trials: 2
  metric: {composition: reconstruction, score: auroc}
  space:
    model.beta: {loguniform: [1.0e-6, 1.0]}
    training.optimizer.learning_rate: {loguniform: [1.0e-5, 1.0e-2]}
  stopping: {grace_epochs: 2, reduction: 2}
seed: 4
"""
MARK = "STUDY_TEST_RUN"
SECRET = "planted-5f1c9e"
"""Stands in the environment and in the home folder's path of every run."""
PATIENCE_SECONDS = 600


class Run:
    """One `python -m study.run`, whose processes are known by a mark in their environment."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        self.log = folder / f"run-{self.mark}.log"
        self.home = folder / SECRET
        self.home.mkdir(exist_ok=True)
        with self.log.open("w") as log:
            self.driver = subprocess.Popen(
                [sys.executable, "-m", "study.run", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    MARK: self.mark,
                    "STUDY_CACHE_DIR": str(folder / "cache"),
                    "HOME": str(self.home),
                    "STUDY_TEST_PASSWORD": SECRET,
                },
                start_new_session=True,
                # Tests that run in the background of a shell would hand down a deaf ear.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def said(self) -> str:
        return self.log.read_text()

    def wait(self) -> int:
        return self.driver.wait(PATIENCE_SECONDS)

    def wait_until_said(self, text: str) -> None:
        """Wait for `text` in the output; the run must not end before."""
        self._wait(lambda: text in self.said(), f"{text!r} was not said")

    def wait_for_worker(self) -> int:
        """Return the process id of a fold worker once there is one."""
        self._wait(lambda: bool(self.workers()), "no fold worker appeared")
        return self.workers()[0]

    def _wait(self, happened, otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            assert self.driver.poll() is None, f"ended early: {self.said()}"
            assert time.monotonic() < deadline, f"{otherwise}: {self.said()}"
            time.sleep(0.05)

    def processes(self) -> dict[int, str]:
        """Return all living processes of this run, but the driver, with their commands."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.driver.pid:
                try:
                    environment = (entry / "environ").read_bytes()
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if f"{MARK}={self.mark}".encode() in environment and command:
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def workers(self) -> list[int]:
        return [pid for pid, command in self.processes().items() if "RayTrainWorker" in command]

    def stop(self) -> None:
        """Kill what is left of the run, by process id."""
        for pid in [self.driver.pid, *self.processes()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.driver.wait(PATIENCE_SECONDS)


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
        runs.append(Run(tmp_path, *map(str, arguments)))
        return runs[-1]

    yield start_run
    for run in runs:
        run.stop()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, study_file):
    """Results folder and output of a study that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = Run(folder, str(study_file), "--output", str(folder / "results"))
    try:
        assert run.wait() == 0, run.said()
    finally:
        run.stop()
    return folder / "results" / "tiny", run.said()
