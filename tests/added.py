"""Runs everything public in a copy of the code to which a page of `docs/` has added something.

`python added.py` in that copy runs the example of each page, plans a study that uses the addition,
trains it without a cluster, makes its report and scores new samples.
"""

import contextlib
import io
import pickle
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from serial_study import run_serially

from models import MODELS
from study import estimators, score
from study.report import __main__ as report
from study.run import main as run

SYNTHETIC = {"name": "synthetic", "length": 32, "patients": 2, "beats_per_patient": 40}
REQUESTS: dict[str, dict[str, Any]] = {
    "new_dataset": {
        "dataset": {"name": "trace", "length": 32},
        "model": {"name": "pca", "components": 3},
        "search": {"metric": {"composition": "reconstruction"}},
    },
    "new_composition": {
        "dataset": SYNTHETIC,
        "model": {"name": "beta_vaegan", "latent_size": 3, "width": 4},
        "search": {"metric": {"composition": "maximum"}},
        "measures": {"tracked": ["svm_latent", "maximum"]},
    },
    "new_model": {
        "dataset": SYNTHETIC,
        "model": {"name": "mean_distance", "power": 1.5},
        "search": {"metric": {"composition": "outlier_score"}},
    },
    "new_sampler": {
        "dataset": SYNTHETIC,
        "model": {"name": "pca", "components": 3},
        "search": {
            "sampler": "one_changed:OneChanged",
            "trials": 4,
            "startup_trials": 2,
            "metric": {"composition": "reconstruction"},
            "space": {"model.components": {"int": [1, 12]}},
        },
    },
}
COMMON: dict[str, Any] = {
    "split": {"folds": 2},
    "training": {"epochs": 1},
    "scores": {"lambda_steps": 5, "gamma_steps": 4},
}


def write_traces(data: Path) -> None:
    """Write the files of the dataset that `docs/new_dataset.md` adds."""
    random = np.random.default_rng(0)
    (data / "trace").mkdir(parents=True)
    normal = 0.5 + 0.3 * np.sin(np.linspace(0, 6, 50) + random.random((80, 1)))
    abnormal = random.random((40, 50))
    np.save(data / "trace" / "values.npy", np.concatenate([normal, abnormal]))
    np.save(data / "trace" / "kinds.npy", np.repeat(["ok", "bent", "cut"], (80, 20, 20)))


def called(main: Any, *arguments: str) -> None:
    """Call a command as it is called from a shell."""
    sys.argv = ["study", *arguments]
    assert main() == 0


def main(page: str) -> None:
    """Run the example of a page, and everything with what it adds."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(f"{page}_example.py")
    assert printed.getvalue()
    file, data = Path(f"{page}.yaml"), Path("data")
    file.write_text(yaml.safe_dump({"name": page, **COMMON, **REQUESTS[page]}))
    called(run, str(file), "--plan", "--output", "results", "--data", str(data))
    results = run_serially(file, Path("results"), data)
    called(report.app.main, results.locate())
    scores = pd.read_parquet(results.locate("scores.parquet"))
    used = REQUESTS[page]
    assert set(scores["dataset"]) == {used["dataset"]["name"]}
    assert used["search"]["metric"]["composition"] in set(scores["composition"])
    assert Path(results.locate("report/index.html")).is_file()
    np.save("new.npy", np.random.default_rng(1).random((9, 32)))
    scored = f"{page}.parquet"
    called(score.app.main, results.locate("ledger/trial-00000"), "new.npy", "--output", scored)
    assert len(pd.read_parquet(scored)) == 9
    assert set(estimators.DETECTORS) == set(MODELS)
    if page == "new_model":
        check_detector("mean_distance")


def check_detector(model: str) -> None:
    """Check that a model is an outlier detector, which can be pickled and which editors know."""
    random = np.random.default_rng(0)
    normals, outliers = random.normal(size=(60, 20)), random.normal(4, 1, size=(20, 20))
    detector: Any = estimators.DETECTORS[model]()
    decisions = detector.fit(normals).predict(outliers)
    assert (decisions == -1).all()
    assert (pickle.loads(pickle.dumps(detector)).predict(outliers) == decisions).all()
    stub = Path(estimators.__file__).with_suffix(".pyi").read_text()
    assert f"class {type(detector).__name__}" in stub


if __name__ == "__main__":
    write_traces(Path("data"))
    for page in REQUESTS:
        main(page)
