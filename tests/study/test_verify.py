"""`python -m study.verify` of a study that was trained here, and of what was changed in it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from study.errors import RequestError, StudyFailedError
from study.ledger.fold_files import to_parquet
from study.ledger.sealed_files import sealed
from study.ledger.study_folder import read_study, stored_split_facts
from study.report.build import build_report
from study.storage.folder import LocalFolder
from study.storage.hashes import sha256
from study.verify import verify
from tests.study.checked import run_here, small_study, trials_of_search

FOLD = "ledger/trial-00000/fold-1"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trials, of which the second was stopped early."""
    space = {"model.latent_size": {"int": [2, 4]}}
    search = {"trials": 2, "space": space, "metric": {"composition": "reconstruction"}}
    study = small_study("sound", search={**search, "stopping": {"grace_epochs": 2}})
    folder = tmp_path_factory.mktemp("sound")
    run_here(folder, study, trials_of_search(study, 2, 3), stopped=1)
    return folder


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copied"))


def check(folder: Path, train: int = 0) -> None:
    verify(str(folder), train, None, 0.0)


def change(path: Path, column: str, row: int, new: Callable[[float], float]) -> None:
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[row] = new(values[row])
    number = table.column_names.index(column)
    column_type = table.schema.field(column).type
    changed = table.set_column(number, column, pa.array(values, column_type))
    path.write_bytes(to_parquet(changed))


def test_a_sound_study_is_equal_file_by_file_and_when_it_is_trained_again(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in sound.rglob("*") if path.is_file()}
    check(sound, train=4)
    lines = [line.strip().split("  ", 1) for line in capsys.readouterr().out.splitlines()]
    assert [what for what, _ in lines] == ["ledger", "splits", "tables", *["training"] * 4]
    assert lines[0][1] == "2 trial(s), 4 fold(s), every file as it was committed"
    assert lines[-1][1] == "trial-00001/fold-1 trained again, equal"
    assert before == {path: path.read_bytes() for path in sound.rglob("*") if path.is_file()}


def test_a_flipped_byte_of_the_ledger_is_named(copied: Path) -> None:
    path = copied / FOLD / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StudyFailedError, match=r"fold-1/model.safetensors is not what was comm"):
        check(copied)


def test_the_first_cell_of_a_table_that_does_not_follow_from_the_ledger_is_named(
    copied: Path,
) -> None:
    change(copied / "scores.parquet", "phi", 3, lambda value: value + 0.25)
    with pytest.raises(StudyFailedError, match=r"scores.parquet: row 3 \(.*\), column phi: "):
        check(copied)


def test_a_table_that_is_missing_or_belongs_to_nothing_is_named(copied: Path) -> None:
    summary = (copied / "summary.parquet").read_bytes()
    (copied / "summary.parquet").unlink()
    with pytest.raises(StudyFailedError, match=r"summary\.parquet: is missing"):
        check(copied)
    (copied / "summary.parquet").write_bytes(summary)
    (copied / "clinical.parquet").write_bytes(summary)
    with pytest.raises(
        StudyFailedError, match=r"clinical\.parquet: does not follow from the ledger"
    ):
        check(copied)


def test_a_card_of_another_number_is_named(copied: Path) -> None:
    path = copied / "report" / "MODEL_CARD.md"
    path.write_text(path.read_text().replace("phi", "phi 0.999", 1))
    with pytest.raises(StudyFailedError, match=r"MODEL_CARD.md: line \d+: "):
        check(copied)


def test_other_folds_than_the_studys_are_named(copied: Path) -> None:
    change(copied / "splits.parquet", "sample", 0, lambda value: value + 1)
    with pytest.raises(StudyFailedError, match=r"splits\.parquet: folds of paper are not those"):
        check(copied)


@pytest.mark.slow
def test_errors_that_no_training_gives_are_found_by_training_again(copied: Path) -> None:
    """Changed with hash, seal and tables to match: every file agrees with every other."""
    path = copied / FOLD / "components.parquet"
    change(path, "reconstruction_error", 5, lambda value: value * 2)
    manifest = json.loads((copied / FOLD / "manifest.json").read_text())
    for name in ("seal", "format"):
        del manifest[name]
    manifest["files"]["components.parquet"] = sha256(path.read_bytes())
    (copied / FOLD / "manifest.json").write_bytes(sealed(manifest))
    results = LocalFolder(copied)
    study = read_study(results)
    build_report(study, stored_split_facts(results, study), results, "serial")
    check(copied)
    with pytest.raises(
        StudyFailedError,
        match=r"fold-1/components.parquet: row 5 \(.*\), column reconstruction_error: ",
    ):
        check(copied, train=4)


def test_other_data_are_refused_before_anything_is_checked(copied: Path) -> None:
    content = yaml.safe_load((copied / "study.yaml").read_text())
    content["provenance"]["samples_hash"] = "other"
    (copied / "study.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(RequestError, match="samples_hash is other there"):
        check(copied, train=1)


def test_data_that_are_not_found_are_asked_for(copied: Path) -> None:
    content = yaml.safe_load((copied / "study.yaml").read_text())
    content["dataset"] = {"name": "table", "path": ["mine.csv"], "normal_labels": ["0"]}
    (copied / "study.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(RequestError, match=r"--train needs .* whose folder --data names: dataset"):
        check(copied, train=1)


def test_a_folder_without_an_ended_trial_is_not_verified(copied: Path) -> None:
    for trial in (copied / "ledger").iterdir():
        (trial / "trial.json").unlink()
    with pytest.raises(StudyFailedError, match="no trial has ended yet"):
        check(copied)
    shutil.rmtree(copied / "ledger")
    with pytest.raises(StudyFailedError, match="no trial has ended yet"):
        check(copied)


def test_a_ledger_that_lacks_a_fold_is_not_verified(copied: Path) -> None:
    shutil.rmtree(copied / FOLD)
    with pytest.raises(StudyFailedError, match="fold 1 is missing"):
        check(copied)
