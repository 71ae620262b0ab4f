"""`python -m study.compare` of studies that were trained here."""

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.compare import compare
from study.errors import RequestError
from study.ledger.ledger import Ledger
from study.report.side_by_side import differences_table, read_compared, side_by_side
from study.storage.folder import LocalFolder
from tests.study.checked import run_here, small_study, trials_of_search, trials_of_systems
from tests.study.report.page.text import visible_text

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalFolder]:
    """A search, simple systems on the same folds, and a search on others."""
    root = tmp_path_factory.mktemp("studies")
    search: dict[str, Any] = {"trials": 1, "metric": {"composition": "reconstruction"}}
    systems = {
        "pca": {"model": {"name": "pca", "components": 4}},
        "knn": {"model": {"name": "knn"}, "metric": {"composition": "outlier_score"}},
    }
    made = {
        "searched": small_study("searched", search=search),
        "simple": small_study("simple", systems=systems),
        "other_seed": small_study("other_seed", search=search, seed=1),
    }
    results = {}
    for name, study in made.items():
        trials = trials_of_systems(study) if study.systems else trials_of_search(study, 2)
        results[name] = run_here(root / name, study, trials)
    return results


def compared(studies: dict[str, LocalFolder], tmp_path: Path, *names: str) -> tuple[Any, str]:
    compare([studies[name].locate() for name in names], str(tmp_path / "out"))
    frame = pd.read_parquet(tmp_path / "out" / "differences.parquet")
    return frame, visible_text((tmp_path / "out" / "index.html").read_text())


def answers_by_fold(results: LocalFolder) -> pd.DataFrame:
    scores = pd.read_parquet(io.BytesIO(results.read("scores.parquet")))
    chosen = scores.query("of_metric and epoch_rule == 'best_validation'")
    return chosen.set_index(["trial", "fold"])


def test_studies_of_the_same_folds_are_compared_in_pairs(
    studies: dict[str, LocalFolder], tmp_path: Path
) -> None:
    """A network and kNN, by compositions of their own, by the t-test over folds."""
    frame, text = compared(studies, tmp_path, "searched", "simple")
    assert "The same samples and the same folds" in text
    chosen = frame.query("metric == 'phi' and first_study != second_study")
    pairs = set(zip(chosen["first_study"], chosen["second_system"], strict=True))
    assert pairs == {("searched", "pca"), ("searched", "knn")}
    row = chosen[chosen["second_system"] == "knn"].iloc[0]
    assert (row["first_composition"], row["second_composition"]) == (
        "reconstruction",
        "outlier_score",
    )
    one, other = (answers_by_fold(studies[name]) for name in ("searched", "simple"))
    first = one.loc[row["first_trial"]]
    difference = first["phi"] - other.loc[row["second_trial"]]["phi"]
    assert row["difference"] == pytest.approx(difference.mean())
    ratio = (first["num_samples"] / first["num_training"]).mean()
    error = difference.std(ddof=1) * np.sqrt(1 / len(difference) + ratio)
    p = 2 * stats.t.sf(abs(difference.mean()) / error, len(difference) - 1)
    assert row["fold_p"] == pytest.approx(p)
    assert row["unit_p"] <= 1  # patients of generated beats are known
    for name in ("searched: trial-00000", "simple: nearest neighbours", "simple: PCA"):
        assert name in text


@pytest.mark.parametrize("folds", [1, 2])
def test_a_study_that_answers_with_a_stopped_trial_is_tested_on_the_folds_that_it_has(
    studies: dict[str, LocalFolder], tmp_path: Path, folds: int
) -> None:
    """Others are tested as they are without it."""
    shutil.copytree(studies["searched"].locate(), tmp_path / "stopped")
    results = LocalFolder(tmp_path / "stopped")
    ledger = Ledger(results.folder("ledger"))
    (record,) = ledger.trials()
    ledger.record_trial(replace(record, state="pruned", values=record.values[:1], num_folds=folds))
    for left in record.folds[folds:]:
        results.remove(f"ledger/{left.path}")
    with_it, _ = compared(
        {**studies, "stopped": results}, tmp_path, "stopped", "simple", "searched"
    )
    without, _ = compared(studies, tmp_path, "simple", "searched")
    stopped, trained = "searched 1", "searched 3"  # studies of one name
    own = with_it[with_it["first_study"] == stopped]
    assert len(own) == len(with_it) / 2
    assert set(own["folds"]) == {folds}
    assert own["unit_p"].notna().sum() == without["unit_p"].notna().sum()
    others = with_it[with_it["first_study"] != stopped].replace(trained, "searched")
    keys = ["first_study", "first_trial", "second_study", "second_trial", "metric"]
    assert len(others) == len(without)
    merged = others.merge(without, on=keys, suffixes=("", "_without"))
    assert len(merged) == len(without)
    for name in ("difference", "unit_low", "unit_high", "unit_p"):
        np.testing.assert_allclose(merged[name], merged[f"{name}_without"], err_msg=name)


def test_what_differs_in_their_settings_is_listed_and_nothing_else(
    studies: dict[str, LocalFolder], tmp_path: Path
) -> None:
    _, text = compared(studies, tmp_path, "searched", "other_seed")
    section = text[text.rindex("What differs in their settings") :]
    assert " seed 0 1" in section
    assert "dataset.length" not in section
    assert "provenance" not in section
    _, text = compared(studies, tmp_path, "searched", "simple")
    section = text[text.rindex("What differs in their settings") :]
    assert " systems – pca, knn" in section
    assert "systems.knn" not in section


def test_studies_of_other_samples_stand_side_by_side_and_are_not_tested(
    studies: dict[str, LocalFolder], tmp_path: Path
) -> None:
    frame, text = compared(studies, tmp_path, "searched", "other_seed")
    assert frame.empty
    assert "no difference is tested" in text
    assert "No two studies share samples and folds" in text
    both = side_by_side(read_compared([studies[n] for n in ("searched", "simple", "other_seed")]))
    assert set(differences_table(both).to_pandas()["first_study"]) <= {"searched", "simple"}


def test_a_study_beside_itself_is_not_told_apart(
    studies: dict[str, LocalFolder], tmp_path: Path
) -> None:
    frame, text = compared(studies, tmp_path, "searched", "searched")
    assert set(frame["first_study"]) == {"searched 1"}
    assert (frame["difference"] == 0).all()
    assert "Nothing." in text


def test_nothing_is_written_into_the_studies(
    studies: dict[str, LocalFolder], tmp_path: Path
) -> None:
    root = Path(studies["searched"].locate())
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    compared(studies, tmp_path, "searched", "simple")
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_one_study_alone_is_refused(studies: dict[str, LocalFolder], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="expected two studies or more"):
        compare([studies["searched"].locate()], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
