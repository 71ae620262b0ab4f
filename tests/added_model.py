"""Runs everything public with the model that `docs/new_model.md` adds, in a tree that has it."""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from models import MODELS
from study import load_detector, run, score
from study.config.study_file import check_study
from study.estimators import DETECTORS
from tests.study.report.trained import PARTS, reported, sines_and_steps
from tests.study.trials import trial_of

REQUEST: dict[str, Any] = {
    **PARTS,
    "name": "added",
    "model": {"name": "mean_distance", "power": 1.5},
    "training": {},
    "search": {"metric": {"composition": "outlier_score"}},
}


def has_a_detector() -> None:
    random = np.random.default_rng(0)
    normals, outliers = random.normal(size=(60, 20)), random.normal(4, 1, size=(20, 20))
    detector: Any = DETECTORS["mean_distance"](power=1.0)
    decisions = detector.fit(normals).predict(outliers)
    assert type(detector).__name__ == "MeanDistanceDetector"
    assert (decisions == -1).all()
    assert (pickle.loads(pickle.dumps(detector)).predict(outliers) == decisions).all()
    assert "class MeanDistanceDetector" in Path("study/estimators/__init__.pyi").read_text()


def is_planned() -> None:
    Path("added.yaml").write_text(yaml.safe_dump(REQUEST))
    sys.argv = ["run", "added.yaml", "--plan", "--set", "model.power=3", "--output", "planned"]
    assert run.app.main() == 0


def is_reported_and_scores() -> None:
    study = check_study(REQUEST, "added.yaml")
    made = reported(Path("results"), study, [trial_of(study)])
    assert "mean_distance" in made.text
    scores = pd.read_parquet("results/scores.parquet")
    assert set(scores["model"]) == {"mean_distance"}
    assert scores["auroc"].notna().any()
    values = sines_and_steps().values[:, 0]
    np.save("new.npy", values)
    for trained in ("results/ledger/trial-00000", "results/ledger/trial-00000/fold-0"):
        sys.argv = ["score", trained, "new.npy", "--output", "new.parquet"]
        assert score.app.main() == 0
        assert len(pd.read_parquet("new.parquet")) == len(values)
    assert load_detector("results/ledger/trial-00000").predict(values).shape == (len(values),)


if __name__ == "__main__":
    assert "mean_distance" in MODELS
    has_a_detector()
    is_planned()
    is_reported_and_scores()
