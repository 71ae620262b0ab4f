import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from study.config.schema import Study
from study.config.study_file import check_study
from study.data import load
from study.data.assembly import build_samples
from study.data.mitbih import MitbihSettings, prepare_records
from study.data.samples import Samples
from study.data.splits import Fold, make_splits
from study.data.table import samples_of
from study.data.tables.reader import Table
from study.data.ucr import UcrSettings
from study.ledger.ledger import Ledger
from study.search.trial import trial_name
from study.storage.arrow_folder import ArrowFolder
from study.storage.folder import Folder, LocalFolder, open_folder
from study.training.fold import train_fold
from tests.made_once import alone, made_once, of_all_processes
from tests.s3_server import S3Server
from tests.study.trials import task_of

REPOSITORY = Path(__file__).parents[2]


def _real_folder() -> Path | None:
    named = os.environ.get("STUDY_DATA_DIR")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = _real_folder()
    if folder is None:
        pytest.skip("no real data: set STUDY_DATA_DIR to a folder with mitdb/ and wafer/")
    return folder


@pytest.fixture(scope="session")
def real_mitdb(real_data: Path) -> Path:
    if not (real_data / "mitdb").is_dir():
        pytest.skip(f"no mitdb/ in {real_data}")
    return real_data / "mitdb"


@pytest.fixture(scope="session")
def real_wafer(real_data: Path) -> Path:
    if not (real_data / "wafer").is_dir():
        pytest.skip(f"no wafer/ in {real_data}")
    return real_data


@pytest.fixture(scope="session")
def mitbih_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared samples that all processes of a session have."""
    return of_all_processes(tmp_path_factory) / "prepared"


@pytest.fixture(scope="session")
def mitbih(real_mitdb: Path, mitbih_cache: Path) -> Samples:
    with alone(mitbih_cache):
        return load(MitbihSettings(), real_mitdb.parent, 0, mitbih_cache)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """As a fold has on a cluster, unless a study asks for more; sums depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def waveforms(
    normal: int = 24, abnormal: int = 12, seed: int = 0, length: int = 32, records: int = 4
) -> Samples:
    """Sines (normal) and saw teeth or steps (abnormal), dealt out to records."""
    random = np.random.default_rng(seed)
    time = np.linspace(0, 1, length)
    good = 0.5 + 0.4 * np.sin(2 * np.pi * (time + 0.1 * random.random((normal, 1))))
    bad = np.where(np.arange(abnormal)[:, None] % 2 == 0, time % 0.25 * 4, time > 0.5)
    values = np.concatenate([good, bad]) + 0.05 * random.random((normal + abnormal, length))
    kinds = ["N"] * normal + [("saw", "step")[i % 2] for i in range(abnormal)]
    return build_samples(
        np.clip(values, 0, 1),
        [0] * normal + [1] * abnormal,
        kinds,
        kinds,
        record=[f"r{i % records}" for i in range(normal + abnormal)],
    )


@pytest.fixture(scope="session")
def tiny_samples() -> Callable[..., Samples]:
    """Builds samples on which a model trains in a second."""
    return waveforms


@pytest.fixture(scope="session")
def tiny_study() -> Callable[..., Study]:
    """Builds a study that trains in a second; keywords are parts of the file."""

    def tiny(**parts: Any) -> Study:
        content: dict[str, Any] = {
            "name": "tiny",
            "dataset": {"name": "synthetic", "length": 32},
            "split": {"protocol": "paper", "folds": 2},
            "model": {"name": "beta_vaegan", "latent_size": 3, "width": 4},
            "training": {
                "epochs": 4,
                "batch_size": 16,
                "discriminator_updates": 1,
                "validation_interval": 2,
            },
            "search": {"metric": {"composition": "lambda_grid"}},
            "scores": {"lambda_steps": 5, "gamma_steps": 4},
        }
        for part, settings in parts.items():
            both = isinstance(settings, dict) and isinstance(content.get(part), dict)
            content[part] = {**content[part], **settings} if both else settings
        return check_study(content, "tiny.yaml")

    return tiny


