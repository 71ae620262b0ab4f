"""Scores that rest on what a record's beats have beside their values: components and time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from study import load_detector, score
from study.config.study_file import check_study
from study.data.mitbih import MitbihSettings, prepare_records
from study.detectors.signals.records import BLOCK_SECONDS, read_beats
from study.detectors.signals.table import write_scores
from study.ledger.fold_errors import read_fold_errors
from study.ledger.ledger import Ledger
from study.report.fold_scores import ScoreTask, score_fold
from study.scores.evaluation import evaluate_compositions
from study.search.trial import FoldAddress
from study.storage.folder import LocalFolder
from study.terminal.command import REQUEST_WRONG
from tests.study.conftest import Trained, train_trial, write_heartbeats

TRAINED, NEW = ("101", "106", "108", "109"), "100"
R = "reconstruction_error"
OWN = {
    "with_timing": {"components": [R, "prematurity", "pause"], "rule": "svm"},
    "early": {"components": ["prematurity"], "rule": "fixed", "thresholds": [0.1]},
}
Train = Callable[..., Trained]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of which DS2 has one."""
    folder = tmp_path_factory.mktemp("mitdb")
    for seed, name in enumerate((*TRAINED, NEW)):
        write_heartbeats(folder, name, seconds=100, seed=seed)
    return folder


@pytest.fixture(scope="module")
def train(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains PCA on the records of DS1, with these scores."""

    def trained(composition: str = "with_timing", **scores: Any) -> Trained:
        study = check_study(
            {
                "name": "timing",
                "dataset": {"name": "mitbih", "length": 96, "components": "record"},
                "split": {"protocol": "inter_patient", "folds": 2},
                "model": {"name": "pca", "components": 3},
                "search": {"metric": {"composition": composition}},
                "scores": {"compositions": OWN, **scores},
            },
            "timing.yaml",
        )
        assert isinstance(study.dataset, MitbihSettings)
        samples = prepare_records([*TRAINED, NEW], records, study.dataset)
        return train_trial(study, samples, tmp_path_factory.mktemp("timing"))

    return trained


def decisions_in_the_study(trained: Trained, number: int, composition: str) -> pd.Series:
    """Decisions on the test samples of a fold, by sample."""
    ledger = Ledger(LocalFolder(trained.place.parent))
    manifests = [ledger.fold(FoldAddress(trained.place.name, k)) for k in range(2)]
    manifest = manifests[number]
    assert manifest is not None
    config = load_detector(str(trained.fold(number))).folds[0].config
    errors = read_fold_errors(ledger, manifest, config, [m for m in manifests if m])
    settings = config.scores
    (result,) = evaluate_compositions(errors["best_validation"], settings, [composition])
    assert result.decisions is not None
    stored = trained.stored(number)
    return pd.Series(result.decisions.prediction, index=stored.index[stored["split"] == "test"])


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"reference": "record", "scale": "log"},
        {"reference": "first_minutes", "reference_minutes": 0.5, "fit_on": "all_folds"},
    ],
)
def test_a_new_record_is_decided_as_the_study_decided_it(
    train: Train, records: Path, tmp_path: Path, scores: dict[str, Any]
) -> None:
    trained = train(**scores)
    for number in range(2):
        detector = load_detector(str(trained.fold(number)))
        beats = read_beats(records / NEW, trained.study.dataset, "annotated", resample=False)
        write_scores(tmp_path / "new.parquet", detector, beats.blocks())
        frame = pd.read_parquet(tmp_path / "new.parquet")
        expected = decisions_in_the_study(trained, number, "with_timing")
        assert len(frame) == len(expected) > 80
        np.testing.assert_array_equal(frame["decision"], expected)
        assert 0 < frame["decision"].sum() < len(frame)
        assert {"prematurity", "pause", "template_distance"} <= set(frame)


@pytest.mark.parametrize("reference", ["none", "first_minutes", "record"])
def test_parts_of_a_record_are_scored_as_the_whole(
    train: Train, records: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reference: str
) -> None:
    trained = train(reference=reference, reference_minutes=0.5)
    detector = load_detector(str(trained.place))
    beats = read_beats(records / NEW, trained.study.dataset, "annotated", resample=False)
    (whole,) = beats.blocks()
    seconds = whole.columns["seconds"]
    expected = detector.score(whole.values, whole.components, seconds)
    monkeypatch.setattr("study.detectors.signals.records.BLOCK_SECONDS", BLOCK_SECONDS // 50)
    parts = read_beats(records / NEW, trained.study.dataset, "annotated", resample=False)
    assert len(list(parts.blocks())) > 5
    write_scores(tmp_path / "parts.parquet", detector, parts.blocks())
    frame = pd.read_parquet(tmp_path / "parts.parquet")
    np.testing.assert_allclose(frame["score"], expected.score, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(frame["decision"], expected.decision)
    if reference == "first_minutes":  # what comes later decides nothing
        early = detector.score(
            whole.values[:50], {n: v[:50] for n, v in whole.components.items()}, seconds[:50]
        )
        np.testing.assert_allclose(early.score, expected.score[:50], rtol=1e-6)


def test_what_the_composition_needs_must_be_there(train: Train) -> None:
    trained = train(reference="record")
    detector = load_detector(str(trained.fold()))
    values = trained.samples.values[:9]
    components = {n: v[:9] for n, v in trained.samples.components.items()}
    assert detector.sample_components == ("prematurity", "pause")
    with pytest.raises(ValueError, match="are needed: prematurity, pause"):
        detector.score(values)
    with pytest.raises(ValueError, match="seconds of the samples are needed"):
        detector.predict(values, components=components)
    with pytest.raises(ValueError, match="seconds must rise"):
        detector.predict(values, components=components, seconds=np.arange(9)[::-1])
    with pytest.raises(ValueError, match=r"pause must be 9 finite values, found shape \(8,\)"):
        detector.predict(values, components={**components, "pause": np.zeros(8)})
    assert list(detector.errors(values)) == [R]
    early = load_detector(str(trained.fold()), "early")
    assert (early.tau, early.supervision) == (0.1, "none")


def test_a_table_has_no_beats_to_be_early(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.zeros((3, 96)))
    monkeypatch.setattr("sys.argv", ["score", str(train().fold()), "rows.npy"])
    assert score.app.main() == REQUEST_WRONG
    assert "needs the prematurity and the pause of beats, found a table" in capsys.readouterr().err


def test_rows_of_a_studys_own_compositions_are_in_its_table(train: Train) -> None:
    trained = train(scale="log")
    ledger = Ledger(LocalFolder(trained.place.parent))
    manifest = ledger.fold(FoldAddress(trained.place.name, 0))
    assert manifest is not None
    config = load_detector(str(trained.fold())).folds[0].config
    task = ScoreTask(ledger, manifest, config, (), False)
    rows = score_fold(task).scores.to_pandas().set_index(["epoch_rule", "composition"])
    early = rows.loc["best_validation", "early"]
    stored = trained.stored()
    test = stored[stored["split"] == "test"]
    called = test["prematurity"] > np.float32(0.1)
    assert early["recall"] == called[test["label"] == 1].mean()
    assert (early["supervision"], early["tau"], early["note"]) == ("none", 0.1, "")
    assert rows.loc["best_validation", "with_timing"]["supervision"] == "svm"
