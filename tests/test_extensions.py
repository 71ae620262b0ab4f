"""A package of other people adds to the tables; what is wrong with it is said."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = {
    "spread.py": '''
from typing import Literal

import numpy as np

from models.bases.classical import ClassicalModel
from models.bases.settings import NamedSettings
from models.entry import OUTLIER_SCORE, ModelEntry


class SpreadSettings(NamedSettings):
    """How far values of a sample are apart."""

    name: Literal["spread"] = "spread"


class Spread(ClassicalModel):
    """How far values of a sample are apart."""

    components = (OUTLIER_SCORE,)
    parameters = ("least",)

    def fit(self, x):
        return {"least": x.min(axis=0)}

    def score(self, fitted, x):
        return np.ptp(x, axis=1)


ENTRY = ModelEntry(SpreadSettings, "outside.spread:Spread", (OUTLIER_SCORE,), "spread of values",
                   {"epochs": 1}, fitted_once=True)
''',
    "ramps.py": '''
from typing import Literal

import numpy as np

from study.data.assembly import build_samples
from study.data.entry import BaseDatasetSettings, DatasetEntry


class RampSettings(BaseDatasetSettings):
    """Ramps, gentle and steep."""

    name: Literal["ramps"] = "ramps"


def prepare(settings, data_folder, seed):
    steep = np.r_[np.linspace(0.1, 0.4, 60), np.linspace(0.5, 1, 20)]
    kinds = np.repeat(["gentle", "steep"], (60, 20))
    values = steep[:, None] * np.linspace(0, 1, settings.length)
    return build_samples(values, kinds == "steep", kinds, kinds)


ENTRY = DatasetEntry(RampSettings, "ramps", lambda *_: [], prepare, lambda *_: [], lambda *_: [])
''',
    "twice.py": """
from study.scores.compositions import OUTLIER, Single

ENTRY = Single((OUTLIER,))
""",
}
POINTS = """
[study.models]
spread = outside.spread:ENTRY
[study.datasets]
ramps = outside.ramps:ENTRY
[study.compositions]
twice = outside.twice:ENTRY
"""


def install(folder: Path, points: str, files: dict[str, str]) -> None:
    """Put a package where pip would."""
    (folder / "outside").mkdir()
    for name, text in {"__init__.py": "", **files}.items():
        (folder / "outside" / name).write_text(text)
    described = folder / "outside-1.5.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.5\n")
    (described / "entry_points.txt").write_text(points)


def python(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    work = folder / "work"
    work.mkdir()
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=work,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_study_of_what_another_package_brings_is_trained_and_scored(tmp_path: Path) -> None:
    install(tmp_path, POINTS, PACKAGE)
    # A copy: beside the other tests `models` would be theirs.
    shutil.copy(ROOT / "tests" / "outside.py", tmp_path)
    done = python(tmp_path, str(tmp_path / "outside.py"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "spread ramps twice 1.0 SpreadDetector\n"


SAID = """
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import models
    from models.extensions import extending_packages

print(list(models.MODELS)[-1], extending_packages("study.models"))
for each in caught:
    print(each.message)
"""


WRONG = {
    "broken = outside.broken:ENTRY": "division by zero",
    "missing = outside.missing:ENTRY": "No module named 'outside.missing'",
    "pca = outside.spread:ENTRY": "the name is taken",
    "settings = outside.spread:SpreadSettings": "expected a ModelEntry, found",
}


def test_what_cannot_be_added_is_left_out_and_said(tmp_path: Path) -> None:
    points = "\n".join(["[study.models]", *WRONG, "spread = outside.spread:ENTRY"])
    install(tmp_path, points, {**PACKAGE, "broken.py": "1 / 0\n"})
    done = python(tmp_path, "-c", SAID)
    assert done.returncode == 0, done.stderr
    table, *said = done.stdout.splitlines()
    assert table == "spread {'outside': '1.5'}"
    for line, (point, problem) in zip(said, WRONG.items(), strict=True):
        name, _, value = point.partition(" = ")
        assert line.startswith(f"study.models {name} of outside ({value}) is left out: {problem}")
