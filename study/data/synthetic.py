"""Heartbeats of generated patients, whose electrocardiograms `ecg_model` integrates."""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from study.data.assembly import build_samples
from study.data.beat_settings import BeatDatasetSettings
from study.data.beats import Beats, cut_beats, joined_beats, peak_positions
from study.data.ecg_model import (
    ABNORMAL_KINDS,
    MODEL_RATE_HZ,
    disordered,
    draw_kinds,
    integrate,
    patient_morphology,
    premature_intervals,
    rr_intervals,
    summits,
)
from study.data.entry import DatasetEntry
from study.data.resampling import fit_length, resample_rate
from study.data.samples import Samples
from study.randomness import stream_seed

RECORD_RATE_HZ = 125


class SyntheticSettings(BeatDatasetSettings):
    """Heartbeats generated after McSharry et al. (2003)."""

    name: Literal["synthetic"] = "synthetic"
    patients: int = Field(
        default=8,
        ge=1,
        le=10_000,
        description="number of patients, each with a morphology of its own; 1 to 10000",
    )
    beats_per_patient: int = Field(
        default=120, ge=1, le=100_000, description="beats of each patient; 1 to 100000"
    )
    abnormal_fraction: float = Field(
        default=0.2,
        ge=0.0,
        le=1.0,
        description="share of each patient's beats that is abnormal; 0 to 1",
    )


def generate_patient(
    settings: SyntheticSettings, generator: np.random.Generator
) -> tuple[Beats, npt.NDArray[np.str_]]:
    """Return the beats of one new patient, cut as those of MIT-BIH, and their kinds."""
    count = settings.beats_per_patient
    healthy = patient_morphology(generator)
    # The beat after the last closes the last one's interval and is not a sample.
    kinds = np.append(draw_kinds(count, settings.abnormal_fraction, generator), "normal")
    mean_seconds = float(generator.uniform(0.65, 1.0))
    intervals = rr_intervals(count, mean_seconds, 0.025 * mean_seconds, generator)
    intervals = premature_intervals(intervals, kinds, generator)
    peaks = 1.0 + np.concatenate([[0.0], np.cumsum(intervals)])
    z = integrate(peaks, disordered(healthy, kinds, generator), float(peaks[-1]) + 1.0)
    signal = resample_rate(z, MODEL_RATE_HZ, RECORD_RATE_HZ)
    signal += generator.normal(0.0, 0.008 * np.ptp(z), len(signal))
    position = summits(z, np.floor(peaks * MODEL_RATE_HZ + 0.5).astype(np.int64))
    position = peak_positions(position, MODEL_RATE_HZ, RECORD_RATE_HZ)
    return cut_beats(signal, RECORD_RATE_HZ, position, kinds != "normal", settings), kinds[:-1]


def sources(
    settings: SyntheticSettings, data_folder: Path, memo_folder: Path | None
) -> list[tuple[str, str]]:
    """Return no source files: the samples come from the settings and the seed."""
    del settings, data_folder, memo_folder
    return []


def prepare(settings: SyntheticSettings, data_folder: Path, seed: int) -> Samples:
    """Return generated beats; each patient has a random stream of its own from `seed`.

    The first half of the patients (rounded up) is the "train" side, the rest "test".
    """
    del data_folder
    patients = [
        generate_patient(
            settings, np.random.default_rng(stream_seed(seed, "data", "synthetic", number))
        )
        for number in range(settings.patients)
    ]
    beats = joined_beats([part for part, _ in patients])
    kind = np.concatenate([kinds for _, kinds in patients])
    owner = np.repeat(np.arange(settings.patients), settings.beats_per_patient)
    name = [f"patient{number:03d}" for number in owner]
    training = (settings.patients + 1) // 2
    return build_samples(
        **vars(beats),
        label=kind != "normal",
        kind=kind,
        symbol=[ABNORMAL_KINDS.get(item, "N") for item in kind],
        record=name,
        patient=name,
        side=["train" if number < training else "test" for number in owner],
        sampling_rate_hz=float(settings.window.rate_hz),
    )


def check(settings: SyntheticSettings, data_folder: Path) -> list[str]:
    """Return that there is no file to verify."""
    del settings, data_folder
    return ["synthetic: nothing to check, its samples are generated from the seed"]


ENTRY = DatasetEntry(
    settings=SyntheticSettings,
    description="generated heartbeats, four abnormal kinds, no download",
    sources=sources,
    prepare=prepare,
    check=check,
    fetch="synthetic: nothing to fetch, its samples are generated from the seed",
    seeded=True,
    record_rate_hz=MODEL_RATE_HZ,
    fit_rows=fit_length,
)
