"""Real studies on a private Ray cluster, run as users run them."""

from pathlib import Path

import pytest

from tests.study_run import Run

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
SECRET = "planted-5f1c9e"
"""Stands in the environment and in the home folder's path of every run."""


def run_with_secrets(folder: Path, *arguments: str) -> Run:
    """Start a study whose home folder and environment hold what it must not repeat."""
    home = folder / SECRET
    home.mkdir(exist_ok=True)
    return Run(folder, *arguments, HOME=str(home), STUDY_TEST_PASSWORD=SECRET)


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
        runs.append(run_with_secrets(tmp_path, *map(str, arguments)))
        return runs[-1]

    yield start_run
    for run in runs:
        run.stop()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, study_file):
    """Results folder and output of a study that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = run_with_secrets(folder, str(study_file), "--output", str(folder / "results"))
    try:
        assert run.wait() == 0, run.said()
    finally:
        run.stop()
    return folder / "results" / "tiny", run.said()