@pytest.fixture(params=["local", "remote", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """The same empty folder, on a disk, as a store with folders is reached, and on S3."""
    if request.param == "s3":
        store: S3Server = request.getfixturevalue("store")
        return open_folder(store.uri(f"unit/{uuid.uuid4().hex}"))
    root = tmp_path / "root"
    root.mkdir()
    if request.param == "local":
        return LocalFolder(root)
    return ArrowFolder(SubTreeFileSystem(str(root), LocalFileSystem()), "", "store://root")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder in which commands are called, with a cache of its own."""
    folder = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("STUDY_CACHE_DIR", str(folder / "cache"))
        yield folder


@pytest.fixture
def quick_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of a running study's page that sees what is new at once."""
    from study import live_server

    monkeypatch.setattr(live_server, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(live_server, "REST", 0.0)


@dataclass(frozen=True)
class Trained:
    """A trial whose folds are in a ledger, and what they were trained on.

    Attributes:
        rows: `(n, width)` what the samples were made of, where these are rows of a table.
    """

    place: Path
    study: Study
    samples: Samples
    folds: tuple[Fold, ...]
    rows: np.ndarray | None = None

    def fold(self, number: int = 0) -> Path:
        return self.place / f"fold-{number}"

    def stored(self, number: int = 0) -> pd.DataFrame:
        """Stored errors of the weights that are stored, all samples of a fold, by index."""
        names = ("components.parquet", "training_components.parquet")
        tables = [pd.read_parquet(self.fold(number) / name) for name in names]
        both = pd.concat(tables)
        return both[both["epoch_rule"] == "best_validation"].set_index("sample").sort_index()


def train_trial(study: Study, samples: Samples, folder: Path) -> Trained:
    """Train every fold of a study's first trial, without a cluster."""
    ledger = Ledger(LocalFolder(folder / "ledger"))
    folds = make_splits(samples, study.split, study.seed).folds
    for number, fold in enumerate(folds):
        checkpoints = LocalFolder(folder / "checkpoints")
        train_fold(task_of(study, number), samples, fold, ledger, checkpoints)
    return Trained(folder / "ledger" / trial_name(0), study, samples, folds)


def trained_once(
    factory: pytest.TempPathFactory, name: str, study: Study, samples: Samples
) -> Trained:
    """Train a study's first trial in one of the processes of a session."""
    folder, trained = made_once(factory, name, lambda folder: train_trial(study, samples, folder))
    return replace(trained, place=folder / "ledger" / trained.place.name)


def write_heartbeats(
    folder: Path,
    name: str,
    seconds: int = 170,
    seed: int = 0,
    leads: tuple[str, ...] = ("MLII",),
) -> Path:
    """Write a WFDB record of narrow (N) and wide, inverted (V) beats at 360 Hz.

    Each further lead is weaker than the one before and has noise of its own.
    """
    random = np.random.default_rng(seed)
    intervals = np.round(360 * random.uniform(0.7, 0.95, 2 * seconds)).astype(int)
    position = 200 + np.cumsum(intervals)
    position = position[position < 360 * seconds - 100]
    symbol = np.where(random.random(len(position)) < 0.25, "V", "N")
    time = np.arange(360 * seconds)
    signal = 0.1 * np.sin(time / 700) + 0.02 * random.standard_normal(len(time))
    for place, kind in zip(position, symbol, strict=True):
        height, width = (1.2, 5) if kind == "N" else (-0.8, 18)
        near = slice(max(place - 150, 0), place + 150)
        signal[near] += height * np.exp(-(((time[near] - place) / width) ** 2) / 2)
    signals = [signal]
    for lead in range(1, len(leads)):
        signals.append(signal / (lead + 1) + 0.05 * random.standard_normal(len(time)))
    wfdb.wrsamp(
        name,
        fs=360,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        p_signal=np.stack(signals, axis=1),
        fmt=["212"] * len(leads),
        adc_gain=[200.0] * len(leads),
        baseline=[0] * len(leads),
        write_dir=str(folder),
    )
    wfdb.wrann(name, "atr", position, symbol=symbol, write_dir=str(folder))
    return folder / name


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of about 200 beats, its path without extension."""
    return write_heartbeats(tmp_path_factory.mktemp("records"), "b1")


@pytest.fixture(scope="session")
def trained_beats(record: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two folds of beta-VAEGAN, trained on the beats of `record`."""
    samples = prepare_records([record.name], record.parent, MitbihSettings(length=96))
    study = check_study(
        {
            "name": "beats",
            "dataset": {"name": "mitbih", "length": 96},
            "split": {"folds": 2},
            "model": {"name": "beta_vaegan", "latent_size": 3, "width": 4},
            "training": {"epochs": 2, "batch_size": 32, "discriminator_updates": 1},
            "search": {"metric": {"composition": "svm_lambda"}},
            "scores": {"lambda_steps": 5, "gamma_steps": 4},
        },
        "beats.yaml",
    )
    return trained_once(tmp_path_factory, "beats", study, samples)


@pytest.fixture(scope="session")
def trained_rows(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two folds of PCA on rows of 40 values in units of their own, scaled by each fold."""
    random = np.random.default_rng(0)
    phase = random.random((80, 1))
    waves = 40 + 7 * np.sin(2 * np.pi * (np.linspace(0, 1, 40) + 0.1 * phase))
    waves[60:] += 5 * random.random((20, 40))
    study = check_study(
        {
            "name": "rows",
            "dataset": {"name": "ucr", "length": 32, "path": "r.tsv", "normal_labels": [1]},
            "split": {"folds": 2},
            "model": {"name": "pca", "components": 2},
            "search": {"metric": {"composition": "reconstruction"}},
        },
        "rows.yaml",
    )
    table = Table(waves[:, np.newaxis, :], np.array(["1"] * 60 + ["-1"] * 20))
    assert isinstance(study.dataset, UcrSettings)
    samples = samples_of([table], study.dataset)
    return replace(trained_once(tmp_path_factory, "rows", study, samples), rows=waves)
