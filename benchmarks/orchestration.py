"""What a study costs outside training: its start, and each further trial of five folds."""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from benchmarks.measurement import Measurement

FOLDS = 5
STUDY = f"""
name: orchestration
dataset: {{name: synthetic, length: 32, patients: 4, beats_per_patient: 60}}
split: {{folds: {FOLDS}}}
model: {{name: beta_vaegan, latent_size: 3}}
training: {{epochs: 2, batch_size: 64, discriminator_updates: 1, validation_interval: 1}}
scores: {{gamma_steps: 5, lambda_steps: 10}}
search:
  trials: 5
  startup_trials: 1
  metric: {{composition: reconstruction, score: auroc}}
  space:
    model.beta: {{loguniform: [1.0e-6, 1.0]}}
  stopping: null
resources: {{max_concurrent_trials: 1}}
seed: 4
"""


def measure(folder: Path, cores: int) -> list[Measurement]:
    """Run the study in `folder` on a private cluster of `cores` cores.

    The first trial starts processes; the median is taken over those that follow.
    """
    file = folder / "orchestration.yaml"
    file.write_text(STUDY)
    results = folder / "orchestration"
    command = [sys.executable, "-m", "study.run", str(file), "--output", str(folder)]
    began = time.time()
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and not list(results.glob("tensorboard/*/*/events*")):
        time.sleep(0.02)
    start = time.time() - began
    if driver.wait():
        raise RuntimeError(f"the study ended with exit code {driver.returncode}")
    ends = sorted(p.stat().st_mtime for p in results.glob("ledger/*/trial.json"))
    timings = pd.read_parquet(results / "timings.parquet")
    seconds = timings.groupby("trial")["train_seconds"].sum().sort_index()[1:]
    trial = float(pd.Series(ends).diff()[1:].median())
    training = float(seconds.median()) / cores
    return [
        Measurement(
            name="start of a study, from the command to its first epoch",
            seconds=start,
            threads=cores,
        ),
        Measurement(
            name=f"a further trial of {FOLDS} folds, outside training",
            seconds=trial - training,
            threads=cores,
            note=f"{trial:.1f} s from the end of the one before, {training:.1f} s of them training",
        ),
    ]
