from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from study.data.assembly import build_samples
from study.data.samples import Samples
from study.definition import Study
from study.storage import Folder, LocalFolder, RemoteFolder
from study.study_file import check_study


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_samples() -> Callable[..., Samples]:
    """Builds sines (normal) and saw teeth or steps (abnormal) of length 32."""

    def tiny(normal: int = 24, abnormal: int = 12, seed: int = 0, length: int = 32) -> Samples:
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
            record=[f"r{i % 4}" for i in range(normal + abnormal)],
        )

    return tiny


@pytest.fixture
def tiny_study() -> Callable[..., Study]:
    """Builds a study that trains in a second; keywords are parts of the file."""

    def tiny(**parts: Any) -> Study:
        content: dict[str, Any] = {
            "name": "tiny",
            "dataset": {"name": "synthetic", "length": 32},
            "split": {"protocol": "paper", "folds": 2},
            "model": {"name": "beta_vaegan", "latent_size": 3},
            "training": {
                "epochs": 6,
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


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """The same empty folder, on a disk and as an object store is reached."""
    root = tmp_path / "root"
    root.mkdir()
    if request.param == "local":
        return LocalFolder(root)
    return RemoteFolder(SubTreeFileSystem(str(root), LocalFileSystem()), "", "store://root")
